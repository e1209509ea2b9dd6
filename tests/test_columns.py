from __future__ import annotations

import pytest

from graphmatch.columns import KINDS, GraphColumns
from graphmatch.errors import GraphError


def graph(**changed):
    """The role graph of "dogs chase cats": event, chase, dogs, cats."""
    one = {
        "kind": ("event", "action", "entity", "entity"),
        "role": ("", "V", "ARG0", "ARG1"),
        "span_node": (0, 0, 0, 1, 2, 3),
        "span_word": (0, 1, 2, 1, 0, 2),
        "source": (0, 1, 1),
        "target": (1, 2, 3),
        "relation": ("V", "ARG0", "ARG1"),
    }
    return GraphColumns(**{**one, **changed})


def empty():
    nothing = dict.fromkeys(GraphColumns.__slots__, ())
    return GraphColumns(**nothing)


def test_columns_know_words_of_nodes():
    assert [graph().words_of(node) for node in range(4)] == [(0, 1, 2), (1,), (0,), (2,)]
    assert graph().words_of(4) == ()
    assert len(graph()) == 4


def test_columns_tell_role_graphs_from_dependency_graphs():
    words = empty().__class__(
        kind=("word",), role=("",), span_node=(0,), span_word=(0,), source=(), target=(),
        relation=(),
    )  # fmt: skip
    assert graph().is_roles
    assert not words.is_roles
    assert not empty().is_roles
    assert len(empty()) == 0


def test_kinds_are_numbered_as_documented():
    assert KINDS == ("event", "action", "entity", "word")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"role": ("", "V", "ARG0")}, "4 roles, one a node .got 3"),
        ({"span_word": (0, 1, 2, 1, 0)}, "span_node and span_word of equal length .got 6 and 5"),
        ({"source": (0, 1)}, "source, target and relation of equal length .got 2, 3, 3"),
        ({"relation": ("V",)}, "source, target and relation of equal length .got 3, 3, 1"),
        ({"kind": ("event", "verb", "entity", "entity")}, "kind out of event.*'verb'"),
        ({"source": (0, 1, 4)}, r"\[0, 4\) in source .got 0 to 4"),
        ({"target": (1, -1, 3)}, r"in target .got -1 to 3"),
        ({"span_node": (0, 0, 0, 1, 2, 4)}, r"in span_node .got 0 to 4"),
        ({"span_word": (-1, 1, 2, 1, 0, 2)}, "word positions from 0 .got -1"),
        ({"span_word": (0, 2, 1, 1, 0, 2)}, "ascending order"),
        ({"span_word": (0, 1, 1, 1, 0, 2)}, "ascending order"),
        ({"span_node": (0, 0, 0, 2, 1, 3)}, "ascending order"),
    ],
)
def test_columns_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(GraphError, match=message):
        graph(**changed)


def test_edges_without_nodes_are_refused():
    with pytest.raises(GraphError, match="in source"):
        GraphColumns(
            kind=(), role=(), span_node=(), span_word=(), source=(0,), target=(0,), relation=("V",)
        )
