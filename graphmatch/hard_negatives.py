"""`hard_negative_report`: how often a true caption is preferred to one with a wrong detail.

Source: Hsieh et al., "SugarCrepe", NeurIPS 2023, whose models are right where the true caption
scores higher; here equal scores count half, so that a constant score is right half the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import GraphError
from graphmatch.proportion import Proportion

MATCHER = "matcher"
"""Name of the scores that look at the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardNegativeReport:
    """Accuracy by category, of a matcher and of scores that see the text alone.

    Intervals are Wilson's, as if items were independent; several items may share an image.

    Args:
        accuracy: by category and name of the score.
        ties: by category and name, items with two equal scores.
        skipped: how many items were left out, by reason.
    """

    accuracy: Mapping[str, Mapping[str, Proportion]]
    ties: Mapping[str, Mapping[str, int]]
    skipped: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        """Names of the scores."""
        return list(next(iter(self.accuracy.values())))

    def overall(self, name: str) -> Proportion:
        """Accuracy over the items of all categories.

        Args:
            name: of the score.

        Returns:
            The share.
        """
        found = [row[name] for row in self.accuracy.values()]
        right, count = sum(one.right for one in found), sum(one.count for one in found)
        return Proportion(right=right, count=count)

    def mean(self, name: str) -> float:
        """Mean of the categories' accuracies, each with the same weight.

        Args:
            name: of the score.

        Returns:
            Percent.
        """
        return sum(row[name].percent for row in self.accuracy.values()) / len(self.accuracy)

    def content(self) -> dict[str, Any]:
        """The report as plain values, for JSON.

        Returns:
            Shares and ties by category, over all, means, what was left out.
        """
        return {
            "categories": {
                category: {
                    name: {**share.content(), "ties": self.ties[category][name]}
                    for name, share in row.items()
                }
                for category, row in self.accuracy.items()
            },
            "overall": {name: self.overall(name).content() for name in self.names},
            "mean": {name: self.mean(name) for name in self.names},
            "skipped": dict(self.skipped),
        }

    def to_json(self) -> str:
        """The report as a JSON object.

        Returns:
            Text.
        """
        return json.dumps(self.content(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def __str__(self) -> str:
        width = 4 + max(len(category) for category in (*self.accuracy, "mean of categories"))
        lines = [f"{'':{width}}{'items':>7}" + "".join(f"{name:>20}" for name in self.names)]
        everything = {name: self.overall(name) for name in self.names}
        for category, row in {**self.accuracy, "all": everything}.items():
            shares = "".join(f"{row[name]!s:>20}" for name in self.names)
            lines.append(f"{category:{width}}{row[self.names[0]].count:7,}{shares}")
        means = "".join(f"{self.mean(name):20.1f}" for name in self.names)
        lines.append(f"{'mean of categories':{width}}{'':7}{means}")
        return "\n".join([*lines, *skipped_lines(self.skipped)])


def hard_negative_report(
    categories: Sequence[str],
    scores: Mapping[str, NDArray[np.float64]],
    *,
    skipped: Mapping[str, int] | None = None,
) -> HardNegativeReport:
    """Compare the scores of true and wrong captions.

    Args:
        categories: of each of P items.
        scores: [P, 2] scores of the true and the wrong caption of each item, by name.
        skipped: how many other items were left out, by reason.

    Returns:
        The report, categories in order of appearance.

    Raises:
        GraphError: no item, another shape, scores that are not finite.

    Example:
        >>> pairs = np.array([[0.9, 0.1], [0.5, 0.5]])
        >>> report = hard_negative_report(["swap", "swap"], {"matcher": pairs})
        >>> report.overall("matcher").percent
        75.0
    """
    if not categories or not scores:
        raise GraphError("expected items whose captions and images can be scored (got none)")
    for name, pairs in scores.items():
        if pairs.shape != (len(categories), 2) or not np.isfinite(pairs).all():
            expected = f"finite scores [{len(categories)}, 2]"
            raise GraphError(f"{name}: expected {expected} (got shape {list(pairs.shape)})")
    which = np.array(categories)
    accuracy: dict[str, dict[str, Proportion]] = {}
    ties: dict[str, dict[str, int]] = {}
    for category in dict.fromkeys(categories):
        accuracy[category], ties[category] = {}, {}
        for name, pairs in scores.items():
            true, wrong = pairs[which == category].T
            equal = int((true == wrong).sum())
            right = int((true > wrong).sum()) + equal / 2
            accuracy[category][name] = Proportion(right=right, count=len(true))
            ties[category][name] = equal
    return HardNegativeReport(accuracy=accuracy, ties=ties, skipped=skipped or {})


def skipped_lines(skipped: Mapping[str, int]) -> list[str]:
    """Lines that say what was left out, most frequent first.

    Args:
        skipped: how many by reason.

    Returns:
        A line for each of the first reasons.
    """
    ordered = sorted(skipped.items(), key=lambda one: -one[1])
    lines = [f"left out: {count:,} ({reason})" for reason, count in ordered[:5]]
    rest = sum(count for _, count in ordered[5:])
    return [*lines, f"left out: {rest:,} for other reasons"] if rest else lines
