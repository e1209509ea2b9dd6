"""`Proportion`: a share of right answers with Wilson's interval.

Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from graphmatch.errors import GraphError


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """How many of some independent answers are right.

    Args:
        right: how many; an answer that is half right counts 0.5.
        count: of how many.

    Raises:
        GraphError: no answer, or more right ones than answers.

    Example:
        >>> print(Proportion(right=50, count=100))
        50.0 [40.4, 59.6]
    """

    right: float
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.count or self.count < 1:
            raise GraphError(
                f"expected right answers of at least one (got {self.right} of {self.count})"
            )

    @property
    def percent(self) -> float:
        """The share in percent."""
        return 100 * self.right / self.count

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson's interval in percent: all shares p that a score test of this level keeps.

            |right / count - p| <= z sqrt(p (1 - p) / count)

        Args:
            level: of confidence.

        Returns:
            Lower and upper end.
        """
        z = NormalDist().inv_cdf((1 + level) / 2)
        share, weight = self.right / self.count, z * z / self.count
        centre = share + weight / 2
        half = z * (share * (1 - share) / self.count + weight / (4 * self.count)) ** 0.5
        ends = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
        return 100 * max(0.0, ends[0]), 100 * min(1.0, ends[1])

    def content(self) -> dict[str, Any]:
        """The share as plain values, for JSON.

        Returns:
            `right`, `count`, `percent`, `low` and `high`.
        """
        low, high = self.interval()
        shown = {"right": self.right, "count": self.count, "percent": self.percent}
        return {**shown, "low": low, "high": high}

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.percent:.1f} [{low:.1f}, {high:.1f}]"
