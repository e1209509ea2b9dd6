"""`TextGraph`: a caption as a graph of roles or of word dependencies.

Source: HGR (CVPR 2020) section 3.1 for role graphs, GSMN (CVPR 2020) section 3.1 for dependencies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from graphmatch.columns import KINDS, GraphColumns
from graphmatch.errors import GraphError
from graphmatch.graphs.base import Graph, Rule, require
from graphmatch.parse import ROLES, role_id

RELATIONS = (
    "acl", "advcl", "advmod", "amod", "appos", "aux", "case", "cc", "ccomp", "clf", "compound",
    "conj", "cop", "csubj", "dep", "det", "discourse", "dislocated", "expl", "fixed", "flat",
    "goeswith", "iobj", "list", "mark", "nmod", "nsubj", "nummod", "obj", "obl", "orphan",
    "parataxis", "punct", "reparandum", "root", "vocative", "xcomp",
)  # fmt: skip
"""The 37 relations of Universal Dependencies v2; a relation's place is its id."""
_RELATION_IDS = {name: number for number, name in enumerate(RELATIONS)}
_EVENT, _ACTION, _ENTITY, _WORD = range(4)


class TextGraph(Graph):
    """A caption: T words, N nodes over them, E edges.

    Role graph: node 0 is the event with every word; edges run from the event to actions and from
    actions to entities. Dependency graph: one node a word, edges from head to dependent.

    Args:
        word: [T] int64 word ids.
        kind: [N] int64 positions in `KINDS`: event, action, entity, word.
        role: [N] int64 role ids (`ROLES`), -1 for events and words.
        span: [2, S] int64 rows (node, word), ascending.
        edge_index: [2, E] int64 rows (source, target).
        relation: [E] int64; in a role graph the role id of the target, in a dependency graph the
            position in `RELATIONS`.

    Example:
        >>> from graphmatch.parse import Argument, Frame, Parse
        >>> from graphmatch.parsers.roles import role_graph
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"],
        ...                         frames=[Frame((1,), (Argument("ARG0", (0,)),))])
        >>> TextGraph.from_columns(role_graph(parse), [7, 9])
        TextGraph(3 nodes: 1 event, 1 action, 1 entity; 2 words; 2 edges)
    """

    RULES: ClassVar[Mapping[str, Rule]] = {
        "word": Rule(shape=("T",), dtype="int"),
        "kind": Rule(shape=("N",), dtype="int", names=KINDS),
        "role": Rule(shape=("N",), dtype="int", names=ROLES),
        "span": Rule(shape=(2, "S"), axis=1, offset=("N", "T"), dtype="int"),
        "edge_index": Rule(shape=(2, "E"), axis=1, offset=("N", "N"), dtype="int"),
        "relation": Rule(shape=("E",), dtype="int"),
    }

    def __init__(
        self,
        *,
        word: Tensor | None = None,
        kind: Tensor | None = None,
        role: Tensor | None = None,
        span: Tensor | None = None,
        edge_index: Tensor | None = None,
        relation: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._fill(
            word=word, kind=kind, role=role, span=span, edge_index=edge_index, relation=relation
        )

    @classmethod
    def from_columns(cls, columns: GraphColumns, word: Sequence[int]) -> TextGraph:
        """A caption graph as tensors.

        Args:
            columns: the graph as it is stored.
            word: T word ids of the caption, from `Vocabulary.encode`.

        Returns:
            The graph.

        Raises:
            GraphError: a node over a word past the last one.
        """
        if columns.is_roles:
            relation = [role_id(label) for label in columns.relation]
        else:
            dep = _RELATION_IDS["dep"]
            relation = [_RELATION_IDS.get(r.partition(":")[0], dep) for r in columns.relation]
        last = max(columns.span_word, default=-1)
        require(last < len(word), "span", f"words below {len(word)}", last)
        kinds = [KINDS.index(kind) for kind in columns.kind]
        return cls(
            word=_ids(word),
            kind=_ids(kinds),
            role=_ids([role_id(label) if label else -1 for label in columns.role]),
            span=_ids([columns.span_node, columns.span_word]),
            edge_index=_ids([columns.source, columns.target]),
            relation=_ids(relation),
        )

    @property
    def is_roles(self) -> bool:
        """Whether this is a role graph; for a batch, whether its first graph is one."""
        return self.kind.numel() > 0 and int(self.kind[0]) != _WORD

    def _check(self) -> None:
        nodes, words = self.size_of("N"), self.size_of("T")
        _in_range("word", self.word, 0, None)
        _in_range("kind", self.kind, 0, len(KINDS))
        _in_range("role", self.role, -1, len(ROLES))
        _in_range("span nodes", self.span[0], 0, nodes)
        _in_range("span words", self.span[1], 0, words)
        _in_range("edge_index", self.edge_index, 0, nodes)
        labels = len(ROLES) if self.is_roles else len(RELATIONS)
        _in_range("relation", self.relation, 0, labels)
        place = self.span[0] * max(words, 1) + self.span[1]  # [S]
        require(bool((place.diff() > 0).all()), "span", "ascending (node, word) pairs", "others")
        if self.is_roles:
            self._check_roles(words)
        else:
            self._check_dependencies(nodes, words)
        bare = (self.kind == _EVENT) | (self.kind == _WORD)
        require(
            bool(((self.role < 0) == bare).all()), "role",
            "-1 for events and words and a role for the others", self.role.tolist(),
        )  # fmt: skip

    def _check_roles(self, words: int) -> None:
        kind = self.kind
        require(int((kind == _EVENT).sum()) == 1 and int(kind[0]) == _EVENT, "kind",
                "node 0 and no other to be the event", kind.tolist())  # fmt: skip
        require(not bool((kind == _WORD).any()), "kind", "no word nodes", kind.tolist())
        event = int((self.span[0] == 0).sum())
        require(event == words, "span", f"all {words} words in the event", event)
        ends = kind[self.edge_index]  # [2, E]
        fits = (ends[1] - ends[0] == 1) & (ends[1] <= _ENTITY)
        require(bool(fits.all()), "edge_index", "edges event -> action -> entity", ends.tolist())

    def _check_dependencies(self, nodes: int, words: int) -> None:
        require(bool((self.kind == _WORD).all()), "kind", "word nodes only", self.kind.tolist())
        require(nodes == words, "a dependency graph", f"{words} nodes, one a word", nodes)
        same = self.span.size(1) == words and torch.equal(self.span[0], self.span[1])
        require(same, "span", "each word in its own node", self.span.tolist())

    def _inside(self) -> str:
        if self.get("kind") is None:
            return "unfinished"
        edges = _count(self.edge_index.size(1), "edge")
        words = _count(self.word.numel(), "word")
        if not self.is_roles:
            return f"{words}; {edges}"
        counts = torch.bincount(self.kind.flatten(), minlength=3).tolist()
        kinds = ", ".join(_count(n, name) for n, name in zip(counts, KINDS[:3], strict=False))
        return f"{self.num_nodes} nodes: {kinds}; {words}; {edges}"


def _ids(values: Sequence[object]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def _count(number: int, name: str) -> str:
    plural = "entities" if name == "entity" else f"{name}s"
    return f"{number} {name if number == 1 else plural}"


def _in_range(name: str, values: Tensor, low: int, high: int | None) -> None:
    if values.numel():
        found = (int(values.min()), int(values.max()))
        if found[0] < low or (high is not None and found[1] >= high):
            limit = "" if high is None else f" to {high - 1}"
            raise GraphError(f"{name}: expected values from {low}{limit} (got {found})")
