"""What readers and writers of feature files share: checked records, ids, wanted columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.datasets.text_files import safe_text
from graphmatch.errors import FormatError
from graphmatch.feature_record import FeatureRecord, Kind, check_record

Add = Callable[[FeatureRecord], None]
"""Writes one record; raises `FormatError` if the format cannot hold it, and writes nothing then."""
LARGEST = 1 << 30
"""Bytes of the largest array of one item that is read: a small file can claim any size."""


_LONGEST = 220  # bytes of a name without its endings; file systems end at 255


def make_record(
    kind: Kind, key: str, columns: Callable[[], Mapping[str, Any]], *, name: object = ""
) -> FeatureRecord:
    """A checked record of one item, or a failed one.

    Args:
        kind: what its rows are.
        key: its id.
        columns: makes its columns; those that are None are left out. `FormatError` is its failure.
        name: of the file, for the message of a failure.

    Returns:
        The record.

    Example:
        >>> make_record("regions", "7", lambda: {"feature": [[1.0]], "box": [[9, 0, 3, 4]]}).error
        "'7': column 'box': expected x1 <= x2 and y1 <= y2"
    """
    try:
        held = {name: value for name, value in columns().items() if value is not None}
        _check_values(key, held)
        return check_record(kind, FeatureRecord(id=key, columns=held))
    except FormatError as error:
        return FeatureRecord(id=key, error=f"{name}: {error}" if name else str(error))


def _check_values(key: str, columns: Mapping[str, Any]) -> None:
    """Refuse what would be changed without a word, or has no meaning."""
    arrays: dict[str, NDArray[Any]] = {
        name: np.asarray(columns[name]) for name in ("label", "size", "box") if name in columns
    }
    for name, value in arrays.items():
        if name != "box" and value.dtype.kind in "iuf":
            whole = (value == np.trunc(value)) & (value >= -(2**31)) & (value < 2**31)
            if not whole.all():
                raise FormatError(f"{key!r}: column {name!r}: expected whole numbers below 2^31")
    if "size" in arrays and (arrays["size"] <= 0).any():
        raise FormatError(f"{key!r}: column 'size': expected pixels above 0")
    box = arrays.get("box")
    if box is not None and box.ndim == 2 and box.shape[1] == 4 and box.dtype.kind in "iuf":
        if (box[:, :2] > box[:, 2:]).any():
            raise FormatError(f"{key!r}: column 'box': expected x1 <= x2 and y1 <= y2")
        if (box <= 1).all() and (box != np.trunc(box)).any():
            raise FormatError(f"{key!r}: column 'box': expected pixels (got fractions of a size)")


def item_id(value: object, what: str = "id") -> str:
    """An id as a file gives it: text, bytes, or a whole number.

    Args:
        value: the id.
        what: what it is, for the message.

    Returns:
        Its text.

    Raises:
        FormatError: anything else, or nothing.

    Example:
        >>> item_id(b"COCO_7"), item_id(np.int64(7))
        ('COCO_7', '7')
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str) and value:
        return safe_text(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        number = int(value)
        if abs(number) < 2**63:
            return str(number)
    raise FormatError(f"expected an {what} (got {type(value).__name__})")


def whole_number(value: object, what: str, *, least: int = 0) -> int:
    """A whole number as a file gives it: an integer, a float, an array of one, or text.

    Args:
        value: the number.
        what: what it is, for the message.
        least: the smallest that is possible.

    Returns:
        The number.

    Raises:
        FormatError: anything else.

    Example:
        >>> whole_number("640", "image_w"), whole_number(480.0, "image_h")
        (640, 480)
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    try:
        if isinstance(value, str):
            value = float(value)
        if isinstance(value, int | float | np.number) and value == int(value):
            number = int(value)
            if least <= number < 2**31:
                return number
    except (TypeError, ValueError, OverflowError):
        pass
    shown = f"{value!r:.40}" if isinstance(value, (str, float)) else type(value).__name__
    raise FormatError(f"{what}: expected a whole number from {least} (got {shown})")


def wanted(record: FeatureRecord, *names: str) -> list[NDArray[Any]]:
    """Columns of a record that a format cannot do without.

    Args:
        record: the record.
        names: the columns.

    Returns:
        Their values.

    Raises:
        FormatError: the item failed, or has no such column.

    Example:
        >>> wanted(FeatureRecord(id="7", columns={"feature": np.zeros((1, 2))}), "feature", "box")
        Traceback (most recent call last):
        graphmatch.errors.FormatError: '7': expected a column 'box' (got ['feature'])
    """
    if record.error is not None:
        raise FormatError(f"{record.id!r}: expected features ({record.error})")
    for name in names:
        if name not in record.columns:
            raise FormatError(
                f"{record.id!r}: expected a column {name!r} (got {[*record.columns]})"
            )
    return [record.columns[name] for name in names]


def file_of(key: str, suffix: str) -> PurePosixPath:
    """Where the file of an item lies in a folder of such files.

    Args:
        key: its id; what lies before a `/` is a folder.
        suffix: of the file.

    Returns:
        A path that stays in the folder.

    Raises:
        FormatError: an id that leads elsewhere.

    Example:
        >>> file_of("val/7", ".npz")
        PurePosixPath('val/7.npz')
    """
    parts = key.split("/")
    odd = any(part in ("", ".", "..") or len(part.encode()) > _LONGEST for part in parts)
    if odd or len(parts) > 32 or any(character in key for character in "\0\\:"):
        raise FormatError(f"{key!r:.300}: expected an id that can be the name of a file")
    return PurePosixPath(key + suffix)


def step_times(rows: int, seconds_per_step: float, *, window: float | None = None) -> NDArray[Any]:
    """Start and end of rows that follow each other in equal steps.

    Args:
        rows: L, how many there are.
        seconds_per_step: from the start of a row to the start of the next.
        window: seconds that a row covers; one step if None.

    Returns:
        [L, 2] seconds.

    Example:
        >>> step_times(2, 0.5).tolist()
        [[0.0, 0.5], [0.5, 1.0]]
    """
    start = np.arange(rows) * seconds_per_step
    if window is None:
        return np.stack([start, np.arange(1, rows + 1) * seconds_per_step], axis=1)  # [L, 2]
    return np.stack([start, start + window], axis=1)  # [L, 2]
