"""`click_intervals`: how sure AUC, GAUC and log loss are, by resampling users."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphmatch.bootstrap import Interval
from graphmatch.click_metrics import auc, check_scores, grouped_auc, losses
from graphmatch.evaluation_report import Resampling

Floats = NDArray[np.float64]


def click_intervals(
    probabilities: ArrayLike,
    labels: ArrayLike,
    users: ArrayLike | None,
    *,
    resampling: Resampling,
) -> dict[str, Interval]:
    """Percentile bootstrap over users, each with all samples; over samples if there are no users.

    A resample draws as many users as there are, with replacement. Resamples in which a class is
    absent have no AUC and do not count for it.

    Args:
        probabilities: [n] of a click.
        labels: [n] 0 or 1.
        users: [n] whose sample each is; None if that is not known.
        resampling: how many, and the level.

    Returns:
        Intervals of `auc`, `log_loss` and, with users some of whom have both labels, `gauc`; none
        without resamples. Takes time for each resample as one pass over the samples.

    Raises:
        GraphError: as `graphmatch.click_metrics.auc`.

    Example:
        >>> found = click_intervals([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [7, 7, 8, 8],
        ...                         resampling=Resampling(resamples=20))
        >>> sorted(found)
        ['auc', 'log_loss']
    """
    if not resampling.resamples:
        return {}
    numbers, clicks = check_scores(probabilities, labels)
    if users is None:
        owner, count = np.arange(len(numbers)), np.ones(len(numbers))
    else:
        _, owner, sizes = np.unique(np.asarray(users), return_inverse=True, return_counts=True)
        count = sizes.astype(np.float64)
    loss = losses(numbers, clicks)
    sums = np.bincount(owner, loss, minlength=len(count))
    value = {"auc": auc(numbers, clicks), "log_loss": float(loss.mean())}
    within = None
    if users is not None:
        found = grouped_auc(numbers, clicks, owner)
        if found.users:
            value["gauc"] = found.value
            within = _areas(numbers, clicks, owner, len(count))
    area = _WeightedAUC(numbers, clicks, owner)
    rng = np.random.default_rng(resampling.seed)
    drawn: dict[str, list[float]] = {name: [] for name in value}
    for _ in range(resampling.resamples):
        times = np.bincount(rng.integers(len(count), size=len(count)), minlength=len(count))
        drawn["auc"].append(area(times))
        drawn["log_loss"].append(float(times @ sums) / float(times @ count))
        if within is not None:
            weight = times * count * ~np.isnan(within)
            total = float(weight.sum())
            good = float(weight @ np.nan_to_num(within)) / total if total else np.nan
            drawn["gauc"].append(good)
    return {name: _interval(value[name], np.array(drawn[name]), resampling) for name in value}


class _WeightedAUC:
    """AUC of samples that count as often as their user was drawn; sorted once."""

    def __init__(self, numbers: Floats, clicks: NDArray[np.bool_], owner: NDArray[np.int64]):
        order = np.argsort(numbers, kind="stable")
        scores = numbers[order]
        self._clicks, self._owner = clicks[order], owner[order]
        self._starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))

    def __call__(self, times: NDArray[np.int64]) -> float:
        weight = times[self._owner].astype(np.float64)
        positive = np.add.reduceat(weight * self._clicks, self._starts)
        negative = np.add.reduceat(weight * ~self._clicks, self._starts)
        below = np.cumsum(negative) - negative  # of lower scores
        pairs = positive.sum() * negative.sum()
        return float((positive * (below + negative / 2)).sum() / pairs) if pairs else np.nan


def _areas(
    numbers: Floats, clicks: NDArray[np.bool_], owner: NDArray[np.int64], users: int
) -> Floats:
    """[users] AUC of each user, NaN for one with a single class."""
    order = np.lexsort((numbers, owner))
    scores, user, hit = numbers[order], owner[order], clicks[order]
    new = np.append(True, (scores[1:] != scores[:-1]) | (user[1:] != user[:-1]))
    starts = np.flatnonzero(new)
    positive = np.add.reduceat(hit.astype(np.float64), starts)
    negative = np.add.reduceat((~hit).astype(np.float64), starts)
    group = user[starts]
    total = np.cumsum(negative) - negative
    first = np.searchsorted(group, group)  # of the same user
    wins = positive * (total - total[first] + negative / 2)
    positives, negatives = (
        np.bincount(group, part, minlength=users) for part in (positive, negative)
    )
    pairs = positives * negatives
    area = np.bincount(group, wins, minlength=users)
    return np.where(pairs > 0, area / np.maximum(pairs, 1), np.nan)


def _interval(value: float, drawn: Floats, how: Resampling) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    ends = (1 - how.level) / 2
    low, high = np.quantile(drawn, [ends, 1 - ends]) if len(drawn) else (np.nan, np.nan)
    error = float(drawn.std(ddof=1)) if len(drawn) > 1 else np.nan
    return Interval(value=value, low=float(low), high=float(high), error=error)
