"""Cosines through Gram matrices against those of attended contexts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.nn.attended_cosine import (
    attended_cosine,
    gram_matrices,
    node_lengths,
    node_products,
)
from graphmatch.nn.cross_attention import attention_weights


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@given(st.floats(1, 90), st.integers(1, 4), st.integers(1, 4), st.integers(0, 1000))
def test_cosines_of_weights_without_maximum_are_finite(scale, m, n, seed):
    generator = torch.Generator().manual_seed(seed)
    contexts = 2 * torch.randint(0, 2, (2, m, 3), generator=generator).float() - 1
    queries = 2 * torch.randint(0, 2, (2, n, 3), generator=generator).float() - 1
    products = node_products(contexts, queries)
    weights = attention_weights(products, scale)
    cosine = attended_cosine(products, weights, gram_matrices(contexts), node_lengths(queries))
    assert cosine.isfinite().all()
    assert float(cosine.abs().max()) <= 1


@pytest.mark.parametrize("train", [True, False])
def test_cosines_equal_those_of_attended_contexts(train, generator, assert_close):
    contexts = torch.randn(3, 4, 6, dtype=torch.float64, generator=generator)
    queries = torch.randn(2, 5, 6, dtype=torch.float64, generator=generator)
    weights = torch.rand(3, 4, 2, 5, dtype=torch.float64, generator=generator)
    attended = torch.einsum("cmqn,cmd->cqnd", weights, contexts)
    expected = torch.cosine_similarity(attended, queries, dim=-1)
    with torch.set_grad_enabled(train):
        contexts.requires_grad_(train)
        result = attended_cosine(
            node_products(contexts, queries), weights, gram_matrices(contexts),
            node_lengths(queries),
        )  # fmt: skip
    assert_close(result.detach(), expected, "float64 looped")


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("scale", [9.0, 20.0, 60.0])
def test_contexts_that_vanish_count_as_the_official_limit(train, scale, assert_close):
    """A query of one word: all weight goes to a region that is 0, e^-scale is left for the rest."""
    contexts = torch.tensor([[[0.6, 0.8], [0.0, 0.0], [1.0, 0.0]]], dtype=torch.float64)
    queries = torch.tensor([[[-1.0, 0.0]], [[-3e-5, -4e-5]]], dtype=torch.float64)
    with torch.set_grad_enabled(train):
        contexts.requires_grad_(train)
        products = node_products(contexts, queries)
        weights = attention_weights(products, scale)
        result = attended_cosine(products, weights, gram_matrices(contexts), node_lengths(queries))
    for query, cosine in zip(queries[:, 0], result[0, :, 0], strict=True):
        z = torch.nn.functional.leaky_relu(contexts[0] @ query, 0.1)
        context = (scale * z / (z.abs() + 1e-8)).softmax(dim=0) @ contexts[0]
        limited = (context.norm() * query.norm()).clamp(min=1e-8)
        assert_close(cosine, context @ query / limited, "float64 looped")


def test_cosine_gradients(generator):
    contexts = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    queries = torch.randn(2, 2, 4, dtype=torch.float64, generator=generator, requires_grad=True)

    def cosine(contexts, queries):
        products = node_products(contexts, queries)
        weights = attention_weights(products, 4.0)
        return attended_cosine(products, weights, gram_matrices(contexts), node_lengths(queries))

    assert gradcheck(cosine, (contexts, queries))


def test_cosines_with_nothing_are_zero_with_finite_gradients():
    contexts = torch.zeros(1, 2, 4, requires_grad=True)
    queries = torch.zeros(1, 3, 4, requires_grad=True)
    products = node_products(contexts, queries)
    weights = attention_weights(products, 9.0)
    result = attended_cosine(products, weights, gram_matrices(contexts), node_lengths(queries))
    assert not result.any()
    result.sum().backward()
    assert contexts.grad.isfinite().all()
    assert queries.grad.isfinite().all()


def test_half_precision_and_autocast_do_not_reach_gram_matrices(generator, assert_close):
    contexts = torch.randn(2, 3, 8, generator=generator).bfloat16()
    exact = contexts.float() @ contexts.float().transpose(1, 2)
    assert node_products(contexts, contexts).dtype == torch.float32
    assert torch.equal(gram_matrices(contexts), exact)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gram_matrices(contexts.float()), exact)
