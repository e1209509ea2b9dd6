"""Score matrices by tiles: one loop for every matcher, in bounded memory, on any device.

Items are sorted by their number of nodes and cut into tiles of `Matcher.tile` items, so that a
tile has hardly any padding. A block of prepared visual tiles meets block after block of prepared
text tiles; `Matcher.score_tile` scores each pair of tiles. The score of a pair depends on that pair
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, pairwise, product
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from graphmatch.encoded import Encoded
from graphmatch.errors import GraphError
from graphmatch.models.matcher import Matcher
from graphmatch.tiling import Items, Tile, count_items, cut_tiles, windows

Result = TypeVar("Result")

VISUAL_BLOCK, TEXT_BLOCK = 128 << 20, 16 << 20
"""Bytes of nodes of a block; prepared items may take several times as much."""


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
    whatever the number of items. Visual chunks are read once, text chunks once a visual block.

    Args:
        matcher: scores the pairs; on `device`.
        visual: n_v images or videos, at once or in chunks.
        text: n_t captions, at once or in chunks.
        dtype: of the large matrix products: float32, bfloat16 or float64; that of the items if
            None.
        device: where to score; where the matcher's parameters are if None.
        threads: how many tiles are scored at a time on a CPU, each by one thread;
            `torch.get_num_threads()` if None. While a block is computed, torch's own setting is 1.
        progress: show a bar, if the output is a terminal; reads all chunks once more.

    Yields:
        Blocks, float32 (float64 for float64 items).

    Raises:
        GraphError: a score is not finite; says which.
    """
    from tqdm import tqdm

    place = _device(matcher, visual, device)
    workers = (threads or torch.get_num_threads()) if place.type == "cpu" else 1
    total = count_items(visual) * count_items(text) if progress else None
    off = None if progress else True  # None: off unless the output is a terminal
    with (
        tqdm(total=total, unit=" pairs", unit_scale=True, disable=off) as bar,
        ThreadPoolExecutor(workers, thread_name_prefix="score") as pool,
    ):
        scorer = _Scorer(matcher, dtype=dtype, device=place, pool=pool if workers > 1 else None)
        for row_tiles in _blocks(visual, most=matcher.tile[0], size=VISUAL_BLOCK):
            rows = torch.cat([tile.positions for tile in row_tiles])
            left = scorer.prepare(row_tiles, side="visual")
            for column_tiles in _blocks(text, most=matcher.tile[1], size=TEXT_BLOCK):
                columns = torch.cat([tile.positions for tile in column_tiles])
                scores = scorer.score(left, scorer.prepare(column_tiles, side="text"))
                _check_finite(rows, columns, scores)
                bar.update(scores.numel())
                yield ScoreBlock(rows, columns, scores)


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
        matcher,
        visual,
        text,
        dtype=dtype,
        device=device,
        threads=threads,
        progress=progress,
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
    left, rows = _prepared(visual, matcher.tile[0], matcher.prepare_visual)
    right, columns = _prepared(text, matcher.tile[1], matcher.prepare_text)
    if not left or not right:
        return torch.zeros(count_items(visual), count_items(text))

    def tile(one: Encoded, other: Encoded) -> Tensor:
        recomputed: Tensor = checkpoint(
            matcher.score_tile, one, other, use_reentrant=False, preserve_rng_state=False
        )
        return recomputed

    scores = torch.cat([torch.cat([tile(one, other) for other in right], 1) for one in left])
    return scores[rows.argsort()][:, columns.argsort()]


def _prepared(
    items: Items, most: int, prepare: Callable[[Encoded], Encoded]
) -> tuple[list[Encoded], Tensor]:
    """All tiles of items, prepared, and the positions of their items."""
    tiles = [tile for tiles in _blocks(items, most=most, size=None) for tile in tiles]
    positions = torch.cat([torch.empty(0, dtype=torch.int64), *(t.positions for t in tiles)])
    return [prepare(tile.read()) for tile in tiles], positions


def _blocks(items: Items, *, most: int, size: int | None) -> Iterator[list[Tile]]:
    """Consecutive tiles of about `size` bytes together (None: those of a window)."""
    for start, chunks in windows(items):
        block: list[Tile] = []
        for tile in cut_tiles(chunks, start=start, most=most):
            held = sum(one.bytes for one in block)
            if block and size is not None and held + tile.bytes > size:
                yield block
                block = []
            block.append(tile)
        yield block


class _Scorer:
    """Prepares and scores tiles, on a CPU several at a time."""

    def __init__(
        self,
        matcher: Matcher,
        *,
        dtype: torch.dtype | None,
        device: torch.device,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.matcher, self.dtype, self.device, self.pool = matcher, dtype, device, pool

    def prepare(self, tiles: Sequence[Tile], *, side: Literal["visual", "text"]) -> list[Encoded]:
        """The items of some tiles with what their scores need of each alone."""
        matcher = self.matcher
        add = matcher.prepare_visual if side == "visual" else matcher.prepare_text

        def work(tile: Tile) -> Encoded:
            return add(tile.read().to(self.device, dtype=self.dtype))

        return self._map([partial(work, tile) for tile in tiles])

    def score(self, left: Sequence[Encoded], right: Sequence[Encoded]) -> Tensor:
        """[items of `left`, items of `right`] scores."""
        rows = list(pairwise(accumulate(map(len, left), initial=0)))
        columns = list(pairwise(accumulate(map(len, right), initial=0)))
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
        self._map([partial(work, row, column) for row, column in pairs])
        return scores

    def _map(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """The results of some calls without gradients, in order."""
        if self.pool is None:
            with torch.no_grad():
                return [call() for call in calls]

        def work(call: Callable[[], Result]) -> Result:
            with torch.no_grad():  # a setting of the thread
                return call()

        with _one_torch_thread():
            return list(self.pool.map(work, calls))


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Torch uses one thread an operation, in all threads of the process, until the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
