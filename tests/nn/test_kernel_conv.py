from __future__ import annotations

import pytest
import torch
from torch_geometric.utils import dense_to_sparse

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.kernel_conv import KernelConv


def random_graph(nodes=5, kernels=2, features=3, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(nodes, features, dtype=torch.float64)
    weight = torch.rand(nodes, nodes, kernels, dtype=torch.float64)
    weight[torch.rand(nodes, nodes) < 0.4] = 0
    return x, weight


def edges_of(weight):
    """edge_index (source j, target i) and weights of the edges that are not 0."""
    target, source = weight.abs().sum(dim=-1).nonzero().T
    return torch.stack((source, target)), weight[target, source]


def by_loops(conv, x, weight):
    rows = []
    for i in range(len(x)):
        parts = []
        for k, layer in enumerate(conv.conv_weights):
            mixed = sum(weight[i, j, k] * x[j] for j in range(len(x)))
            part = layer.weight @ mixed
            parts.append(part if layer.bias is None else part + layer.bias)
        rows.append(torch.cat(parts))
    return torch.stack(rows)


@pytest.mark.parametrize("bias", [True, False])
def test_sparse_and_dense_are_the_equation(bias, assert_close):
    conv = KernelConv(3, 6, 2, bias=bias).double()
    x, weight = random_graph()
    expected = by_loops(conv, x, weight)
    assert_close(conv.dense(x, weight), expected, "float64")
    assert_close(conv(x, *edges_of(weight)), expected, "float64")


def test_isolated_node_gets_the_bias_alone(assert_close):
    conv = KernelConv(3, 4, 2)
    none = torch.zeros(2, 0, dtype=torch.int64)
    out = conv(torch.randn(1, 3), none, torch.zeros(0, 2))
    assert_close(out[0], conv.bias)


def test_permuted_nodes_give_permuted_results(assert_close):
    conv = KernelConv(3, 6, 2).double()
    x, weight = random_graph()
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = conv.dense(x[order], weight[order][:, order])
    assert_close(permuted, conv.dense(x, weight)[order], "float64")


def test_batch_is_its_graphs_one_by_one(assert_close):
    conv = KernelConv(3, 6, 2).double()
    graphs = [random_graph(nodes, seed=nodes) for nodes in (1, 4, 5)]
    x = torch.cat([nodes for nodes, _ in graphs])
    edges, weights, start = [], [], 0
    for nodes, weight in graphs:
        edge_index, edge_weight = edges_of(weight)
        edges.append(edge_index + start)
        weights.append(edge_weight)
        start += len(nodes)
    together = conv(x, torch.cat(edges, dim=1), torch.cat(weights))
    assert_close(together, torch.cat([conv.dense(*graph) for graph in graphs]), "float64")


def test_padding_changes_nothing(assert_close):
    conv = KernelConv(3, 6, 2).double()
    x, weight = random_graph(4)
    wide, wide_weight = torch.zeros(7, 3).double(), torch.zeros(7, 7, 2).double()
    wide[:4], wide_weight[:4, :4] = x, weight
    assert_close(conv.dense(wide, wide_weight)[:4], conv.dense(x, weight), "float64")


def test_edges_of_a_dense_matrix_as_pyg_lists_them(assert_close):
    conv = KernelConv(3, 2, 1).double()
    x, weight = random_graph(kernels=1)
    # dense_to_sparse lists (row, column); row is the target here
    index, value = dense_to_sparse(weight[..., 0])
    assert_close(conv(x, index.flip(0), value.unsqueeze(1)), conv.dense(x, weight), "float64")


def test_gradients():
    conv = KernelConv(3, 4, 2).double()
    x, weight = random_graph()
    edge_index, edge_weight = edges_of(weight)
    x.requires_grad_()
    edge_weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, w: conv(a, edge_index, w), (x, edge_weight))
    weight.requires_grad_()
    assert torch.autograd.gradcheck(conv.dense, (x, weight))


def test_parameters_have_the_official_names():
    names = {f"conv_weights.{k}.{end}" for k in range(2) for end in ("weight", "bias")}
    assert {n: p.shape for n, p in KernelConv(3, 4, 2).named_parameters()}.keys() == names
    assert KernelConv(3, 4, 2, bias=False).bias is None
    assert KernelConv(16, 32, 8).conv_weights[0].weight.shape == (4, 16)


@pytest.mark.parametrize("sizes", [(0, 4, 2), (3, 4, 0), (3, 5, 2)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ConfigError, match="expected sizes from 1"):
        KernelConv(*sizes)


def test_wrong_shapes_are_refused():
    conv = KernelConv(3, 4, 2)
    edge_index = torch.zeros(2, 1, dtype=torch.int64)
    for x, weight in ((torch.zeros(1, 2), torch.zeros(1, 2)), (torch.zeros(1, 3), torch.zeros(1))):
        with pytest.raises(GraphError, match="expected nodes"):
            conv(x, edge_index, weight)
    with pytest.raises(GraphError, match="expected nodes"):
        conv.dense(torch.zeros(2, 3), torch.zeros(2, 2, 3))
