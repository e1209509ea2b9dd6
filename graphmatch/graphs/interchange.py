"""Graph types to networkx and back, lossless.

Attributes along N are on nodes, those along E on edges (keyed by their order), the others on the
graph, all as plain numbers, names and lists. `columns` on the graph holds dtypes and shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import networkx as nx
import torch
from torch import Tensor
from torch_geometric.data import Batch

from graphmatch.errors import GraphError
from graphmatch.graphs.base import PLAIN, Graph, Rule, require

G = TypeVar("G", bound=Graph)


def graph_to_networkx(item: Graph) -> nx.MultiDiGraph[int]:
    """A graph as a networkx multigraph.

    Args:
        item: one graph, on any device.

    Returns:
        A directed multigraph with nodes 0 to N - 1.

    Raises:
        GraphError: an invalid graph, or a batch.

    Example:
        >>> from graphmatch.graphs.clip import ClipGraph
        >>> clips = ClipGraph(x=torch.ones(1, 2), time=torch.tensor([[0.0, 1.0]]),
        ...                   duration=torch.tensor([1.0]))
        >>> graph_to_networkx(clips).nodes[0]
        {'x': [1.0, 1.0], 'time': [0.0, 1.0]}
    """
    if isinstance(item, Batch):
        raise GraphError("expected one graph (got a batch); take the items of to_data_list()")
    item.validate()
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph(type=type(item).__name__, columns={})
    graph.add_nodes_from(range(item.num_nodes or 0))
    columns = dict(item.columns())
    pairs = columns.pop("edge_index").t().tolist() if "edge_index" in columns else []
    edges = [(source, target, number) for number, (source, target) in enumerate(pairs)]
    graph.add_edges_from(edges)  # type: ignore[arg-type]  # (source, target, key) is accepted
    for name, value in columns.items():
        rule = item.rule(name)
        graph.graph["columns"][name] = (str(value.dtype).split(".")[1], tuple(value.shape))
        values = value.tolist()
        if rule.names:
            values = [rule.names[number] if number >= 0 else "" for number in values]
        if rule.shape[0] == "N":
            nx.set_node_attributes(graph, dict(enumerate(values)), name)
        elif rule.shape[0] == "E":
            nx.set_edge_attributes(graph, dict(zip(edges, values, strict=True)), name)
        else:
            graph.graph[name] = values
    return graph


def graph_from_networkx(cls: type[G], graph: nx.MultiDiGraph[int]) -> G:
    """The inverse of `graph_to_networkx`.

    Args:
        cls: the type of the graph.
        graph: nodes 0 to N - 1 with the attributes of the type's table. Edges are taken in the
            order of their keys. Without `columns` on the graph, numbers become int64 and float32.

    Returns:
        The graph.

    Raises:
        GraphError: another type of graph, other node names, missing or impossible values.
    """
    kind = graph.graph.get("type", cls.__name__)
    require(kind == cls.__name__, "the networkx graph", f"a {cls.__name__}", kind)
    count = graph.number_of_nodes()
    require(set(graph) == set(range(count)), "node names", f"0 to {count - 1}", list(graph)[:5])
    edges = sorted(graph.edges(keys=True, data=True), key=lambda edge: edge[2])
    values: dict[str, Tensor] = {}
    if "edge_index" in cls.RULES:
        pairs = [(source, target) for source, target, _, _ in edges]
        values["edge_index"] = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).t()  # [2, E]
    columns = graph.graph.get("columns", {})
    for name in dict.fromkeys((*columns, *cls.RULES)):
        rule = cls.RULES.get(name, PLAIN)
        found: list[Any]
        if name == "edge_index":
            continue
        if rule.shape[0] == "N":
            found = [graph.nodes[node].get(name) for node in range(count)]
        elif rule.shape[0] == "E":
            found = [data.get(name) for _, _, _, data in edges]
        else:
            found = graph.graph.get(name, [None])
        if None in found:
            if rule.optional and all(value is None for value in found):
                continue
            where = {"N": "every node", "E": "every edge"}.get(str(rule.shape[0]), "the graph")
            raise GraphError(f"expected {name!r} on {where} (it is missing)")
        if name in columns or found or not rule.optional:
            values[name] = _to_tensor(name, found, rule, columns.get(name))
    made = cls.from_tensors(values)
    made.validate()
    return made


def _to_tensor(
    name: str, values: Sequence[Any], rule: Rule, column: tuple[str, Sequence[int]] | None
) -> Tensor:
    dtype = {"float": torch.float32, "int": torch.int64}.get(rule.dtype, torch.bool)
    if column is not None:
        dtype = getattr(torch, column[0])
    try:
        if rule.names:
            values = [rule.names.index(value) if value else -1 for value in values]
        tensor = torch.tensor(values, dtype=dtype)
        return tensor if column is None else tensor.view(tuple(column[1]))
    except (TypeError, ValueError, RuntimeError) as error:
        raise GraphError(
            f"{name}: expected numbers of one shape on every node ({error})"
        ) from error
