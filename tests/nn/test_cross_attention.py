"""Attention of the SCAN family against loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.cross_attention import attention_weights

NORMS = ("clipped_l2norm", "l2norm", "clipped", "softmax", "no_norm")


def loop(z, scale, first_norm):
    """Weights of one pair: z is a list of rows, one a context."""
    if first_norm.startswith("clipped"):
        z = [[value if value > 0 else 0.1 * value for value in row] for row in z]
    if first_norm.endswith("l2norm"):
        z = [[value / (math.sqrt(sum(v * v for v in row)) + 1e-8) for value in row] for row in z]
    if first_norm == "softmax":
        z = [[math.exp(value) / sum(math.exp(v) for v in row) for value in row] for row in z]
    power = [[math.exp(scale * value) for value in row] for row in z]
    totals = [sum(column) for column in zip(*power, strict=True)]
    return [[value / t for value, t in zip(row, totals, strict=True)] for row in power]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("scale", [4.0, 50.0])
@pytest.mark.parametrize("first_norm", NORMS)
def test_weights_equal_a_loop(first_norm, scale, masked, train, generator, assert_close):
    products = torch.randn(3, 4, 2, 5, dtype=torch.float64, generator=generator)
    before = products.clone()
    contexts, queries = ([4, 1, 3], [5, 1]) if masked else ([4, 4, 4], [5, 5])
    masks = {
        "context_mask": torch.arange(4) < torch.tensor(contexts).unsqueeze(1),
        "query_mask": torch.arange(5) < torch.tensor(queries).unsqueeze(1),
    }
    options = {"first_norm": first_norm, **(masks if masked else {})}
    with torch.set_grad_enabled(train):
        products.requires_grad_(train)
        weights = attention_weights(products, scale, **options)
        normalised = attention_weights(products, scale, **options, normalise=True)
    assert torch.equal(products, before)
    for c, m in enumerate(contexts):
        for q, n in enumerate(queries):
            expected = torch.tensor(loop(before[c, :m, q, :n].tolist(), scale, first_norm))
            for result in (weights, normalised):
                assert not result[c, m:].any()
            part = weights[c, :m, q, :n]
            assert_close((part / part.sum(dim=0)).float(), expected)
            assert_close(normalised[c, :m, q, :n].float(), expected)


@pytest.mark.parametrize("first_norm", NORMS)
def test_gradients(first_norm, generator):
    products = torch.randn(2, 3, 2, 3, dtype=torch.float64, generator=generator)
    mask = torch.tensor([[True, True, True], [True, False, False]])

    def weights(products):
        return attention_weights(
            products, 3.0, first_norm=first_norm, context_mask=mask, query_mask=mask, normalise=True
        )

    assert gradcheck(weights, (products.requires_grad_(),))


def test_products_of_zero_have_even_weights_and_finite_gradients():
    products = torch.zeros(1, 2, 1, 3, requires_grad=True)
    weights = attention_weights(products, 9.0, normalise=True)
    assert weights.flatten().tolist() == [0.5] * 6
    weights.square().sum().backward()
    assert products.grad.isfinite().all()


def test_an_item_without_nodes_gets_no_weight():
    for scale in (9.0, 90.0):
        mask = torch.zeros(1, 2, dtype=torch.bool)
        weights = attention_weights(
            torch.ones(1, 2, 1, 1), scale, context_mask=mask, normalise=True
        )
        assert not weights.any()


@pytest.mark.parametrize("name", ["l1norm", "clipped_l1norm"])
def test_norms_that_the_official_code_cannot_run_are_an_error(name):
    with pytest.raises(ConfigError, match="does not exist; use 'l2norm'"):
        attention_weights(torch.zeros(1, 1, 1, 1), 9.0, first_norm=name)


def test_bad_input():
    products = torch.zeros(2, 3, 4, 5)
    with pytest.raises(ConfigError, match="did you mean 'no_norm'"):
        attention_weights(products, 9.0, first_norm="nonorm")
    with pytest.raises(GraphError, match=r"\[C, m, Q, n\] .got \[2, 3, 4\]"):
        attention_weights(products[..., 0], 9.0)
    mask = torch.ones(4, 5, dtype=torch.bool)
    with pytest.raises(GraphError, match=r"context_mask: expected \[2, 3\] .got \[4, 5\]"):
        attention_weights(products, 9.0, context_mask=mask)
