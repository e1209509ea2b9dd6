"""Neighbourhoods against sorting in a loop; padded and ragged hold the same pairs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.neighbours import (
    complete_edges,
    complete_neighbours,
    nearest_edges,
    nearest_neighbours,
)

# few values: many ties and equal centres; all exact in float32
GRID = st.integers(0, 3)
IMAGES = st.lists(st.lists(st.tuples(GRID, GRID), max_size=6), min_size=1, max_size=4)


def points(centres):
    centre = torch.tensor(centres, dtype=torch.float32).view(-1, 2)
    return torch.cat((centre - 1, centre + 1), dim=1)  # [R, 4]


def naive(centres, count, loops):
    rows = []
    for i, (xi, yi) in enumerate(centres):
        others = [
            ((xi - xj) ** 2 + (yi - yj) ** 2, j) for j, (xj, yj) in enumerate(centres) if j != i
        ]
        found = [j for _, j in sorted(others)]
        rows.append(([i, *found] if loops else found)[:count])
    return rows


def pad(images):
    most = max(map(len, images))
    box, mask = torch.zeros(len(images), most, 4), torch.zeros(len(images), most, dtype=torch.bool)
    for number, image in enumerate(images):
        box[number, : len(image)] = points(image)
        mask[number, : len(image)] = True
    return box, mask


def ptr_of(images):
    return torch.tensor([0, *[len(image) for image in images]]).cumsum(0)


@settings(max_examples=60, deadline=None)
@given(IMAGES, st.integers(1, 8), st.booleans())
def test_nearest_equals_a_loop_padded_and_ragged(images, count, loops):
    box, mask = pad(images)
    index, present = nearest_neighbours(box, count, loops=loops, mask=mask)
    assert index.shape == present.shape == (*mask.shape, min(count, mask.size(1)))
    assert not index[~present].any()
    edges = []
    for number, image in enumerate(images):
        expected = naive(image, count, loops)
        start = int(ptr_of(images)[number])
        for i in range(mask.size(1)):
            row = index[number, i][present[number, i]].tolist()
            assert row == (expected[i] if i < len(image) else [])
            edges += [(start + j, start + i) for j in row]
        alone, all_there = nearest_neighbours(points(image), count, loops=loops)
        assert [row[kept].tolist() for row, kept in zip(alone, all_there, strict=True)] == expected
    ragged = nearest_edges(torch.cat([points(image) for image in images]), ptr_of(images), count,
                           loops=loops)  # fmt: skip
    assert ragged.T.tolist() == [list(edge) for edge in edges]


@settings(max_examples=30, deadline=None)
@given(IMAGES, st.booleans())
def test_complete_joins_all_padded_and_ragged(images, loops):
    _, mask = pad(images)
    joined = complete_neighbours(mask, loops=loops)
    edges = []
    for number, image in enumerate(images):
        start, count = int(ptr_of(images)[number]), len(image)
        pairs = [(i, j) for i in range(count) for j in range(count) if loops or i != j]
        assert joined[number].nonzero().tolist() == [list(pair) for pair in pairs]
        edges += [[start + j, start + i] for i, j in pairs]
    assert complete_edges(ptr_of(images), loops=loops).T.tolist() == edges


def test_enough_neighbours_are_the_complete_graph():
    ptr = torch.tensor([0, 4, 4, 6])
    box = torch.rand(6, 4, generator=torch.Generator().manual_seed(1))
    for loops in (True, False):
        near = nearest_edges(box, ptr, 9, loops=loops)
        assert sorted(near.T.tolist()) == sorted(complete_edges(ptr, loops=loops).T.tolist())


def test_a_region_is_its_own_first_neighbour_even_among_equal_centres():
    index, _ = nearest_neighbours(points([(1, 1)] * 3), 2, loops=True)
    assert index.tolist() == [[0, 1], [1, 0], [2, 0]]


def test_permuted_regions_have_permuted_neighbours():
    box = torch.rand(8, 4, generator=torch.Generator().manual_seed(2))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(3))
    index, _ = nearest_neighbours(box, 3, loops=False)
    moved, _ = nearest_neighbours(box[order], 3, loops=False)
    assert torch.equal(order[moved], index[order])


def test_ties_are_the_same_in_every_batch():
    # corners of a square around its centre, at places that float32 rounds
    centre = torch.tensor([[0.0, 0], [0.1, 0.3], [0.3, 0.1], [-0.1, 0.3], [0.3, -0.1]]) + 0.7
    box = torch.cat((centre, centre), dim=1)
    alone, _ = nearest_neighbours(box, 5, loops=True)
    for copies in (2, 3, 17):
        together, _ = nearest_neighbours(box.repeat(copies, 1, 1), 5, loops=True)
        assert torch.equal(together, alone.expand(copies, -1, -1))


@pytest.mark.parametrize("images", [[], [[]], [[], [(0, 0)], []]])
def test_empty_images(images):
    ptr = torch.tensor([0, *[len(image) for image in images]]).cumsum(0)
    box = torch.cat([torch.zeros(0, 4), *[points(image) for image in images]])
    loops = [[number, number] for number in range(len(box))]
    assert complete_edges(ptr, loops=True).T.tolist() == loops
    assert nearest_edges(box, ptr, 2, loops=True).T.tolist() == loops
    assert nearest_edges(box, ptr, 2, loops=False).shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nearest_neighbours(torch.zeros(2, 4), 0, loops=True), ConfigError, "at least 1"),
        (
            lambda: nearest_neighbours(torch.zeros(2, 4), 1, loops=True, mask=torch.ones(2)),
            GraphError,
            r"expected torch.bool of shape \[2\]",
        ),
        (lambda: complete_neighbours(torch.ones(2), loops=True), GraphError, "got torch.float32"),
        (
            lambda: nearest_edges(torch.zeros(2, 4), torch.tensor([0, 3]), 1, loops=True),
            GraphError,
            r"expected shape \[3, 4\] as ptr says \(got \[2, 4\]\)",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
