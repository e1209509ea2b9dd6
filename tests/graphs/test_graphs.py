"""All graph types: batching, networkx, PyG loaders, pickling, errors."""

from __future__ import annotations

import pickle
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader

from graphmatch.errors import GraphError
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.chain import temporal_chain
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.history import HistoryGraph
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.text import RELATIONS, TextGraph

TYPES = ["text", "region", "clip", "history"]
GRAPH_TYPES = {
    "text": TextGraph, "region": RegionGraph, "clip": ClipGraph, "history": HistoryGraph,
}  # fmt: skip
QUICK = settings(max_examples=30, deadline=None)


def naive_batch(items, name, value):
    """What a batch must hold: values one after the other, positions shifted by hand."""
    pieces = []
    nodes = words = 0
    for item in items:
        piece = value(item).clone()
        if name == "edge_index":
            piece += nodes
        if name == "span":
            piece[0] += nodes
            piece[1] += words
        pieces.append(piece)
        nodes += item.num_nodes
        words += len(item["word"]) if "word" in item else 0
    return torch.cat(pieces, dim=1 if name in ("edge_index", "span") else 0)


@pytest.mark.parametrize("kind", TYPES)
def test_batch_equals_its_items_one_by_one(kind, strategies):
    @QUICK
    @given(st.lists(strategies[kind], min_size=1, max_size=4))
    def check(items):
        batch = batch_graphs(items)
        assert batch.num_nodes == sum(item.num_nodes for item in items)
        assert batch.ptr.diff().tolist() == [item.num_nodes for item in items]
        for name, value in batch.columns():
            expected = naive_batch(items, name, lambda item, n=name: dict(item.columns())[n])
            assert torch.equal(value, expected), name
        for item, back in zip(items, batch.to_data_list(), strict=True):
            assert item.validate()
            assert item.equals(back)
        assert items[-1].equals(batch[len(items) - 1])
        assert batch.validate()

    check()


@pytest.mark.parametrize("kind", TYPES)
def test_networkx_round_trip_is_exact(kind, strategies):
    @QUICK
    @given(strategies[kind])
    def check(item):
        graph = item.to_networkx()
        assert graph.number_of_nodes() == item.num_nodes
        assert type(item).from_networkx(graph).equals(item)

    check()


@pytest.mark.parametrize("kind", TYPES)
def test_pickle_round_trip_is_exact(kind, strategies):
    @QUICK
    @given(strategies[kind])
    def check(item):
        assert pickle.loads(pickle.dumps(item)).equals(item)
        assert item.clone().equals(item)
        assert item.to("cpu").equals(item)

    check()


