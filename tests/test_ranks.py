"""Ranks against sorting, in tiles, with ties and odd right answers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphmatch.ranks as module
from graphmatch.errors import ConfigError, GraphError
from graphmatch.ranks import ranks, ranks_from_tiles


def sorted_ranks(scores, pairs):
    """Stable sort of every row and column; rank of the first right answer."""
    found = []
    for view, queries, answers in ((scores, pairs[0], pairs[1]), (scores.T, pairs[1], pairs[0])):
        order = torch.sort(view, dim=1, descending=True, stable=True).indices.tolist()
        right = [
            {a for q, a in zip(queries, answers, strict=True) if q == n} for n in range(len(view))
        ]
        found.append(
            [
                next((r for r, a in enumerate(row, 1) if a in ok), 0)
                for row, ok in zip(order, right, strict=True)
            ]
        )
    return found


@st.composite
def galleries(draw):
    """A matrix with many equal scores, and any right pairs."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    kinds = [-1.0, -1e-40, 0.0, 1e-40, 0.5, 0.5000001, 1.0, 3.4e38, -3.4e38]
    values = draw(
        st.lists(st.sampled_from(kinds), min_size=rows * columns, max_size=rows * columns)
    )
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    pair = st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1))
    pairs = draw(st.lists(pair, max_size=12))
    relevant = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    return torch.tensor(values, dtype=dtype).view(rows, columns), relevant


@st.composite
def cuts(draw, scores):
    """Tiles of a matrix whose rows and columns are in any order."""
    parts = []
    for count in scores.shape:
        order = torch.tensor(draw(st.permutations(range(count))))
        parts.append(order.split(draw(st.integers(1, count))))
    return [(r, c, scores[r][:, c]) for r in parts[0] for c in parts[1]]


@given(galleries(), st.integers(1, 5), st.integers(1, 5))
def test_sorting_gives_the_same(gallery, height, width):
    scores, relevant = gallery
    expected = sorted_ranks(scores, relevant.tolist())
    with pytest.MonkeyPatch.context() as patch:  # blocks of odd sizes
        patch.setattr(module, "_CPU_BLOCK", (height, width))
        found = ranks(scores, relevant)
    assert [found.visual.tolist(), found.text.tolist()] == expected


@given(st.data())
def test_tiles_give_the_same(data):
    scores, relevant = data.draw(galleries())
    tiles = data.draw(cuts(scores))
    expected = ranks(scores, relevant)
    own = scores[relevant[0], relevant[1]]
    for known in (None, own):
        found = ranks_from_tiles(lambda: tiles, relevant, shape=tuple(scores.shape), own=known)
        assert all(map(torch.equal, found, expected))


def test_tiles_are_asked_for_twice_or_once_and_stay_as_they_are():
    scores, owner = torch.rand(6, 9), [0, 0, 1, 2, 3, 3, 4, 5, 5]
    tile = (torch.arange(6), torch.arange(9), scores.clone())
    asked = []

    def tiles():
        asked.append(1)
        yield tile

    found = ranks_from_tiles(tiles, owner, shape=(6, 9))
    assert len(asked) == 2
    own = scores[torch.tensor(owner), torch.arange(9)]
    # a right score that was computed with another rounding is not ahead of itself
    once = ranks_from_tiles(tiles, owner, shape=(6, 9), own=own - 1e-9)
    assert len(asked) == 3
    assert all(map(torch.equal, found, once))
    assert torch.equal(tile[2], scores)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ties", ["scan", "hgr"])
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 40), per=st.integers(1, 5))
def test_official_order(dtype, ties, seed, rows, per):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 6, (rows, rows * per)).astype(dtype) / 5
    owner = np.arange(rows * per) // per
    found = ranks(scores, owner, ties=ties)

    def order(row):
        return np.argsort(row)[::-1] if ties == "scan" else np.argsort(-row)

    for item in range(rows):
        places = order(scores[item])
        expected = min(int(np.where(places == c)[0][0]) for c in np.flatnonzero(owner == item))
        assert found.visual[item] == expected + 1
    for caption in range(rows * per):
        places = order(scores.T[caption])
        assert found.text[caption] == np.where(places == owner[caption])[0][0] + 1


def test_official_order_in_blocks(monkeypatch):
    from graphmatch import official_ranks

    scores = torch.rand(7, 11)
    pairs = torch.tensor([[0, 0, 6, 3, 3], [10, 2, 4, 4, 0]])
    expected = ranks(scores, pairs)
    for size in (1, 20, 1000):
        monkeypatch.setattr(official_ranks, "_BLOCK", size)
        for ties in ("scan", "hgr"):
            assert all(map(torch.equal, ranks(scores, pairs, ties=ties), expected))


def test_order_of_items_and_captions_does_not_matter_without_ties():
    torch.manual_seed(2)
    scores, owner = torch.rand(300, 700), torch.randint(0, 300, (700,))  # more than one block
    row_order, column_order = torch.randperm(300), torch.randperm(700)
    moved = scores[row_order][:, column_order]
    new_owner = row_order.argsort()[owner[column_order]]
    expected, found = ranks(scores, owner), ranks(moved, new_owner)
    assert torch.equal(found.visual, expected.visual[row_order])
    assert torch.equal(found.text, expected.text[column_order])
    assert [found.visual.tolist(), found.text.tolist()] == sorted_ranks(
        moved, [new_owner.tolist(), list(range(700))]
    )


