"""Fields of bottom-up-attention and its descendants: whole numbers and arrays in base64.

`image_id`, `image_w`, `image_h`, `num_boxes`, `boxes` [R, 4], `features` [R, F]; ViLBERT adds
`cls_prob` [R, C], LXMERT `objects_id` [R] and `objects_conf` [R]. Lines of TSV files and records of
LMDB files have the same fields.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.datasets.features.records import wanted, whole_number
from graphmatch.errors import FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.raw_array import raw_array

SPELLINGS = {
    "img_id": "image_id",
    "id": "image_id",
    "img_w": "image_w",
    "width": "image_w",
    "img_h": "image_h",
    "height": "image_h",
}
"""Other names of fields."""


def decode_fields(fields: Mapping[str, object]) -> dict[str, Any]:
    """Columns of one image from its fields.

    Args:
        fields: values by the names above; others are passed over.

    Returns:
        Columns of a record of kind `regions`, read-only.

    Raises:
        FormatError: a missing field, no base64, bytes that are not `num_boxes` rows, no box.

    Example:
        >>> zeros = base64.b64encode(np.zeros(4, "<f4").tobytes())
        >>> fields = {"num_boxes": 1, "boxes": zeros, "features": zeros, "image_w": 6, "image_h": 4}
        >>> decode_fields(fields)["feature"].shape
        (1, 4)
    """
    for name in ("num_boxes", "boxes", "features"):
        if name not in fields:
            raise FormatError(f"expected a field {name!r} (got {[*fields][:12]})")
    count = whole_number(fields["num_boxes"], "num_boxes")
    box = _rows(fields, "boxes", count)
    if box is not None and box.shape[1] != 4:
        raise FormatError(f"boxes: expected 4 numbers a box (got {box.shape[1]})")
    size = None
    if "image_w" in fields and "image_h" in fields:
        size = [whole_number(fields[name], name, least=1) for name in ("image_w", "image_h")]
    label, score = _rows(fields, "objects_id", count, "i"), _rows(fields, "objects_conf", count)
    feature = _rows(fields, "features", count)
    if not count:  # [0, 0] would not fit the other images of a store
        raise FormatError("num_boxes = 0: expected boxes, without them features have no length")
    return {
        "feature": feature,
        "box": box,
        "size": size,
        "probability": _rows(fields, "cls_prob", count),
        "label": None if label is None else _flat(label, "objects_id"),
        "score": None if score is None else _flat(score, "objects_conf"),
    }


def encode_fields(record: FeatureRecord) -> dict[str, Any]:
    """Fields of one image from its record.

    Args:
        record: with boxes and size.

    Returns:
        Values by the names above; base64 as ASCII text, features as float32.

    Raises:
        FormatError: the item failed, or has no boxes or size.

    Example:
        >>> columns = {"feature": [[0.5]], "box": [[0, 0, 4, 3]], "size": [6, 4]}
        >>> encode_fields(FeatureRecord(id="7", columns=columns))["features"]
        'AAAAPw=='
    """
    feature, box, size = wanted(record, "feature", "box", "size")
    fields = {
        "image_id": record.id,
        "image_w": int(size[0]),
        "image_h": int(size[1]),
        "num_boxes": len(box),
        "boxes": encode_rows(box, "<f4"),
        "features": encode_rows(feature, "<f4"),
    }
    for column, name, dtype in (
        ("probability", "cls_prob", "<f4"),
        ("label", "objects_id", "<i8"),
        ("score", "objects_conf", "<f4"),
    ):
        if column in record.columns:
            fields[name] = encode_rows(record.columns[column], dtype)
    return fields


def encode_rows(value: Any, dtype: str) -> str:
    """Numbers in base64.

    Args:
        value: the numbers.
        dtype: type and byte order in which they are written.

    Returns:
        ASCII text.

    Example:
        >>> encode_rows([1], "<i8")
        'AQAAAAAAAAA='
    """
    return base64.b64encode(np.ascontiguousarray(value, dtype).tobytes()).decode("ascii")


def _flat(rows: NDArray[Any], name: str) -> NDArray[Any]:
    if rows.shape[1] != 1:
        raise FormatError(f"{name}: expected a number a box (got {rows.shape[1]})")
    return rows[:, 0]


def _rows(
    fields: Mapping[str, object], name: str, count: int, kind: str = "f"
) -> NDArray[Any] | None:
    """[R, *] of a field; whole numbers may have 4 or 8 bytes."""
    if name not in fields:
        return None
    text = fields[name]
    if isinstance(text, str):
        text = text.encode("ascii", "replace")
    if not isinstance(text, bytes | bytearray):
        raise FormatError(f"{name}: expected base64 (got {type(text).__name__})")
    if text[:2] in (b"b'", b'b"') and text[-1:] == text[1:2]:
        text = text[2:-1]  # as Python 3 prints bytes
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise FormatError(f"{name}: expected base64 ({error})") from error
    size = 8 if kind == "i" and len(content) == 8 * count else 4
    width, rest = divmod(len(content), size * max(count, 1))
    if rest or (width and not count):
        raise FormatError(
            f"{name}: expected num_boxes = {count} rows of {size}-byte numbers "
            f"(got {len(content):,} bytes)"
        )
    width = width or (4 if name == "boxes" else 1 if name.startswith("objects") else 0)
    return raw_array(content, np.dtype(f"<{kind}{size}"), (count, width))