@pytest.mark.parametrize("kind", TYPES)
def test_dataloader_gives_the_same_items(kind):
    items = examples(kind)
    loader = DataLoader(items, batch_size=2)
    back = [item for batch in loader for item in batch.to_data_list()]
    assert all(a.equals(b) for a, b in zip(items, back, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
def test_dataloader_works_with_workers(kind):
    items = examples(kind)
    loader = DataLoader(items, batch_size=2, num_workers=2, multiprocessing_context="spawn")
    back = [item for batch in loader for item in batch.to_data_list()]
    assert all(a.equals(b) for a, b in zip(items, back, strict=True))


def examples(kind):
    """Five graphs of a type, the first of them as small as the type allows."""
    made = []
    for number in range(5):
        many = torch.arange(float(number))
        if kind == "text":
            ids = torch.arange(number)
            heads = torch.stack((ids[:-1], ids[1:])) if number else torch.zeros(2, 0).long()
            made.append(
                TextGraph(
                    word=ids + 3, kind=torch.full_like(ids, 3), role=torch.full_like(ids, -1),
                    span=torch.stack((ids, ids)), edge_index=heads, relation=heads[0] * 0,
                )
            )  # fmt: skip
        elif kind == "region":
            box = torch.tensor([0.0, 0.0, 0.5, 1.0]).repeat(number, 1)
            size = torch.tensor([[10.0, 20.0 + number]])
            made.append(RegionGraph(x=many.view(-1, 1), box=box, size=size))
        elif kind == "clip":
            time = torch.stack((many, many + 1), dim=1)
            made.append(ClipGraph(x=many.view(-1, 1), time=time, duration=torch.tensor([9.0])))
        else:
            many = torch.arange(number + 1.0)
            made.append(
                HistoryGraph(
                    modality={"image": many.view(-1, 1), "ids": many.long()}, time=many,
                    present=torch.ones(number + 1, 2, dtype=torch.bool), behavior=many.long(),
                )
            )  # fmt: skip
    assert all(item.validate() for item in made)
    return made


@pytest.mark.parametrize("kind", TYPES)
def test_attribute_outside_the_table_is_refused(kind):
    item = examples(kind)[1]
    item.word_index_thing = torch.zeros(1)
    with pytest.raises(GraphError, match="word_index_thing"):
        item.validate()
    with pytest.raises(GraphError, match="word_index_thing"):
        Batch.from_data_list([item, item])


def test_collation_follows_the_table_and_not_the_name():
    class Odd(RegionGraph):
        RULES: ClassVar = {**RegionGraph.RULES, "index_batch_face": RegionGraph.RULES["score"]}

    items = []
    for image in examples("region")[2:4]:
        odd = Odd(**dict(image.columns()))
        odd.index_batch_face = torch.ones(image.num_nodes)
        items.append(odd)
    assert torch.equal(batch_graphs(items)["index_batch_face"], torch.ones(5))


def test_edges_of_a_chain_stay_inside_each_graph():
    assert temporal_chain(torch.tensor([0, 0, 1, 3, 3, 6])).tolist() == [
        [1, 3, 4, 2, 4, 5],
        [2, 4, 5, 1, 3, 4],
    ]
    assert temporal_chain(torch.tensor([0, 0])).shape == (2, 0)
    batch = batch_graphs(examples("clip"))
    owner = batch.batch[batch.chain()]
    assert torch.equal(owner[0], owner[1])
    assert batch.chain().size(1) == 2 * (batch.num_nodes - 4)


def test_candidate_is_the_last_item_of_each_history():
    items = examples("history")
    assert batch_graphs(items).candidate().tolist() == [0, 2, 5, 9, 14]
    assert items[2].candidate().tolist() == [2]


def test_histories_with_other_modalities_are_refused():
    one, two = examples("history")[1:3]
    two.modality = {"image": two.modality["image"], "title": two.modality["ids"]}
    with pytest.raises(GraphError, match="fill the absent ones"):
        batch_graphs([one, two])


def test_graphs_of_two_types_are_refused():
    with pytest.raises(GraphError, match="only ClipGraph"):
        batch_graphs([examples("clip")[0], examples("region")[0]])
    with pytest.raises(GraphError, match="at least one"):
        batch_graphs([])


def test_batch_refuses_what_pyg_would_lose_or_change(image):
    bare = RegionGraph(x=image.x, box=image.box, size=image.size)
    double = RegionGraph(x=image.x.double(), box=image.box, size=image.size)
    for pair in ([bare, image], [image, bare]):
        with pytest.raises(GraphError, match="attributes"):
            batch_graphs(pair)
    with pytest.raises(GraphError, match="dtype of x"):
        batch_graphs([bare, double])


def test_permuted_regions_make_the_permuted_batch(image):
    order = torch.tensor([1, 0])
    moved = RegionGraph(
        x=image.x[order], box=image.box[order], size=image.size, score=image.score[order]
    )
    one, two = batch_graphs([image, image]), batch_graphs([moved, image])
    shift = torch.tensor([1, 0, 2, 3])
    for name in ("x", "box", "score"):
        assert torch.equal(one[name][shift], two[name])


def test_role_graph_holds_ids(caption):
    assert caption.kind.tolist() == [0, 1, 2, 2, 1]
    assert caption.role.tolist() == [-1, 0, 2, 1, 0]
    assert caption.relation.tolist() == [0, 0, 2, 1, 2]
    assert caption.edge_index.tolist() == [[0, 0, 1, 1, 4], [1, 4, 2, 3, 2]]
    assert repr(caption) == ("TextGraph(5 nodes: 1 event, 2 actions, 2 entities; 5 words; 5 edges)")
    assert repr(batch_graphs([caption, caption])) == (
        "TextGraphBatch(2 graphs; 10 nodes: 2 events, 4 actions, 4 entities; 10 words; 10 edges)"
    )


def test_networkx_has_names_and_not_numbers(caption):
    graph = caption.to_networkx()
    assert graph.nodes[1] == {"kind": "action", "role": "V"}
    assert graph.nodes[2] == {"kind": "entity", "role": "ARG0"}
    assert graph.graph["word"] == [5, 6, 7, 8, 9]
    graph.nodes[1]["role"] = "ARG9"
    with pytest.raises(GraphError, match="role"):
        TextGraph.from_networkx(graph)
    with pytest.raises(GraphError, match="RegionGraph"):
        RegionGraph.from_networkx(caption.to_networkx())


def test_there_are_37_relations_in_order():
    assert len(set(RELATIONS)) == 37
    assert list(RELATIONS) == sorted(RELATIONS)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("word", torch.tensor([5, 6, 7, 8, -9]), "word"),
        ("word", torch.tensor([5.0]), "dtype of word"),
        ("word", [5, 6, 7, 8, 9], "expected a tensor"),
        ("kind", torch.tensor([0, 1, 2, 2, 0]), "node 0"),
        ("kind", torch.tensor([0, 1, 2, 2, 7]), "kind"),
        ("role", torch.tensor([0, 0, 2, 1, 0]), "role"),
        ("edge_index", torch.tensor([[0, 0, 1, 1, 4], [1, 4, 2, 3, 5]]), "edge_index"),
        ("edge_index", torch.tensor([[0, 0, 1, 1, 2], [1, 4, 2, 3, 4]]), "event -> action"),
        ("edge_index", torch.zeros(3, 5).long(), "shape of edge_index"),
        ("relation", torch.tensor([0, 0]), "E of relation"),
        ("span", torch.tensor([[0], [9]]), "span words"),
        ("span", torch.tensor([[0, 0], [1, 0]]), "ascending"),
        ("num_nodes", 9, "num_nodes"),
    ],
)
def test_broken_text_graph_is_named(caption, name, value, message):
    caption[name] = value
    with pytest.raises(GraphError, match=message):
        caption.validate()
    assert caption.validate(raise_on_error=False) is False


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("box", torch.tensor([[0.0, 0, 2, 1], [0, 0, 1, 1]]), r"\[0, 1\]"),
        ("box", torch.tensor([[0.5, 0, 0.1, 1], [0, 0, 1, 1]]), "x1 <= x2"),
        ("x", torch.tensor([[1.0], [float("nan")]]), "finite"),
        ("size", torch.tensor([[0.0, 5]]), "size"),
        ("score", torch.tensor([0.5, 1.5]), "score"),
        ("x", torch.zeros(3, 3), "N of box"),
    ],
)
def test_broken_region_graph_is_named(image, name, value, message):
    image[name] = value
    with pytest.raises(GraphError, match=message):
        image.validate()


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ([[0.0, 1], [0, 10]], "seconds in"),
        ([[2.0, 3], [0, 1]], "sorted"),
        ([[1.0, 0], [1, 2]], "before they end"),
    ],
)
def test_broken_clip_graph_is_named(time, message):
    clips = ClipGraph(x=torch.zeros(2, 1), time=torch.tensor(time), duration=torch.tensor([9.0]))
    with pytest.raises(GraphError, match=message):
        clips.validate()


def test_broken_history_is_named():
    history = examples("history")[2]
    history.time = history.time.flip(0)
    with pytest.raises(GraphError, match="ascending"):
        history.validate()
    history = examples("history")[2]
    history.present = history.present[:, :1]
    with pytest.raises(GraphError, match="one a modality"):
        history.validate()


def test_broken_item_of_a_batch_is_counted(image):
    batch = batch_graphs([image, image])
    batch.box[3, 0] = 5
    with pytest.raises(GraphError, match="graph 1 of the batch"):
        batch.validate()
