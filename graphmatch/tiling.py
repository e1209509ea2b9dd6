"""Tiles of encoded items: groups of about equal size, with as little padding as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphmatch.encoded import Encoded

Items: TypeAlias = Encoded | Sequence[Encoded]
"""Encoded items: all at once, or in chunks of any size, each with its own padding. A sequence may
read its chunks lazily (only `len` and positions are used)."""
Integers: TypeAlias = npt.NDArray[np.int64]

WINDOW = 128 << 20
"""Bytes of chunks that are read, sorted and cut into tiles together."""
OVERHEAD = 16
"""What a tile costs beside its nodes, as a number of nodes; decides when padding is cheaper."""
NODES = 40
"""Tiles of k items hold at most k times so many nodes; larger items make smaller tiles."""
LARGE = 1.5
"""Items with more than so many times the median number of nodes make smaller tiles, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Items that are scored together.

    Args:
        positions: [k] int64 positions of the items among all, on the CPU.
        read: gives the k items, padded to the widest of them.
        bytes: of their nodes as they are stored.
    """

    positions: Tensor
    read: Callable[[], Encoded]
    bytes: int


def count_items(items: Items) -> int:
    """How many items there are; reads every chunk of a lazy sequence.

    Args:
        items: the items.

    Returns:
        Their number.
    """
    if isinstance(items, Encoded):
        return len(items)
    return sum(len(items[number]) for number in range(len(items)))


def windows(items: Items, *, size: int = WINDOW) -> Iterator[tuple[int, list[Encoded]]]:
    """Consecutive chunks of about `size` bytes of nodes; at least one chunk each.

    Args:
        items: the items.
        size: bytes.

    Yields:
        Position of the first item among all, and the chunks; empty chunks are left out.
    """
    start = position = held = 0
    chunks: list[Encoded] = []
    for number in range(1 if isinstance(items, Encoded) else len(items)):
        chunk = items if isinstance(items, Encoded) else items[number]
        if chunks and held + chunk.nodes.nbytes > size:
            yield start, chunks
            start, held, chunks = position, 0, []
        if len(chunk):
            chunks.append(chunk)
        held += chunk.nodes.nbytes
        position += len(chunk)
    if chunks:
        yield start, chunks


def cut_tiles(chunks: Sequence[Encoded], *, start: int, most: int) -> list[Tile]:
    """Tiles of the items of some chunks, from the smallest items to the largest.

    Args:
        chunks: at least one, none of them empty.
        start: position of their first item among all.
        most: items of a tile.

    Returns:
        The tiles; nothing is copied before they are read. Reads the masks, so it synchronises a
        device.
    """
    widths = np.concatenate([_widths(chunk.mask) for chunk in chunks])
    order = np.argsort(widths, kind="stable")
    starts = np.array([0, *accumulate(len(chunk) for chunk in chunks)])
    nodes = int(most * min(NODES, max(1, LARGE * np.median(widths))))
    tiles = []
    for group in np.split(order, plan_cuts(widths[order], most=most, nodes=nodes)):
        group = np.sort(group)  # chunk by chunk, as `_gather` wants it
        width = int(widths[group].max())
        tiles.append(
            Tile(
                positions=torch.from_numpy(start + group),
                read=lambda group=group, width=width: _gather(chunks, starts, group, width),  # type: ignore[misc]
                bytes=len(group) * width * chunks[0].nodes[0, 0].nbytes,
            )
        )
    return tiles


def plan_cuts(widths: Integers, *, most: int, nodes: int, overhead: int = OVERHEAD) -> list[int]:
    """Where to cut a sorted list of items into tiles so that the work is least.

    The work of a tile is its number of nodes, padding included, plus `overhead`. The best cuts of
    the first j items follow from those of fewer items, so each j looks at `most` numbers once.

    Args:
        widths: [n] number of nodes of each item, ascending.
        most: items of a tile.
        nodes: nodes of a tile, padding included, unless it is one item.
        overhead: what a tile costs beside its nodes, as a number of nodes.

    Returns:
        Positions before which to cut, ascending; empty for one tile.

    Example:
        >>> plan_cuts(np.array([5, 5, 5, 6, 30]), most=4, nodes=100)
        [4]
    """
    count = len(widths)
    work = np.zeros(count + 1, dtype=np.int64)
    first = np.zeros(count + 1, dtype=np.int64)  # where the last tile of the best cuts begins
    sizes = np.arange(most, 0, -1)
    for end, width in enumerate(np.maximum(widths, 1).tolist(), start=1):
        fits = max(1, min(end, most, nodes // width))
        total = work[end - fits : end] + sizes[most - fits :] * width
        best = int(total.argmin())
        work[end] = total[best] + overhead
        first[end] = end - fits + best
    cuts = []
    while count:
        count = int(first[count])
        cuts.append(count)
    return cuts[-2::-1]


def _widths(mask: Tensor) -> Integers:
    """Last real node of each item, counted from 1."""
    places = torch.arange(1, mask.size(1) + 1, device=mask.device)
    last = (mask * places).amax(dim=1) if mask.size(1) else mask.new_zeros(len(mask))
    widths: Integers = last.cpu().numpy().astype(np.int64)
    return widths


def _gather(chunks: Sequence[Encoded], starts: Integers, group: Integers, width: int) -> Encoded:
    """Some items of some chunks, in the order of `group`, padded to `width`."""
    owner = np.searchsorted(starts, group, side="right") - 1
    parts = []
    for number in np.unique(owner).tolist():  # the items of a tile stay in the order of the chunks
        chunk = chunks[number]
        inside = torch.from_numpy(group[owner == number] - starts[number])
        narrow = chunk.narrow(min(max(width, 1), chunk.nodes.size(1)))
        parts.append(narrow[inside.to(chunk.nodes.device)])
    return parts[0] if len(parts) == 1 else Encoded.cat(parts)
