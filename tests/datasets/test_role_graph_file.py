from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.columns import GraphColumns
from graphmatch.datasets.role_graph_file import role_graph_from_json, role_graph_to_json
from graphmatch.datasets.role_slots import role_slots
from graphmatch.errors import ConfigError, FormatError, GraphError
from graphmatch.parse import ROLES, Argument, Frame, Parse, role_id
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import role_graph

WORDS = ["a", "man", "is", "playing", "the", "guitar", "loudly"]
FILE = [
    {
        "ROOT": {"role": "ROOT", "spans": [0, 1, 2, 3, 4, 5, 6], "words": WORDS},
        "1": {"role": "V", "spans": [3], "words": ["playing"]},
        "2": {"role": "ARG0", "spans": [0, 1], "words": ["a", "man"]},
        "3": {"role": "ARG1", "spans": [4, 5], "words": ["the", "guitar"]},
        "4": {"role": "ARGM-MNR", "spans": [6], "words": ["loudly"]},
    },
    [["1", "2", "ARG0"], ["1", "3", "ARG1"], ["1", "4", "ARGM-MNR"]],
]
GRAPH = GraphColumns(
    kind=("event", "action", "entity", "entity", "entity"),
    role=("", "V", "ARG0", "ARG1", "ARGM-MNR"),
    span_node=(0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 3, 3, 4),
    span_word=(0, 1, 2, 3, 4, 5, 6, 3, 0, 1, 4, 5, 6),
    source=(0, 1, 1, 1),
    target=(1, 2, 3, 4),
    relation=("V", "ARG0", "ARG1", "ARGM-MNR"),
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
        roles = [draw(st.sampled_from([*ROLES[1:], "R-ARG0", "ARGM-NEG"])) for _ in spans]
        arguments = [Argument(r, tuple(sorted(s))) for r, s in zip(roles, spans, strict=True)]
        frames.append(Frame((verb,), tuple(arguments)))
    return count, role_graph(flat(count, frames))


# the file


def test_graph_is_written_as_in_the_official_file():
    content = role_graph_to_json(GRAPH, WORDS)
    assert content == FILE
    assert list(content[0]) == list(FILE[0])


def test_graph_is_read_from_the_official_file():
    assert role_graph_from_json(FILE) == (tuple(WORDS), GRAPH)


def test_root_may_stand_anywhere_in_the_file():
    nodes = dict(reversed(FILE[0].items()))
    words, graph = role_graph_from_json([nodes, FILE[1]])
    assert words == tuple(WORDS)
    assert graph.role == ("", "ARGM-MNR", "ARG1", "ARG0", "V")
    assert graph.source == (0, 4, 4, 4)
    assert graph.target == (4, 3, 2, 1)


@given(role_graphs())
@settings(deadline=None, max_examples=60)
def test_graph_round_trip_through_json(item):
    count, graph = item
    words = [f"w{number}" for number in range(count)]
    text = json.dumps(role_graph_to_json(graph, words))
    assert role_graph_from_json(json.loads(text)) == (tuple(words), graph)


def test_dependency_graph_is_refused():
    with pytest.raises(FormatError, match="expected a role graph"):
        role_graph_to_json(dependency_graph(flat(2)), ["a", "b"])
    with pytest.raises(GraphError, match="expected a role graph"):
        role_slots(dependency_graph(flat(2)), [3, 4])


DAMAGED = r"expected \[nodes, edges\] with a ROOT node"


@pytest.mark.parametrize(
    ("node", "changed"),
    [
        ("ROOT", {"role": "ROOT", "spans": [0]}),
        ("ROOT", {"role": "ROOT", "spans": [0, 1], "words": WORDS}),
        ("ROOT", {"role": "ROOT", "spans": [0], "words": ["a"]}),
        ("1", {"spans": [3]}),
        ("1", {"role": "V"}),
        ("1", {"role": "V", "spans": 3}),
        ("1", {"role": "V", "spans": [7]}),
        ("1", {"role": "V", "spans": [-1]}),
        ("1", {"role": "V", "spans": [2.5]}),
        ("1", {"role": "V", "spans": ["3"]}),
        ("1", {"role": "V", "spans": [1, 0]}),
        ("1", {"role": "V", "spans": [1, 1]}),
        ("1", ["V"]),
        ("1", None),
    ],
)
def test_damaged_node_is_refused(node, changed):
    nodes, edges = FILE
    with pytest.raises(FormatError, match=DAMAGED):
        role_graph_from_json([{**nodes, node: changed}, edges])


@pytest.mark.parametrize(
    "content",
    [
        "no graph",
        None,
        {"nodes": FILE[0]},
        [FILE[0]],
        [[], FILE[1]],
        [None, FILE[1]],
        [{"1": FILE[0]["1"]}, []],
        [FILE[0], None],
        [FILE[0], [["1"]]],
        [FILE[0], [["1", "9", "ARG0"]]],
        [FILE[0], [[["1"], "2", "ARG0"]]],
    ],
)
def test_damaged_file_is_refused(content):
    with pytest.raises(FormatError, match=DAMAGED):
        role_graph_from_json(content)


# the fixed arrays


def naive_slots(count, graph, max_words, actions, entities):
    """The official reader, written down step by step from its description."""
    nodes = [(node, graph.role[node], graph.words_of(node)) for node in range(1, len(graph))]
    verbs = [item for item in nodes if item[1] == "V" and item[2][0] < max_words][:actions]
    nouns = [item for item in nodes if item[1] != "V" and item[2][0] < max_words][:entities]
    size = 1 + actions + entities
    place = {0: 0}
    place |= {item[0]: 1 + number for number, item in enumerate(verbs)}
    place |= {item[0]: 1 + actions + number for number, item in enumerate(nouns)}
    relation = [[0.0] * size for _ in range(size)]
    for number in range(len(verbs)):
        relation[1 + number][0] = 1.0
    for source, target in zip(graph.source, graph.target, strict=True):
        if source and source in place and target in place:
            relation[place[target]][place[source]] = 1.0
            relation[place[source]][place[target]] = 1.0
    relation = [[value / (sum(row) or 1.0) for value in row] for row in relation]
    role = [0] * (actions + entities)
    for number, item in enumerate(nouns):
        role[actions + number] = role_id(item[1])
    masks = [
        [[word in item[2] for word in range(max_words)] for item in items]
        for items in (verbs, nouns)
    ]
    return masks, role, relation


@given(role_graphs(), st.integers(1, 10), st.integers(1, 3), st.integers(1, 4))
@settings(deadline=None, max_examples=150)
def test_slots_equal_the_official_rule_step_by_step(item, max_words, actions, entities):
    count, graph = item
    slots = role_slots(
        graph, range(5, 5 + count), max_words=max_words, actions=actions, entities=entities
    )
    (verbs, nouns), role, relation = naive_slots(count, graph, max_words, actions, entities)
    assert slots.length == min(count, max_words)
    padding = [1] * (max_words - count)
    assert slots.word.tolist() == list(range(5, 5 + count))[:max_words] + padding
    empty = [False] * max_words
    assert slots.action_words.tolist() == verbs + [empty] * (actions - len(verbs))
    assert slots.entity_words.tolist() == nouns + [empty] * (entities - len(nouns))
    assert slots.role.tolist() == role
    np.testing.assert_allclose(slots.relation, relation, rtol=1e-6)


def test_slots_of_a_caption_by_hand():
    slots = role_slots(GRAPH, range(10, 17), max_words=6, actions=1, entities=3)
    assert slots.word.tolist() == [10, 11, 12, 13, 14, 15]
    assert slots.length == 6
    assert slots.action_words.tolist() == [[False, False, False, True, False, False]]
    assert slots.entity_words.tolist() == [
        [True, True, False, False, False, False],
        [False, False, False, False, True, True],
        [False] * 6,  # "loudly" lies past the last word
    ]
    assert slots.role.tolist() == [0, 2, 1, 0]
    third = np.float32(1 / 3)
    expected = np.zeros((5, 5), dtype=np.float32)
    expected[1, [0, 2, 3]] = third
    expected[[2, 3], 1] = 1
    assert slots.relation.dtype == np.float32
    np.testing.assert_array_equal(slots.relation, expected)


def test_slots_of_an_empty_caption():
    slots = role_slots(role_graph(flat(0)), [], max_words=2, actions=1, entities=1)
    assert (slots.length, slots.word.tolist()) == (0, [1, 1])
    assert not slots.relation.any()


@pytest.mark.parametrize("sizes", [(0, 4, 6), (30, 0, 6), (30, 4, -1)])
def test_slots_of_no_size_are_refused(sizes):
    max_words, actions, entities = sizes
    with pytest.raises(ConfigError, match="expected sizes from 1"):
        role_slots(GRAPH, range(7), max_words=max_words, actions=actions, entities=entities)


def test_slots_of_other_words_are_refused():
    with pytest.raises(GraphError, match=r"expected 7 word ids, one a word \(got 6\)"):
        role_slots(GRAPH, range(6))


def test_slots_of_a_graph_with_two_events_are_refused():
    graph = GraphColumns(
        kind=("event", "event"), role=("", ""), span_node=(0, 1), span_word=(0, 0), source=(),
        target=(), relation=(),
    )  # fmt: skip
    with pytest.raises(GraphError, match=r"actions and entities after the event .*'event'"):
        role_slots(graph, [5])
