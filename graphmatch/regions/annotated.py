"""`AnnotatedDetector`: the boxes that people drew, in place of a detector's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

import torch
from torch import Tensor

from graphmatch.datasets.boxes import BoxAnnotations, ImageBoxes
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.regions.base import Photo, Regions, fingerprint


def annotated_regions(
    image: ImageBoxes,
    size: tuple[int, int] | None = None,
    *,
    thinnest: float = 0.0,
    ignored: bool = True,
) -> Regions:
    """The annotated boxes of an image as regions.

    Boxes are cut at the border of the annotated image and scaled to the photograph, which may be a
    resized copy of it.

    Args:
        image: the boxes.
        size: width and height of the photograph in pixels; None takes the annotated size.
        thinnest: in pixels; a box that is then of less width or height is dropped. 0 keeps all.
        ignored: keep COCO's crowds and VOC's difficult objects.

    Returns:
        Regions in the order of the annotation, with score 1 and no features.

    Raises:
        GraphError: the annotation has an error; no size is known; the photograph has other
            proportions than the annotated image.

    Example:
        >>> import numpy as np
        >>> image = ImageBoxes(
        ...     id="7", size=(640, 480), box=np.array([[64, 48, 700, 480]], np.float32),
        ...     label=np.array([2]), ignored=np.array([False]))
        >>> annotated_regions(image, (320, 240)).box
        tensor([[ 32.,  24., 320., 240.]])
    """
    if image.error is not None:
        raise GraphError(f"{image.id!r}: its annotation cannot be used: {image.error}")
    size = size or image.size
    annotated = image.size or size
    if size is None or annotated is None:
        raise GraphError(f"{image.id!r}: expected the size of the image (its annotation has none)")
    if not _is_resized(annotated, size):
        raise GraphError(
            f"{image.id!r}: expected an image in the proportions of {annotated[0]} x "
            f"{annotated[1]} pixels, as annotated (got {size[0]} x {size[1]})"
        )
    border = torch.tensor(annotated, dtype=torch.float32).repeat(2)  # [4]
    box = torch.from_numpy(image.box).clamp(min=0).minimum(border)  # [N, 4]
    if size != annotated:
        box = box / border * torch.tensor(size, dtype=torch.float32).repeat(2)
    kept = (box[:, 2:] - box[:, :2]).amin(1) >= thinnest  # [N]
    if not ignored:
        kept &= ~torch.from_numpy(image.ignored)
    regions = Regions(
        size=size, box=box, label=torch.from_numpy(image.label), score=torch.ones(len(box))
    )
    return regions.select(kept)


class AnnotatedDetector:
    """Annotated boxes as regions; implements `Detector`.

    A photograph is looked up by its id: the id of the annotation, or its file's name without
    suffix, with or without the folder.

    Args:
        annotations: the boxes, from `read_coco_boxes`, `read_voc_boxes` or `read_flickr_boxes`.
        missing: what a photograph without annotation is: an `"error"`, or `"empty"`, without
            regions.
        thinnest: as in `annotated_regions`.
        ignored: as in `annotated_regions`.

    Attributes:
        clipped: boxes that reached beyond the border of their image, so far.

    Raises:
        ConfigError: an impossible option.

    Example:
        >>> import numpy as np
        >>> image = ImageBoxes(
        ...     id="7", file="000007.jpg", box=np.array([[2, 1, 5, 4]], np.float32),
        ...     label=np.array([0]), ignored=np.array([False]))
        >>> detector = AnnotatedDetector(BoxAnnotations(labels=("dog",), images={"7": image}))
        >>> photo = Photo(id="train/000007", pixels=np.zeros((4, 4, 3), np.uint8), size=(4, 4))
        >>> detector.detect([photo])[0].box, detector.clipped
        (tensor([[2., 1., 4., 4.]]), 1)
    """

    name = "annotated boxes"

    def __init__(
        self,
        annotations: BoxAnnotations,
        *,
        missing: Literal["error", "empty"] = "error",
        thinnest: float = 0.0,
        ignored: bool = True,
    ) -> None:
        check_choice("missing", missing, ("error", "empty"))
        if not thinnest >= 0:
            raise ConfigError(f"expected thinnest from 0 pixels (got {thinnest})")
        self.labels = annotations.labels
        self._missing, self._thinnest, self._ignored = missing, thinnest, ignored
        self._images = annotations.images
        self._files = _by_file(annotations)
        self.clipped = 0
        contents = (
            part
            for one in annotations.images.values()
            for part in (
                (one.id, one.file, one.size, one.error),
                *(array.tobytes() for array in (one.box, one.label, one.ignored)),
            )
        )
        self.version = fingerprint(self.labels, missing, thinnest, ignored, *contents)

    def detect(self, photos: Sequence[Photo]) -> list[Regions]:
        """Annotated regions of each photograph, in the order of the annotation.

        Args:
            photos: any number.

        Returns:
            Regions of each, boxes in pixels of `Photo.size`.

        Raises:
            GraphError: as `annotated_regions`, or a photograph without annotation or with several.
        """
        return [self._regions(photo) for photo in photos]

    def _regions(self, photo: Photo) -> Regions:
        image = self._find(photo.id)
        if image is None:
            return Regions(
                size=photo.size,
                box=torch.zeros(0, 4),
                label=torch.zeros(0, dtype=torch.int64),
                score=torch.zeros(0),
            )
        regions = annotated_regions(
            image, photo.size, thinnest=self._thinnest, ignored=self._ignored
        )
        self.clipped += int(_outside(image, photo.size).sum())
        return regions

    def _find(self, id: str) -> ImageBoxes | None:
        for name in (id, PurePosixPath(id).name):
            found = [self._images[name]] if name in self._images else self._files.get(name, [])
            if len(found) > 1:
                raise GraphError(
                    f"{id!r}: expected one annotation (got {', '.join(i.id for i in found)!r:.80})"
                )
            if found:
                return found[0]
        if self._missing == "error":
            raise GraphError(f"{id!r}: no image of this id or file name is annotated")
        return None


def _by_file(annotations: BoxAnnotations) -> dict[str, list[ImageBoxes]]:
    """Images by the names of their files, with and without folder, without suffix."""
    files: dict[str, list[ImageBoxes]] = {}
    for image in annotations.images.values():
        path = PurePosixPath(image.file or "")
        for name in {path.stem, str(path.parent / path.stem)} - {"", "."}:
            files.setdefault(name, []).append(image)
    return files


def _outside(image: ImageBoxes, size: tuple[int, int]) -> Tensor:
    """[N] bool: which boxes reach beyond the border."""
    border = torch.tensor(image.size or size).repeat(2)
    box = torch.from_numpy(image.box)
    return ((box < 0) | (box > border)).any(1)


def _is_resized(original: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether one scale, each side rounded up or down, leads from one size to the other."""
    least = max((new - 1) / old for old, new in zip(original, size, strict=True))
    most = min((new + 1) / old for old, new in zip(original, size, strict=True))
    return least <= most
