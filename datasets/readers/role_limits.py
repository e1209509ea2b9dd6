"""HGR's limits of a role graph: 30 words, 4 actions, 6 entities.

Source: HGR official code, `readers/rolegraphs.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from graphmatch.columns import GraphColumns
from graphmatch.errors import ConfigError, GraphError

Label = TypeVar("Label")


def limit_roles(
    graph: GraphColumns, *, max_words: int = 30, actions: int = 4, entities: int = 6
) -> GraphColumns:
    """A role graph with what the official reader keeps of it.

    The first `max_words` words stay. Nodes are taken in file order until there are `actions`
    actions and `entities` entities; a node whose first word lies past the last one is skipped. An
    edge stays if both of its nodes do, so an entity may lose its actions.

    Args:
        graph: a role graph.
        max_words: W, words kept; the caption's word ids are to be cut to as many, `word[:W]`.
        actions: how many actions are kept.
        entities: how many entities are kept.

    Returns:
        A role graph; nodes, spans and edges in the order of `graph`.

    Raises:
        GraphError: a graph that is no role graph.
        ConfigError: a size below 1.

    Example:
        >>> graph = GraphColumns(
        ...     kind=("event", "action", "action"), role=("", "V", "V"), span_node=(0, 0, 1, 2),
        ...     span_word=(0, 1, 0, 1), source=(0, 0), target=(1, 2), relation=("V", "V"))
        >>> limit_roles(graph, actions=1).target
        (1,)
        >>> limit_roles(graph, max_words=1).kind
        ('event', 'action')
    """
    if min(max_words, actions, entities) < 1:
        raise ConfigError(f"expected sizes from 1 (got {(max_words, actions, entities)})")
    if not graph.is_roles:
        raise GraphError("expected a role graph (got a dependency graph); node 0 is no event")
    spans: list[list[int]] = [[] for _ in graph.kind]
    for node, word in zip(graph.span_node, graph.span_word, strict=True):
        if word < max_words:
            spans[node].append(word)
    left = {"action": actions, "entity": entities}
    number = {0: 0}  # of a node that is kept, among those that are kept
    for node, kind in enumerate(graph.kind):
        if node == 0:
            continue
        if kind not in left:
            raise GraphError(f"expected actions and entities after the event (got {kind!r})")
        if left[kind] and spans[node]:
            left[kind] -= 1
            number[node] = len(number)
    ends = zip(graph.source, graph.target, strict=True)
    edges = [edge for edge, pair in enumerate(ends) if all(node in number for node in pair)]
    return GraphColumns(
        kind=_take(graph.kind, number),
        role=_take(graph.role, number),
        span_node=tuple(place for node, place in number.items() for _ in spans[node]),
        span_word=tuple(word for node in number for word in spans[node]),
        source=tuple(number[node] for node in _take(graph.source, edges)),
        target=tuple(number[node] for node in _take(graph.target, edges)),
        relation=_take(graph.relation, edges),
    )


def _take(values: Sequence[Label], positions: Sequence[int] | dict[int, int]) -> tuple[Label, ...]:
    return tuple(values[position] for position in positions)
