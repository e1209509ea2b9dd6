"""Score matrices by tiles: one loop for every matcher, in bounded memory, on any device.

Items are sorted by their number of nodes and cut into tiles of `Matcher.tile` items, so that a
tile has hardly any padding. A block of prepared visual tiles meets block after block of prepared
text tiles; `Matcher.score_tile` scores each pair of tiles. The score of a pair depends on that pair
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise, product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from graphmatch.encoded import Encoded
from graphmatch.errors import GraphError
from graphmatch.models.matcher import Matcher
from graphmatch.tile_threads import TileThreads
from graphmatch.tiling import WINDOW, Items, Tile, count_items, cut_tiles, windows

VISUAL_BLOCK, TEXT_BLOCK = 64 << 20, 16 << 20
"""Bytes of nodes of a block; prepared items may take several times as much."""
_DEVICE_TILE = 4
"""Tiles are this many times as high and wide on a device, which wants few and large operations."""


class ScoreBlock(NamedTuple):
    """Scores of some visual items and some captions.

    Args:
        rows: [r] int64 positions of the visual items.
        columns: [c] int64 positions of the captions.
        scores: [r, c], on the device where they were computed.
    """

    rows: Tensor
    columns: Tensor
    scores: Tensor


def score_tiles(
    matcher: Matcher,
    visual: Items,
    text: Items,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Iterator[ScoreBlock]:
    """Scores of all pairs, a block at a time; every pair is in one block.

    Memory: one block of prepared items of either side and the intermediates of one tile a thread,
    whatever the number of items. Visual chunks are read once, text chunks once a visual block. On a
    device, each block synchronises once, to look for numbers that are not finite.

    Args:
        matcher: scores the pairs; on `device`.
        visual: n_v images or videos, at once or in chunks.
        text: n_t captions, at once or in chunks.
        dtype: of the large matrix products: float32, bfloat16 or float64; that of the items if
            None.
        device: where to score; where the matcher's parameters are if None.
        threads: how many tiles are scored side by side on a CPU, each by one thread, see
            `TileThreads`; `torch.get_num_threads()` if None.
        progress: show a bar, if the output is a terminal; reads all chunks once more.

    Yields:
        Blocks, float32 (float64 for float64 items).

    Raises:
        GraphError: a score is not finite; says which.
    """
    from tqdm import tqdm

    place = _device(matcher, visual, device)
    total = count_items(visual) * count_items(text) if progress else None
    off = None if progress else True  # None: off unless the output is a terminal
    count = (threads or torch.get_num_threads()) if place.type == "cpu" else 1
    with (
        tqdm(total=total, unit=" pairs", unit_scale=True, disable=off) as bar,
        TileThreads(count) as pool,
    ):
        scorer = _Scorer(matcher, dtype=dtype, device=place, threads=pool)
        height, width = _tile(matcher, place)
        for row_tiles in _blocks(visual, most=height, size=VISUAL_BLOCK):
            rows = torch.cat([tile.positions for tile in row_tiles])
            left = scorer.prepare(row_tiles, matcher.prepare_visual)
            for column_tiles in _blocks(text, most=width, size=TEXT_BLOCK):
                columns = torch.cat([tile.positions for tile in column_tiles])
                scores = scorer.score(left, scorer.prepare(column_tiles, matcher.prepare_text))
                _check_finite(rows, columns, scores)
                bar.update(scores.numel())
                yield ScoreBlock(rows, columns, scores)
            del left  # before the next block is prepared


def score_matrix(
    matcher: Matcher,
    visual: Items,
    text: Items,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    out: npt.NDArray[np.floating] | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Scores of all pairs as one matrix on the CPU.

    Args:
        matcher: as `score_tiles`.
        visual: n_v images or videos, at once or in chunks.
        text: n_t captions, at once or in chunks.
        dtype: as `score_tiles`.
        device: as `score_tiles`.
        out: [n_v, n_t] array to fill, for example a memory map for more than fits into memory.
        threads: as `score_tiles`.
        progress: as `score_tiles`.

    Returns:
        [n_v, n_t] float32 (float64 for float64 items); shares the memory of `out`, if that is
        given.

    Raises:
        GraphError: a score is not finite, `out` has another shape.
    """
    shape = count_items(visual), count_items(text)
    if out is not None and out.shape != shape:
        raise GraphError(f"out: expected shape {shape} (got {out.shape})")
    matrix = None if out is None else torch.from_numpy(out)
    for rows, columns, scores in score_tiles(
        matcher, visual, text, dtype=dtype, device=device, threads=threads, progress=progress
    ):
        if matrix is None:
            matrix = torch.empty(shape, dtype=scores.dtype)
        matrix[rows[:, None], columns] = scores.to("cpu", matrix.dtype)
    if matrix is None:
        double = torch.float64 in (dtype, dtype or _dtype(visual))
        matrix = torch.empty(shape, dtype=torch.float64 if double else torch.float32)
    return matrix


