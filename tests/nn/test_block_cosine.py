from __future__ import annotations

import pytest
import torch

from graphmatch.errors import ConfigError
from graphmatch.nn.block_cosine import (
    attended_dot,
    attended_length,
    block_cosine,
    packed_gram,
    split_blocks,
)


def test_block_cosine_is_torchs_block_by_block(assert_close):
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 5, 12, dtype=torch.float64)
    expected = torch.stack(
        [
            torch.cosine_similarity(x[..., b : b + 3], y[..., b : b + 3], dim=-1)
            for b in range(0, 12, 3)
        ],
        dim=-1,
    )
    assert_close(block_cosine(x, y, 4), expected, "float64")
    assert_close(block_cosine(x, x, 4), torch.ones(3, 5, 4).double(), "float64")


def test_zero_block_has_cosine_zero_and_a_finite_gradient():
    x = torch.zeros(4, requires_grad=True)
    block_cosine(x, torch.ones(4), 2).sum().backward()
    assert block_cosine(x, torch.ones(4), 2).tolist() == [0, 0]
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("blocks", [0, 5])
def test_blocks_divide_the_vector(blocks):
    with pytest.raises(ConfigError, match="divisor of 12"):
        split_blocks(torch.zeros(12), blocks)


def contexts(m, seed=0):
    torch.manual_seed(seed)
    nodes = torch.randn(2, m, 12, dtype=torch.float64)
    weights = torch.rand(2, m, 7, dtype=torch.float64)
    made = torch.einsum("cmd,cmq->cqd", nodes, weights)  # [2, 7, 12]
    return nodes, weights, made


@pytest.mark.parametrize("m", [1, 2, 3, 8])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("items", [0, 1, 2])  # how many of the two the scratch memory holds
def test_attended_length_is_that_of_the_contexts(m, packed, items, assert_close):
    nodes, weights, made = contexts(m)
    expected = split_blocks(made, 4).norm(dim=-1).transpose(1, 2)  # [2, 4, 7]
    memory = torch.full((items * m * (m + 1) * 7,), torch.nan).double()
    gram = packed_gram(nodes, 4) if packed else None
    length = attended_length(nodes, weights, 4, gram=gram, scratch=memory if items else None)
    assert_close(length, expected, "float64")


def test_gram_of_more_nodes_serves_the_first_of_them(assert_close):
    nodes, weights, _ = contexts(5)
    expected = attended_length(nodes[:, :3], weights[:, :3], 4)
    gram = packed_gram(nodes, 4)
    assert_close(attended_length(nodes, weights[:, :3], 4, gram=gram), expected, "float64")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_attended_dot_with_and_without_scratch(axis, assert_close):
    torch.manual_seed(0)
    products, weights = torch.randn(2, 3, 4, 5), torch.rand(3, 4, 5)
    names = "abc"
    rest = names.replace(names[axis], "")
    expected = torch.einsum(f"tabc,abc->t{rest}", products, weights)
    assert_close(attended_dot(products, weights, axis), expected)
    for size in (weights.numel(), products.numel() + 3):
        scratch = torch.full((size,), torch.nan)
        assert_close(attended_dot(products, weights, axis, scratch), expected)


def test_half_precision_nodes_are_multiplied_in_float32():
    gram = packed_gram(torch.ones(1, 2, 4, dtype=torch.bfloat16), 2)
    assert gram.dtype == torch.float32
    assert gram.tolist() == [[[2, 4, 2], [2, 4, 2]]]


@pytest.mark.parametrize("packed", [True, False])
def test_gradients(packed):
    nodes, weights, _ = contexts(3)

    def length(nodes, weights):
        gram = packed_gram(nodes, 4) if packed else None
        return attended_length(nodes, weights, 4, gram=gram)

    assert torch.autograd.gradcheck(length, (nodes.requires_grad_(), weights.requires_grad_()))
    assert torch.autograd.gradcheck(
        lambda x, y: block_cosine(x, y, 4), (nodes.detach(), nodes.flip(1).requires_grad_())
    )


def test_length_of_contexts_that_cancel_has_a_finite_gradient():
    weights = torch.ones(1, 2, 1, requires_grad=True)
    nodes = torch.tensor([[[1.0, 2.0], [-1.0, -2.0]]])
    length = attended_length(nodes, weights, 1, gram=packed_gram(nodes, 1))
    length.sum().backward()
    assert length.item() < 1e-6
    assert bool(weights.grad.isfinite().all())


def test_gradients_after_a_call_in_inference_mode():
    nodes, weights = torch.randn(2, 11, 8), torch.rand(2, 11, 3)
    with torch.inference_mode():
        expected = attended_length(nodes, weights, 2, gram=packed_gram(nodes, 2))
    weights.requires_grad_()
    length = attended_length(nodes, weights, 2, gram=packed_gram(nodes, 2))
    assert torch.equal(length, expected)
    length.sum().backward()
    assert weights.grad.isfinite().all()
