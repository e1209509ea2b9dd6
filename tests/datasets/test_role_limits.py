"""The official limits of a role graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.columns import GraphColumns
from graphmatch.datasets.role_limits import limit_roles
from graphmatch.datasets.role_slots import role_slots
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.text import TextGraph
from graphmatch.parse import ROLES, Argument, Frame, Parse
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import role_graph

SIZES = st.fixed_dictionaries(
    {
        "max_words": st.integers(1, 10),
        "actions": st.integers(1, 3),
        "entities": st.integers(1, 4),
    }
)


def flat(count, frames=()):
    words = [f"w{number}" for number in range(count)]
    return Parse.from_tree(words, heads=[-1] * count, deprels=["root"] * count, frames=frames)


@st.composite
def role_graphs(draw):
    """A role graph with its number of words."""
    count = draw(st.integers(1, 9))
    word = st.integers(0, count - 1)
    frames = []
    for verb in draw(st.lists(word, max_size=6)):
        spans = draw(st.lists(st.sets(word, min_size=1, max_size=3), max_size=4))
        roles = [draw(st.sampled_from(ROLES[1:])) for _ in spans]
        arguments = [Argument(r, tuple(sorted(s))) for r, s in zip(roles, spans, strict=True)]
        frames.append(Frame((verb,), tuple(arguments)))
    return count, role_graph(flat(count, frames))


def naive_nodes(graph, limits):
    """Old numbers of the nodes that stay, by counting."""
    kept = []
    for node in range(1, len(graph)):
        kind = graph.kind[node]
        before = [other for other in kept if graph.kind[other] == kind]
        room = len(before) < limits["actions" if kind == "action" else "entities"]
        if room and min(graph.words_of(node)) < limits["max_words"]:
            kept.append(node)
    return [0, *kept]


@given(role_graphs(), SIZES)
def test_nodes_and_edges_are_those_of_a_count(item, limits):
    _, graph = item
    limited = limit_roles(graph, **limits)
    kept = naive_nodes(graph, limits)
    assert limited.kind == tuple(graph.kind[node] for node in kept)
    assert limited.role == tuple(graph.role[node] for node in kept)
    for place, node in enumerate(kept):
        words = [word for word in graph.words_of(node) if word < limits["max_words"]]
        assert limited.words_of(place) == tuple(words)
    edges = zip(graph.source, graph.target, graph.relation, strict=True)
    expected = [(s, t, label) for s, t, label in edges if s in kept and t in kept]
    old = [(kept[s], kept[t]) for s, t in zip(limited.source, limited.target, strict=True)]
    actual = zip(old, limited.relation, strict=True)
    assert [(*pair, label) for pair, label in actual] == expected


@given(role_graphs(), SIZES)
def test_the_arrays_of_the_reader_stay_the_same(item, limits):
    count, graph = item
    word = list(range(5, 5 + count))
    limited = limit_roles(graph, **limits)
    assert limit_roles(limited, **limits) == limited
    full = role_slots(graph, word, **limits)
    small = role_slots(limited, word[: limits["max_words"]], **limits)
    for name in ("word", "action_words", "entity_words", "role", "relation"):
        np.testing.assert_array_equal(getattr(small, name), getattr(full, name))
    assert small.length == full.length


@given(role_graphs(), SIZES)
def test_the_smaller_graph_is_a_text_graph(item, limits):
    count, graph = item
    word = list(range(count))[: limits["max_words"]]
    assert TextGraph.from_columns(limit_roles(graph, **limits), word).validate()


@given(role_graphs())
def test_a_small_graph_stays_as_it_is(item):
    _, graph = item
    assert limit_roles(graph, max_words=9, actions=9, entities=30) == graph


def test_the_default_limits():
    kinds = ["event", *["action"] * 5, *["entity"] * 7]
    graph = GraphColumns(
        kind=tuple(kinds),
        role=("", *["V"] * 5, *["ARG0"] * 7),
        span_node=(*[0] * 31, *range(1, 13)),
        span_word=(*range(31), 30, *range(11)),
        source=(0, 0, 2),
        target=(1, 2, 12),
        relation=("V", "V", "ARG0"),
    )
    limited = limit_roles(graph)
    assert limited.kind == ("event", *["action"] * 4, *["entity"] * 6)
    assert len(limited.words_of(0)) == 30
    assert limited.words_of(1) == (0,)  # the first action lies past the last word
    assert (limited.source, limited.target) == ((0,), (1,))


def test_a_node_without_words_is_left_out():
    graph = GraphColumns(
        kind=("event", "action", "action"), role=("", "V", "V"), span_node=(0, 2), span_word=(0, 0),
        source=(0, 0), target=(1, 2), relation=("V", "V"),
    )  # fmt: skip
    assert limit_roles(graph).kind == ("event", "action")


@pytest.mark.parametrize("sizes", [(0, 4, 6), (30, 0, 6), (30, 4, -1)])
def test_no_size_is_refused(sizes):
    max_words, actions, entities = sizes
    with pytest.raises(ConfigError, match="expected sizes from 1"):
        limit_roles(role_graph(flat(2)), max_words=max_words, actions=actions, entities=entities)


def test_dependency_graphs_are_refused():
    with pytest.raises(GraphError, match="expected a role graph"):
        limit_roles(dependency_graph(flat(2)))


def test_a_second_event_is_refused():
    graph = GraphColumns(
        kind=("event", "event"), role=("", ""), span_node=(0, 1), span_word=(0, 0), source=(),
        target=(), relation=(),
    )  # fmt: skip
    with pytest.raises(GraphError, match=r"actions and entities after the event .*'event'"):
        limit_roles(graph)
