"""`HistoryGraph`: what a user did, and the item that may be clicked next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from torch import Tensor

from graphmatch.errors import GraphError
from graphmatch.graphs.base import Graph, Rule, check_tensor, require
from graphmatch.graphs.chain import node_ptr, temporal_chain


class HistoryGraph(Graph):
    """N items of one user in the order of time; the last one is the candidate.

    Source: MARN (WWW 2020) section 3.

    Args:
        modality: one tensor [N, ...] for each of M modalities by name (`ids`, `image`, `title`,
            `stat`): int64 ids or floating features. Rows of an absent modality are ignored.
        present: [N, M] bool: which modalities an item has, in the alphabetical order of names.
        behavior: [N] int64: what the user did with the item (click, cart, ...); the candidate's is
            not known and not read.
        time: [N] seconds, ascending; the candidate's is the time of the request.

    Example:
        >>> import torch
        >>> HistoryGraph(modality={"ids": torch.tensor([4, 7])}, time=torch.tensor([0.0, 60.0]),
        ...              present=torch.ones(2, 1, dtype=torch.bool), behavior=torch.tensor([1, 0]))
        HistoryGraph(1 behaviour and the candidate; ids)
    """

    RULES: ClassVar[Mapping[str, Rule]] = {
        "present": Rule(shape=("N", "M"), dtype="bool"),
        "behavior": Rule(shape=("N",), dtype="int"),
        "time": Rule(shape=("N",)),
    }

    def __init__(
        self,
        *,
        modality: dict[str, Tensor] | None = None,
        present: Tensor | None = None,
        behavior: Tensor | None = None,
        time: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._fill(present=present, behavior=behavior, time=time)
        if modality is not None:
            self.modality = dict(sorted(modality.items()))

    def candidate(self) -> Tensor:
        """Node number of the candidate of each graph.

        Returns:
            [B] int64; one number for a single graph.
        """
        return node_ptr(self)[1:] - 1

    def chain(self) -> Tensor:
        """Edges between neighbours in time, both ways; for a batch, inside each history.

        Returns:
            edge_index [2, E] int64; derived, never stored.
        """
        return temporal_chain(node_ptr(self))

    def rule(self, key: str) -> Rule:
        """The rule of an attribute or of a modality, see `Graph.rule`."""
        # PyG collates the entries of a dictionary under their own names
        if key == "modality" or key in (self.get("modality") or ()):
            return _MODALITY
        return super().rule(key)

    def _check(self) -> None:
        names = self.get("modality")
        require(isinstance(names, dict) and bool(names), "modality", "a dict of tensors", names)
        require(
            list(names) == sorted(names), "modality", "names in alphabetical order", list(names)
        )
        nodes = self.size_of("N")
        require(nodes > 0, "a history", "at least the candidate", "no item")
        for name, value in names.items():
            require(name not in self.RULES, "modality", "a name of its own", name)
            integer = isinstance(value, Tensor) and not value.is_floating_point()
            rule = Rule(shape=("N", "*"), dtype="int" if integer else "float")
            check_tensor(f"modality {name}", value, rule)
            require(value.size(0) == nodes, f"modality {name}", f"{nodes} rows", value.size(0))
        count = self.size_of("M")
        require(count == len(names), "present", f"{len(names)} columns, one a modality", count)
        require(bool((self.time.diff() >= 0).all()), "time", "ascending seconds", "others")

    def columns(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors by name, those of the modalities last."""
        yield from super().columns()
        yield from (self.get("modality") or {}).items()

    @classmethod
    def from_tensors(cls, columns: dict[str, Tensor]) -> Self:
        """The inverse of `columns`; what is in no table is a modality."""
        own: dict[str, Any] = {name: columns.pop(name) for name in cls.RULES if name in columns}
        return cls(modality=columns, **own)

    def _inside(self) -> str:
        behaviours = (self.num_nodes or 0) - len(self.candidate())
        plural = "" if behaviours == 1 else "s"
        candidate = "the candidate" if len(self.candidate()) == 1 else "their candidates"
        names = ", ".join(self.get("modality") or ())
        return f"{behaviours} behaviour{plural} and {candidate}; {names}"


_MODALITY = Rule(shape=("N", "*"))


def check_modalities(graphs: list[HistoryGraph]) -> None:
    """Raise `GraphError` unless all histories have the same modalities.

    Args:
        graphs: histories that shall be one batch.

    Raises:
        GraphError: with the number of the first history that differs and both lists of names.
    """
    for number, graph in enumerate(graphs):
        if list(graph.modality) != list(graphs[0].modality):
            raise GraphError(
                f"expected the modalities {list(graphs[0].modality)} in every history "
                f"(got {list(graph.modality)} in number {number}); fill the absent ones with "
                "zeros and set `present` to False"
            )
