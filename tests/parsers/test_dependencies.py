from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.parse import Parse
from graphmatch.parsers.dependencies import adjacency, dependency_graph, dependency_pairs

PAIRS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=10)


def two_sentences():
    """dogs run . / cats sleep ."""
    return Parse.from_tree(
        ["dogs", "run", ".", "cats", "sleep", "."],
        heads=[1, -1, 1, 4, -1, 4],
        deprels=["nsubj", "root", "punct"] * 2,
        sentences=[0, 0, 0, 1, 1, 1],
    )


def official(pairs, count):
    """The released code, step by step: the first pair is dropped unseen."""
    matrix = [[0.0] * count for _ in range(count)]
    for number, (governor, dependent) in enumerate(pairs):
        if number == 0 or governor >= count or dependent >= count:
            continue
        matrix[governor][dependent] = 1.0
        matrix[dependent][governor] = 1.0
    for row in range(count):
        matrix[row][row] += 1.0
    return matrix


def test_dependency_graph_has_an_edge_for_every_word_with_a_head():
    graph = dependency_graph(two_sentences())
    assert graph.kind == ("word",) * 6
    assert graph.span_node == graph.span_word == (0, 1, 2, 3, 4, 5)
    assert list(zip(graph.source, graph.target, graph.relation, strict=True)) == [
        (1, 0, "nsubj"),
        (1, 2, "punct"),
        (4, 3, "nsubj"),
        (4, 5, "punct"),
    ]
    assert len(dependency_graph(Parse.from_tree([], heads=[], deprels=[]))) == 0


def test_pairs_are_numbered_through_the_caption():
    assert dependency_pairs(two_sentences()) == [[0, 2], [2, 1], [2, 3], [5, 4], [5, 6]]


def test_pairs_are_numbered_anew_in_every_sentence_as_in_the_official_file():
    assert dependency_pairs(two_sentences(), numbering="sentence") == [
        [0, 2], [2, 1], [2, 3], [0, 2], [2, 1], [2, 3],
    ]  # fmt: skip


def test_pairs_of_one_sentence_do_not_depend_on_the_numbering():
    parse = Parse.from_tree(["a", "b", "c"], heads=[2, 0, -1], deprels=["dep"] * 3)
    assert dependency_pairs(parse) == [[0, 3], [3, 1], [1, 2]]
    assert dependency_pairs(parse, numbering="sentence") == dependency_pairs(parse)


@pytest.mark.parametrize("numbering", ["caption", "sentence"])
def test_pairs_of_an_empty_caption_are_none(numbering):
    parse = Parse.from_tree([], heads=[], deprels=[])
    assert dependency_pairs(parse, numbering=numbering) == []


def test_unknown_numbering_is_refused():
    with pytest.raises(ConfigError, match=r"unknown numbering 'captoin'.*did you mean 'caption'"):
        dependency_pairs(two_sentences(), numbering="captoin")


@given(PAIRS, st.integers(0, 8))
@settings(deadline=None, max_examples=200)
def test_adjacency_is_the_official_loop(pairs, count):
    matrix = adjacency(pairs, count)
    assert matrix.dtype == np.float32
    assert matrix.shape == (count, count)
    assert matrix.tolist() == official(pairs, count)


@given(PAIRS, st.integers(0, 8))
@settings(deadline=None, max_examples=200)
def test_clean_adjacency_has_the_edges_between_words_and_self_loops(pairs, count):
    matrix = adjacency(pairs, count, official=False)
    edges = {frozenset(pair) for pair in pairs if 0 not in pair}
    expected = [
        [float(row == column or {row, column} in edges) for column in range(count)]
        for row in range(count)
    ]
    assert matrix.tolist() == expected


def test_adjacency_options_differ_where_documented():
    pairs = [[1, 2], [0, 3], [3, 3]]
    assert adjacency(pairs, 4).tolist() == [
        [1, 0, 0, 1],  # a later ROOT pair is an edge of row 0
        [0, 1, 0, 0],  # the first pair was dropped
        [0, 0, 1, 0],
        [1, 0, 0, 2],  # a word with itself
    ]
    assert adjacency(pairs, 4, official=False).tolist() == [
        [1, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 1],
    ]


@pytest.mark.parametrize("pair", [[1], [1, 2, 3], [-1, 2], []])
def test_adjacency_refuses_what_is_no_pair(pair):
    with pytest.raises(GraphError, match="pairs from 0"):
        adjacency([[0, 1], pair], 4)


@given(st.lists(st.integers(-1, 5), min_size=1, max_size=6))
@settings(deadline=None)
def test_pairs_of_a_caption_give_its_tree_back(heads):
    heads = [head if head < place else -1 for place, head in enumerate(heads)]
    heads[1:] = [max(head, 0) for head in heads[1:]]  # one root
    parse = Parse.from_tree(["w"] * len(heads), heads=heads, deprels=["dep"] * len(heads))
    matrix = adjacency(dependency_pairs(parse), len(heads) + 2)
    edges = {(a, b) for a, b in np.argwhere(matrix).tolist() if a < b}
    assert edges == {(head + 1, place + 1) for place, head in enumerate(heads) if head >= 0}