def recomputed_scores(matcher: Matcher, visual: Items, text: Items) -> Tensor:
    """Scores of all pairs with gradients; the activations of a tile are computed again for them.

    The backward pass holds the activations of one tile instead of all, and costs one more forward
    pass. `Matcher.score_tile` must draw no random numbers.

    Args:
        matcher: scores the pairs.
        visual: n_v encoded items.
        text: n_t encoded items.

    Returns:
        [n_v, n_t] on the device of the items.
    """
    height, width = _tile(matcher, _device(matcher, visual, None))
    left = [tile for block in _blocks(visual, most=height) for tile in block]
    right = [tile for block in _blocks(text, most=width) for tile in block]
    if not left or not right:
        return torch.zeros(count_items(visual), count_items(text))
    rows = torch.cat([tile.positions for tile in left])
    columns = torch.cat([tile.positions for tile in right])
    images = [matcher.prepare_visual(tile.read()) for tile in left]
    captions = [matcher.prepare_text(tile.read()) for tile in right]

    def tile(one: Encoded, other: Encoded) -> Tensor:
        recomputed: Tensor = checkpoint(
            matcher.score_tile, one, other, use_reentrant=False, preserve_rng_state=False
        )
        return recomputed

    scores = torch.cat([torch.cat([tile(one, other) for other in captions], 1) for one in images])
    return scores[rows.argsort()][:, columns.argsort()]


def _tile(matcher: Matcher, device: torch.device) -> tuple[int, int]:
    """How many visual items and captions of a tile."""
    times = 1 if device.type == "cpu" else _DEVICE_TILE
    return matcher.tile[0] * times, matcher.tile[1] * times


def _blocks(items: Items, *, most: int, size: int = WINDOW) -> Iterator[list[Tile]]:
    """Consecutive tiles of at most `size` bytes together, or one tile."""
    for start, chunks in windows(items):
        block: list[Tile] = []
        held = 0
        for tile in cut_tiles(chunks, start=start, most=most):
            if block and held + tile.bytes > size:
                yield block
                block, held = [], 0
            block.append(tile)
            held += tile.bytes
        yield block


class _Scorer:
    """Prepares and scores tiles."""

    def __init__(
        self,
        matcher: Matcher,
        *,
        dtype: torch.dtype | None,
        device: torch.device,
        threads: TileThreads,
    ) -> None:
        self.matcher, self.dtype, self.device, self.threads = matcher, dtype, device, threads

    def prepare(
        self, tiles: Sequence[Tile], add: Callable[[Encoded], Encoded]
    ) -> Sequence[Encoded]:
        """The items of some tiles with what their scores need of each alone."""

        def work(tile: Tile) -> Encoded:
            return add(tile.read().to(self.device, dtype=self.dtype))

        return self.threads.map([partial(work, tile) for tile in tiles])

    def score(self, left: Sequence[Encoded], right: Sequence[Encoded]) -> Tensor:
        """[items of `left`, items of `right`] scores."""
        rows, columns = (
            list(pairwise(accumulate(map(len, tiles), initial=0))) for tiles in (left, right)
        )
        double = left[0].nodes.dtype == torch.float64
        scores = torch.empty(
            rows[-1][1],
            columns[-1][1],
            dtype=torch.float64 if double else torch.float32,
            device=self.device,
        )

        def work(row: int, column: int) -> None:
            tile = self.matcher.score_tile(left[row], right[column])
            scores[slice(*rows[row]), slice(*columns[column])] = tile

        pairs = product(range(len(rows)), range(len(columns)))
        self.threads.map([partial(work, row, column) for row, column in pairs])
        return scores


def _device(matcher: Matcher, items: Items, device: torch.device | str | None) -> torch.device:
    if device is not None:
        return torch.device(device)
    for parameter in matcher.parameters():
        return parameter.device
    if isinstance(items, Encoded):
        return items.nodes.device
    return items[0].nodes.device if len(items) else torch.device("cpu")


def _dtype(items: Items) -> torch.dtype | None:
    if isinstance(items, Encoded):
        return items.nodes.dtype
    return items[0].nodes.dtype if len(items) else None


def _check_finite(rows: Tensor, columns: Tensor, scores: Tensor) -> None:
    finite = scores.isfinite()
    if bool(finite.all()):
        return
    row, column = (~finite).nonzero()[0].tolist()
    count = int((~finite).sum())
    pair = f"visual item {int(rows[row])} and caption {int(columns[column])}"
    raise GraphError(
        f"expected finite scores (got {float(scores[row, column])} for {pair}, "
        f"{count} such scores in a block of {scores.numel()}); "
        "look for NaN or infinite numbers in their nodes and in the matcher's parameters"
    )
