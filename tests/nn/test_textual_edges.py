"""GSMN's textual edge weights against loops and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.errors import GraphError
from graphmatch.nn.textual_edges import kernel_edge_weight, sparse_edge_weight, word_similarity


@pytest.fixture
def words():
    return torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def adjacency():
    matrix = torch.eye(5, dtype=torch.float64)
    for one, two in ((0, 1), (1, 2), (3, 4)):
        matrix[one, two] = matrix[two, one] = 1
    return matrix


def test_similarity_equals_a_loop(words, assert_close):
    result = word_similarity(words[0], 7.0)
    for i in range(5):
        logits = torch.stack(
            [
                7 * (words[0, i] @ words[0, j]) / (words[0, i].norm() * words[0, j].norm())
                for j in range(5)
            ]
        )
        assert_close(result[i], logits.exp() / logits.exp().sum(), "float64 looped")


def test_sparse_weight_has_rows_of_length_one_on_the_edges(words, adjacency, assert_close):
    weight = sparse_edge_weight(word_similarity(words[0], 7.0), adjacency)
    assert_close(weight.norm(dim=-1), torch.ones(5, dtype=torch.float64), "float64 looped")
    assert torch.equal(weight > 0, adjacency > 0)


def test_kernels_cancel(words, adjacency, assert_close):
    weight = sparse_edge_weight(word_similarity(words[0], 7.0), adjacency)
    kernels = torch.tensor([0.3, -2.0, 40.0], dtype=torch.float64)
    result = kernel_edge_weight(weight, kernels)
    expected = weight / weight.sum(dim=-1, keepdim=True)
    for kernel in range(3):
        assert_close(result[..., kernel], expected, "float64")


def test_batch_equals_one_by_one(words, adjacency, assert_close):
    kernels = torch.ones(2, dtype=torch.float64)

    def weights(batch):
        return kernel_edge_weight(
            sparse_edge_weight(word_similarity(batch, 3.0), adjacency), kernels
        )

    together = weights(words)
    for number in range(3):
        assert_close(together[number], weights(words[number]), "float64")


def test_permuted_words_give_permuted_weights(words, adjacency, assert_close):
    order = torch.tensor([3, 0, 4, 1, 2])
    weight = sparse_edge_weight(word_similarity(words[0], 3.0), adjacency)
    moved = sparse_edge_weight(word_similarity(words[0, order], 3.0), adjacency[order][:, order])
    assert_close(moved, weight[order][:, order], "float64")


def test_gradients(words, adjacency):
    kernels = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    leaf = words[0].clone().requires_grad_()

    def weights(vectors, scales):
        sparse = sparse_edge_weight(word_similarity(vectors, 2.0), adjacency)
        return kernel_edge_weight(sparse, scales)

    assert gradcheck(weights, (leaf, kernels))


def test_a_single_vector_is_refused():
    with pytest.raises(GraphError, match="expected word vectors"):
        word_similarity(torch.zeros(4), 1.0)
