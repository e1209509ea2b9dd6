"""`statement_report`: does a matcher score true statements about images above false ones?

Data: Liu, Emerson and Collier, "Visual Spatial Reasoning", TACL 2023.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.bootstrap import Interval
from graphmatch.errors import GraphError
from graphmatch.hard_negatives import MATCHER, skipped_lines
from graphmatch.proportion import Proportion

_FOLDS = 10
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationRow:
    """One relation.

    Args:
        count: statements.
        true: true ones among them.
        accuracy: of the matcher.
        auc: of the matcher, percent; None if all of its statements have the same label.
    """

    count: int
    true: int
    accuracy: Proportion
    auc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementReport:
    """How well scores tell true from false statements.

    Args:
        count: statements.
        true: true ones among them.
        auc: by name of the score, area under the ROC curve in percent: how often a true statement
            scores above a false one, equal ones half. The interval is of
            a bootstrap over images.
        accuracy: by name, with the threshold that is best on the other images.
        majority: accuracy of the label that is more frequent on the other images.
        relations: by relation, the most frequent first.
        skipped: how many statements were left out, by reason.
    """

    count: int
    true: int
    auc: Mapping[str, Interval]
    accuracy: Mapping[str, Proportion]
    majority: Proportion
    relations: Mapping[str, RelationRow]
    skipped: Mapping[str, int]

    def content(self) -> dict[str, Any]:
        """The report as plain values, for JSON.

        Returns:
            Values by the names of the fields.
        """
        return {
            "count": self.count,
            "true": self.true,
            "auc": {name: asdict(interval) for name, interval in self.auc.items()},
            "accuracy": {name: share.content() for name, share in self.accuracy.items()},
            "majority": self.majority.content(),
            "relations": {
                name: {
                    "count": row.count,
                    "true": row.true,
                    "accuracy": row.accuracy.content(),
                    "auc": row.auc,
                }
                for name, row in self.relations.items()
            },
            "skipped": dict(self.skipped),
        }

    def to_json(self) -> str:
        """The report as a JSON object.

        Returns:
            Text.
        """
        return json.dumps(self.content(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def __str__(self) -> str:
        lines = [f"{'':20}{'AUC':>20}{'accuracy':>20}"]
        for name, auc in self.auc.items():
            lines.append(f"{name:20}{auc!s:>20}{self.accuracy[name]!s:>20}")
        lines.append(f"{'more frequent label':20}{'':20}{self.majority!s:>20}")
        lines.append(f"{self.count:,} statements, {self.true:,} true")
        for name, row in list(self.relations.items())[:_SHOWN]:
            area = "" if row.auc is None else f", AUC {row.auc:.1f}"
            lines.append(f"  {name:24}{row.count:6,}: accuracy {row.accuracy.percent:.1f}{area}")
        if len(self.relations) > _SHOWN:
            lines.append(f"  ... {len(self.relations) - _SHOWN} more relations in the JSON report")
        return "\n".join([*lines, *skipped_lines(self.skipped)])


def statement_report(
    scores: Mapping[str, NDArray[np.float64]],
    true: Sequence[bool],
    images: Sequence[str],
    relations: Sequence[str],
    *,
    skipped: Mapping[str, int] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> StatementReport:
    """Compare the scores of true and false statements.

    Args:
        scores: [P] score of each statement, by name; `"matcher"` is what relations are shown for.
        true: P labels.
        images: image of each; statements of one image are drawn, and put into folds, together.
        relations: relation of each.
        skipped: how many other statements were left out, by reason.
        resamples: of images, for the interval of AUC.
        seed: of resamples and folds.

    Returns:
        The report. Allocates true x false statements.

    Raises:
        GraphError: not both labels, another shape, scores that are not finite.

    Example:
        >>> scores = {"matcher": np.array([0.9, 0.2, 0.8, 0.1])}
        >>> images = ["a", "a", "b", "b"]
        >>> found = statement_report(scores, [True, False] * 2, images, ["on"] * 4)
        >>> found.auc["matcher"].value, found.accuracy["matcher"].percent
        (100.0, 100.0)
    """
    label = np.asarray(true, dtype=bool)
    if not 0 < label.sum() < len(label):
        got = f"{int(label.sum())} true of {len(label)}"
        raise GraphError(f"expected true and false statements that can be scored (got {got})")
    for name, values in scores.items():
        if values.shape != label.shape or not np.isfinite(values).all():
            raise GraphError(f"{name}: expected {len(label)} finite scores")
    rng = np.random.default_rng(seed)
    image = np.unique(np.array(images), return_inverse=True)[1]
    fold = rng.permutation(int(image.max()) + 1)[image] % _FOLDS
    drawn = rng.multinomial(image.max() + 1, [1 / (image.max() + 1)] * (image.max() + 1), resamples)
    weights = drawn[:, image].astype(np.float64)  # [B, P]
    guesses = {name: _guesses(values, label, fold) for name, values in scores.items()}
    main = scores.get(MATCHER, next(iter(scores.values())))
    right = guesses.get(MATCHER, next(iter(guesses.values()))) == label
    return StatementReport(
        count=len(label),
        true=int(label.sum()),
        auc={name: _auc_interval(values, label, weights) for name, values in scores.items()},
        accuracy={name: _share(guess == label) for name, guess in guesses.items()},
        majority=_share(_guesses(np.zeros(len(label)), label, fold) == label),
        relations=_relations(relations, main, label, right),
        skipped=skipped or {},
    )


def area_under_curve(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a true one scores above a false one, equal ones half.

    Args:
        scores: [P].
        true: [P] labels, of both kinds.

    Returns:
        From 0 to 1. Allocates true x false.

    Example:
        >>> area_under_curve(np.array([0.9, 0.5, 0.5]), np.array([True, True, False]))
        0.75
    """
    return float(_above(scores, true).mean())


