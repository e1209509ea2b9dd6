"""HGR's role graph files: `{caption: [nodes, edges]}`.

Source: HGR official code, `miscs/parse_sent_to_role_graph.ipynb`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from graphmatch.columns import GraphColumns
from graphmatch.errors import FormatError

RoleGraphJson = list[Any]
"""[nodes, edges]: {name: {"role", "spans", "words"}} in order, and [verb, entity, role] triples."""


def role_graph_to_json(graph: GraphColumns, words: Sequence[str]) -> RoleGraphJson:
    """A role graph in the form of HGR's `sent2rolegraph.json`.

    Args:
        graph: a role graph.
        words: T words of the caption.

    Returns:
        [nodes, edges], ready for JSON; node order matters. Event -> action edges are left out:
        the official reader adds them.

    Raises:
        FormatError: a graph that is no role graph.

    Example:
        >>> from graphmatch.parse import Argument, Frame, Parse
        >>> from graphmatch.parsers.roles import role_graph
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"],
        ...                         frames=[Frame((1,), (Argument("ARG0", (0,)),))])
        >>> role_graph_to_json(role_graph(parse), parse.words)[1]
        [['1', '2', 'ARG0']]
    """
    if not graph.is_roles:
        raise FormatError("expected a role graph (got a dependency graph); node 0 is no event")
    spans: list[list[int]] = [[] for _ in graph.kind]
    for node, word in zip(graph.span_node, graph.span_word, strict=True):
        spans[node].append(word)
    nodes = {
        str(node) if node else "ROOT": {
            "role": role or "ROOT",
            "spans": spans[node],
            "words": [words[word] for word in spans[node]],
        }
        for node, role in enumerate(graph.role)
    }
    edges = [
        [str(source), str(target), relation]
        for source, target, relation in zip(graph.source, graph.target, graph.relation, strict=True)
        if source != 0
    ]
    return [nodes, edges]


def role_graph_from_json(graph: RoleGraphJson) -> tuple[tuple[str, ...], GraphColumns]:
    """Words and graph of one caption of HGR's `sent2rolegraph.json`.

    Args:
        graph: [nodes, edges].

    Returns:
        The T words of the caption, and its role graph with the event -> action edges added.

    Raises:
        FormatError: a missing ROOT or one that does not span all words, a node without role or
            spans, a span outside the caption, an edge to an unknown node.

    Example:
        >>> words, columns = role_graph_from_json(
        ...     [{"ROOT": {"role": "ROOT", "spans": [0], "words": ["run"]},
        ...       "1": {"role": "V", "spans": [0], "words": ["run"]}}, []])
        >>> words, columns.kind
        (('run',), ('event', 'action'))
    """
    try:
        nodes, edges = graph
        words = tuple(str(word) for word in nodes["ROOT"]["words"])
        names = ["ROOT", *(name for name in nodes if name != "ROOT")]
        number = {name: position for position, name in enumerate(names)}
        roles = ["", *(str(nodes[name]["role"]) for name in names[1:])]
        spans = [list(nodes[name]["spans"]) for name in names]
        links = [(number[source], number[target]) for source, target, *_ in edges]
        if spans[0] != list(range(len(words))):
            raise ValueError(f"ROOT has the span {spans[0]} of {len(words)} words")
        for name, span in zip(names, spans, strict=True):
            if any(not 0 <= word < len(words) for word in span):
                raise ValueError(f"node {name} has the span {span} of {len(words)} words")
        pairs = [(0, node) for node, role in enumerate(roles) if role == "V"] + links
        columns = GraphColumns(
            kind=("event", *("action" if role == "V" else "entity" for role in roles[1:])),
            role=tuple(roles),
            span_node=tuple(node for node, span in enumerate(spans) for _ in span),
            span_word=tuple(index(word) for span in spans for word in span),
            source=tuple(source for source, _ in pairs),
            target=tuple(target for _, target in pairs),
            relation=tuple(roles[target] for _, target in pairs),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(
            "expected [nodes, edges] with a ROOT node, and role, spans and words in every node "
            f"(got {type(error).__name__}: {error})"
        ) from error
    return words, columns
