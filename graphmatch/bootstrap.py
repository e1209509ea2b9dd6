"""`bootstrap_interval`, `paired_difference`: how sure recalls are, which of two models is better.

Percentile bootstrap over images or videos: a resample draws as many of them as there are, with
replacement, each with all of its captions, since captions of one image are alike. Only queries are
drawn again. The gallery stays whole and ranks are computed once: in a gallery with an image twice
there would be two equal answers, and a smaller one would be easier.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError
from graphmatch.ranks import Ranks

NUMBERS = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "rsum")
"""What intervals are for: recalls of both directions, percent, and their sum."""
RankPart: TypeAlias = tuple[Ranks, Tensor]
"""Ranks of a gallery, and the item [n_t] of each of its captions."""
_KS = (1, 5, 10)
_DRAWN = 1 << 22  # numbers that are drawn at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number and how sure it is.

    Args:
        value: the number.
        low: lower end of the interval.
        high: upper end.
        error: standard error.

    Example:
        >>> print(Interval(value=50, low=45.2, high=54.9, error=2.5))
        50.0 [45.2, 54.9]
    """

    value: float
    low: float
    high: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def bootstrap_interval(
    parts: RankPart | Sequence[RankPart],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of R@1, R@5, R@10 and rsum, from ranks alone.

    Args:
        parts: ranks of a gallery and the item [n_t] of each caption; or several, as COCO's five
            folds: each is drawn for itself, and their numbers are averaged.
        resamples: how many.
        level: share of the resamples that an interval holds.
        seed: of the draws.

    Returns:
        An interval for each of `NUMBERS`. Queries without a right answer (rank 0) do not count.

    Raises:
        GraphError: lengths that differ, no query with a right answer.
        ConfigError: an impossible option.

    Example:
        >>> ranks = Ranks(torch.tensor([1, 2, 1, 9]), torch.tensor([1, 3, 1, 1]))
        >>> found = bootstrap_interval((ranks, torch.arange(4)), resamples=100)
        >>> print(found["t2i_r1"])
        75.0 [25.0, 100.0]
    """
    parts = _parts(parts)
    rng = _random(resamples, level, seed)
    hits = [_counts(*part) for part in parts]
    drawn = np.mean([_resampled(rng, [part], resamples)[0] for part in hits], axis=0)  # [B, 7]
    return _intervals(np.mean([_recalls(part) for part in hits], axis=0), drawn, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The second of two models minus the first, on the same queries.

    Args:
        numbers: interval of the difference of each of `NUMBERS`, in points.
        better: share of the resamples in which the second model has the higher rsum; equal ones
            count half.
    """

    numbers: Mapping[str, Interval]
    better: float

    def __str__(self) -> str:
        found = ", ".join(f"{name} {interval}" for name, interval in self.numbers.items())
        return f"difference: {found}; higher rsum in {100 * self.better:.1f} % of the resamples"


def paired_difference(
    first: RankPart | Sequence[RankPart],
    second: RankPart | Sequence[RankPart],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Which of two models is better: intervals of the difference of their recalls.

    Both models see the same resamples, so what makes a query hard for both cancels; this is much
    sharper than to compare two intervals.

    Args:
        first: ranks of one model, as in `bootstrap_interval`.
        second: ranks of the other, of the same queries in the same order.
        resamples: how many.
        level: share of the resamples that an interval holds.
        seed: of the draws.

    Returns:
        The differences, second minus first.

    Raises:
        GraphError: different queries, or as `bootstrap_interval`.
        ConfigError: an impossible option.

    Example:
        >>> owner = torch.arange(4)
        >>> first = Ranks(torch.tensor([1, 2, 1, 9]), torch.tensor([1, 3, 1, 1]))
        >>> second = Ranks(torch.tensor([1, 1, 1, 1]), torch.tensor([1, 1, 1, 1]))
        >>> print(paired_difference((first, owner), (second, owner)).numbers["i2t_r1"])
        50.0 [0.0, 100.0]
    """
    first, second = _parts(first), _parts(second)
    same = len(first) == len(second) and all(
        torch.equal(torch.as_tensor(one[1]), torch.as_tensor(other[1]))
        and torch.equal(one[0].visual > 0, other[0].visual > 0)
        and torch.equal(one[0].text > 0, other[0].text > 0)
        for one, other in zip(first, second, strict=True)
    )
    if not same:
        raise GraphError("expected ranks of the same queries, with the same owners and folds")
    rng = _random(resamples, level, seed)
    pairs = [(_counts(*one), _counts(*other)) for one, other in zip(first, second, strict=True)]
    resampled = [_resampled(rng, pair, resamples) for pair in pairs]
    drawn = np.mean([other - one for one, other in resampled], axis=0)  # [B, 7]
    value = np.mean([_recalls(other) - _recalls(one) for one, other in pairs], axis=0)
    ahead = float(((drawn[:, -1] > 0) + 0.5 * (drawn[:, -1] == 0)).mean())
    return PairedDifference(numbers=_intervals(value, drawn, level), better=ahead)


def _parts(parts: RankPart | Sequence[RankPart]) -> Sequence[RankPart]:
    single = len(parts) == 2 and isinstance(parts[0], Ranks)
    found: Sequence[RankPart] = [parts] if single else parts  # type: ignore[assignment, list-item]
    if not found:
        raise GraphError("expected ranks of at least one gallery (got none)")
    return found


def check_resampling(resamples: int, level: float) -> None:
    """Raise `ConfigError` for numbers from which no interval follows.

    Args:
        resamples: how many.
        level: share of them that an interval holds.

    Raises:
        ConfigError: fewer than 2 resamples, a level that is not between 0 and 1.
    """
    if resamples < 2 or not 0 < level < 1:
        got = f"{resamples} and {level:g}"
        raise ConfigError(f"expected resamples from 2 and a level between 0 and 1 (got {got})")


def _random(resamples: int, level: float, seed: int) -> np.random.Generator:
    check_resampling(resamples, level)
    return np.random.default_rng(seed)


def _counts(ranks: Ranks, owner: Tensor) -> NDArray[np.float64]:
    """[n_v, 8] for each item: hits at 1, 5, 10 and queries of itself, then of its captions."""
    owner = torch.as_tensor(owner).cpu()
    if len(owner) != len(ranks.text):
        raise GraphError(f"expected the item of each of {len(ranks.text)} captions ({len(owner)})")
    columns = []
    for rank, item in ((ranks.visual.cpu(), torch.arange(len(ranks.visual))), (ranks.text, owner)):
        rank = rank.cpu()
        for hit in [*((rank > 0) & (rank <= k) for k in _KS), rank > 0]:
            found = np.bincount(item[hit].numpy(), minlength=len(ranks.visual))
            columns.append(found.astype(np.float64))
        if len(columns[-1]) > len(ranks.visual):
            raise GraphError(f"expected items below {len(ranks.visual)} (got {int(owner.max())})")
        if not columns[-1].any():
            raise GraphError("expected queries with a right answer in both directions (got none)")
    return np.stack(columns, axis=1)


def _recalls(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """[7] of counts [n_v, 8]."""
    numbers: NDArray[np.float64] = _ratios(counts.sum(axis=0, keepdims=True))[0]
    return numbers


def _ratios(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """[B, 7] `NUMBERS` of sums [B, 8]; a resample without any query counts as no hit."""
    image = 100 * sums[:, :3] / np.maximum(sums[:, 3:4], 1)
    text = 100 * sums[:, 4:7] / np.maximum(sums[:, 7:], 1)
    total = image.sum(axis=1, keepdims=True) + text.sum(axis=1, keepdims=True)
    numbers: NDArray[np.float64] = np.concatenate([image, text, total], axis=1)
    return numbers


def _resampled(
    rng: np.random.Generator, models: Sequence[NDArray[np.float64]], resamples: int
) -> list[NDArray[np.float64]]:
    """[B, 7] of each of some models' counts [n_v, 8], in the same resamples."""
    items = len(models[0])
    found: list[list[NDArray[np.float64]]] = [[] for _ in models]
    step = max(1, _DRAWN // items)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(items, size=(count, items), dtype=np.int32)
        drawn += items * np.arange(count, dtype=np.int32)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * items).reshape(count, items)  # [b,n_v]
        weights = times.astype(np.float64)
        for place, counts in enumerate(models):
            found[place].append(_ratios(weights @ counts))
    return [np.concatenate(parts) for parts in found]


def _intervals(
    value: NDArray[np.float64], drawn: NDArray[np.float64], level: float
) -> dict[str, Interval]:
    ends = (1 - level) / 2
    low, high = np.quantile(drawn, [ends, 1 - ends], axis=0)
    error = drawn.std(axis=0, ddof=1)
    return {
        name: Interval(
            value=float(value[k]), low=float(low[k]), high=float(high[k]), error=float(error[k])
        )
        for k, name in enumerate(NUMBERS)
    }
