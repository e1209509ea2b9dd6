"""COCO's detections: boxes with classes and scores, without features.

Results are a JSON list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`,
the input of COCO's evaluation; annotations are an object with `images`, `annotations` and
`categories`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np

from graphmatch.datasets.features.records import Add, item_id, make_record, wanted, whole_number
from graphmatch.datasets.text_files import decode_json, open_source
from graphmatch.errors import FormatError, check_choice
from graphmatch.feature_record import FeatureRecord
from graphmatch.output import open_output
from graphmatch.regions.coco_classes import COCO_CLASSES

Labels = Literal["category_id", "position"]
"""What the labels of regions are: COCO's ids of classes, or their positions in the sorted ids."""


def read_coco_results(
    path: str | Path, *, annotations: str | Path | None = None, labels: Labels = "category_id"
) -> Iterator[FeatureRecord]:
    """Images of a file of results or annotations, which is read whole.

    Args:
        path: the file, perhaps gzipped.
        annotations: a file with `images`, which gives sizes, the order of the images, and those
            without a detection; without it results have no sizes, and come as they first appear.
        labels: what labels become. Positions are counted in `categories` of the annotations, or in
            COCO's 80 classes.

    Yields:
        A record of kind `regions` an image: feature [R, 0], box, label, score if the file has
        scores, size. An image with a damaged detection, or one that is not in `images`, is a failed
        record.

    Raises:
        FormatError: no such file, no JSON, another structure.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "results.json"
        >>> found = {"image_id": 7, "category_id": 18, "bbox": [1, 2, 3, 4], "score": 0.5}
        >>> _ = path.write_text(json.dumps([found]))
        >>> next(read_coco_results(path)).columns["box"].tolist()
        [[1.0, 2.0, 4.0, 6.0]]
    """
    check_choice("labels", labels, get_args(Labels))
    content = _load(path)
    frame = content if annotations is None else _load(annotations)
    if annotations is not None and not isinstance(frame, dict):
        raise FormatError(f"{annotations}: expected an object with `images`")
    found = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(found, list):
        raise FormatError(f"{path}: expected a list of results, or an object with `annotations`")
    positions = None
    if labels == "position":
        positions = {id: place for place, id in enumerate(_categories(frame))}
    by_image: dict[str, list[Any]] = {}
    for place, one in enumerate(found):
        by_image.setdefault(_image_of(one, place), []).append(one)
    scored = any(isinstance(one, dict) and "score" in one for one in found)
    images = _images(frame)
    for key, image in images.items():
        columns = partial(_columns, by_image.pop(key, []), image, positions, scored)
        yield make_record("regions", key, columns)
    for key, ones in by_image.items():
        if images:
            yield FeatureRecord(id=key, error=f"{key!r}: expected an image of `images`")
        else:
            yield make_record("regions", key, partial(_columns, ones, None, positions, scored))


def _load(path: str | Path) -> Any:
    with open_source(path, "of detections") as stream:
        return decode_json(stream, str(path))


def _images(frame: object) -> dict[str, Mapping[str, Any]]:
    """Images by id; without the list, none."""
    images = frame.get("images", []) if isinstance(frame, dict) else []
    if not isinstance(images, list) or not all(isinstance(one, dict) for one in images):
        raise FormatError("images: expected a list of objects with id, width and height")
    return {item_id(one.get("id"), "id of an image"): one for one in images}


def _categories(frame: object) -> Sequence[int]:
    """Ids of the classes, sorted."""
    listed = frame.get("categories") if isinstance(frame, dict) else None
    if listed is None:
        return sorted(COCO_CLASSES)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise FormatError("categories: expected a list of objects with id")
    return sorted(whole_number(one.get("id"), "id of a category") for one in listed)


def _image_of(one: object, place: int) -> str:
    try:
        return item_id(one.get("image_id") if isinstance(one, dict) else None)
    except FormatError:
        return f"detection-{place}"


