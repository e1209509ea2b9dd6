"""Masked word pieces against loops, closed forms and all possible spans."""

from __future__ import annotations

from math import prod
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.masking.tokens import mask_tokens, segment_mask

MASK = 4
RULES = ("paper", "released", "plain")


def masked(ids, draws, rule):
    return mask_tokens(ids, draws, mask_id=MASK, vocabulary=range(50), rule=rule)


def looped(ids, draws, rule):
    """The rules once more: which pieces, then what stands there."""
    chosen = set()
    n = len(ids)
    if rule == "paper":
        for i in range(n):
            if draws.random() < 0.1:
                chosen |= {i + k for k in range(draws.randint(1, 5))}
    elif rule == "released" and n > 3:
        start, length = draws.randint(0, n), draws.randint(1, n)
        chosen = {start + k for k in range(length)}
    result, labels = [], []
    for i, token in enumerate(ids):
        draw = None
        if rule == "plain":
            draw = draws.random()
            draw = draw / 0.15 if draw < 0.15 else None
        elif i in chosen:
            draw = draws.random()
        labels.append(-1 if draw is None else token)
        if draw is None or draw >= 0.9:
            result.append(token)
        elif draw >= 0.8:
            result.append(draws.choice(range(50)))
        else:
            result.append(MASK)
    return result, labels


@pytest.mark.parametrize("rule", RULES)
def test_equals_a_loop(rule):
    for seed in range(300):
        ids = [Random(seed).randrange(5, 50) for _ in range(seed % 37)]
        assert masked(ids, Random(seed), rule) == looped(ids, Random(seed), rule)


class Span:
    """One start and one length, then [MASK] for everything."""

    def __init__(self, start, length):
        self.numbers = [start, length]

    def randint(self, a, b):
        number = self.numbers.pop(0)
        assert a <= number <= b
        return number

    def random(self):
        return 0.0


@pytest.mark.parametrize(("n", "share"), [(8, 0.354), (12, 0.347), (16, 0.344), (34, 0.338)])
def test_share_of_all_released_spans(n, share):
    counts = [
        masked(range(5, 5 + n), Span(start, length), "released").ids.count(MASK)
        for start in range(n + 1)
        for length in range(1, n + 1)
    ]
    assert sum(counts) / len(counts) / n == pytest.approx(share, abs=5e-4)
    assert counts.count(0) / len(counts) == pytest.approx(1 / (n + 1))


def share_of_labels(n, rule, seed=3, captions=4000):
    draws = Random(seed)
    labels = [masked([9] * n, draws, rule).label for _ in range(captions)]
    return sum(label.count(9) for label in labels) / (n * captions)


@pytest.mark.parametrize(("n", "share"), [(8, 0.354), (34, 0.338)])
def test_share_of_drawn_released_spans(n, share):
    # a caption's share has a standard deviation below 0.32
    assert share_of_labels(n, "released") == pytest.approx(share, abs=3 * 0.32 / 4000**0.5)


@pytest.mark.parametrize("n", [8, 12, 16])
def test_share_of_the_paper_rule(n):
    # piece i stays if no anchor k pieces before it, k < 5, reaches it: 1 - 0.1 P(length > k)
    share = sum(1 - prod(1 - 0.1 * (5 - k) / 5 for k in range(min(i + 1, 5))) for i in range(n)) / n
    assert 0.22 < share < 0.25
    assert share_of_labels(n, "paper") == pytest.approx(share, abs=3 * 0.25 / 4000**0.5)


def test_share_of_the_plain_rule():
    assert share_of_labels(10, "plain") == pytest.approx(0.15, abs=3 * (0.1275 / 40000) ** 0.5)


@pytest.mark.parametrize("rule", RULES)
def test_eight_of_ten_are_masked_one_replaced_one_kept(rule):
    draws = Random(1)
    before, after = [], []
    while len(before) < 20000:
        result = mask_tokens([60] * 20, draws, mask_id=MASK, vocabulary=range(5, 50), rule=rule)
        for token, label in zip(result.ids, result.label, strict=True):
            if label != -1:
                before.append(label)
                after.append(token)
            else:
                assert token == 60
    assert set(before) == {60}
    share = [after.count(MASK), sum(5 <= token < 50 for token in after), after.count(60)]
    assert [count / len(after) for count in share] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


@pytest.mark.parametrize("rule", RULES)
def test_a_caption_is_left_as_it_is(rule):
    ids = [5, 6, 7, 8, 9, 10]
    for seed in range(20):
        result = masked(ids, Random(seed), rule)
        assert ids == [5, 6, 7, 8, 9, 10]
        assert result.ids is not ids


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_released_rule_draws_nothing_for_short_captions(n):
    assert masked([9] * n, None, "released") == ([9] * n, [-1] * n)


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_caption_stays_empty(rule):
    assert masked([], Random(1), rule) == ([], [])


@given(st.lists(st.integers(5, 49), max_size=40), st.integers(0, 999), st.sampled_from(RULES))
def test_labels_restore_the_caption(ids, seed, rule):
    result = masked(ids, Random(seed), rule)
    restored = [
        token if label == -1 else label
        for token, label in zip(result.ids, result.label, strict=True)
    ]
    assert restored == ids


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'released'"):
        masked([5], Random(1), "relased")


@given(st.lists(st.integers(0, 6), max_size=20))
def test_segments_equal_a_loop(lengths):
    covered = [
        any(i <= j < i + length for i, length in enumerate(lengths)) for j in range(len(lengths))
    ]
    assert segment_mask(torch.tensor(lengths, dtype=torch.int64)).tolist() == covered


def test_segments_of_a_batch_equal_one_by_one():
    lengths = torch.randint(0, 4, (3, 2, 9), generator=torch.Generator().manual_seed(1))
    together = segment_mask(lengths)
    for one, two in ((i, j) for i in range(3) for j in range(2)):
        assert torch.equal(together[one, two], segment_mask(lengths[one, two]))


@pytest.mark.parametrize(
    "length", [torch.tensor(1), torch.tensor([1.0, 2.0]), torch.tensor([True, False])]
)
def test_lengths_that_are_no_counts_are_refused(length):
    with pytest.raises(GraphError, match="expected integers"):
        segment_mask(length)


def test_segments_are_found_where_the_lengths_are():
    assert segment_mask(torch.zeros(2, 3, dtype=torch.int64, device="meta")).device.type == "meta"
