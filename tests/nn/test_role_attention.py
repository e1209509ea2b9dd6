"""The sparse graph layer against the dense official form."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.role_attention import RoleAttention, message_edges

KIND = torch.tensor([0, 1, 1, 2, 2, 2])  # the last entity has no action
EDGES = torch.tensor([[0, 0, 1, 1, 2], [1, 2, 3, 4, 4]])


def layer(attention=4, size=8):
    torch.manual_seed(0)
    return RoleAttention(size, attention=attention).double().eval()


def nodes(count=6, size=8):
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def dense(model, x, adjacency):
    """The official form on slots: x [C, S, D], adjacency [C, S, S] of (target, source)."""
    if model.attention:
        query, key = model.query(x), model.key(x)
        logits = query @ key.transpose(1, 2) / model.attention**0.5
        weights = logits.masked_fill(adjacency == 0, -1e18).softmax(dim=-1)
        weights = weights.masked_fill(adjacency == 0, 0)
    else:
        weights = adjacency / adjacency.sum(dim=-1, keepdim=True).clamp(min=1)
    return model.norm(x + model.context(weights @ x)), weights


@pytest.mark.parametrize("attention", [4, 0])
def test_equal_to_the_dense_form_on_padded_slots(attention, assert_close):
    model, size, slots = layer(attention), 8, 7
    generator = torch.Generator().manual_seed(2)
    adjacency = (torch.rand(5, slots, slots, generator=generator) < 0.3).double()
    used = torch.arange(slots) < torch.tensor([[7], [4], [1], [5], [2]])  # [C, S]
    adjacency *= used.unsqueeze(1) * used.unsqueeze(2)
    x = torch.randn(5, slots, size, dtype=torch.float64, generator=generator)
    x = torch.where(used.unsqueeze(-1), x, -1e10)  # what the official code has in unused slots
    expected, weights = dense(model, x, adjacency)
    place = used.flatten().cumsum(0).view(5, slots) - 1  # number of a slot among used ones
    caption, target, source = adjacency.nonzero().T
    edges = torch.stack([place[caption, source], place[caption, target]])
    assert_close(model(x[used], edges), expected[used], "float64")
    assert_close(model.weights(x[used], edges), weights[adjacency > 0], "float64")


def test_any_number_of_nodes(assert_close):
    model, x = layer(), nodes(300)
    adjacency = (torch.rand(1, 300, 300, generator=torch.Generator().manual_seed(3)) < 0.1).double()
    target, source = adjacency[0].nonzero().T
    expected, _ = dense(model, x.unsqueeze(0), adjacency)
    assert_close(model(x, torch.stack([source, target])), expected[0], "float64")


def test_messages_go_down_and_from_entities_up():
    edges = set(map(tuple, message_edges(EDGES, KIND).T.tolist()))
    down = set(map(tuple, EDGES.T.tolist()))
    assert edges == down | {(t, s) for s, t in down if s != 0}
    assert not {target for _, target in edges} & {0}


def test_doubled_edges_count_once():
    twice = torch.cat([EDGES, EDGES], dim=1)
    assert torch.equal(message_edges(twice, KIND), message_edges(EDGES, KIND))


def test_a_node_to_which_none_sends_is_normalised_only(assert_close):
    model, x = layer(), nodes()
    received = model(x, message_edges(EDGES, KIND))
    for node in (0, 5):
        assert_close(received[node], model.norm(x[node]), "float64")
    lonely = model(x, torch.zeros(2, 0, dtype=torch.int64))
    assert_close(lonely, model.norm(x), "float64")


@pytest.mark.parametrize("attention", [4, 0])
def test_weights_of_a_node_sum_to_one(attention, assert_close):
    model, x, edges = layer(attention), nodes(), message_edges(EDGES, KIND)
    total = torch.zeros(6, dtype=torch.float64).index_add(0, edges[1], model.weights(x, edges))
    assert_close(total, torch.tensor([0.0, 1, 1, 1, 1, 0]).double(), "float64")


def test_permuting_nodes_permutes_the_result(assert_close):
    model, x, edges = layer(), nodes(), message_edges(EDGES, KIND)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = order.argsort()[edges]
    assert_close(model(x[order], moved), model(x, edges)[order], "float64")


def test_graphs_of_a_batch_do_not_see_each_other(assert_close):
    model, x, edges = layer(), nodes(12), message_edges(EDGES, KIND)
    both = model(x, torch.cat([edges, edges + 6], dim=1))
    one_by_one = torch.cat([model(x[:6], edges), model(x[6:], edges)])
    assert_close(both, one_by_one, "float64")


def test_roles_do_not_matter_to_the_plain_form_but_edges_do():
    model, x = layer(0), nodes()
    edges = message_edges(EDGES, KIND)
    assert not torch.equal(model(x, edges), model(x, edges[:, 1:]))
    assert [name for name, _ in model.named_parameters()] == [
        "context.weight", "norm.weight", "norm.bias",
    ]  # fmt: skip


def test_dropout_is_of_training_only():
    model, x, edges = layer(), nodes(), message_edges(EDGES, KIND)
    assert torch.equal(model(x, edges), model(x, edges))
    model.train()
    assert not torch.equal(model(x, edges), model(x, edges))


@pytest.mark.parametrize("attention", [4, 0])
def test_gradient(attention):
    model, edges = layer(attention), message_edges(EDGES, KIND)
    parameters = dict(model.named_parameters())

    def run(x, *values):
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(model, named, (x, edges))

    assert gradcheck(run, (nodes().requires_grad_(), *parameters.values()))


def test_the_key_bias_has_no_gradient(assert_close):
    model = layer()
    model(nodes(), message_edges(EDGES, KIND)).pow(3).sum().backward()
    assert_close(model.key.bias.grad, torch.zeros(4, dtype=torch.float64), "float64")
    assert model.query.bias.grad.abs().max() > 1e-4


def test_bad_input():
    with pytest.raises(ConfigError, match="a size from 1"):
        RoleAttention(0)
    with pytest.raises(ConfigError, match=r"share in \[0, 1\)"):
        RoleAttention(4, dropout=1.0)
    with pytest.raises(GraphError, match=r"expected nodes \[N, 8\] \(got \[3, 4\]\)"):
        layer()(nodes(3, 4), EDGES)
