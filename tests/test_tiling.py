"""Tiles: every item once, little padding, the best cuts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.encoded import Encoded
from graphmatch.tiling import NODES, count_items, cut_tiles, plan_cuts, windows


def items(counts, *, width=None, start=0):
    """Items whose node k of item i is (start + i, k)."""
    counts = torch.tensor(counts, dtype=torch.int64)
    width = int(counts.max()) if width is None else width
    place = torch.arange(width).expand(len(counts), width)
    mask = place < counts[:, None]
    number = torch.arange(start, start + len(counts))[:, None].expand_as(place)
    nodes = torch.stack((number, place), dim=2).float() * mask[..., None]
    return Encoded(nodes=nodes, mask=mask)


def work(widths, cuts, overhead):
    parts = np.split(np.array(widths), cuts)
    return sum(len(part) * max(part.max(), 1) + overhead for part in parts)


def all_cuts(count):
    for chosen in range(1 << (count - 1)):
        yield [place for place in range(1, count) if chosen >> (place - 1) & 1]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 20))
def test_cuts_are_the_best_of_all(widths, most, overhead):
    widths = np.sort(np.array(widths, dtype=np.int64))
    cuts = plan_cuts(widths, most=most, nodes=1000, overhead=overhead)
    found = [len(part) for part in np.split(widths, cuts)]
    assert max(found) <= most
    assert min(found) >= 1
    allowed = [
        other
        for other in all_cuts(len(widths))
        if max(len(part) for part in np.split(widths, other)) <= most
    ]
    best = min(work(widths, other, overhead) for other in allowed)
    assert work(widths, cuts, overhead) == best


def test_rare_lengths_make_few_tiles():
    lengths = np.sort(np.random.default_rng(1).poisson(14, 1000))
    cuts = plan_cuts(lengths, most=32, nodes=1000)
    tiles = np.split(lengths, cuts)
    padded = sum(len(tile) * tile.max() for tile in tiles)
    assert padded < 1.02 * lengths.sum()
    assert len(tiles) < 1.7 * 1000 / 32


def test_tiles_have_at_most_so_many_nodes():
    cuts = plan_cuts(np.full(10, 3), most=8, nodes=8)
    assert [len(part) for part in np.split(np.arange(10), cuts)] == [2, 2, 2, 2, 2]
    assert plan_cuts(np.array([10, 10]), most=8, nodes=9) == [1]


def sizes(tiles):
    return [(len(tile.positions), tile.read().nodes.size(1)) for tile in tiles]


def test_large_items_make_small_tiles():
    tiles = cut_tiles([items([2] * 8 + [6] * 4)], start=0, most=4)
    assert sizes(tiles) == [(4, 2), (4, 2), (2, 6), (2, 6)]
    tiles = cut_tiles([items([3 * NODES] * 5)], start=0, most=6)
    assert sizes(tiles) == [(1, 3 * NODES), (2, 3 * NODES), (2, 3 * NODES)]


def test_equal_items_make_full_tiles():
    found = [
        len(part)
        for part in np.split(np.arange(100), plan_cuts(np.full(100, 36), most=32, nodes=2000))
    ]
    assert sorted(found) == [4, 32, 32, 32]


def test_tiles_hold_every_item_once():
    counts = [3, 1, 5, 5, 2, 3, 0, 1]
    chunks = [items(counts[:3]), items(counts[3:7], width=9, start=3), items(counts[7:], start=7)]
    tiles = cut_tiles(chunks, start=0, most=3)
    assert sorted(torch.cat([tile.positions for tile in tiles]).tolist()) == list(range(8))
    for tile in tiles:
        encoded = tile.read()
        widest = max(counts[position] for position in tile.positions.tolist())
        assert encoded.counts.tolist() == [counts[place] for place in tile.positions.tolist()]
        assert encoded.nodes.size(1) == max(widest, 1)
        assert encoded.nodes.is_contiguous()
        for position, nodes, mask in zip(tile.positions, encoded.nodes, encoded.mask, strict=True):
            assert (nodes[mask][:, 0] == position).all()
            assert nodes[mask][:, 1].tolist() == list(range(counts[int(position)]))


def test_positions_start_where_they_are_told():
    tiles = cut_tiles([items([2, 2])], start=10, most=8)
    assert torch.cat([tile.positions for tile in tiles]).tolist() == [10, 11]


def test_windows_hold_whole_chunks():
    chunks = [items([3] * size, width=3) for size in (2, 0, 3, 1)]
    size = chunks[0].nodes.nbytes
    found = [(start, [len(chunk) for chunk in part]) for start, part in windows(chunks, size=size)]
    assert found == [(0, [2]), (2, [3]), (5, [1])]
    found = [(start, [len(chunk) for chunk in part]) for start, part in windows(chunks)]
    assert found == [(0, [2, 3, 1])]


@pytest.mark.parametrize("nothing", [[], [items([3])[:0]], items([3])[:0]])
def test_no_items_make_no_windows(nothing):
    assert list(windows(nothing)) == []
    assert count_items(nothing) == 0


def test_a_mask_with_gaps_keeps_its_nodes():
    mask = torch.tensor([[True, False, True, False], [True, False, False, False]])
    encoded = Encoded(nodes=torch.ones(2, 4, 2) * mask[..., None], mask=mask)
    tiles = cut_tiles([encoded], start=0, most=1)
    assert [tile.read().mask.tolist() for tile in tiles] == [[[True]], [[True, False, True]]]
