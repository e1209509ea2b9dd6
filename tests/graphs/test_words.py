"""Captions with marks as graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import add_marks, word_graph
from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.dependencies import adjacency, dependency_graph, dependency_pairs
from graphmatch.parsers.roles import role_graph

PARSE = Parse.from_tree(
    ["two", "dogs", "run"],
    heads=[1, 2, -1],
    deprels=["nummod", "nsubj", "root"],
    frames=[Frame((2,), (Argument("ARG0", (0, 1)),))],
)


@pytest.mark.parametrize("ids", [[], [5], [1, 7, 2]])
def test_word_graph_is_a_valid_graph_without_edges(ids):
    graph = word_graph(ids)
    assert graph.validate() if ids else True
    assert graph.word.tolist() == ids
    assert graph.num_nodes == len(ids)
    assert graph.edge_index.shape == (2, 0)


def test_marks_of_a_dependency_graph_have_no_edges_and_the_words_keep_theirs():
    graph = TextGraph.from_columns(dependency_graph(PARSE), [7, 8, 9])
    before = graph.clone()
    marked = add_marks(graph, 1, 2)
    assert marked.validate()
    assert graph.equals(before)
    assert marked.word.tolist() == [1, 7, 8, 9, 2]
    assert marked.edge_index.tolist() == [[2, 3], [1, 2]]
    assert torch.equal(marked.relation, graph.relation)


def test_marked_edges_are_the_adjacency_of_gsmn():
    marked = add_marks(TextGraph.from_columns(dependency_graph(PARSE), [7, 8, 9]), 1, 2)
    matrix = np.eye(5)
    one, two = marked.edge_index.tolist()
    matrix[one, two] = matrix[two, one] = 1
    assert np.array_equal(matrix, adjacency(dependency_pairs(PARSE), 5))


def test_marks_of_a_role_graph_join_the_event():
    graph = TextGraph.from_columns(role_graph(PARSE), [7, 8, 9])
    marked = add_marks(graph, 1, 2)
    assert marked.validate()
    assert marked.word.tolist() == [1, 7, 8, 9, 2]
    for name in ("kind", "role", "edge_index", "relation"):
        assert torch.equal(marked[name], graph[name])
    assert words_of(marked, 0) == [0, 1, 2, 3, 4]
    for node in range(1, graph.num_nodes):
        assert words_of(marked, node) == [word + 1 for word in words_of(graph, node)]


def words_of(graph, node):
    return graph.span[1, graph.span[0] == node].tolist()


def test_marks_alone_are_a_caption():
    assert add_marks(word_graph([]), 1, 2).equals(word_graph([1, 2]))
