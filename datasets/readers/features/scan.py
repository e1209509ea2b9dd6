"""SCAN's features of images, with GSMN's boxes and sizes: arrays whose rows are images.

| file | content |
|---|---|
| `<split>_ims.npy` (IMRAM: `<split>_feat.npy`) | [rows, 36, 2048] float32 |
| `<split>_ims_bbx.npy` | [rows, 36, 4] float32, x1 y1 x2 y2 in pixels; optional |
| `<split>_ims_size.npy` | [rows] Python objects `{"image_w", "image_h"}`; optional |
| `<split>_ids.txt` | an id a row; optional |

Of training splits an image is one row, of the others five equal rows, one a caption.

Source: SCAN (ECCV 2018), official code, `data.py`; GSMN (CVPR 2020), official code, `data.py`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from graphmatch.datasets.features.npy_rows import write_rows
from graphmatch.datasets.features.records import Add, make_record, wanted, whole_number
from graphmatch.datasets.text_files import read_lines
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.npy import map_array
from graphmatch.output import check_output, open_output
from graphmatch.safe_pickle import read_object_npy

ENDINGS = ("_ims.npy", "_feat.npy")
"""Ends of the names of feature files."""
_CAPTIONS = 5  # of an image, and rows where every caption has one


def read_scan(path: str | Path, *, repeat: int | None = None) -> Iterator[FeatureRecord]:
    r"""Images of a split; the arrays are mapped, not read whole.

    Args:
        path: `<split>_ims.npy` or `<split>_feat.npy`; the other files are looked for beside it.
        repeat: rows an image, 1 or 5. None finds out: five if the ids come in fives, or, without
            ids, if the first five rows are equal. Five rows of an image that differ are an error.

    Yields:
        A record of kind `regions` an image: feature [R, F]; box [R, 4] and size where there are
        files of them. Ids are those of `<split>_ids.txt`, or numbers of images from 0. An image
        that cannot be used is a failed record.

    Raises:
        FormatError: no such file, no array of rows of regions, truncated files, files that do not
            have as many rows as each other, a row count that `repeat` does not divide.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dev_ims.npy"
        >>> np.save(path, np.zeros((2, 36, 8), np.float32))
        >>> _ = path.with_name("dev_ids.txt").write_text("139\n285\n")
        >>> [(record.id, len(record)) for record in read_scan(path)]
        [('139', 36), ('285', 36)]
    """
    files = _open(Path(path))
    repeat = _repetition(files) if repeat is None else repeat
    if repeat not in (1, _CAPTIONS) or files.count % repeat:
        raise FormatError(
            f"{path}: expected one row an image, or five (got {files.count} rows, repeat {repeat})"
        )
    for first in range(0, files.count, repeat):
        rows = range(first, first + repeat)
        key = files.ids[first] if files.ids is not None else str(first // repeat)
        yield make_record("regions", key, partial(files.columns, rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    feature: NDArray[Any]
    box: NDArray[Any] | None
    size: NDArray[Any] | None
    ids: Sequence[str] | None

    @property
    def count(self) -> int:
        return len(self.feature)

    def columns(self, rows: range) -> dict[str, Any]:
        """Columns of one image, whose rows must be equal."""
        columns: dict[str, Any] = {"feature": self.feature[rows[0]]}
        if self.box is not None:
            columns["box"] = self.box[rows[0]]
        if self.size is not None:
            columns["size"] = _size(self.size[rows[0]])
        for row in rows[1:]:
            for name, array in (("feature", self.feature), ("box", self.box)):
                if array is not None and array[row].tobytes() != columns[name].tobytes():
                    raise FormatError(
                        f"rows {rows[0]} to {rows[-1]}: expected five equal rows of one image "
                        f"({name} of row {row} differs)"
                    )
            if self.ids is not None and self.ids[row] != self.ids[rows[0]]:
                raise FormatError(f"rows {rows[0]} to {rows[-1]}: expected one id of one image")
        return columns


def _open(path: Path) -> _Files:
    if path.is_dir():
        found = sorted(p.name for end in ENDINGS for p in path.glob(f"*{end}"))
        raise FormatError(f"{path}: expected a file of features (got a folder with {found[:6]})")
    feature = map_array(path)
    if feature.ndim != 3:
        raise FormatError(
            f"{path}: expected [images, regions, numbers] (got {list(feature.shape)})"
        )
    names = _beside(path)
    count = len(feature)
    box = map_array(names["box"]) if names["box"].exists() else None
    size = read_object_npy(names["size"]) if names["size"].exists() else None
    ids = None
    if names["ids"].exists():
        ids = [_id(line) for _, line, _ in read_lines(names["ids"])]
    for name, values in (("box", box), ("size", size), ("ids", ids)):
        if values is not None and np.shape(values)[:1] != (count,):
            raise FormatError(
                f"{names[name]}: expected {count} rows as in {path.name} "
                f"(got shape {list(np.shape(values))})"
            )
    if box is not None and box.shape != (*feature.shape[:2], 4):
        raise FormatError(
            f"{names['box']}: expected shape {[*feature.shape[:2], 4]} (got {list(box.shape)})"
        )
    return _Files(feature=feature, box=box, size=size, ids=ids)


def _beside(path: Path) -> dict[str, Path]:
    """The other files of a split."""
    end = next((end for end in ENDINGS if path.name.endswith(end)), path.suffix)
    split = path.name.removesuffix(end)
    names = {"box": "_ims_bbx.npy", "size": "_ims_size.npy", "ids": "_ids.txt"}
    return {key: path.with_name(split + name) for key, name in names.items()}


def _id(line: str) -> str:
    """An id in the spelling of `read_scan_folder`."""
    text = line.strip()
    return str(int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else text


def _size(entry: object) -> list[int]:
    if not isinstance(entry, dict):
        raise FormatError(f"expected image_w and image_h (got {type(entry).__name__})")
    return [whole_number(entry.get(name), name, least=1) for name in ("image_w", "image_h")]


def _repetition(files: _Files) -> int:
    if files.count % _CAPTIONS or not files.count:
        return 1
    if files.ids is not None:
        each = files.ids[::_CAPTIONS]
        return _CAPTIONS if [key for key in each for _ in range(_CAPTIONS)] == files.ids else 1
    first = files.feature[0].tobytes()
    return _CAPTIONS if all(files.feature[row].tobytes() == first for row in range(1, 5)) else 1


@contextmanager
def write_scan(path: str | Path, *, repeat: int = 1, force: bool = False) -> Iterator[Add]:
    """SCAN's files of one split, as the official code of SCAN, IMRAM and GSMN reads them.

    All images must have equally many regions; the first one decides whether there are boxes and
    sizes. Sizes are written as Python objects that Python 2 can read, because GSMN does. Ids should
    be whole numbers: the official code wants them so.

    Args:
        path: `<split>_ims.npy` or `<split>_feat.npy`; the other files are written beside it.
        repeat: rows an image: 1 as in training splits, or 5 as in the others.
        force: overwrite files that are there.

    Yields:
        A function that adds a record of kind `regions`.

    Raises:
        ConfigError: another name or `repeat`, or a file is there.
        FormatError: by the function, for a record that does not fit the first one.
    """
    path = Path(path)
    if repeat not in (1, _CAPTIONS):
        raise ConfigError(f"expected repeat 1 or {_CAPTIONS} (got {repeat})")
    if not path.name.endswith(ENDINGS):
        raise ConfigError(f"{path}: expected a name that ends in {' or '.join(ENDINGS)}")
    names = _beside(path)
    columns: list[str] = []
    seen: set[str] = set()
    sizes: list[dict[str, int]] = []
    writers: list[Callable[[NDArray[Any]], None]] = []
    for other in names.values():
        check_output(other, force=force)
    with ExitStack() as stack:
        ids = stack.enter_context(open_output(names["ids"], force=force))
        feature = stack.enter_context(write_rows(path, force=force))

        def add(record: FeatureRecord) -> None:
            if not len(*wanted(record, "feature")):  # as the first it would refuse all others
                raise FormatError(f"{record.id!r}: expected regions (got none)")
            if not columns:
                columns.extend(["feature", *(n for n in ("box", "size") if n in record.columns)])
                if "box" in columns:
                    writers.append(stack.enter_context(write_rows(names["box"], force=force)))
            if record.id != record.id.strip() or "\n" in record.id or "\r" in record.id:
                raise FormatError(
                    f"{record.id!r}: expected an id without line ends, or spaces around it"
                )
            key = _id(record.id)
            if key in seen:
                raise FormatError(f"{record.id!r}: an earlier item is read as {key!r} too")
            values = dict(zip(columns, wanted(record, *columns), strict=True))
            for _ in range(repeat):
                feature(values["feature"])
                for write in writers:
                    write(values["box"])
                if "size" in columns:
                    width, height = values["size"].tolist()
                    sizes.append({"image_w": width, "image_h": height})
                ids.write(f"{record.id}\n")
            seen.add(key)

        yield add
        for name in ("box", "size"):  # those of features that are overwritten
            if name not in columns:
                names[name].unlink(missing_ok=True)
        if sizes:
            stream = stack.enter_context(open_output(names["size"], force=force, binary=True))
            _write_objects(stream, sizes)


def _write_objects(stream: Any, entries: list[dict[str, int]]) -> None:
    array = np.empty(len(entries), object)
    array[:] = entries
    header = {"descr": "|O", "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(stream, header)
    # the module has had a new name since numpy 2, which older ones do not know
    content = pickle.dumps(array, protocol=2)
    stream.write(content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1))
