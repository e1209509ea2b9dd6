"""`Regions`, `Photo`, and the protocols of what finds regions and what describes them.

Boxes are in pixels of the upright original photograph until `Regions.to_graph` divides them by its
size, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import GraphError

if TYPE_CHECKING:
    from graphmatch.graphs.region import RegionGraph


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photo:
    """A decoded image.

    Args:
        id: its id in the corpus.
        pixels: [H', W', 3] uint8 RGB, upright; a reduced copy if the original is very large.
        size: width and height in pixels of the upright original.
    """

    id: str
    pixels: NDArray[np.uint8]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regions:
    """R regions of one image, best first unless their source orders them otherwise.

    Args:
        size: width and height of the image in pixels.
        box: [R, 4] float32 x1 y1 x2 y2 in pixels, x1 <= x2 and y1 <= y2.
        label: [R] int64 class, an index into the detector's `labels`; -1 is none.
        score: [R] float32 confidence in [0, 1].
        feature: [R, F] float32; None if they have not been described.
        probability: [R, C] float32 class distribution; optional.

    Raises:
        GraphError: tensors of other shapes.

    Example:
        >>> regions = Regions(size=(200, 100), box=torch.tensor([[50.0, 0.0, 100.0, 100.0]]),
        ...                   label=torch.tensor([3]), score=torch.tensor([0.5]))
        >>> regions.to_graph().box.tolist()
        [[0.25, 0.0, 0.5, 1.0]]
    """

    size: tuple[int, int]
    box: Tensor
    label: Tensor
    score: Tensor
    feature: Tensor | None = None
    probability: Tensor | None = None

    def __post_init__(self) -> None:
        if self.box.dim() != 2 or self.box.size(1) != 4:
            raise GraphError(f"box: expected shape [R, 4] (got {list(self.box.shape)})")
        count = self.box.size(0)
        for name, dimensions in (("label", 1), ("score", 1), ("feature", 2), ("probability", 2)):
            value = getattr(self, name)
            if value is not None and (value.dim() != dimensions or value.size(0) != count):
                shape = f"[{count}]" if dimensions == 1 else f"[{count}, *]"
                raise GraphError(f"{name}: expected shape {shape} (got {list(value.shape)})")

    def __len__(self) -> int:
        return int(self.box.size(0))

    def select(self, index: Tensor) -> Regions:
        """Some of the regions.

        Args:
            index: [K] int64 numbers of regions in the wanted order, or [R] bool.

        Returns:
            The K regions.
        """

        def pick(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[index]

        return Regions(
            size=self.size,
            box=self.box[index],
            label=self.label[index],
            score=self.score[index],
            feature=pick(self.feature),
            probability=pick(self.probability),
        )

    def to_graph(self) -> RegionGraph:
        """The regions as a graph: boxes divided by the image's size and cut at its border.

        Returns:
            The graph; `x` is [R, 0] if the regions have no features.
        """
        from graphmatch.graphs.region import RegionGraph

        size = torch.tensor([self.size], dtype=torch.float32)  # [1, 2]
        empty = self.box.new_zeros(len(self), 0)
        return RegionGraph(
            x=empty if self.feature is None else self.feature,
            box=(self.box / size.repeat(1, 2)).clamp(0, 1),  # [R, 4]
            size=size,
            label=self.label,
            score=self.score,
        )


@runtime_checkable
class Detector(Protocol):
    """What finds regions in images.

    Attributes:
        name: what it is, for the manifest of a store.
        version: of the program, the weights and the options: whatever changes its results.
        labels: names of the classes that `Regions.label` counts.
    """

    name: str
    version: str
    labels: tuple[str, ...]

    def detect(self, photos: Sequence[Photo]) -> list[Regions]:
        """Regions of each image, in order; boxes in pixels of `Photo.size`."""
        ...


@runtime_checkable
class Describer(Protocol):
    """What computes a feature of each region.

    Attributes:
        name: what it is, for the manifest of a store.
        version: of the program, the weights and the options: whatever changes its results.
        width: F, numbers a region.
    """

    name: str
    version: str
    width: int

    def describe(self, photos: Sequence[Photo], regions: Sequence[Regions]) -> list[Tensor]:
        """[R, F] float32 features of the regions of each image, in order."""
        ...


def fingerprint(*parts: Any) -> str:
    """A short digest for `version`: equal parts, equal digest.

    Args:
        parts: bytes, or values whose `repr` says all about them.

    Returns:
        12 hexadecimal digits.

    Example:
        >>> fingerprint("a", 1) == fingerprint("a", 1), fingerprint("a", 1) == fingerprint("a", 2)
        (True, False)
    """
    import hashlib

    digest = hashlib.blake2b(digest_size=6)
    for part in parts:
        content = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()
