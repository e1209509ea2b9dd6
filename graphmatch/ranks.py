"""`ranks`: where the right captions of an item, and the right items of a caption, are placed.

Rank = 1 + number of scores that are strictly better + number of equal scores with a smaller
position. Nothing is sorted: the scores are compared with that of the best right answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from graphmatch.errors import GraphError, check_choice
from graphmatch.score_input import Relevant, Scores, as_scores, check_finite, relevant_pairs

Tile = tuple[Tensor, Tensor, Tensor]  # positions of items [r], of captions [c], scores [r, c]

_CPU_BLOCK = (256, 1024)  # about the caches of one core
_DEVICE_BLOCK = (8192, 8192)  # few launches


class Ranks(NamedTuple):
    """Rank of the best-placed right answer of every query, from 1; 0 for a query without any.

    Args:
        visual: [n_v] int64, for each item among all captions.
        text: [n_t] int64, for each caption among all items.
    """

    visual: Tensor
    text: Tensor


def ranks(scores: Scores, relevant: Relevant, *, ties: str = "first") -> Ranks:
    """Ranks in both directions from a score matrix.

    Args:
        scores: [n_v, n_t], larger is better; a tensor on any device or an array (also a memory
            map, which is read by blocks). float32 or float64: half precision makes equal scores
            of different ones.
        relevant: what is right: the item of each caption, [n_t], or pairs [2, P] of item and
            caption, in any order. Items and captions may have any number of right answers.
        ties: who of equal scores is placed first. `"first"` is the smaller position. `"scan"` is
            the order of the code of SCAN, GSMN and IMRAM, a reversed ascending `numpy.argsort`;
            `"hgr"` that of HGR's, an ascending one of the negated scores. Both sort without
            stability: roughly the larger (scan) or smaller (hgr) position, but not reproducible
            between machines and versions of NumPy.

    Returns:
        The ranks, on the device of the scores (`"scan"` and `"hgr"`: on the CPU). Memory beside
        the scores: one block. Reads values, so it synchronises a device.

    Raises:
        GraphError: a score that is not finite, a dtype below float32, a wrong shape or position.
        ConfigError: an unknown rule.

    Example:
        >>> scores = torch.tensor([[0.9, 0.2, 0.5], [0.9, 0.1, 0.4]])
        >>> ranks(scores, [0, 0, 1])
        Ranks(visual=tensor([1, 2]), text=tensor([1, 1, 2]))
    """
    check_choice("rule for ties", ties, ("first", "scan", "hgr"))
    scores = as_scores(scores)
    pairs = relevant_pairs(relevant, shape=(scores.size(0), scores.size(1)))
    if ties != "first":
        from graphmatch.official_ranks import official_ranks

        return Ranks(*official_ranks(scores, pairs, ties=ties))
    item, caption = pairs.to(scores.device)
    return _count(_blocks(scores), pairs, own=scores[item, caption], shape=tuple(scores.shape))


def ranks_from_tiles(
    tiles: Callable[[], Iterable[Tile]],
    relevant: Relevant,
    *,
    shape: tuple[int, int],
    own: Tensor | None = None,
) -> Ranks:
    """The same, from parts of a score matrix that is too large to be kept.

    Args:
        tiles: called for an iterable of (positions of items [r], positions of captions [c],
            scores [r, c]) in which every pair occurs once, such as
            `lambda: score_tiles(matcher, visual, text)` of `graphmatch.scoring`.
        relevant: as in `ranks`.
        shape: n_v and n_t.
        own: [P] scores of the right pairs, in the order of `relevant`. Without them the tiles are
            asked for twice: first to find these, then to count. With them once; they should come
            from the same arithmetic, since a difference in rounding moves near ties.

    Returns:
        The ranks, equal scores by position, on the device of the tiles. Memory: one tile, and some
        numbers for each item, caption and right pair.

    Raises:
        GraphError: as `ranks`; tiles that do not cover every pair once.

    Example:
        >>> rows, columns = torch.tensor([1, 0]), torch.tensor([0, 1])
        >>> tile = (rows, columns, torch.tensor([[0.3, 0.2], [0.1, 0.4]]))
        >>> ranks_from_tiles(lambda: [tile], [0, 1], shape=(2, 2))
        Ranks(visual=tensor([2, 2]), text=tensor([2, 2]))
    """
    pairs = relevant_pairs(relevant, shape=shape)
    if own is None:
        own = torch.zeros(pairs.size(1), dtype=torch.float64)
        for rows, columns, scores in tiles():
            _check_tile(rows, columns, scores, shape)
            which, r, c = _inside(pairs, rows, columns, shape)
            own[which] = scores[r, c].to("cpu", torch.float64)
    elif own.shape != pairs.shape[1:] or not bool(own.isfinite().all()):
        got = f"shape {tuple(own.shape)}"
        raise GraphError(f"expected own as {pairs.size(1)} finite scores of the pairs (got {got})")

    def checked() -> Iterator[Tile]:
        for rows, columns, scores in tiles():
            _check_tile(rows, columns, scores, shape)
            _, r, c = _inside(pairs, rows, columns, shape)
            scores = scores.detach().clone()
            check_finite(scores, rows, columns)
            scores[r, c] = -torch.inf  # right answers never outdo the best of them
            yield rows.to(scores.device), columns.to(scores.device), scores

    return _count(checked(), pairs, own=own, shape=shape)


class _Side:
    """Counts, for every query of one direction, the answers placed before its best right one."""

    def __init__(self, query: Tensor, answer: Tensor, own: Tensor, count: int) -> None:
        best = torch.full((count,), -torch.inf, dtype=own.dtype, device=own.device)
        self.best = best.scatter_reduce(0, query, own, "amax")
        top = own == self.best[query]  # [P]; of equal ones the first
        none = torch.full((count,), torch.iinfo(torch.int64).max, device=own.device)
        self.who = none.scatter_reduce(0, query[top], answer[top], "amin")
        self.ahead = torch.zeros_like(none)
        self.has = self.who < none

    def add(self, queries: Tensor, answers: Tensor, scores: Tensor) -> None:
        """Count in scores [q, a] of some queries and answers."""
        best, who = self.best[queries], self.who[queries]  # [q]
        low, high = answers.min(), answers.max()
        # Where all answers of this part have a smaller position, equal is enough to be ahead:
        # score >= best is score > (next smaller number), so one comparison does for every row.
        # Not next to 0, where processors may be set to treat the smallest numbers as 0.
        tiny = 2 * torch.finfo(best.dtype).tiny
        equal_wins = (who > high) & (best.abs() > tiny)
        limit = torch.where(equal_wins, best.nextafter(best.new_tensor(-torch.inf)), best)
        ahead = (scores > limit.unsqueeze(1)).sum(dim=1, dtype=torch.int32)  # [q]
        mixed = ((who > low) & ~equal_wins).nonzero().squeeze(1)
        if len(mixed):
            equal = scores[mixed] == best[mixed].unsqueeze(1)
            equal &= answers < who[mixed].unsqueeze(1)
            ahead.index_add_(0, mixed, equal.sum(dim=1, dtype=torch.int32))
        self.ahead.index_add_(0, queries, ahead.long())

    def ranks(self) -> Tensor:
        return torch.where(self.has, self.ahead + 1, 0)


def _count(tiles: Iterable[Tile], pairs: Tensor, *, own: Tensor, shape: tuple[int, ...]) -> Ranks:
    sides: tuple[_Side, _Side] | None = None
    seen = 0
    for rows, columns, scores in tiles:
        if sides is None:
            sides = _sides(pairs, own.to(scores), shape)
        seen += scores.numel()
        if scores.numel():
            sides[0].add(rows, columns, scores)
            sides[1].add(columns, rows, scores.T)
    if seen != shape[0] * shape[1]:
        total = shape[0] * shape[1]
        raise GraphError(f"expected tiles that cover {total:,} pairs once (got {seen:,} scores)")
    if sides is None:
        sides = _sides(pairs, own, shape)
    return Ranks(sides[0].ranks(), sides[1].ranks())


def _sides(pairs: Tensor, own: Tensor, shape: tuple[int, ...]) -> tuple[_Side, _Side]:
    item, caption = pairs.to(own.device)
    return _Side(item, caption, own, shape[0]), _Side(caption, item, own, shape[1])


def _blocks(scores: Tensor) -> Iterator[Tile]:
    height, width = _CPU_BLOCK if scores.device.type == "cpu" else _DEVICE_BLOCK
    rows, columns = (torch.arange(count, device=scores.device) for count in scores.shape)
    for top in range(0, len(rows), height):
        for left in range(0, len(columns), width):
            part = slice(top, top + height), slice(left, left + width)
            check_finite(scores[part], rows[part[0]], columns[part[1]])
            yield rows[part[0]], columns[part[1]], scores[part]


def _inside(
    pairs: Tensor, rows: Tensor, columns: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Which pairs are in a tile, and in which of its rows and columns."""
    places = []
    for positions, named, count in zip(pairs, (rows, columns), shape, strict=True):
        place = torch.full((count,), -1)
        place[named.cpu()] = torch.arange(len(named))
        places.append(place[positions])
    which = ((places[0] >= 0) & (places[1] >= 0)).nonzero().squeeze(1)
    return which, places[0][which], places[1][which]


def _check_tile(rows: Tensor, columns: Tensor, scores: Tensor, shape: tuple[int, int]) -> None:
    as_scores(scores)
    if scores.shape != (len(rows), len(columns)):
        expected = (len(rows), len(columns))
        raise GraphError(f"expected a tile of scores {expected} (got {tuple(scores.shape)})")
    for positions, count in ((rows, shape[0]), (columns, shape[1])):
        if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < count:
            raise GraphError(f"expected positions of a tile from 0 to {count - 1}")
