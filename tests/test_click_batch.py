"""`ClickBatch` from histories, items once, checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphmatch.click_batch import ClickBatch, Items, all_items, click_batch, distinct_items
from graphmatch.errors import GraphError
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.history import HistoryGraph
from tests.marn_world import random_batch, random_items


def history(ids, behaviours, times, present=None):
    """Items whose vector is (id, id) and whose words are (id, 0)."""
    ids = torch.tensor(ids)
    if present is None:
        present = torch.ones(len(ids), 3, dtype=torch.bool)
    return HistoryGraph(
        modality={
            "ids": ids,
            "image": ids.float().unsqueeze(1).expand(-1, 2).clone(),
            "title": torch.stack([ids, torch.zeros_like(ids)], dim=1),
        },
        present=present,
        behavior=torch.tensor(behaviours),
        time=torch.tensor(times),
    )


def three():
    """Two behaviours, none, three."""
    return [
        history([4, 7, 4], [1, 2, 9], [0.0, 60.0, 180.0]),
        history([7], [9], [5.0]),
        history([5, 4, 5, 8], [3, 3, 1, 9], [0.0, 1.0, 2.0, 3.0]),
    ]


@pytest.mark.parametrize("distinct", [True, False])
def test_histories_become_rows(distinct):
    batch = click_batch(batch_graphs(three()), distinct=distinct, label=torch.tensor([1.0, 0, 1]))
    batch.check()
    assert len(batch) == 3
    assert len(batch.items) == (4 if distinct else 8)
    ids = batch.items.modality["ids"][:, 0]
    assert ids[batch.candidate].tolist() == [4, 7, 8]
    found = ids[batch.history.clamp(min=0)].masked_fill(~batch.mask, 0)
    assert found.tolist() == [[4, 7, 0], [0, 0, 0], [5, 4, 5]]
    assert batch.properties["type"].tolist() == [[1, 2, 0], [0, 0, 0], [3, 3, 1]]
    assert batch.properties["time"].tolist() == [[3, 2, 0], [0, 0, 0], [1, 1, 1]]
    assert batch.items.modality["image"][batch.candidate].tolist() == [[4, 4], [7, 7], [8, 8]]
    assert batch.label.tolist() == [1, 0, 1]


def test_one_history_is_a_batch_of_one_and_no_behaviour_is_no_column():
    assert click_batch(three()[0]).history.shape == (1, 2)
    batch = click_batch(batch_graphs(three()[1:2] * 2))
    assert batch.history.shape == (2, 0)
    assert len(batch.items) == 1
    batch.check()


def test_behaviours_after_the_request_are_refused():
    graph = three()[0]
    graph.time = torch.tensor([0.0, 60.0, 30.0])
    with pytest.raises(GraphError, match="later than their candidate"):
        click_batch(graph)


def test_what_an_absent_modality_holds_makes_no_item():
    items = random_items(1, missing=0)
    twice = items.rows(torch.tensor([0, 0]))
    twice.present[:, 1] = False
    twice.modality["image"][1] += 1
    assert distinct_items(twice)[1].tolist() == [0, 0]
    twice.present[:, 1] = True
    assert distinct_items(twice)[1].unique().tolist() == [0, 1]


def test_distinct_items_are_the_items():
    items = random_items(5, missing=0).rows(torch.tensor([0, 3, 3, 1, 0, 4]))
    items.present[1:3, 2] = False
    found, place = distinct_items(items)
    assert len(found) == 4
    again = found.rows(place)
    assert torch.equal(again.present, items.present)
    for number, (name, value) in enumerate(items.modality.items()):
        there = items.present[:, number]
        assert torch.equal(again.modality[name][there], value[there])


def test_counts():
    batch = random_batch()
    places = [*batch.candidate.tolist(), *batch.history[batch.mask].tolist()]
    assert batch.counts().tolist() == [places.count(item) for item in range(6)]
    candidates = batch.candidate.tolist()
    assert batch.counts(candidates_only=True).tolist() == [candidates.count(i) for i in range(6)]
    every = all_items(batch)
    every.check()
    assert every.counts().max() == 1


def test_a_batch_moves_whole():
    batch = random_batch().to("cpu")
    assert batch.user is None
    batch.check()
    moved = replace(batch, context=None).to("meta")
    assert moved.items.present.is_meta
    assert moved.history.is_meta
    assert all(value.is_meta for value in moved.properties.values())
    assert moved.context is None


def plain():
    items = Items(
        modality={"a": torch.zeros(2, 1).long(), "b": torch.zeros(2, 3)},
        present=torch.ones(2, 2).bool(),
    )
    return ClickBatch(
        items=items,
        history=torch.tensor([[0, 1], [1, -1]]),
        candidate=torch.tensor([0, 1]),
        properties={"type": torch.ones(2, 2).long()},
        label=torch.tensor([1.0, 0.0]),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history": torch.tensor([[0, 2], [1, -1]])}, "places: expected below 2"),
        ({"candidate": torch.tensor([0, 2])}, "places: expected below 2"),
        ({"candidate": torch.tensor([0, -1])}, "candidate: expected places from 0"),
        ({"candidate": torch.tensor([0])}, "rows of candidate"),
        ({"history": torch.tensor([[-1, 1], [1, -1]])}, "padding on the right"),
        ({"properties": {"type": torch.ones(2, 3).long()}}, "shape of type"),
        ({"label": torch.ones(3)}, "rows of label"),
        ({"context": torch.ones(1, 3)}, "rows of context"),
    ],
)
def test_contradictions_are_refused(change, message):
    plain().check()
    with pytest.raises(GraphError, match=message):
        replace(plain(), **change).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"present": torch.ones(2, 3).bool()}, "shape of present"),
        ({"modality": {"b": torch.zeros(2, 3), "a": torch.zeros(2, 1)}}, "alphabetical"),
        ({"modality": {"a": torch.zeros(2, 1), "b": torch.zeros(3, 1)}}, "rows of b"),
        ({"modality": {"a": torch.zeros(2, 1), "b": torch.zeros(2)}}, "shape of b"),
    ],
)
def test_contradicting_items_are_refused(change, message):
    batch = plain()
    with pytest.raises(GraphError, match=message):
        replace(batch, items=replace(batch.items, **change)).check()
