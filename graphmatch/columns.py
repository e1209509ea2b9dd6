"""`GraphColumns`: a caption's graph as plain columns, the form in which it is built and stored.

Parsers make columns, the store keeps them, `graphmatch.graphs.TextGraph` turns them into tensors.
Labels stay strings here, so nothing of a foreign analysis is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphmatch.errors import GraphError

KINDS = ("event", "action", "entity", "word")
"""Kinds of caption graph nodes, in the order of their ids."""
CaptionGraph = Literal["roles", "dependencies"]
"""The two graphs of a caption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphColumns:
    """A caption graph: N nodes, S (node, word) pairs, E directed edges.

    A role graph has the event (the whole caption) as node 0, then actions and entities in the
    order of HGR's files, and the edges event -> action (relation `V`) and action -> entity (the
    entity's role). A dependency graph has one node a word and the edges head -> dependent.

    Args:
        kind: N kinds out of `KINDS`.
        role: N full PropBank labels; `""` for events and words.
        span_node: S node numbers, ascending.
        span_word: S word positions, ascending within a node.
        source: E node numbers.
        target: E node numbers.
        relation: E labels: the role of the target, or a Universal Dependencies label.

    Raises:
        GraphError: columns of different length, a node out of range, spans that do not ascend, an
            unknown kind.

    Example:
        >>> graph = GraphColumns(
        ...     kind=("word", "word"), role=("", ""), span_node=(0, 1), span_word=(0, 1),
        ...     source=(1,), target=(0,), relation=("nsubj",),
        ... )
        >>> graph.words_of(1)
        (1,)
    """

    kind: tuple[str, ...]
    role: tuple[str, ...]
    span_node: tuple[int, ...]
    span_word: tuple[int, ...]
    source: tuple[int, ...]
    target: tuple[int, ...]
    relation: tuple[str, ...]

    def __post_init__(self) -> None:
        nodes = len(self.kind)
        if len(self.role) != nodes:
            raise GraphError(f"expected {nodes} roles, one a node (got {len(self.role)})")
        if len(self.span_node) != len(self.span_word):
            raise GraphError(
                f"expected span_node and span_word of equal length "
                f"(got {len(self.span_node)} and {len(self.span_word)})"
            )
        if not len(self.source) == len(self.target) == len(self.relation):
            raise GraphError(
                "expected source, target and relation of equal length (got "
                f"{len(self.source)}, {len(self.target)}, {len(self.relation)})"
            )
        for kind in self.kind:
            if kind not in KINDS:
                raise GraphError(f"expected a kind out of {', '.join(KINDS)} (got {kind!r})")
        for name in ("span_node", "source", "target"):
            column = getattr(self, name)
            if column and not 0 <= min(column) <= max(column) < nodes:
                raise GraphError(
                    f"expected node numbers in [0, {nodes}) in {name} "
                    f"(got {min(column)} to {max(column)})"
                )
        spans = list(zip(self.span_node, self.span_word, strict=True))
        if spans != sorted(set(spans)):
            raise GraphError(f"expected (node, word) pairs in ascending order (got {spans})")
        if self.span_word and min(self.span_word) < 0:
            raise GraphError(f"expected word positions from 0 (got {min(self.span_word)})")

    def __len__(self) -> int:
        return len(self.kind)

    def words_of(self, node: int) -> tuple[int, ...]:
        """Word positions of a node.

        Args:
            node: node number.

        Returns:
            Ascending word positions.
        """
        pairs = zip(self.span_node, self.span_word, strict=True)
        return tuple(word for owner, word in pairs if owner == node)

    @property
    def is_roles(self) -> bool:
        """Whether this is a role graph (node 0 is the event) and not a dependency graph."""
        return bool(self.kind) and self.kind[0] == "event"
