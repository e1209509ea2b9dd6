"""MS-COCO: images with five captions each, and annotated boxes of 80 classes.

Source: Lin et al., "Microsoft COCO", ECCV 2014; its `captions_*.json` and `instances_*.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphmatch.datasets.boxes import ImageBoxes, image_size
from graphmatch.datasets.captions import Caption, record_captions
from graphmatch.datasets.coco_boxes import read_coco_boxes
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.splits import assign_splits
from graphmatch.datasets.text_files import (
    Files,
    file_list,
    plain_text,
    read_json,
    safe_text,
    split_files,
)
from graphmatch.errors import FormatError, GraphError

_EXPECTED = "COCO's lists `images` and `annotations`"


def read_coco(
    captions: Files,
    *,
    instances: str | Path | Sequence[str | Path] = (),
    crowds: bool = True,
    splits: str | Path | None = None,
    name: str = "coco",
) -> DataSet:
    """COCO's images, captions and boxes.

    Args:
        captions: `captions_val2017.json`, or several files by split.
        instances: `instances_val2017.json`, or several files: boxes of those images.
        crowds: keep boxes that stand for a crowd of objects.
        splits: lists of image ids by split, or Karpathy's `dataset_coco.json`, whose splits are
            `train`, `restval`, `val` and `test` (papers train on `restval` too:
            `data.split("train", "restval")`). They go before the names of the files.
        name: of the data set.

    Returns:
        Images by their id (`139`) with file name and size in pixels; captions by theirs; boxes in
        pixels, cut at the border, with score 1, whose label is the rank of the category's id, with
        the names in `labels`. An image whose boxes cannot be used has an error, and so has an id
        of the splits that no file has.

    Raises:
        FormatError: a file is missing or holds something else.

    Example:
        >>> import json, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "captions.json"
        >>> image = {"id": 139, "file_name": "000000000139.jpg", "width": 640, "height": 426}
        >>> caption = {"id": 7, "image_id": 139, "caption": "A room."}
        >>> _ = path.write_text(json.dumps({"images": [image], "annotations": [caption]}))
        >>> data = read_coco({"val": path})
        >>> data.visuals[0].size, data.captions_of("139")[0].text
        ((640, 426), 'A room.')
    """
    visuals: list[Visual] = []
    found: list[Caption] = []
    for split, path in split_files(captions):
        content = read_json(path, _EXPECTED)
        images, annotations = content.get("images"), content.get("annotations")
        if not isinstance(images, list) or not isinstance(annotations, list) or not images:
            raise FormatError(f"{path}: expected {_EXPECTED} (got {', '.join(content)!r:.200})")
        prefix = f"{Path(path).name}:"
        visuals += [_visual(image, split, f"{prefix}{n}") for n, image in enumerate(images, 1)]
        found += record_captions(annotations, prefix=prefix)
    labels: tuple[str, ...] = ()
    for path in file_list(instances):
        boxes = read_coco_boxes(path)
        if labels and boxes.labels != labels:
            raise FormatError(f"{path}: expected the categories of the other files of boxes")
        labels = boxes.labels
        visuals = [_with_boxes(v, boxes.images.get(v.id), crowds) for v in visuals]
    if splits is not None:
        visuals = assign_splits(visuals, _lists(splits, {visual.id for visual in visuals}))
    data = DataSet(name=name, visuals=tuple(visuals), captions=tuple(found), labels=labels)
    return data.check()


def _visual(record: Any, split: str | None, place: str) -> Visual:
    fields = record if isinstance(record, dict) else {}
    id = plain_text(fields.get("id"))
    return Visual(
        id=id or place,
        kind="image",
        split=split,
        file=plain_text(fields.get("file_name")),
        size=image_size(fields.get("width"), fields.get("height")),
        error=None if id else "expected an object with the `id` of an image",
    )


def _with_boxes(visual: Visual, boxes: ImageBoxes | None, crowds: bool) -> Visual:
    if boxes is None:
        return visual
    from graphmatch.regions.annotated import annotated_regions

    try:
        regions = annotated_regions(boxes, visual.size, ignored=crowds)
    except GraphError as error:
        return replace(visual, error=visual.error or str(error))
    return replace(visual, size=regions.size, regions=regions)


def _lists(path: str | Path, images: set[str]) -> dict[str, list[str]]:
    """Ids by split of our own form, `{split: [ids]}`, or of Karpathy's."""
    content = read_json(path, "lists of image ids by split, or Karpathy's `images`")
    lists: dict[str, list[str]] = {}
    if isinstance(content.get("images"), list):
        for record in content["images"]:
            fields = record if isinstance(record, dict) else {}
            split, id = plain_text(fields.get("split")), plain_text(fields.get("cocoid"))
            if split and id:
                lists.setdefault(split, []).append(id)
    else:
        for split, ids in content.items():
            if isinstance(ids, list):
                lists[safe_text(split)] = [id for id in map(plain_text, ids) if id]
    if images.isdisjoint(id for ids in lists.values() for id in ids):
        raise FormatError(f"{path}: expected ids of images that the captions have (got none)")
    return lists
