"""`ImageBoxes`, `BoxAnnotations`: what every reader of annotated boxes returns.

| reader | file | box | label |
|---|---|---|---|
| `coco_boxes` | one JSON file, perhaps gzipped | x, y, width, height | rank of the category's id |
| `xml_boxes`, VOC | a folder of XML files | first and last pixel | rank of the class name |
| `xml_boxes`, Flickr30k Entities | a folder of XML files | first and last pixel | ids of phrases |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from graphmatch.datasets.text_files import finite_number

_FARTHEST = 1e9  # pixels; what is beyond is no coordinate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageBoxes:
    """The annotated boxes of one image, in the order of the file.

    Args:
        id: of the image: COCO's id, the XML file's name without suffix.
        file: name of the image file, if the annotation gives one.
        size: width and height in pixels of the image that was annotated, if they are given.
        box: [N, 4] float32 x1 y1 x2 y2 in pixels, x1 <= x2 and y1 <= y2; not cut at the border.
        label: [N] int64 index into `BoxAnnotations.labels`; -1 is none.
        ignored: [N] bool, what an evaluation passes over: COCO's crowds, VOC's difficult objects.
        phrases: ids of the phrases that each box stands for (Flickr30k Entities).
        scenes: ids of the phrases that mean the whole image.
        unseen: ids of the phrases that have no box.
        error: why the boxes cannot be used.
    """

    id: str
    file: str | None = None
    size: tuple[int, int] | None = None
    box: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    label: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    phrases: tuple[tuple[str, ...], ...] = ()
    scenes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxAnnotations:
    """The annotated boxes of many images.

    Args:
        labels: names of the classes that `ImageBoxes.label` counts.
        images: boxes by the image's id, in the order of the file or of the names.
    """

    labels: tuple[str, ...]
    images: Mapping[str, ImageBoxes]


@dataclass(slots=True)
class BoxDraft:
    """The boxes of an image while its file is read. The first error stays.

    Args:
        file: as in `ImageBoxes`.
        size: as in `ImageBoxes`.
        box: x1 y1 x2 y2 of each box.
        label: of each box.
        ignored: of each box.
        phrases: as in `ImageBoxes`.
        scenes: as in `ImageBoxes`.
        unseen: as in `ImageBoxes`.
        error: as in `ImageBoxes`.
    """

    file: str | None = None
    size: tuple[int, int] | None = None
    box: list[tuple[float, float, float, float]] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    ignored: list[bool] = field(default_factory=list)
    phrases: list[tuple[str, ...]] = field(default_factory=list)
    scenes: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    error: str | None = None

    def add(self, box: tuple[float, float, float, float], label: int, *, ignored: bool) -> None:
        """Add a box, or the error of one that is none.

        Args:
            box: x1 y1 x2 y2 in pixels.
            label: its class.
            ignored: whether an evaluation passes it over.
        """
        if not (box[0] <= box[2] and box[1] <= box[3] and max(map(abs, box)) < _FARTHEST):
            self.fail(f"box: expected pixels with x1 <= x2 and y1 <= y2 (got {box})")
        self.box.append(box)
        self.label.append(label)
        self.ignored.append(ignored)

    def fail(self, error: str) -> None:
        """Note an error, unless there is one.

        Args:
            error: why the boxes cannot be used.
        """
        self.error = self.error or error

    def finish(self, id: str) -> ImageBoxes:
        """The boxes of the image, or its error.

        Args:
            id: of the image.

        Returns:
            The boxes.
        """
        if self.error is not None:
            return ImageBoxes(id=id, file=self.file, size=self.size, error=self.error)
        return ImageBoxes(
            id=id,
            file=self.file,
            size=self.size,
            box=np.array(self.box, np.float32).reshape(-1, 4),
            label=np.array(self.label, np.int64),
            ignored=np.array(self.ignored, np.bool_),
            phrases=tuple(self.phrases),
            scenes=tuple(self.scenes),
            unseen=tuple(self.unseen),
        )


def image_size(width: object, height: object) -> tuple[int, int] | None:
    """Width and height as a file gives them.

    Args:
        width: a number or its text.
        height: a number or its text.

    Returns:
        Width and height in pixels; None if they are none (some tools write 0).

    Example:
        >>> image_size("640", 426), image_size(0, 0), image_size(None, 5)
        ((640, 426), None, None)
    """
    sides = tuple(int(n) for n in map(finite_number, (width, height)) if n and 1 <= n < _FARTHEST)
    return (sides[0], sides[1]) if len(sides) == 2 else None
