"""`bootstrap_interval`, `paired_difference`."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.bootstrap import NUMBERS, bootstrap_interval, paired_difference
from graphmatch.errors import ConfigError, GraphError
from graphmatch.ranks import Ranks


def naive(ranks, owner, resamples, seed):
    """The same draws, item by item and caption by caption."""
    rng = np.random.default_rng(seed)
    items = len(ranks.visual)
    found = []
    for drawn in rng.integers(items, size=(resamples, items), dtype=np.int32):
        visual = [int(ranks.visual[item]) for item in drawn]
        text = [
            int(rank)
            for item in drawn
            for rank, own in zip(ranks.text, owner, strict=True)
            if own == item
        ]
        row = []
        for queries in (visual, text):
            good = [rank for rank in queries if rank > 0]
            row += [100 * sum(rank <= k for rank in good) / len(good) for k in (1, 5, 10)]
        found.append([*row, sum(row)])
    return np.array(found)


def world(items=12, seed=0, zero=True):
    random = torch.Generator().manual_seed(seed)
    owner = torch.arange(items).repeat_interleave(torch.arange(items) % 3 + 1)
    visual = torch.randint(1, 14, (items,), generator=random)
    text = torch.randint(1, 14, (len(owner),), generator=random)
    if zero:
        visual[2] = 0
        text[owner == 2] = 0
    return Ranks(visual, text), owner


def test_intervals_are_those_of_a_loop():
    ranks, owner = world()
    drawn = naive(ranks, owner, 60, seed=4)
    found = bootstrap_interval((ranks, owner), resamples=60, seed=4, level=0.8)
    assert tuple(found) == NUMBERS
    for place, interval in enumerate(found.values()):
        np.testing.assert_allclose(interval.low, np.quantile(drawn[:, place], 0.1))
        np.testing.assert_allclose(interval.high, np.quantile(drawn[:, place], 0.9))
        np.testing.assert_allclose(interval.error, drawn[:, place].std(ddof=1))
    good = ranks.text[ranks.text > 0]
    np.testing.assert_allclose(found["t2i_r5"].value, 100 * float((good <= 5).float().mean()))


def test_differences_are_those_of_a_loop():
    first, owner = world()
    second, _ = world(seed=1)
    drawn = naive(second, owner, 50, seed=9) - naive(first, owner, 50, seed=9)
    found = paired_difference((first, owner), (second, owner), resamples=50, seed=9)
    for place, interval in enumerate(found.numbers.values()):
        np.testing.assert_allclose(interval.low, np.quantile(drawn[:, place], 0.025), atol=1e-12)
        np.testing.assert_allclose(interval.error, drawn[:, place].std(ddof=1))
    rsum = drawn[:, -1]
    np.testing.assert_allclose(found.better, (rsum > 0).mean() + 0.5 * (rsum == 0).mean())
    assert "higher rsum" in str(found)


def test_standard_error_is_that_of_a_binomial():
    """With one caption an image, R@1 is a share of independent queries."""
    items, hits = 2000, 700
    visual = torch.where(torch.arange(items) < hits, 1, 30)
    found = bootstrap_interval((Ranks(visual, visual), torch.arange(items)), resamples=4000)
    share = hits / items
    expected = 100 * (share * (1 - share) / items) ** 0.5
    assert found["i2t_r1"].value == 100 * share
    assert abs(found["i2t_r1"].error / expected - 1) < 0.05  # its own spread is 1.1 %
    low, high = 100 * share - 1.96 * expected, 100 * share + 1.96 * expected
    assert abs(found["t2i_r1"].low - low) < 0.1 * expected + 0.05
    assert abs(found["t2i_r1"].high - high) < 0.1 * expected + 0.05


def test_captions_of_an_image_stay_together():
    """Five equal captions an image say no more than one."""
    owner = torch.arange(400).repeat_interleave(5)
    one = torch.where(torch.arange(400) % 2 == 0, 1, 20)
    found = bootstrap_interval((Ranks(one, one[owner]), owner), resamples=500)
    assert found["t2i_r1"].error == pytest.approx(found["i2t_r1"].error)


def test_folds_are_averaged():
    parts = [world(seed=0, zero=False), world(seed=1, zero=False)]
    alone = [bootstrap_interval(part, resamples=100) for part in parts]
    both = bootstrap_interval(parts, resamples=3000)
    once = [bootstrap_interval(part, resamples=3000, seed=n) for n, part in enumerate(parts)]
    for name in NUMBERS:
        expected = (alone[0][name].value + alone[1][name].value) / 2
        assert both[name].value == pytest.approx(expected)
        spread = (once[0][name].error ** 2 + once[1][name].error ** 2) ** 0.5 / 2
        assert both[name].error == pytest.approx(spread, rel=0.1)


def test_equal_models_do_not_differ():
    part = world()
    found = paired_difference(part, part, resamples=20)
    assert found.better == 0.5
    assert all((i.value, i.low, i.high) == (0, 0, 0) for i in found.numbers.values())


def test_a_seed_gives_the_same_numbers():
    part = world()
    assert bootstrap_interval(part, seed=3) == bootstrap_interval(part, seed=3)
    assert bootstrap_interval(part, seed=3) != bootstrap_interval(part, seed=4)


@given(st.lists(st.integers(0, 12), min_size=2, max_size=8), st.integers(0, 5))
def test_intervals_hold_their_bounds(numbers, seed):
    rank = torch.tensor([1, *numbers])
    found = bootstrap_interval((Ranks(rank, rank), torch.arange(len(rank))), resamples=9, seed=seed)
    for name, interval in found.items():
        assert 0 <= interval.low <= interval.high <= (600 if name == "rsum" else 100) + 1e-9
        assert 0 <= interval.value <= (600 if name == "rsum" else 100) + 1e-9


def test_thousand_resamples_of_coco_are_quick():
    owner = torch.arange(5000).repeat_interleave(5)
    part = Ranks(owner[::5] % 17 + 1, owner % 13 + 1), owner
    started = time.process_time()
    bootstrap_interval(part)
    assert time.process_time() - started < 2  # 0.3 s on a core of its own


@pytest.mark.parametrize("wrong", [{"resamples": 1}, {"level": 0}, {"level": 1}])
def test_impossible_options(wrong):
    with pytest.raises(ConfigError, match="resamples from 2"):
        bootstrap_interval(world(), **wrong)


def test_ranks_that_do_not_fit():
    ranks, owner = world()
    with pytest.raises(GraphError, match="item of each"):
        bootstrap_interval((ranks, owner[:-1]))
    with pytest.raises(GraphError, match="items below 12"):
        bootstrap_interval((ranks, owner + 5))
    none = Ranks(torch.zeros(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64))
    with pytest.raises(GraphError, match="got none"):
        bootstrap_interval((none, torch.arange(3)))
    with pytest.raises(GraphError, match="got none"):
        bootstrap_interval([])
    with pytest.raises(GraphError, match="same queries"):
        paired_difference((ranks, owner), world(zero=False))
    with pytest.raises(GraphError, match="same queries"):
        paired_difference((ranks, owner), [(ranks, owner)] * 2)
