"""`CollapseWatch`: a warning when MARN's adversary has died or runs away.

A first discriminator that is always right makes every weight w = 1 - D0 vanish, and with literal
weights the invariant features with it: no gradient brings them back. With a strong reversed
gradient they grow without bound instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from graphmatch.config import check_counts


class CollapseWarning(UserWarning):
    """The adversarial part of a model has collapsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseLimits:
    """What is still healthy.

    Args:
        weight: least mean raw weight.
        accuracy: largest accuracy of the first discriminator.
        least: least norm of fused invariant features, in norms of specific ones.
        most: their largest.
    """

    weight: float = 0.05
    accuracy: float = 0.999
    least: float = 0.05
    most: float = 10.0


def collapse_signs(
    measured: Mapping[str, float], limits: CollapseLimits | None = None
) -> dict[str, str]:
    """Signs that the adversarial part has collapsed.

    Args:
        measured: means over some steps, of what `ClickOutcome.measured` has.
        limits: what is still healthy.

    Returns:
        A sentence for each sign, by `weight`, `accuracy`, `vanished` or `exploded`.

    Example:
        >>> signs = collapse_signs({"weight": 0.004, "accuracy": 0.98, "specific": 0.9,
        ...                         "invariant": 0.01})
        >>> list(signs), signs["vanished"]
        (['weight', 'vanished'], 'fused invariant features have 1.1 % of the norm of specific ones; set w_normalize=True')
    """  # noqa: E501
    limits = limits or CollapseLimits()
    signs = {}
    if (weight := measured.get("weight", 1.0)) < limits.weight:
        signs["weight"] = (
            f"the mean weight w is {weight:.3g}: without w_normalize invariant features vanish, "
            "with it the adversary is too weak; raise eta"
        )
    if (accuracy := measured.get("accuracy", 0.0)) > limits.accuracy:
        signs["accuracy"] = (
            f"the first discriminator is right in {100 * accuracy:.1f} % of cases: the adversary "
            "is too weak; raise eta"
        )
    specific, invariant = measured.get("specific"), measured.get("invariant")
    if specific is None or invariant is None:
        return signs
    if invariant < limits.least * specific:
        share = 100 * invariant / specific
        signs["vanished"] = (
            f"fused invariant features have {share:.2g} % of the norm of specific ones; "
            "set w_normalize=True"
        )
    elif invariant > limits.most * specific:
        times = f"{invariant / specific:.2g} times the norm" if specific else "a norm"
        signs["exploded"] = f"fused invariant features have {times} of specific ones; lower eta"
    return signs


class CollapseWatch:
    """Adds up what batches measure and warns once of each sign.

    Args:
        every: batches between two looks; reading their mean synchronises a device.
        limits: what is still healthy.

    Example:
        >>> import torch
        >>> watch = CollapseWatch(every=1)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     for _ in range(3):
        ...         _ = watch.see({"weight": torch.tensor(0.001)})
        >>> len(caught), list(watch.signs)
        (1, ['weight'])
    """

    def __init__(self, every: int = 100, limits: CollapseLimits | None = None) -> None:
        self.every = every
        check_counts(self, "every")
        self.limits = limits
        self.signs: dict[str, str] = {}
        self.means: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._seen = 0

    def see(self, measured: Mapping[str, Tensor]) -> dict[str, str]:
        """Take in a batch.

        Args:
            measured: `ClickOutcome.measured`.

        Returns:
            Signs that are new; each was warned of with `CollapseWarning`. `signs` has all so far,
            `means` the last means.
        """
        for name, value in measured.items():
            value = value.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._seen += 1
        if self._seen < self.every:
            return {}
        self.means = {name: float(value) / self._seen for name, value in self._sums.items()}
        self._sums, self._seen = {}, 0
        signs = collapse_signs(self.means, self.limits)
        new = {name: text for name, text in signs.items() if name not in self.signs}
        self.signs |= new
        for text in new.values():
            warnings.warn(text, CollapseWarning, stacklevel=2)
        return new
