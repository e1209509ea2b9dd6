"""Metrics of click models: `auc`, `grouped_auc`, `log_loss`, `relative_improvement`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphmatch.errors import GraphError

_CLIP = 1e-7  # of probabilities in the logarithm


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: the probability that a click has a higher score than a non-click.

    Equal scores count half (mid-ranks).

    Args:
        scores: [n] any increasing function of the probability.
        labels: [n] 0 or 1.

    Returns:
        From 0 to 1; 0.5 for scores that say nothing.

    Raises:
        GraphError: scores that are not finite, other labels, a class that is absent, for which the
            area is not defined.

    Example:
        >>> auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])
        0.875
    """
    numbers, clicks = check_scores(scores, labels)
    positives = int(clicks.sum())
    negatives = len(clicks) - positives
    if not positives or not negatives:
        raise GraphError(
            f"AUC: expected samples with and without a click (got {positives} and {negatives})"
        )
    ranks = _mid_ranks(numbers)
    area = ranks[clicks].sum() - positives * (positives + 1) / 2
    return float(area / (positives * negatives))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedAUC:
    """AUC within each user.

    Args:
        value: mean over users, weighted by their number of samples; NaN if no user has an AUC.
        users: users that have one.
        skipped: users whose labels are all equal, which have none.
        samples: of the users that have one.
    """

    value: float
    users: int
    skipped: int
    samples: int


def grouped_auc(scores: ArrayLike, labels: ArrayLike, users: ArrayLike) -> GroupedAUC:
    """GAUC: the AUC of each user, weighted by the number of samples.

    Source: Deep Interest Network (KDD 2018), section 5.2, with the weights of its code.

    Args:
        scores: [n] as `auc`.
        labels: [n] 0 or 1.
        users: [n] whose sample each is.

    Returns:
        The mean and what it is of.

    Raises:
        GraphError: scores that are not finite, other labels, lengths that differ.

    Example:
        >>> grouped_auc([0.1, 0.4, 0.3, 0.8, 0.2], [0, 1, 1, 0, 1], [7, 7, 8, 8, 9])
        GroupedAUC(value=0.5, users=2, skipped=1, samples=4)
    """
    numbers, clicks = check_scores(scores, labels)
    owner = np.asarray(users)
    if owner.shape != numbers.shape:
        raise GraphError(f"GAUC: expected users {list(numbers.shape)} (got {list(owner.shape)})")
    _, user, count = np.unique(owner, return_inverse=True, return_counts=True)
    ranks = _mid_ranks(numbers, user)
    positives = np.bincount(user, clicks, minlength=len(count))
    total = np.bincount(user, ranks * clicks, minlength=len(count))
    negatives = count - positives
    good = (positives > 0) & (negatives > 0)
    area = total - positives * (positives + 1) / 2
    areas = area[good] / (positives * negatives)[good]
    samples = int(count[good].sum())
    value = float((areas * count[good]).sum() / samples) if samples else float("nan")
    return GroupedAUC(
        value=value, users=int(good.sum()), skipped=int((~good).sum()), samples=samples
    )


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean binary cross-entropy with the natural logarithm.

    Args:
        probabilities: [n] of a click, clipped to [1e-7, 1 - 1e-7].
        labels: [n] 0 or 1.

    Returns:
        The mean.

    Raises:
        GraphError: numbers outside [0, 1], other labels, no sample.

    Example:
        >>> round(log_loss([0.9, 0.2], [1, 0]), 4)
        0.1643
    """
    numbers, clicks = check_scores(probabilities, labels)
    if not len(numbers) or numbers.min() < 0 or numbers.max() > 1:
        raise GraphError("log loss: expected probabilities in [0, 1], one or more (got others)")
    return float(losses(numbers, clicks).mean())


def losses(probabilities: NDArray[np.float64], clicks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cross-entropy of each sample, see `log_loss`.

    Args:
        probabilities: [n] of a click.
        clicks: [n] whether there was one.

    Returns:
        [n].
    """
    clipped = np.clip(probabilities, _CLIP, 1 - _CLIP)
    return -np.where(clicks, np.log(clipped), np.log1p(-clipped))


def relative_improvement(value: float, base: float) -> float:
    """RelaImpr: by how many percent an AUC is further above chance than another.

    Args:
        value: the AUC.
        base: the AUC of the base model, above 0.5.

    Returns:
        Percent.

    Raises:
        GraphError: a base that is not above chance.

    Example:
        >>> round(relative_improvement(0.74, 0.70), 6)
        20.0
    """
    if not base > 0.5:
        raise GraphError(f"RelaImpr: expected a base above 0.5 (got {base})")
    return ((value - 0.5) / (base - 0.5) - 1) * 100


def check_scores(
    scores: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and clicks as arrays.

    Args:
        scores: [n] finite numbers.
        labels: [n] 0 or 1.

    Returns:
        Both.

    Raises:
        GraphError: anything else.
    """
    numbers, values = np.asarray(scores, np.float64), np.asarray(labels)
    if numbers.ndim != 1 or numbers.shape != values.shape:
        got = f"{list(numbers.shape)} and {list(values.shape)}"
        raise GraphError(f"expected scores [n] and labels [n] (got {got})")
    if not np.isfinite(numbers).all():
        raise GraphError(f"expected finite scores (got {(~np.isfinite(numbers)).sum()} others)")
    if not np.isin(values, (0, 1)).all():
        raise GraphError("expected labels 0 and 1 (got others)")
    return numbers, values.astype(bool)


def _mid_ranks(
    scores: NDArray[np.float64], group: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Ranks from 1 in ascending order, within each group; equal scores share their mean rank."""
    order = np.argsort(scores) if group is None else np.lexsort((scores, group))
    values = scores[order]
    owner = None if group is None else group[order]
    new = np.ones(len(order), bool)
    new[1:] = values[1:] != values[:-1]
    if owner is not None:
        new[1:] |= owner[1:] != owner[:-1]
    first = np.flatnonzero(new)
    length = np.diff(np.append(first, len(order)))
    ranks = np.repeat(first + (length + 1) / 2, length)
    if owner is not None:
        start = np.zeros(len(order), bool)
        start[0:1] = True
        start[1:] = owner[1:] != owner[:-1]
        starts = np.flatnonzero(start)
        ranks -= np.repeat(starts, np.diff(np.append(starts, len(order))))
    result = np.empty(len(order))
    result[order] = ranks
    return result
