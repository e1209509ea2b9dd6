"""`ClickBatch`: candidates, the behaviours before them, and each distinct item once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from graphmatch.buckets import time_gap_ids
from graphmatch.graphs.base import require
from graphmatch.graphs.chain import node_ptr


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """U items.

    Args:
        modality: by name, in alphabetical order: ids [U, F], words [U, L] or buckets [U, J] int64,
            of which 0 is missing or padding, or a vector [U, D] of any floating dtype. Rows of an
            absent modality are ignored.
        present: [U, M] bool, which modalities an item has, in the alphabetical order of names.
    """

    modality: dict[str, Tensor]
    present: Tensor

    def __len__(self) -> int:
        return self.present.size(0)

    def rows(self, places: Tensor | slice) -> Items:
        """Some of the items.

        Args:
            places: [V] int64 places, or a slice.

        Returns:
            V items.
        """
        modality = {name: value[places] for name, value in self.modality.items()}
        return Items(modality=modality, present=self.present[places])

    def to(self, device: torch.device | str) -> Items:
        """The items on a device; these stay where they are."""
        modality = {name: value.to(device) for name, value in self.modality.items()}
        return Items(modality=modality, present=self.present.to(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickBatch:
    """B candidates, each with up to T behaviours of its user before it.

    Args:
        items: U items that the places below count from 0; each distinct item once saves work, and
            nothing depends on it.
        history: [B, T] int64 places of the behaviours' items, oldest first; -1 is padding, right.
        candidate: [B] int64 places of the candidates' items.
        properties: of behaviours, by name (`type`, `time`): [B, T] int64, 0 is padding.
        context: [B, C] numbers of user and request; optional.
        context_ids: [B, K] int64 categories of user and request, 0 is missing; optional.
        label: [B] 1 for a click, 0 for none; None where unknown.
        user: [B] int64, for metrics by user alone; optional.

    Example:
        >>> items = Items(modality={"ids": torch.tensor([[4], [7]])},
        ...               present=torch.ones(2, 1, dtype=torch.bool))
        >>> batch = ClickBatch(items=items, history=torch.tensor([[0, 1], [0, -1]]),
        ...                    candidate=torch.tensor([1, 0]), properties={})
        >>> len(batch), batch.counts().tolist()
        (2, [3, 2])
    """

    items: Items
    history: Tensor
    candidate: Tensor
    properties: dict[str, Tensor]
    context: Tensor | None = None
    context_ids: Tensor | None = None
    label: Tensor | None = None
    user: Tensor | None = None

    def __len__(self) -> int:
        return self.candidate.size(0)

    @property
    def mask(self) -> Tensor:
        """[B, T] bool: which behaviours are real."""
        return self.history >= 0

    def to(self, device: torch.device | str) -> ClickBatch:
        """The batch on a device; this one stays where it is."""
        moved = {name: value if value is None else value.to(device)
                 for name, value in self._optional().items()}  # fmt: skip
        return ClickBatch(
            items=self.items.to(device),
            history=self.history.to(device),
            candidate=self.candidate.to(device),
            properties={name: value.to(device) for name, value in self.properties.items()},
            **moved,
        )

    def _optional(self) -> dict[str, Tensor | None]:
        names = ("context", "context_ids", "label", "user")
        return {name: getattr(self, name) for name in names}

    def counts(self, *, candidates_only: bool = False) -> Tensor:
        """How often each item occurs as a candidate or in a history.

        Args:
            candidates_only: leave out the histories.

        Returns:
            [U] int64.
        """
        places = self.candidate
        counts = torch.zeros(len(self.items), dtype=torch.int64, device=places.device)
        counts.scatter_add_(0, places, torch.ones_like(places))
        if not candidates_only:
            history = self.history.flatten()
            counts.scatter_add_(0, history.clamp(min=0), (history >= 0).long())
        return counts

    def check(self) -> None:
        """Raise `GraphError` for a batch that contradicts itself; reads values.

        Raises:
            GraphError: what was expected and what was got.
        """
        size, length = self.history.shape
        names = list(self.items.modality)
        require(names == sorted(names), "modality", "names in alphabetical order", names)
        for name, value in self.items.modality.items():
            require(len(value) == len(self.items), f"rows of {name}", len(self.items), len(value))
            require(value.dim() == 2, f"shape of {name}", "[U, ...]", tuple(value.shape))
        shape = tuple(self.items.present.shape)
        require(shape[1:] == (len(names),), "shape of present", f"[U, {len(names)}]", shape)
        for name, value in self.properties.items():
            got = tuple(value.shape)
            require(got == (size, length), f"shape of {name}", (size, length), got)
        others = {"candidate": self.candidate, **self._optional()}
        for name, rows in others.items():
            if rows is not None:
                require(len(rows) == size, f"rows of {name}", size, len(rows))
        top, limit = max(_top(self.history), _top(self.candidate)), len(self.items)
        require(top < limit, "places", f"below {limit}, the number of items", top)
        require(bool((self.candidate >= 0).all()), "candidate", "places from 0", "negative ones")
        mask = self.mask
        padded = bool((mask[:, 1:] <= mask[:, :-1]).all())
        require(padded, "history", "padding on the right alone", "behaviours after it")


def _top(places: Tensor) -> int:
    return int(places.max()) if places.numel() else -1


def click_batch(
    graphs: Any, *, time_buckets: int = 16, distinct: bool = True, label: Tensor | None = None
) -> ClickBatch:
    """A batch of a PyG batch of `HistoryGraph`, or of one.

    The properties are `type`, the graph's `behavior`, and `time`, the bucket of the time between
    the behaviour and the request, see `time_gap_ids`. What is written at the candidate is not read,
    but its modalities and its time.

    Args:
        graphs: `batch_graphs(histories)` of B histories; modalities [N] or [N, ...].
        time_buckets: of time gaps.
        distinct: keep each distinct item once; sorts the rows, which vectors of thousands of
            numbers make slow.
        label: [B] clicks.

    Returns:
        The batch, as long as the longest history.

    Raises:
        GraphError: no history.

    Example:
        >>> from graphmatch.graphs.history import HistoryGraph
        >>> graph = HistoryGraph(
        ...     modality={"ids": torch.tensor([4, 7, 4])}, time=torch.tensor([0.0, 60.0, 180.0]),
        ...     present=torch.ones(3, 1, dtype=torch.bool), behavior=torch.tensor([1, 2, 0]))
        >>> batch = click_batch(graph)
        >>> batch.items.modality["ids"].tolist(), batch.history.tolist(), batch.candidate.tolist()
        ([[4], [7]], [[0, 1]], [0])
        >>> batch.properties["type"].tolist(), batch.properties["time"].tolist()
        ([[1, 2]], [[3, 2]])
    """
    ptr = node_ptr(graphs)
    require(len(ptr) > 1, "a batch", "at least one history", "none")
    modality = {name: value.unsqueeze(-1) if value.dim() == 1 else value.flatten(1)
                for name, value in graphs.modality.items()}  # fmt: skip
    items = Items(modality=modality, present=graphs.present)
    place = torch.arange(len(items), device=ptr.device)
    if distinct:
        items, place = distinct_items(items)
    candidate = ptr[1:] - 1  # [B] nodes
    counts = ptr.diff() - 1
    length = int(counts.max())  # synchronises
    column = torch.arange(length, device=ptr.device)
    mask = column < counts.unsqueeze(1)  # [B, T]
    node = (ptr[:-1].unsqueeze(1) + column).clamp(max=len(place) - 1)
    gap = graphs.time[candidate].unsqueeze(1) - graphs.time[node]  # [B, T] seconds
    gap_ids = time_gap_ids(gap.masked_fill(~mask, 0).cpu().numpy(), time_buckets)
    time = torch.from_numpy(gap_ids).to(mask.device)
    return ClickBatch(
        items=items,
        history=place[node].masked_fill(~mask, -1),
        candidate=place[candidate],
        properties={
            "time": time.masked_fill(~mask, 0),
            "type": graphs.behavior[node].masked_fill(~mask, 0),
        },
        label=label,
    )


def distinct_items(items: Items) -> tuple[Items, Tensor]:
    """Equal items only once.

    Args:
        items: U items; what an absent modality holds makes no difference.

    Returns:
        V items, and [U] int64 the place of each among them.

    Example:
        >>> items = Items(modality={"ids": torch.tensor([[7], [4], [7]])},
        ...               present=torch.tensor([[True], [True], [True]]))
        >>> distinct_items(items)[1].tolist()
        [1, 0, 1]
    """
    columns = [items.present.double()]
    for number, value in enumerate(items.modality.values()):
        there = items.present[:, number].unsqueeze(1)
        columns.append(value.double().masked_fill(~there, 0))  # exact: ids are below 2^53
    rows = torch.cat(columns, dim=1)
    found, place = torch.unique(rows, dim=0, return_inverse=True)
    first = torch.full((len(found),), len(rows), device=rows.device)
    first.scatter_reduce_(0, place, torch.arange(len(rows), device=rows.device), "amin")
    return items.rows(first), place


def all_items(batch: ClickBatch) -> ClickBatch:
    """The same batch with an item for every candidate and behaviour, equal ones or not.

    Args:
        batch: any batch.

    Returns:
        B (1 + T) items; those of padding are not used.
    """
    places = torch.cat((batch.candidate.unsqueeze(1), batch.history), dim=1)  # [B, 1 + T]
    number = torch.arange(places.numel(), device=places.device).view_as(places)
    return replace(
        batch,
        items=batch.items.rows(places.clamp(min=0).flatten()),
        candidate=number[:, 0],
        history=number[:, 1:].masked_fill(~batch.mask, -1),
    )
