"""`read_coco_boxes`: annotated boxes of MS-COCO and of the many data sets in its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphmatch.datasets.boxes import BoxAnnotations, BoxDraft, image_size
from graphmatch.datasets.text_files import finite_number, plain_text, read_json
from graphmatch.errors import FormatError


def read_coco_boxes(path: str | Path) -> BoxAnnotations:
    """Boxes of a COCO file, `instances_val2017.json` or one like it.

    Args:
        path: the file, perhaps gzipped; it is read whole.

    Returns:
        All its images, also those without a box. One with a box that is none, or of an unknown
        category, has an error instead of boxes.

    Raises:
        FormatError: no such file, damaged, without COCO's lists, categories that are none.

    Example:
        >>> import json, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "instances.json"
        >>> content = {
        ...     "images": [{"id": 139, "file_name": "139.jpg", "width": 640, "height": 426}],
        ...     "annotations": [{"image_id": 139, "category_id": 18, "bbox": [10, 20, 5.5, 8]}],
        ...     "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
        ... }
        >>> _ = path.write_text(json.dumps(content))
        >>> boxes = read_coco_boxes(path)
        >>> image = boxes.images["139"]
        >>> image.box.tolist(), boxes.labels[image.label[0]]
        ([[10.0, 20.0, 15.5, 28.0]], 'dog')
    """
    content = read_json(path, "COCO's lists `images`, `annotations` and `categories`")
    lists = [content.get(name) for name in ("images", "annotations", "categories")]
    if not all(isinstance(part, list) for part in lists):
        raise FormatError(
            f"{path}: expected COCO's lists `images`, `annotations` and `categories` "
            f"(got {', '.join(content)!r:.200})"
        )
    images, annotations, categories = (part or [] for part in lists)
    names = _categories(categories, str(path))
    ranks = {key: rank for rank, key in enumerate(names)}
    drafts: dict[str, BoxDraft] = {}
    for place, record in enumerate(images, 1):
        fields = record if isinstance(record, dict) else {}
        id = plain_text(fields.get("id"))
        if id in drafts:
            drafts[id].fail(f"duplicate id {id!r}: an earlier image has it")
        draft = drafts.setdefault(id or f"image-{place}", BoxDraft())
        draft.file = plain_text(fields.get("file_name"))
        draft.size = image_size(fields.get("width"), fields.get("height"))
        if id is None:
            draft.fail("expected an object with the `id` of an image")
    for place, record in enumerate(annotations, 1):
        fields = record if isinstance(record, dict) else {}
        id = plain_text(fields.get("image_id"))
        draft = drafts.setdefault(id or f"annotation-{place}", BoxDraft())
        if id is None:
            draft.fail("expected an object with the `image_id` of an annotation")
        else:
            _add_coco(draft, fields, ranks)
    found = {id: draft.finish(id) for id, draft in drafts.items()}
    return BoxAnnotations(labels=tuple(names.values()), images=found)


def _categories(records: Sequence[Any], name: str) -> dict[int, str]:
    """Names by id, ascending."""
    names: dict[int, str] = {}
    for record in records:
        fields = record if isinstance(record, dict) else {}
        id, text = fields.get("id"), plain_text(fields.get("name"))
        if type(id) is not int or text is None or id in names:
            raise FormatError(
                f"{name}: expected categories with an `id` of their own and a `name` "
                f"(got {record!r:.80})"
            )
        names[id] = text
    return dict(sorted(names.items()))


def _add_coco(draft: BoxDraft, fields: dict[str, Any], ranks: Mapping[int, int]) -> None:
    corner = fields.get("bbox")
    numbers = [finite_number(n) for n in corner] if isinstance(corner, list) else []
    category = fields.get("category_id")
    if len(numbers) != 4 or None in numbers:
        draft.fail(f"bbox: expected x, y, width and height (got {corner!r:.80})")
    elif type(category) is not int or category not in ranks:
        draft.fail(f"category_id: expected an id of one (got {category!r:.80})")
    else:
        x, y, width, height = (number or 0.0 for number in numbers)
        crowd = bool(fields.get("iscrowd"))
        draft.add((x, y, x + width, y + height), ranks[category], ignored=crowd)
