"""`Graph`: what all graph types share: explicit collation, checks, networkx, equality.

A batch puts several graphs into one big graph without edges between them: tensors are concatenated
and node numbers shifted. Which tensor is shifted by what stands in a table, `Graph.RULES`; the
names of attributes mean nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, ClassVar, Self, cast

import networkx as nx
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphmatch.errors import GraphError, choices

INTEGER = (torch.int64,)
"""Types of ids and numbers of nodes."""
FLOATING = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types of features."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One attribute of a graph type: what it holds and how it is batched.

    Args:
        shape: the dimensions: a name is a size that all attributes of a graph share (`"nodes"`,
            `"edges"`, `"words"`), a number is that size, a final `...` is any further dimensions.
        dtype: accepted types; `()` accepts any value, also one that is no tensor.
        axis: the dimension along which graphs are concatenated; None stacks tensors along a new
            first dimension and keeps other values as a list.
        offset: the size that is added for every graph before this one (`"nodes"` for node
            numbers), one name a row for tensors whose rows number different things, or None.
        optional: whether a graph may be without it; the graphs of a batch must agree.
        nested: whether it is a dict of such tensors.

    Example:
        >>> edges = Rule(shape=(2, "edges"), dtype=INTEGER, axis=1, offset="nodes")
    """

    shape: tuple[str | int | EllipsisType, ...] = ()
    dtype: tuple[torch.dtype, ...] = ()
    axis: int | None = 0
    offset: str | tuple[str, ...] | None = None
    optional: bool = False
    nested: bool = False


class Graph(Data):  # type: ignore[misc]  # PyG has no types
    """Base of the graph types: a PyG `Data` whose attributes follow the table `RULES`.

    Construction checks presence, types and shapes; `validate` also checks values. A new attribute
    is declared by a subclass: `RULES = {**TextGraph.RULES, "mood": Rule(...)}`.

    Example:
        >>> class Ring(Graph):
        ...     RULES = {"edge_index": Rule((2, "edges"), INTEGER, axis=1, offset="nodes"),
        ...              "weight": Rule(("nodes",), FLOATING)}
        >>> ring = Ring()
        >>> ring.assign(weight=torch.ones(2), edge_index=torch.tensor([[0, 1], [1, 0]]))
        Ring(2 nodes, 2 edges)
        >>> Batch.from_data_list([ring, ring]).edge_index
        tensor([[0, 1, 2, 3],
                [1, 0, 3, 2]])
    """

    RULES: ClassVar[Mapping[str, Rule]] = {}

    def __init__(self) -> None:
        super().__init__()

    def assign(self, **values: Any) -> Self:
        """Set attributes and the number of nodes, then check presence, types and shapes.

        Args:
            values: attributes by name; None leaves one out. Nothing but None leaves the graph
                empty, which PyG needs when it takes batches apart.

        Returns:
            The graph itself.

        Raises:
            GraphError: an attribute that is missing, unknown, of another type or shape.
        """
        for name, value in values.items():
            self._store[name] = value
        if any(value is not None for value in values.values()):
            self._check_structure()
            self.num_nodes = self.counts().get("nodes", 0)
        return self

    def counts(self) -> dict[str, int]:
        """Sizes by name (`nodes`, `edges`, `words`), read off the tensors.

        Returns:
            The size of every named dimension of the table.
        """
        counts: dict[str, int] = {}
        for name, rule in self.RULES.items():
            for _, value in self._values(name):
                if isinstance(value, Tensor):
                    for size_name, size in zip(rule.shape, value.shape, strict=False):
                        if isinstance(size_name, str):
                            counts.setdefault(size_name, size)
        return counts

    def validate(self, raise_on_error: bool = True) -> Self:
        """Check the graph, or every graph of a batch: types, shapes and values.

        Args:
            raise_on_error: False warns instead, as PyG does.

        Returns:
            The graph itself.

        Raises:
            GraphError: what was expected and what was got.
        """
        try:
            if isinstance(self, Batch):
                for graph in self.to_data_list():
                    graph.validate()
            else:
                self._check_structure()
                if self.num_nodes != self.counts().get("nodes", 0):
                    raise GraphError(
                        f"expected num_nodes to be {self.counts().get('nodes', 0)} as in the "
                        f"tensors (got {self.num_nodes})"
                    )
                self._check_values()
        except GraphError as error:
            if raise_on_error:
                raise
            warnings.warn(str(error), stacklevel=2)
        return self

    def equals(self, other: object) -> bool:
        """Whether another graph has the same type, attributes, data types and values.

        NaN equals NaN; the device does not count.

        Args:
            other: anything.

        Returns:
            Whether both are the same graph, bit for bit but for the sign of zero.
        """
        if type(other) is not type(self):
            return False
        return _equal(self.to_dict(), cast(Graph, other).to_dict())

    def to_networkx(self) -> nx.MultiDiGraph[int]:
        """The graph in networkx, without loss, values as plain numbers and lists.

        Node attributes are on the nodes 0 to N - 1, edge attributes on the edges, whose keys are
        their positions in `edge_index`; all else, the type and the data types are graph attributes.

        Returns:
            A graph that `from_networkx` reads.

        Raises:
            GraphError: this is a batch.
        """
        if isinstance(self, Batch):
            raise GraphError("expected one graph (got a batch): convert those of to_data_list()")
        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph(type=type(self).__name__, tensors={})
        graph.add_nodes_from(range(self.num_nodes))
        edges: list[dict[str, Any]] = []
        if "edge_index" in self:
            for key, (source, target) in enumerate(self["edge_index"].t().tolist()):
                graph.add_edge(source, target, key=key)
                edges.append(graph.edges[source, target, key])
        places = {"nodes": [graph.nodes[node] for node in range(self.num_nodes)], "edges": edges}
        for name, rule in self.RULES.items():
            if rule.nested and name in self:
                graph.graph["tensors"][name] = {}
            for key, value in self._values(name):
                header = graph.graph["tensors"]
                if rule.nested:
                    header, name_or_key = header[name], key
                else:
                    name_or_key = name
                if not isinstance(value, Tensor):
                    graph.graph[name] = value
                    continue
                header[name_or_key] = {
                    "dtype": str(value.dtype).removeprefix("torch."),
                    "shape": list(value.shape),
                }
                if name == "edge_index":
                    continue
                items = places.get(_level(rule), None)
                rows = value.tolist()
                for item, row in (
                    zip(items, rows, strict=True) if items is not None else [(graph.graph, rows)]
                ):
                    if rule.nested:
                        item.setdefault(name, {})[key] = row
                    else:
                        item[name] = row
        return graph
