"""The margin ranking loss against loops over pairs, and what it does with odd batches."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.hinge_loss import hinge_loss

OPTIONS = [
    {"negatives": negatives, "top_k": top_k, "direction": direction, "reduction": reduction}
    for negatives, top_k, direction, reduction in product(
        ("hardest", "all"), (1, 3, 50), ("both", "i2t", "t2i"), ("sum", "mean")
    )
]


def naive(scores, owner, *, margin, negatives, top_k, direction, reduction, ignore_same):
    """Loops over captions, as the definition says."""
    count = len(owner)
    wrong = [
        (i, j)
        for i in range(count)
        for j in range(count)
        if i != j and not (ignore_same and owner[i] == owner[j])
    ]
    total = 0.0
    for name in ("i2t", "t2i") if direction == "both" else (direction,):
        lists = [[0.0] * count for _ in range(count)]
        for i, j in wrong:
            anchor = i if name == "i2t" else j
            right = scores[owner[anchor]][anchor]
            cost = max(0.0, margin + scores[owner[i]][j] - right)
            lists[anchor][j if name == "i2t" else i] = cost
        for costs in lists:
            if negatives == "all":
                total += sum(costs)
            else:
                k = min(top_k, count)
                total += sum(sorted(costs, reverse=True)[:k]) / k
    if reduction == "mean":
        total /= count if negatives == "hardest" else max(1, len(wrong))
    return total


@st.composite
def batches(draw):
    items = draw(st.integers(1, 5))
    owner = draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=6))
    # multiples of a quarter: equal scores and costs of exactly 0 are frequent
    cell = st.integers(-6, 6).map(lambda n: n / 4)
    row = st.lists(cell, min_size=len(owner), max_size=len(owner))
    return draw(st.lists(row, min_size=items, max_size=items)), owner


@given(batches(), st.sampled_from(OPTIONS), st.booleans(), st.sampled_from([0.0, 0.2, 1.0]))
def test_loops_give_the_same(batch, options, ignore_same, margin):
    scores, owner = batch
    expected = naive(scores, owner, margin=margin, ignore_same=ignore_same, **options)
    actual = hinge_loss(
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(owner),
        margin=margin,
        ignore_same=ignore_same,
        **options,
    )
    assert float(actual) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("ignore_same", [False, True])
def test_gradients(options, ignore_same):
    torch.manual_seed(3)
    scores = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    owner = torch.tensor([0, 3, 3, 1, 0, 3])  # item 2 has no caption here
    assert torch.autograd.gradcheck(
        lambda s: hinge_loss(s, owner, ignore_same=ignore_same, **options), scores
    )


def test_an_item_with_two_captions_counts_as_its_copies():
    torch.manual_seed(4)
    scores, owner = torch.randn(3, 5), torch.tensor([2, 0, 2, 1, 0])
    copies = scores[owner]
    expected = hinge_loss(copies, torch.arange(5))
    assert torch.equal(hinge_loss(scores, owner), expected)


def test_the_order_of_captions_does_not_matter(assert_close):
    torch.manual_seed(5)
    scores, owner, order = torch.randn(3, 5), torch.tensor([2, 0, 2, 1, 0]), torch.randperm(5)
    for options in OPTIONS:
        expected = hinge_loss(scores, owner, **options)
        assert_close(hinge_loss(scores[:, order], owner[order], **options), expected)


def test_captions_of_one_item_push_each_other_away_unless_ignored():
    scores = torch.tensor([[0.9, 0.9]], requires_grad=True)
    owner = torch.tensor([0, 0])
    assert hinge_loss(scores, owner).item() == pytest.approx(0.8)
    for negatives, reduction in product(("hardest", "all"), ("sum", "mean")):
        options = {"negatives": negatives, "reduction": reduction, "ignore_same": True}
        loss = hinge_loss(scores, owner, **options)
        assert loss == 0
        loss.backward()
    assert torch.equal(scores.grad, torch.zeros(1, 2))


@pytest.mark.parametrize("options", OPTIONS)
def test_a_batch_of_one_costs_nothing(options):
    scores = torch.tensor([[-0.3]], requires_grad=True)
    loss = hinge_loss(scores, torch.tensor([0]), **options)
    assert loss == 0
    loss.backward()
    assert scores.grad == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (2, 0)])  # right, wrong, of no caption
def test_a_score_that_is_not_finite_is_seen_in_the_loss(value, place):
    scores = torch.zeros(3, 2)
    scores[place] = value
    for options in OPTIONS:
        assert hinge_loss(scores, torch.tensor([0, 1]), **options).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    scores = torch.randn(4, 4).to(dtype).requires_grad_()
    loss = hinge_loss(scores, torch.arange(4))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, hinge_loss(scores.float(), torch.arange(4)))
    loss.backward()
    assert scores.grad.dtype == dtype


@pytest.mark.parametrize(
    ("scores", "owner", "options", "message"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 1]), {}, "n_t"),
        (torch.zeros(2), torch.tensor([0, 1]), {}, "n_v"),
        (torch.zeros(2, 0), torch.zeros(0, dtype=torch.int64), {}, "none"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), {}, "from 0 to 1"),
        (torch.zeros(2, 2), torch.tensor([0, -1]), {}, "from 0 to 1"),
        (torch.zeros(2, 2), torch.tensor([0.0, 1.0]), {}, "int64"),
    ],
)
def test_bad_input(scores, owner, options, message):
    with pytest.raises(GraphError, match=message):
        hinge_loss(scores, owner, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negatives": "hard"}, "hardest"),
        ({"direction": "bi"}, "both, i2t, t2i"),
        ({"reduction": "avg"}, "sum, mean"),
        ({"top_k": 0}, "at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        hinge_loss(torch.zeros(2, 2), torch.tensor([0, 1]), **options)
