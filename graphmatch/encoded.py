"""`Encoded`: captions, images or videos as a matcher sees them, padded to one width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from graphmatch.errors import GraphError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Encoded:
    """n items with up to M nodes each; what a matcher computes once per item.

    Args:
        nodes: [n, M, D] vectors of words, regions or frames; zero where there is no node.
        mask: [n, M] bool, which nodes are real.
        pooled: [n, D] one vector an item, if the matcher has one.
        extra: further tensors, first dimension n.
        node_axes: for each tensor of `extra`, its axes that count nodes as `nodes` does; they are
            cut and padded together.

    Raises:
        GraphError: shapes that do not go together.

    Example:
        >>> Encoded(nodes=torch.zeros(2, 3, 8), mask=torch.ones(2, 3, dtype=torch.bool))
        Encoded(2 items, 3 nodes, 8 features)
    """

    nodes: Tensor
    mask: Tensor
    pooled: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    node_axes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.nodes.dim() != 3 or self.mask.shape != self.nodes.shape[:2]:
            got = f"{list(self.nodes.shape)} and {list(self.mask.shape)}"
            raise GraphError(f"expected nodes [n, M, D] and mask [n, M] (got {got})")
        named = {"pooled": self.pooled, **self.extra}
        for name, value in named.items():
            if value is not None and len(value) != len(self):
                raise GraphError(f"{name}: expected {len(self)} items (got {len(value)})")
        for name, axes in self.node_axes.items():
            if name not in self.extra:
                raise GraphError(f"node_axes: no tensor {name!r} in extra")
            sizes = [self.extra[name].size(axis) for axis in axes]
            if any(size != self.nodes.size(1) for size in sizes):
                raise GraphError(f"{name}: expected {self.nodes.size(1)} nodes (got {sizes})")

    def __len__(self) -> int:
        return self.nodes.size(0)

    def __getitem__(self, items: slice | Tensor) -> Encoded:
        """Some of the items: a slice (views), or an int64 tensor of positions (copies)."""
        return replace(
            self,
            nodes=self.nodes[items],
            mask=self.mask[items],
            pooled=None if self.pooled is None else self.pooled[items],
            extra={name: value[items] for name, value in self.extra.items()},
        )

    @property
    def counts(self) -> Tensor:
        """[n] int64 number of nodes of each item."""
        return self.mask.sum(dim=1)

    def with_extra(self, *, axes: Mapping[str, tuple[int, ...]], **extra: Tensor) -> Encoded:
        """The same items with more tensors.

        Args:
            axes: node axes of those new tensors that have any.
            extra: the tensors by name.

        Returns:
            New items; nothing is copied.
        """
        return replace(self, extra={**self.extra, **extra}, node_axes={**self.node_axes, **axes})

    def narrow(self, nodes: int) -> Encoded:
        """The first nodes of each item.

        Args:
            nodes: how many; the rest must be padding.

        Returns:
            Views of the items.
        """
        extra = dict(self.extra)
        for name, axes in self.node_axes.items():
            for axis in axes:
                extra[name] = extra[name].narrow(axis, 0, nodes)
        return replace(self, nodes=self.nodes[:, :nodes], mask=self.mask[:, :nodes], extra=extra)

    def trim(self) -> Encoded:
        """The items without the columns that are padding in all of them.

        Returns:
            Views of the items, at least one node wide. Reads the mask, so it synchronises a device.
        """
        used = self.mask.any(dim=0).nonzero()
        return self.narrow(1 + int(used.max()) if used.numel() else 1)

    def to(
        self, device: torch.device | str | None = None, *, dtype: torch.dtype | None = None
    ) -> Encoded:
        """The items on a device, or with other floating-point numbers.

        Args:
            device: where to; unchanged if None.
            dtype: of `nodes` and `pooled`; unchanged if None. Tensors of `extra` keep theirs.

        Returns:
            New items.
        """
        return replace(
            self,
            nodes=self.nodes.to(device=device, dtype=dtype),
            mask=self.mask.to(device=device),
            pooled=None if self.pooled is None else self.pooled.to(device=device, dtype=dtype),
            extra={name: value.to(device=device) for name, value in self.extra.items()},
        )

    @classmethod
    def cat(cls, parts: Sequence[Encoded]) -> Encoded:
        """All items of several parts, padded to the widest.

        Args:
            parts: at least one.

        Returns:
            The items in order.

        Raises:
            GraphError: no part, or parts with different tensors.

        Example:
            >>> one, two = (Encoded(nodes=torch.zeros(1, n, 4), mask=torch.ones(1, n) > 0)
            ...             for n in (1, 3))
            >>> Encoded.cat([one, two]).counts
            tensor([1, 3])
        """
        if not parts:
            raise GraphError("expected at least one part of encoded items (got none)")
        first = parts[0]
        for part in parts:
            same = part.extra.keys() == first.extra.keys() and part.node_axes == first.node_axes
            if not same or (part.pooled is None) != (first.pooled is None):
                names = f"{sorted(first.extra)} (got {sorted(part.extra)})"
                raise GraphError(f"expected parts with the tensors {names}")
        width = max(part.nodes.size(1) for part in parts)
        wide = [part.widen(width) for part in parts]
        pooled = [part.pooled for part in wide if part.pooled is not None]
        return replace(
            first,
            nodes=torch.cat([part.nodes for part in wide]),
            mask=torch.cat([part.mask for part in wide]),
            pooled=torch.cat(pooled) if pooled else None,
            extra={name: torch.cat([part.extra[name] for part in wide]) for name in first.extra},
        )

    def widen(self, nodes: int) -> Encoded:
        """The items with more padding.

        Args:
            nodes: how wide, at least as they are.

        Returns:
            New items; copies.
        """
        extra = {n: _pad(v, self.node_axes.get(n, ()), nodes) for n, v in self.extra.items()}
        return replace(
            self,
            nodes=_pad(self.nodes, (1,), nodes),
            mask=_pad(self.mask, (1,), nodes),
            extra=extra,
        )

    def __repr__(self) -> str:
        count, nodes, size = self.nodes.shape
        return f"Encoded({count} items, {nodes} nodes, {size} features)"


def _pad(value: Tensor, axes: tuple[int, ...], size: int) -> Tensor:
    ends = [0] * (2 * value.dim())  # (before, after) of each axis, last axis first
    for axis in axes:
        ends[2 * (value.dim() - 1 - axis) + 1] = size - value.size(axis)
    return functional.pad(value, ends)
