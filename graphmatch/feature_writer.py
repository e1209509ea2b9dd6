"""`FeatureWriter`: features of images or videos written to a folder, item by item, resumable.

store/manifest.json   format, version, kind, job, columns, counts, checksums, failures
store/items.jsonl     {"id", "rows"} or {"id", "rows": 0, "error"} of each item, in order
store/offset.npy      [items + 1] first row of each item
store/feature.npy     [rows, F], and so on for every column of `graphmatch.feature_record.COLUMNS`

The manifest is written last: what lies in the files behind its counts is the rest of a run that was
killed, and is cut off by the next one.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from graphmatch.errors import FormatError, check_choice
from graphmatch.feature_record import COLUMNS, FeatureRecord, Kind, check_record
from graphmatch.file_sources import clean_id
from graphmatch.folder_lock import FolderLock
from graphmatch.store_folder import MANIFEST, StoreFormat

FORMAT = StoreFormat(
    name="graphmatch-features",
    version=1,
    what="a feature store",
    command="graphmatch regions, clips and convert",
    files=r"items\.jsonl|[a-z_]+\.npy",
    kinds=(
        ("kind", str),
        ("job", dict),
        ("columns", dict),
        ("counts", dict),
        ("checksums", dict),
        ("failures", list),
        ("complete", bool),
    ),
)
"""Folders of features."""
ITEMS = "items.jsonl"
OFFSET = "offset"
COUNTS = ("items", "rows", "failed", "bytes")
"""What the manifest counts; `bytes` is the length of `items.jsonl`."""
_LISTED = 1000  # failures that the manifest lists by id
_COMMIT = 64  # items between two commits


class FeatureWriter:
    """A feature store that is being written.

    Leaving a `with` block completes the store; an exception leaves it as far as it came, and the
    next writer of the same job goes on there. An item that cannot be stored becomes a failed item
    with its error.

    Args:
        folder: the store: new, empty, or of the same job.
        kind: what the rows of its items are.
        job: what makes it: tool, options. Plain JSON values.
        dtype: `float16` or `float32`, to which features and probabilities are rounded; None keeps
            theirs.
        force: throw away a store of another job.

    Raises:
        ConfigError: an unknown kind, a folder that is no store, a store of another job, or one that
            another run is writing.
        FormatError: a damaged store.

    Example:
        >>> import tempfile
        >>> from graphmatch.feature_store import FeatureStore
        >>> folder = tempfile.mkdtemp()
        >>> with FeatureWriter(folder, kind="regions", job={}) as writer:
        ...     _ = writer.add(FeatureRecord(id="a", columns={"feature": np.ones((2, 3))}))
        ...     _ = writer.add(FeatureRecord(id="b", error="truncated JPEG"))
        >>> FeatureStore(folder)
        FeatureStore('...': 2 items, 1 failed, 2 regions of 3 numbers)
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        kind: Kind,
        job: Mapping[str, Any],
        dtype: str | None = None,
        force: bool = False,
    ) -> None:
        check_choice("kind", kind, get_args(Kind))
        if dtype is not None:
            check_choice("dtype", dtype, ("float16", "float32"))
        self.folder, self.kind, self._dtype = Path(folder), kind, dtype
        self._job = json.loads(json.dumps({**job, "kind": kind, "dtype": dtype}))
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder.is_dir():
            self._lock = FolderLock(folder)
        FORMAT.prepare_folder(folder, self._job, force=force)
        self._earlier: set[str] = set()
        self._added: set[str] = set()
        self._counts = dict.fromkeys(COUNTS, 0)
        self._columns: dict[str, Any] = {}
        self._checksums: dict[str, int] = {ITEMS: 0}
        self._failures: list[list[str]] = []
        self._files: dict[str, IO[bytes]] = {}
        self._waiting = 0
        self._whole = True  # unless an interrupt or a full disk left half an item
        self._items: IO[bytes]
        if (self.folder / MANIFEST).exists():
            self._resume()
        else:
            self._items = (self.folder / ITEMS).open("wb")
            self._open(OFFSET, "<i8", ())
            self._write(OFFSET, np.zeros(1, "<i8"))
            self.commit()

    def _resume(self) -> None:
        from graphmatch.feature_store import FeatureStore

        store = FeatureStore(self.folder, partial=True)  # checks that the files are long enough
        self._earlier = set(store.ids)
        self._counts = {name: store.manifest["counts"][name] for name in COUNTS}
        self._columns = store.manifest["columns"]
        self._checksums = store.manifest["checksums"]
        self._failures = store.manifest["failures"]
        self._items = (self.folder / ITEMS).open("r+b")
        self._items.truncate(self._counts["bytes"])
        self._items.seek(0, 2)
        for name, column in self._columns.items():
            self._open(name, column["dtype"], tuple(column["shape"]), self._length(name))

    def __contains__(self, key: object) -> bool:
        """Whether an earlier run has stored an item."""
        return isinstance(key, str) and clean_id(key) in self._earlier

    @property
    def counts(self) -> dict[str, int]:
        """Items, rows and failed items of the store, earlier runs included."""
        return {name: self._counts[name] for name in COUNTS[:-1]}

    def add(self, record: FeatureRecord) -> str | None:
        """Store one item.

        Args:
            record: its columns, or its error. All items of a store have the same columns.

        Returns:
            None, or the error with which the item was stored.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        error = None if record.error is None else clean_id(record.error)
        record = self._storable(replace(record, id=clean_id(record.id), error=error))
        self._whole = False
        taken = (self._added, self._earlier)
        if any(record.id in ids for ids in taken):
            number = 2
            while any(f"{record.id}#{number}" in ids for ids in taken):
                number += 1
            error = f"duplicate id {record.id!r}: an earlier item has it"
            record = FeatureRecord(id=f"{record.id}#{number}", error=error)
        self._added.add(record.id)
        line: dict[str, Any] = {"id": record.id, "rows": len(record)}
        if record.error is not None:
            line["error"] = record.error
            self._counts["failed"] += 1
            if len(self._failures) < _LISTED:
                self._failures.append([record.id, record.error])
        elif len(self._columns) <= 1:
            self._start(record)
        table = COLUMNS[self.kind]
        for name, column in self._columns.items():
            if name in record.columns:
                value = record.columns[name]
                self._write(name, value if table[name].per_row else value[np.newaxis])
            elif name != OFFSET and not table[name].per_row:  # a failed item keeps its place
                self._write(name, np.zeros((1, *column["shape"]), column["dtype"]))
        self._counts["items"] += 1
        self._counts["rows"] += len(record)
        self._write(OFFSET, np.array([self._counts["rows"]], "<i8"))
        text = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        self._items.write(text)
        self._checksums[ITEMS] = zlib.crc32(text, self._checksums[ITEMS])
        self._counts["bytes"] += len(text)
        self._waiting += 1
        self._whole = True
        if self._waiting >= _COMMIT:
            self.commit()
        return record.error

    def _storable(self, record: FeatureRecord) -> FeatureRecord:
        """The record in the store's types, or failed."""
        try:
            record = check_record(self.kind, record)
            columns = dict(record.columns)
            for name in ("feature", "probability") if self._dtype else ():
                if name in columns:
                    with np.errstate(over="ignore"):  # found by the check
                        columns[name] = columns[name].astype(self._dtype, copy=False)
            record = FeatureRecord(id=record.id, columns=columns, error=record.error)
            return self._check_same(check_record(self.kind, record))
        except FormatError as error:
            return FeatureRecord(id=record.id, error=str(error))

    def _check_same(self, record: FeatureRecord) -> FeatureRecord:
        if record.error is not None or len(self._columns) <= 1:
            return record
        here = {n: (v.dtype.str, self._shape(n, v)) for n, v in record.columns.items()}
        there = {
            name: (column["dtype"], tuple(column["shape"]))
            for name, column in self._columns.items()
            if name != OFFSET
        }
        if here != there:
            raise FormatError(
                f"{record.id!r}: expected the columns of the items before, {there} (got {here})"
            )
        return record

    def _shape(self, name: str, value: NDArray[Any]) -> tuple[int, ...]:
        return value.shape[1:] if COLUMNS[self.kind][name].per_row else value.shape

    def _start(self, record: FeatureRecord) -> None:
        """Make the files of the columns that the first good item has."""
        for name, value in record.columns.items():
            shape = self._shape(name, value)
            self._open(name, value.dtype.str, shape)
            if not COLUMNS[self.kind][name].per_row:
                self._write(name, np.zeros((self._counts["items"], *shape), value.dtype))

    def _open(self, name: str, dtype: str, shape: tuple[int, ...], length: int = 0) -> None:
        """Open a column's file for more; what an interrupted run left behind is cut off."""
        path = self.folder / f"{name}.npy"
        file = path.open("r+b" if length else "wb")
        self._files[name] = file
        self._columns[name] = {"dtype": dtype, "shape": list(shape)}
        self._checksums.setdefault(name, 0)
        self._write_header(name, length)
        size = length * np.dtype(dtype).itemsize * int(np.prod(shape))
        file.truncate(file.tell() + size)
        file.seek(0, 2)

    def _write_header(self, name: str, length: int) -> None:
        column = self._columns[name]
        header = {
            "descr": column["dtype"],
            "fortran_order": False,
            "shape": (length, *column["shape"]),
        }
        self._files[name].seek(0)
        npy.write_array_header_1_0(self._files[name], header)  # leaves room for a longer length

    def _write(self, name: str, value: NDArray[Any]) -> None:
        content = value.tobytes()
        self._files[name].write(content)
        self._checksums[name] = zlib.crc32(content, self._checksums[name])

    def _length(self, name: str) -> int:
        if name == OFFSET:
            return self._counts["items"] + 1
        return self._counts["rows" if COLUMNS[self.kind][name].per_row else "items"]

    def commit(self, *, complete: bool = False) -> None:
        """Make what was added so far part of the store.

        Args:
            complete: whether all input is in.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        for name, file in self._files.items():
            self._write_header(name, self._length(name))
            file.seek(0, 2)
            file.flush()
        self._items.flush()
        FORMAT.write_manifest(
            self.folder,
            {
                "complete": complete,
                "kind": self.kind,
                "job": self._job,
                "columns": self._columns,
                "counts": self._counts,
                "checksums": self._checksums,
                "failures": self._failures,
            },
        )
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit and close; the store is complete unless there was an exception."""
        try:
            if self._whole:
                self.commit(complete=kind is None)
        finally:
            self._items.close()
            for file in self._files.values():
                file.close()
            self._lock.release()
