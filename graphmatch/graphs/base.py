"""`Graph`: what all graph types share: a table of attributes that says how they are collated.

PyG decides by an attribute's name how it is batched: whatever contains `index` is incremented,
whatever contains `batch` is not. Here a literal table decides, and an attribute that is not in the
table is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphmatch.errors import GraphError

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one attribute looks and how it is batched.

    Args:
        shape: sizes: numbers, or letters that mean the same size in every attribute of the graph;
            `N` counts nodes and `E` edges, `*` stands for any further dimensions.
        axis: along which items of a batch are put together.
        offset: letters whose sizes in the items before are added when batching, one for each row
            along dimension 0; empty if values are no positions.
        dtype: `int`, `float` or `bool`.
        names: names of the values 0, 1, ...; used in networkx graphs, -1 is the empty name.
        optional: whether a graph may lack it.
    """

    shape: tuple[str | int, ...]
    axis: int = 0
    offset: tuple[str, ...] = ()
    dtype: str = "float"
    names: tuple[str, ...] = ()
    optional: bool = False


class Graph(Data):  # type: ignore[misc]
    """A PyG `Data` object whose attributes and their collation are a table.

    Subclasses give `RULES` and `_check`. They work in PyG's `Batch` and `DataLoader`; the items
    of a batch come back unchanged.
    """

    RULES: ClassVar[Mapping[str, Rule]] = {}

    def __inc__(self, key: str, value: Any, *_: Any, **__: Any) -> Any:
        """What is added to an attribute's values for each item before it in a batch."""
        rule = self.rule(key)
        if not rule.offset:
            return 0
        counts = [self.size_of(letter) for letter in rule.offset]
        return torch.tensor(counts).view(-1, *[1] * (value.dim() - 1))  # [rows, 1]

    def __cat_dim__(self, key: str, value: Any, *_: Any, **__: Any) -> int:
        """Along which dimension an attribute's items are put together in a batch."""
        return self.rule(key).axis

    def rule(self, key: str) -> Rule:
        """The rule of an attribute.

        Args:
            key: its name.

        Returns:
            The rule.

        Raises:
            GraphError: the type has no such attribute; with the nearest name.
        """
        if key in self.RULES:
            return self.RULES[key]
        for suffix in ("batch", "ptr") if isinstance(self, Batch) else ():  # what PyG adds
            if key == suffix or key.removesuffix(f"_{suffix}") in self.RULES:
                return PLAIN
        near = get_close_matches(key, self.RULES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "add it to RULES in a subclass"
        raise GraphError(
            f"expected the attributes {', '.join(self.RULES)} of {type(self).__name__} "
            f"(got {key!r}); {hint}"
        )

    def size_of(self, letter: str) -> int:
        """The size that a letter of the table stands for in this graph.

        Args:
            letter: a letter of a rule's shape, `"N"` for nodes.

        Returns:
            The size.

        Raises:
            GraphError: no attribute that is there has it.
        """
        for name, rule in self.RULES.items():
            if letter in rule.shape and self.get(name) is not None:
                return int(self[name].size(rule.shape.index(letter)))
        raise GraphError(f"{type(self).__name__} has no attribute with the size {letter}")

    def _fill(self, **values: Any) -> None:
        """Set the attributes that were given, and the number of nodes, in a constructor."""
        for name, value in values.items():
            if value is not None:
                self[name] = value
        if values and any(value is not None for value in values.values()):
            self.num_nodes = self.size_of("N")

    def validate(self, raise_on_error: bool = True) -> bool:
        """Check every invariant of the graph, or of every item of a batch.

        Args:
            raise_on_error: raise instead of returning False. Reads values, so on a GPU it
                synchronises.

        Returns:
            Whether the graph is valid.

        Raises:
            GraphError: what was expected and what was got.
        """
        try:
            if isinstance(self, Batch):
                for number, item in enumerate(self.to_data_list()):
                    try:
                        item.validate()
                    except GraphError as error:
                        raise GraphError(f"graph {number} of the batch: {error}") from error
            else:
                self._check_table()
                self._check()
        except GraphError:
            if raise_on_error:
                raise
            return False
        return True

    def _check(self) -> None:
        """Raise `GraphError` if an invariant of the type is broken; the table was checked."""

    def _check_table(self) -> None:
        for name in self.keys():
            if name != "num_nodes":
                self.rule(name)
        sizes: dict[str, tuple[int, str]] = {}
        for name, rule in self.RULES.items():
            value = self.get(name)
            if value is None:
                require(rule.optional, f"{type(self).__name__}.{name}", "a tensor", "nothing")
                continue
            check_tensor(name, value, rule)
            for letter, size in zip(rule.shape, value.shape, strict=False):
                if isinstance(letter, str) and letter != "*":
                    known, first = sizes.setdefault(letter, (size, name))
                    require(size == known, f"{letter} of {name}", f"{known} as in {first}", size)
        require(self.num_nodes == sizes["N"][0], "num_nodes", sizes["N"][0], self.num_nodes)

    def equals(self, other: object) -> bool:
        """Whether another graph is the same: type, attributes, dtypes and every value.

        Args:
            other: anything.

        Returns:
            Whether it is equal; not-a-numbers are equal to nothing.
        """
        return type(other) is type(self) and _same(self.to_dict(), other.to_dict())

    def to_networkx(self) -> nx.MultiDiGraph[int]:
        """The graph in networkx, lossless; see `graphmatch.graphs.interchange`.

        Returns:
            A directed multigraph with nodes 0 to N - 1.

        Raises:
            GraphError: an invalid graph, or a batch.
        """
        from graphmatch.graphs.interchange import graph_to_networkx

        return graph_to_networkx(self)

    @classmethod
    def from_networkx(cls, graph: nx.MultiDiGraph[int]) -> Self:
        """The inverse of `to_networkx`; see `graphmatch.graphs.interchange`.

        Args:
            graph: nodes 0 to N - 1 with the attributes of the table.

        Returns:
            The graph.

        Raises:
            GraphError: another type of graph, other node names, missing or impossible values.
        """
        from graphmatch.graphs.interchange import graph_from_networkx

        return graph_from_networkx(cls, graph)

    def columns(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors by name; a type with nested attributes gives them one by one.

        Yields:
            Name and tensor of each attribute that is there.
        """
        for name in self.RULES:
            if self.get(name) is not None:
                yield name, self[name]

    @classmethod
    def from_tensors(cls, columns: dict[str, Tensor]) -> Self:
        """The inverse of `columns`.

        Args:
            columns: tensors by name.

        Returns:
            The graph, not yet validated.
        """
        return cls(**columns)

    def __repr__(self) -> str:
        if not self.keys():
            return f"{type(self).__name__}()"
        count = f"{self.num_graphs} graphs; " if isinstance(self, Batch) else ""
        return f"{type(self).__name__}({count}{self._inside()})"

    def _inside(self) -> str:
        """What is inside, for the repr."""
        return f"{self.num_nodes} nodes"


PLAIN = Rule(shape=("N", "*"))
"""Values of nodes that are only put one after the other."""


def require(holds: bool, what: str, expected: object, got: object) -> None:
    """Raise `GraphError` unless a condition holds.

    Args:
        holds: the condition.
        what: what was looked at.
        expected: what it should be.
        got: what it is.

    Raises:
        GraphError: if it does not hold.
    """
    if not holds:
        raise GraphError(f"{what}: expected {expected} (got {got})")


def check_tensor(name: str, value: object, rule: Rule) -> None:
    """Raise `GraphError` if a value is no tensor of a rule's dtype and shape.

    Args:
        name: of the attribute.
        value: the value.
        rule: what it should be.

    Raises:
        GraphError: no tensor, another dtype, another shape, a number that is not finite.
    """
    if not isinstance(value, Tensor):
        raise GraphError(f"{name}: expected a tensor (got {type(value).__name__})")
    kinds = {"float": value.is_floating_point(), "int": value.dtype == torch.int64}
    fits = kinds.get(rule.dtype, value.dtype == torch.bool)
    wanted = {"float": "a floating dtype", "int": "torch.int64"}.get(rule.dtype, "torch.bool")
    require(fits, f"dtype of {name}", wanted, value.dtype)
    shape = [size for size in rule.shape if size != "*"]
    long_enough = value.dim() >= len(shape) if "*" in rule.shape else value.dim() == len(shape)
    same = all(
        not isinstance(size, int) or size == got
        for size, got in zip(shape, value.shape, strict=False)
    )
    expected = f"[{', '.join(map(str, rule.shape))}]"
    require(long_enough and same, f"shape of {name}", expected, tuple(value.shape))
    if value.is_floating_point():
        require(bool(torch.isfinite(value).all()), name, "finite numbers", "not finite ones")


def _same(one: object, two: object) -> bool:
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    return type(one) is type(two) and one == two