def _above(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[true, false] 1 where the true one scores more, 0.5 where they are equal."""
    left, right = scores[true][:, None], scores[~true]
    above: NDArray[np.float32] = (left > right).astype(np.float32)
    above[left == right] = 0.5
    return above


def _auc_interval(
    scores: NDArray[np.float64], true: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Interval:
    above = _above(scores, true).astype(np.float64)
    left, right = weights[:, true], weights[:, ~true]  # [B, true], [B, false]
    total = left.sum(axis=1) * right.sum(axis=1)
    found = 100 * ((left @ above) * right).sum(axis=1)[total > 0] / total[total > 0]
    value = 100 * float(above.mean())
    if len(found) < 2:
        return Interval(value=value, low=0.0, high=100.0, error=50.0)
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(value=value, low=float(low), high=float(high), error=float(found.std(ddof=1)))


def _guesses(
    scores: NDArray[np.float64], true: NDArray[np.bool_], fold: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """[P] whether each score reaches the threshold that is best on the other folds."""
    found = np.zeros(len(scores), dtype=bool)
    for number in range(_FOLDS):
        inside = fold == number
        if inside.any() and not inside.all():
            found[inside] = scores[inside] >= _threshold(scores[~inside], true[~inside])
    return found


def _threshold(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """The threshold with most right answers, between two scores; the lowest of equal ones."""
    values = np.unique(scores)  # ascending
    place = np.searchsorted(values, scores)
    gain = np.bincount(place, np.where(true, -1, 1), len(values))  # of calling these false
    best = int(np.argmax(np.concatenate([[0.0], gain.cumsum()])))
    if best == 0:
        return -np.inf
    return np.inf if best == len(values) else float(values[best - 1 : best + 1].mean())


def _relations(
    relations: Sequence[str],
    scores: NDArray[np.float64],
    true: NDArray[np.bool_],
    right: NDArray[np.bool_],
) -> dict[str, RelationRow]:
    names, which, counts = np.unique(np.array(relations), return_inverse=True, return_counts=True)
    rows = {}
    for place in np.argsort(-counts, kind="stable").tolist():
        inside = which == place
        label = true[inside]
        both = bool(label.any()) and not bool(label.all())
        rows[str(names[place])] = RelationRow(
            count=int(counts[place]),
            true=int(label.sum()),
            accuracy=_share(right[inside]),
            auc=100 * area_under_curve(scores[inside], label) if both else None,
        )
    return rows


def _share(right: NDArray[np.bool_]) -> Proportion:
    return Proportion(right=int(right.sum()), count=len(right))
