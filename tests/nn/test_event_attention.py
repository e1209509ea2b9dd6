from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.errors import GraphError
from graphmatch.nn.event_attention import EventAttention, masked_softmax

MASK = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])


def items(dtype=torch.float64):
    torch.manual_seed(0)
    return EventAttention(4).to(dtype), torch.randn(3, 3, 4, dtype=dtype)


def test_each_item_is_a_softmax_over_its_own_rows(assert_close):
    model, x = items()
    weights, pooled = model.weights(x, MASK), model(x, MASK)
    for item in range(3):
        rows = x[item, MASK[item]]
        expected = (rows @ model.linear.weight[0] + model.linear.bias).softmax(dim=0)
        assert_close(weights[item, MASK[item]], expected, "float64")
        assert_close(pooled[item], expected @ rows, "float64")
    assert not weights[~MASK].any()


def test_one_row_is_its_own_mean(assert_close):
    model, x = items()
    assert_close(model(x[:, :1], MASK[:, :1]), x[:, 0], "float64")


def test_padding_changes_nothing():
    model, x = items()
    other = x.masked_fill(~MASK.unsqueeze(-1), 1e6)
    assert torch.equal(model.weights(other, MASK), model.weights(x, MASK))


def test_no_rows_give_zeros_and_finite_gradients():
    model, x = items()
    x.requires_grad_()
    pooled = model(x, torch.zeros_like(MASK))
    assert not pooled.any()
    pooled.sum().backward()
    assert x.grad.isfinite().all()


def test_the_bias_has_no_gradient(assert_close):
    model, x = items()
    model(x, MASK).square().sum().backward()
    assert_close(model.linear.bias.grad, torch.zeros(1, dtype=torch.float64), "float64")


def test_gradient():
    model, x = items()
    assert gradcheck(lambda value: model(value, MASK), x.requires_grad_())


def test_half_precision_is_finite():
    for dtype in (torch.float16, torch.bfloat16):
        assert masked_softmax(torch.randn(3, 3, dtype=dtype), MASK).isfinite().all()


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(GraphError, match=r"mask: expected \[2, 3\] \(got \[2, 2\]\)"):
        masked_softmax(torch.zeros(2, 3), torch.ones(2, 2, dtype=torch.bool))
