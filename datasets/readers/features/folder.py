"""Folders with a `.npz` or `.npy` file for each image.

| column | names in a `.npz` file |
|---|---|
| feature | `x`, `features`, `feature`, `feats`, `feat`; [F, R] is turned if the boxes say so |
| box | `bbox`, `bboxes`, `boxes`, `box`, pixels |
| size | `image_w` or `width`, and `image_h` or `height` |
| label, score | `objects_id`, `label`; `objects_conf`, `conf`, `score`; or in the pickled `info` |
| probability | `cls_prob`, `soft_labels`, `probability` |

A `.npy` file holds features alone. Nothing pickled is run.

Source: bottom-up-attention.pytorch, `extract_features.py`.
"""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from graphmatch.datasets.features.item_files import write_item_files
from graphmatch.datasets.features.records import LARGEST, Add, make_record, whole_number
from graphmatch.errors import FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.safe_pickle import read_object_stream

SUFFIXES = (".npz", ".npy")
_UNPACKING = (zlib.error, lzma.LZMAError, struct.error)
# what numpy raises for a damaged header, whose text it parses
_DAMAGE = (
    ValueError,
    TypeError,
    MemoryError,
    RecursionError,
    OverflowError,
    SyntaxError,
    TokenError,
)
_NAMES: Mapping[str, tuple[str, ...]] = {
    "feature": ("x", "features", "feature", "feats", "feat"),
    "box": ("bbox", "bboxes", "boxes", "box"),
    "width": ("image_w", "img_w", "image_width", "width"),
    "height": ("image_h", "img_h", "image_height", "height"),
    "count": ("num_bbox", "num_boxes"),
    "label": ("objects_id", "labels", "label"),
    "score": ("objects_conf", "conf", "scores", "score"),
    "probability": ("cls_prob", "soft_labels", "probability"),
}


def read_folder(path: str | Path) -> Iterator[FeatureRecord]:
    """Images of a folder, a file each, sorted by name, at any depth.

    Args:
        path: the folder.

    Yields:
        A record of kind `regions` a file; its id is the path in the folder without the suffix. A
        damaged file is a failed record.

    Raises:
        FormatError: no such folder, or no file in it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.savez(folder / "7.npz", x=np.eye(2, dtype="f4"), bbox=[[0, 0, 4, 3], [1, 1, 2, 3]])
        >>> [(record.id, [*record.columns]) for record in read_folder(folder)]
        [('7', ['feature', 'box'])]
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FormatError(f"{path}: expected a folder of .npz or .npy files")
    found = sorted(f for f in folder.rglob("*") if f.suffix in SUFFIXES and f.is_file())
    if not found:
        raise FormatError(f"{path}: expected .npz or .npy files (there are none)")
    for file in found:
        key = file.relative_to(folder).with_suffix("").as_posix()
        yield make_record("regions", key, partial(_columns, file), name=file.name)


def _columns(file: Path) -> Mapping[str, Any]:
    try:
        if file.suffix == ".npy":
            if file.stat().st_size > LARGEST:
                raise FormatError(f"expected at most {LARGEST:,} bytes")
            with file.open("rb") as stream:
                return {"feature": _matrix(_array(stream), None)}
        with zipfile.ZipFile(file) as archive:
            return _from_archive(archive)
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, *_UNPACKING) as error:
        raise FormatError(f"the file is truncated or damaged ({error})") from error


def _from_archive(archive: zipfile.ZipFile) -> Mapping[str, Any]:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    values: dict[str, Any] = {}
    for column, names in _NAMES.items():
        name = next((name for name in names if name in members), None)
        if name is not None:
            with _member(archive, members[name]) as stream:
                values[column] = _array(stream)
    if "info" in members:
        with _member(archive, members["info"]) as stream:
            values = {**_from_info(stream), **values}
    if "feature" not in values:
        raise FormatError(f"expected an array named x or features (got {[*members][:8]})")
    box = values.get("box")
    rows = None if box is None or box.ndim != 2 else len(box)
    if rows is not None and "count" in values:
        count = whole_number(values["count"], "num_bbox")
        if count != rows:
            raise FormatError(f"expected num_bbox = {count} boxes (got {rows})")
    size = None
    if "width" in values and "height" in values:
        size = [whole_number(values[name], name, least=1) for name in ("width", "height")]
    return {
        "feature": _matrix(values["feature"], rows),
        "box": box,
        "size": size,
        "label": values.get("label"),
        "score": values.get("score"),
        "probability": values.get("probability"),
    }


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.file_size > LARGEST:
        raise FormatError(f"{info.filename}: expected at most {LARGEST:,} bytes")
    return archive.open(info)


def _from_info(stream: IO[bytes]) -> Mapping[str, Any]:
    """Labels and scores of the pickled dict beside the arrays."""
    info = read_object_stream(stream, "info")
    content = info.item() if info.size == 1 else None
    if not isinstance(content, dict):
        raise FormatError("info: expected a dict")
    pairs = (("label", "objects_id"), ("score", "objects_conf"))
    try:
        return {column: np.asarray(content[name]) for column, name in pairs if name in content}
    except ValueError as error:
        raise FormatError(f"info: expected lists of numbers ({error})") from error


def _array(stream: IO[bytes]) -> NDArray[Any]:
    try:
        return npy.read_array(stream, allow_pickle=False)
    except _DAMAGE as error:
        raise FormatError(f"expected an array of numbers ({error})") from error


def _matrix(feature: NDArray[Any], rows: int | None) -> NDArray[Any]:
    """[R, F] of features that may have an axis of one too much or too little, or be turned."""
    if feature.ndim == 3 and len(feature) == 1:
        feature = feature[0]
    if feature.ndim == 1:
        feature = feature[np.newaxis]
    if feature.ndim == 2 and rows is not None and len(feature) != rows == feature.shape[1]:
        feature = feature.T
    return feature


def write_npz(path: str | Path, *, force: bool = False) -> AbstractContextManager[Add]:
    """A folder with a `.npz` file an image: `x`, `bbox`, `num_bbox`, `image_w`, `image_h`.

    Label, score and probability are written as `objects_id`, `objects_conf`, `cls_prob`.

    Args:
        path: as in `write_item_files`.
        force: as in `write_item_files`.

    Returns:
        What `write_item_files` gives, for records of kind `regions`.
    """
    return write_item_files(path, ".npz", _save_npz, force=force)


def _save_npz(stream: IO[bytes], columns: Mapping[str, Any]) -> None:
    arrays: dict[str, Any] = {"x": columns["feature"]}
    if "box" in columns:
        arrays |= {"bbox": columns["box"], "num_bbox": len(columns["box"])}
    if "size" in columns:
        arrays |= dict(zip(("image_w", "image_h"), columns["size"], strict=True))
    for column in ("label", "score", "probability"):
        if column in columns:
            arrays[_NAMES[column][0]] = columns[column]
    np.savez(stream, **arrays)


def write_npy(path: str | Path, *, force: bool = False) -> AbstractContextManager[Add]:
    """A folder with a `.npy` file of features an item; boxes and times are lost.

    Args:
        path: as in `write_item_files`.
        force: as in `write_item_files`.

    Returns:
        What `write_item_files` gives.
    """
    return write_item_files(
        path, ".npy", lambda stream, columns: np.save(stream, columns["feature"]), force=force
    )