def test_equal_scores_are_placed_by_position():
    found = ranks(torch.zeros(300, 2000), torch.arange(2000) % 300)
    assert found.visual.tolist() == list(range(1, 301))  # caption n is the first of item n
    assert found.text.tolist() == [1 + n % 300 for n in range(2000)]


def test_equal_scores_of_zero_where_tiny_numbers_are_taken_for_zero():
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such setting: this test did not run")
    try:
        found = ranks(torch.zeros(3, 2000), torch.arange(2000) % 3)
    finally:
        torch.set_flush_denormal(False)
    assert found.text.tolist() == [1 + n % 3 for n in range(2000)]


def test_views_arrays_and_maps_are_read_as_they_are(tmp_path):
    scores = torch.rand(5, 8)
    owner = torch.arange(8) % 5
    expected = ranks(scores, owner)
    np.save(tmp_path / "s.npy", scores.numpy())
    views = [
        scores.T.contiguous().T,
        scores.double(),
        scores.clone().requires_grad_(),
        scores.numpy(),
        np.load(tmp_path / "s.npy", mmap_mode="r"),
    ]
    for view in views:
        for ties in ("first", "scan", "hgr"):
            assert all(map(torch.equal, ranks(view, owner.numpy(), ties=ties), expected))


def test_nothing_to_rank():
    found = ranks(torch.zeros(3, 0), [])
    assert found.visual.tolist() == [0, 0, 0]
    assert found.text.tolist() == []
    nobody = torch.zeros(2, 0, dtype=torch.int64)
    for ties in ("first", "scan", "hgr"):
        assert ranks(torch.zeros(0, 2), nobody, ties=ties).text.tolist() == [0, 0]
        assert ranks(torch.zeros(2, 2), nobody, ties=ties).visual.tolist() == [0, 0]
    assert ranks_from_tiles(list, nobody, shape=(0, 2)).text.tolist() == [0, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("ties", ["first", "scan", "hgr"])
@pytest.mark.parametrize("place", [(0, 0), (1, 299), (6, 1100)])
def test_scores_that_are_not_finite(value, ties, place):
    scores = torch.zeros(7, 1200)
    scores[place] = value
    message = f"item {place[0]} and caption {place[1]}"
    with pytest.raises(GraphError, match=message):
        ranks(scores, torch.arange(1200) % 7, ties=ties)
    tile = (torch.arange(7), torch.arange(1200), scores)
    with pytest.raises(GraphError, match=message):
        ranks_from_tiles(lambda: [tile], torch.arange(1200) % 7, shape=(7, 1200))


def test_sums_that_overflow_are_no_error():
    scores = torch.full((2, 4), 3e38)
    assert ranks(scores, [0, 0, 1, 1]).visual.tolist() == [1, 3]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_coarse_scores_are_refused(dtype):
    with pytest.raises(GraphError, match="float32 or float64"):
        ranks(torch.zeros(2, 2, dtype=dtype), [0, 1])


@pytest.mark.parametrize(
    ("relevant", "message"),
    [
        ([0, 1, 2], "item of each of 2 captions"),
        ([0, 2], "items from 0 to 1"),
        ([0, -1], "items from 0 to 1"),
        (torch.tensor([[0], [2]]), "captions from 0 to 1"),
        (torch.zeros(3, 2, dtype=torch.int64), "pairs"),
        (torch.tensor([0.0, 1.0]), "integers"),
        (torch.eye(2, dtype=torch.bool), "integers"),
    ],
)
def test_bad_right_answers(relevant, message):
    with pytest.raises(GraphError, match=message):
        ranks(torch.zeros(2, 2), relevant)


def test_bad_scores_and_options():
    with pytest.raises(GraphError, match="n_v, n_t"):
        ranks(torch.zeros(3), [0, 0, 0])
    with pytest.raises(ConfigError, match="first, scan, hgr"):
        ranks(torch.zeros(1, 1), [0], ties="last")


def test_bad_tiles():
    rows, columns, scores = torch.arange(2), torch.arange(3), torch.rand(2, 3)
    check = partial(ranks_from_tiles, relevant=[0, 1, 1], shape=(2, 3))
    with pytest.raises(GraphError, match="cover 6 pairs"):
        check(lambda: [(rows, columns[:2], scores[:, :2])])
    with pytest.raises(GraphError, match="cover 6 pairs"):
        check(lambda: [(rows, columns, scores)] * 2)
    with pytest.raises(GraphError, match=r"tile of scores \(2, 3\)"):
        check(lambda: [(rows, columns, scores.T)])
    with pytest.raises(GraphError, match="from 0 to 1"):
        check(lambda: [(rows + 1, columns, scores)])
    with pytest.raises(GraphError, match="float32"):
        check(lambda: [(rows, columns, scores.half())])
    for own in (torch.zeros(2), torch.full((3,), float("nan"))):
        with pytest.raises(GraphError, match="3 finite scores"):
            check(lambda: [(rows, columns, scores)], own=own)
