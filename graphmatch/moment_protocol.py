"""`MomentProtocol`: the rules by which predicted moments count as found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from graphmatch.errors import ConfigError, check_choice

Suppression = Literal["hard", "soft", "none"]
"""What happens to moments beside a better one: dropped, weakened, nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentProtocol:
    """Recall of moments: R@n, IoU=m is the share of queries with a hit among the first n moments.

    The defaults are the rules of DRN's official code, with the n and m that papers report; the code
    itself prints n = 1 and 5 at m = 0.5 only.

    Args:
        at: the n, ascending.
        ious: the m, ascending, in (0, 1].
        nms: `"hard"`: suppression by `nms_segments`, anew for each m. `"soft"`: by
            `soft_nms_segments` as in mmaction2. `"none"`: moments in the order of their scores.
        margin: of hard suppression: IoU m - margin is allowed between moments.
        equal: `"official"`: hard suppression takes the last of equal scores first, the others take
            the first one. `"first"`: always the first.
        strict: whether a hit needs IoU > m as in mmaction2, not IoU >= m.

    Raises:
        ConfigError: an unknown choice or an impossible number.

    Example:
        >>> print(MomentProtocol(nms="none"))
        IoU >= m; no suppression
    """

    at: tuple[int, ...] = (1, 5)
    ious: tuple[float, ...] = (0.3, 0.5, 0.7)
    nms: Suppression = "hard"
    margin: float = 0.05
    equal: Literal["official", "first"] = "official"
    strict: bool = False

    def __post_init__(self) -> None:
        check_choice("nms", self.nms, get_args(Suppression))
        check_choice("equal", self.equal, ("official", "first"))
        if not self.at or min(self.at) < 1 or sorted({*self.at}) != [*self.at]:
            raise ConfigError(f"at: expected ascending numbers from 1 (got {self.at})")
        if not self.ious or sorted({*self.ious}) != [*self.ious] or not self.ious[0] > 0:
            raise ConfigError(f"ious: expected ascending numbers above 0 (got {self.ious})")
        if self.ious[-1] > 1:
            raise ConfigError(f"ious: expected numbers up to 1 (got {self.ious})")
        if self.nms == "hard" and not 0 <= self.margin <= self.ious[0]:
            raise ConfigError(
                f"margin: expected a number from 0 to the smallest IoU, {self.ious[0]:g} "
                f"(got {self.margin})"
            )

    def __str__(self) -> str:
        hit = "IoU > m" if self.strict else "IoU >= m"
        beside = {
            "hard": f"moments that overlap by more than m - {self.margin:g} suppressed",
            "soft": "soft suppression",
            "none": "no suppression",
        }[self.nms]
        return f"{hit}; {beside}"
