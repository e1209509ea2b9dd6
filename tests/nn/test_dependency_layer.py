"""The layer along dependencies against a loop; what it does in the query encoder and in DRN."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.config import config_from_values, config_values
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.text import RELATIONS, TextGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.nn.dependency_layer import DependencyLayer
from graphmatch.nn.query_encoder import QueryEncoder

EDGES = torch.tensor([[1, 1, 3, 5], [0, 3, 2, 6]])  # word 4 has no neighbour
RELATION = torch.tensor([24, 26, 15, 3])
CONFIG = DRNConfig(
    vocabulary=12, feature_size=6, clips=8, word_size=4, hidden=5, position_size=3,
    channels=(4, 5, 6), pyramid_size=4,
)  # fmt: skip


def trained(module):
    """Weights that are not those of the start."""
    generator = torch.Generator().manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, DependencyLayer):
            torch.nn.init.normal_(layer.context.weight, generator=generator)
    return module.double()


def words(count=7, size=4):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, size, dtype=torch.float64, generator=generator)


def dependencies(ids, edges=(), relation=()):
    graph = word_graph(ids)
    graph.edge_index = torch.tensor(edges, dtype=torch.int64).reshape(2, -1)
    graph.relation = torch.tensor(relation, dtype=torch.int64)
    graph.validate()
    return graph


def test_each_word_hears_its_neighbours(assert_close):
    layer, x = trained(DependencyLayer(4)), words()
    found = layer(x, EDGES, RELATION)
    for number, word in enumerate(x):
        heard = []
        for (head, dependent), label in zip(EDGES.T.tolist(), RELATION.tolist(), strict=True):
            if number == dependent:
                heard.append(x[head] + layer.relation.weight[label])
            if number == head:
                heard.append(x[dependent] + layer.relation.weight[label + len(RELATIONS)])
        mean = sum(heard) / len(heard) if heard else torch.zeros(4, dtype=torch.float64)
        assert_close(found[number], word + (layer.context.weight @ mean).tanh(), "float64")
    assert torch.equal(found[4], x[4])


def test_the_order_of_words_and_edges_does_not_matter(assert_close):
    layer, x = trained(DependencyLayer(4)), words()
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    place = order.argsort()
    edges = torch.tensor([2, 0, 3, 1])
    moved = layer(x[order], place[EDGES][:, edges], RELATION[edges])
    assert_close(moved, layer(x, EDGES, RELATION)[order], "float64")


def test_gradients():
    layer, x = trained(DependencyLayer(4)), words().requires_grad_()
    assert gradcheck(lambda value: layer(value, EDGES, RELATION), (x,))
    fresh = DependencyLayer(4).double()
    fresh(x, EDGES, RELATION).square().sum().backward()
    assert fresh.context.weight.grad.any()  # W leaves 0
    layer(x, EDGES, RELATION).square().sum().backward()
    assert layer.relation.weight.grad.any(dim=1).sum() == 2 * len(RELATION)


def test_what_does_not_fit_is_refused():
    layer = DependencyLayer(4)
    with pytest.raises(ConfigError, match="size from 1"):
        DependencyLayer(0)
    with pytest.raises(GraphError, match=r"words \[N, 4\]"):
        layer(torch.zeros(7, 3), EDGES, RELATION)
    with pytest.raises(GraphError, match=r"edges \[2, 3\]"):
        layer(torch.zeros(7, 4), EDGES, RELATION[:3])
    with pytest.raises(GraphError, match="expected the edges"):
        QueryEncoder(9, word_size=4, hidden=3, graph_layers=1)(
            torch.tensor([1]), torch.tensor([0, 1])
        )


def test_the_encoder_reads_each_query_along_its_own_edges(assert_close):
    torch.manual_seed(0)
    encoder = trained(QueryEncoder(12, word_size=4, hidden=5, graph_layers=2))
    graphs = [dependencies([3, 7, 9], ((1, 1), (0, 2)), (24, 26)), dependencies([5])]
    graphs.append(dependencies([6, 0], ((1,), (0,)), (3,)))
    batch = batch_graphs(graphs, follow=("word",))
    query = encoder(
        batch.word, batch.word_ptr, edge_index=batch.edge_index, relation=batch.relation
    )
    for number, graph in enumerate(graphs):
        x = encoder.embedding(graph.word)
        for layer in encoder.graph:
            x = layer(x, graph.edge_index, graph.relation)
        h = encoder.rnn(x.unsqueeze(0))[0][0]
        assert_close(query.words[number, : len(h)], h, "float64")
    assert not query.words[~query.mask].any()


def build(**options):
    torch.manual_seed(0)
    return DRN(replace(CONFIG, **options)).eval()


@torch.no_grad()
def test_drn_is_as_without_until_it_learns():
    plain, graph = build(), build(graph_layers=1)
    shared = graph.state_dict()
    extra = sorted(shared.keys() - plain.state_dict().keys())
    assert extra == ["text.graph.0.context.weight", "text.graph.0.relation.weight"]
    plain.load_state_dict({key: shared[key] for key in plain.state_dict()})
    with_edges = batch_graphs(
        [dependencies([3, 7, 9], ((1, 1), (0, 2)), (24, 26))], follow=["word"]
    )
    without = batch_graphs([word_graph([3, 7, 9])], follow=["word"])
    expected = plain.encode_text(without)
    assert torch.equal(plain.encode_text(with_edges).pooled, expected.pooled)
    assert torch.equal(graph.encode_text(with_edges).pooled, expected.pooled)
    trained(graph).float()
    assert not torch.equal(graph.encode_text(with_edges).pooled, expected.pooled)
    assert torch.equal(graph.encode_text(without).pooled, expected.pooled)
    assert config_from_values(DRNConfig, config_values(graph.config)).graph_layers == 1
    with pytest.raises(ConfigError, match="graph_layers"):
        replace(CONFIG, graph_layers=-1)
    assert isinstance(with_edges.get_example(0), TextGraph)