def _columns(
    found: Sequence[Any],
    image: Mapping[str, Any] | None,
    positions: Mapping[int, int] | None,
    scored: bool,
) -> Mapping[str, Any]:
    boxes, labels, scores = [], [], []
    for one in found:
        bbox = one.get("bbox") if isinstance(one, dict) else None
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
            raise FormatError("expected detections with image_id and bbox: [x, y, width, height]")
        x, y, width, height = map(float, bbox)
        boxes.append([x, y, x + width, y + height])
        label = whole_number(one.get("category_id"), "category_id", least=-1)
        if positions is not None and label not in positions:
            raise FormatError(f"category_id: expected one of `categories` (got {label})")
        labels.append(label if positions is None else positions[label])
        if scored and not _is_number(one.get("score")):
            raise FormatError("score: expected a number")
        scores.append(one.get("score", 1.0))
    size = None
    if image is not None:
        size = [whole_number(image.get(name), name, least=1) for name in ("width", "height")]
    return {
        "feature": np.zeros((len(found), 0), np.float32),
        "box": np.array(boxes, float).reshape(-1, 4),
        "label": np.array(labels, np.int64),
        "score": np.array(scores, float) if scored else None,
        "size": size,
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


@contextmanager
def write_coco_results(
    path: str | Path,
    *,
    annotations: str | Path | None = None,
    labels: Labels = "category_id",
    force: bool = False,
) -> Iterator[Add]:
    """A file of results as COCO's evaluation (pycocotools `loadRes`) reads it.

    Args:
        path: the file.
        annotations: the file that will be evaluated against: gives the ids of images whose records
            are named by file. Without it an id of digits is written as a number.
        labels: what the labels of the records are, see `read_coco_results`. PicoDet's labels are
            positions.
        force: overwrite a file that is there.

    Yields:
        A function that adds a record of kind `regions` with boxes and labels; regions without a
        class (label -1) are left out, the score is 1 if there is none.

    Raises:
        ConfigError: unknown labels, or a file is there.
        FormatError: annotations of another structure; by the function, for a record without boxes
            or labels, an image that is not in `images`, a label that is no position.
    """
    check_choice("labels", labels, get_args(Labels))
    frame = None if annotations is None else _load(annotations)
    categories = _categories(frame) if labels == "position" else None
    ids = None if annotations is None else _ids_by_name(frame)
    with open_output(path, force=force) as stream:
        stream.write("[")
        separator = "\n"
        seen: set[Any] = set()

        def add(record: FeatureRecord) -> None:
            nonlocal separator
            box, label = wanted(record, "box", "label")
            image = _image_id(record.id, ids)
            if image in seen:
                raise FormatError(f"{record.id!r}: an earlier item is image {image!r} too")
            if categories is not None and (label >= len(categories)).any():
                raise FormatError(f"label: expected positions below {len(categories)}")
            seen.add(image)
            score = record.columns.get("score", np.ones(len(box)))
            for (x1, y1, x2, y2), one, confidence in zip(
                box.astype(float).tolist(), label.tolist(), score.tolist(), strict=True
            ):
                if one < 0:
                    continue
                result = {
                    "image_id": image,
                    "category_id": one if categories is None else categories[one],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": confidence,
                }
                stream.write(separator + json.dumps(result))
                separator = ",\n"

        yield add
        stream.write("\n]\n")


def _ids_by_name(frame: object) -> Mapping[str, Any]:
    """Ids of images by what a record may be named: id, file, file without its suffix."""
    names: dict[str, Any] = {}
    for key, image in _images(frame).items():
        file = image.get("file_name")
        if isinstance(file, str):
            names |= dict.fromkeys((file, str(PurePosixPath(file).with_suffix(""))), image["id"])
        names[key] = image["id"]
    return names


def _image_id(key: str, ids: Mapping[str, Any] | None) -> Any:
    if ids is None:
        return int(key) if key.isascii() and key.isdigit() and len(key) < 19 else key
    if key not in ids:
        raise FormatError(f"{key!r}: expected an image of the annotations")
    return ids[key]
