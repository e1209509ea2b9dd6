"""`FeatureStore`: features of images or videos on disk, mapped into memory.

`graphmatch.feature_writer` says which files a store has. Every `.npy` of it can be read by numpy
alone; an item's rows are `feature[offset[k]:offset[k + 1]]`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from operator import index
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import FormatError
from graphmatch.feature_record import COLUMNS, FeatureRecord, Kind
from graphmatch.feature_writer import COUNTS, FORMAT, ITEMS, OFFSET
from graphmatch.npy import map_array
from graphmatch.store_folder import MANIFEST, check_kinds, damaged_manifest

_BLOCK = 1 << 22  # bytes that a check reads at once


class FeatureStore:
    """Features on disk: random access by id or position, and in order.

    Opening reads the manifest and the headers, nothing else; ids are read when they are first
    asked for.

    Args:
        path: a folder that `graphmatch regions`, `clips` or `convert` wrote.
        partial: also open a store that is not finished.

    Raises:
        FormatError: no store, an unfinished one, a newer version, a missing or truncated file.

    Example:
        >>> import tempfile
        >>> from graphmatch.feature_writer import FeatureWriter
        >>> folder = tempfile.mkdtemp()
        >>> columns = {"feature": np.eye(2), "box": [[0, 0, 4, 3], [1, 1, 2, 3]], "size": [8, 6]}
        >>> with FeatureWriter(folder, kind="regions", job={}) as writer:
        ...     _ = writer.add(FeatureRecord(id="a", columns=columns))
        >>> store = FeatureStore(folder)
        >>> store.rows("feature", 0)[1]
        array([0., 1.])
        >>> store.graph("a")
        RegionGraph(2 regions of 8 x 6 pixels; 2 features)
    """

    def __init__(self, path: str | Path, *, partial: bool = False) -> None:
        self.path = Path(path)
        self.manifest = FORMAT.read_manifest(path)
        if not (self.manifest["complete"] or partial):
            raise FormatError(
                f"{path}: expected a finished store (this one is being written, or its run was "
                "interrupted); run the same command again, it goes on where it stopped"
            )
        try:
            counts = self.manifest["counts"]
            check_kinds(counts, tuple((name, int) for name in COUNTS))
            if any(counts[name] < 0 for name in COUNTS):
                raise ValueError(f"negative counts {counts}")
            if self.manifest["kind"] not in get_args(Kind):
                raise TypeError(f"kind is {self.manifest['kind']!r:.100}")
            self._columns = {name: self._map(name) for name in self.manifest["columns"]}
            self._offset = self._columns.pop(OFFSET)
            if self._offset[-1] != counts["rows"]:
                raise ValueError(f"{counts['rows']} rows; the offsets end at {self._offset[-1]}")
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, FormatError):
                raise
            raise damaged_manifest(self.path / MANIFEST, error) from error
        self.kind: Kind = self.manifest["kind"]
        items = self.path / ITEMS
        if not items.is_file() or items.stat().st_size < counts["bytes"]:
            raise FormatError(f"{items}: missing or truncated; make the store again")

    def _map(self, name: str) -> NDArray[Any]:
        """A column as the manifest describes it."""
        counts, column = self.manifest["counts"], self.manifest["columns"][name]
        if name == OFFSET:
            length = counts["items"] + 1
        else:
            length = counts["rows" if COLUMNS[self.manifest["kind"]][name].per_row else "items"]
        path = self.path / f"{name}.npy"
        array = map_array(path)
        wanted = (np.dtype(column["dtype"]), column["shape"])
        if (array.dtype, list(array.shape[1:])) != wanted or len(array) < length:
            raise FormatError(
                f"{path}: expected at least {length} rows of {wanted[0]} {wanted[1]} "
                f"(got {array.dtype} {list(array.shape)}); make the store again"
            )
        return array[:length]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the store itself: a pickle of memory maps holds all features."""
        return partial(FeatureStore, partial=True), (self.path.absolute(),)

    def __len__(self) -> int:
        return int(self.manifest["counts"]["items"])

    def __repr__(self) -> str:
        counts = self.manifest["counts"]
        width = self._columns["feature"].shape[1] if "feature" in self._columns else 0
        return (
            f"FeatureStore({str(self.path)!r}: {counts['items']} items, {counts['failed']} failed, "
            f"{counts['rows']} {self.kind} of {width} numbers)"
        )

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Columns of all items by name: [rows, ...] or [items, ...], read-only memory maps."""
        return self._columns

    @property
    def row_counts(self) -> NDArray[np.int64]:
        """[items] number of rows of each item."""
        return np.diff(self._offset)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes that `label` counts, if the job that made the store knew them."""
        names = self.manifest["job"].get("labels") or []
        if not isinstance(names, list):
            error = TypeError(f"labels is {names!r:.100}")
            raise damaged_manifest(self.path / MANIFEST, error)
        return tuple(map(str, names))

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        path = self.path / ITEMS
        with path.open("rb") as stream:
            content = stream.read(self.manifest["counts"]["bytes"])
        try:
            lines = [json.loads(line) for line in content.splitlines()]
            if len(lines) != len(self):
                raise ValueError(f"{len(lines)} lines for {len(self)} items")
            for line in lines:
                check_kinds(line, (("id", str), ("rows", int)))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"{path}: damaged ({error}); make the store again") from error
        return lines

    @cached_property
    def ids(self) -> list[str]:
        """The ids in order."""
        return [line["id"] for line in self._lines]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {key: position for position, key in enumerate(self.ids)}

    @property
    def failures(self) -> list[tuple[str, str]]:
        """(id, error) of every item that failed."""
        return [(line["id"], str(line["error"])) for line in self._lines if "error" in line]

    def __contains__(self, key: object) -> bool:
        return key in self._positions

    def position(self, key: str) -> int:
        """Where an item is.

        Args:
            key: its id.

        Returns:
            Its number from 0.

        Raises:
            KeyError: no such id; with the nearest one.
        """
        if key in self._positions:
            return self._positions[key]
        from difflib import get_close_matches

        near = get_close_matches(str(key), self.ids[:10000], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise KeyError(f"no item with id {key!r} in {self.path}{hint}")

    def rows(self, name: str, position: int) -> NDArray[Any]:
        """One column of one item, without a copy.

        Args:
            name: a column whose values belong to rows, such as `feature`.
            position: number of the item.

        Returns:
            [R, ...] read-only view of the memory map; empty for a failed item.
        """
        start, end = self._offset[position : position + 2].tolist()
        return self._columns[name][start:end]

    def __getitem__(self, key: str | int) -> FeatureRecord:
        """An item.

        Args:
            key: its id, or its number from 0.

        Returns:
            Its record; the columns are read-only views of the memory map.

        Raises:
            KeyError: no such id.
            IndexError: no such number.
        """
        position = self.position(key) if isinstance(key, str) else index(key)
        if not 0 <= position < len(self):
            raise IndexError(f"expected a number below {len(self)} (got {position})")
        line = self._lines[position]
        if "error" in line:
            return FeatureRecord(id=line["id"], error=str(line["error"]))
        table = COLUMNS[self.kind]
        columns = {
            name: self.rows(name, position) if table[name].per_row else array[position]
            for name, array in self._columns.items()
        }
        return FeatureRecord(id=line["id"], columns=columns)

    def __iter__(self) -> Iterator[FeatureRecord]:
        return (self[position] for position in range(len(self)))

    def graph(self, key: str | int) -> Any:
        """An item as a graph.

        Args:
            key: its id, or its number from 0.

        Returns:
            `RegionGraph` or `ClipGraph`, float32.

        Raises:
            KeyError: no such id.
            FormatError: a failed item, or a store without boxes or times.
        """
        record = self[key]
        return record.regions().to_graph() if self.kind == "regions" else record.clips()

    def verify(self) -> None:
        """Read everything and compare the checksums.

        Raises:
            FormatError: a file that is not as it was written, by name.
        """
        offset = np.asarray(self._offset)
        if offset[0] != 0 or (np.diff(offset) < 0).any():
            raise FormatError(f"{self.path / 'offset.npy'}: expected ascending offsets from 0")
        with (self.path / ITEMS).open("rb") as stream:
            parts = {ITEMS: zlib.crc32(stream.read(self.manifest["counts"]["bytes"]))}
        for name, array in {OFFSET: offset, **self._columns}.items():
            checksum, content = 0, array.reshape(-1).view(np.uint8)
            for start in range(0, len(content), _BLOCK):
                checksum = zlib.crc32(content[start : start + _BLOCK].tobytes(), checksum)
            parts[name] = checksum
        for name, checksum in parts.items():
            if self.manifest["checksums"].get(name) != checksum:
                raise FormatError(
                    f"{self.path}: {name} is not as it was written (checksum); make the store again"
                )
