"""`GraphStore`: a folder of caption graphs: Parquet parts and a manifest.

store/manifest.json        format, version, job, counts, parts, failures
store/part-00000.parquet   rows of `graphmatch.rows.SCHEMA`, zstd, page checksums
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graphmatch.errors import FormatError
from graphmatch.parquet_part import FOOTER
from graphmatch.rows import SCHEMA, CaptionRow, table_to_rows
from graphmatch.store_format import FORMAT, read_manifest


class GraphStore:
    """Caption graphs on disk: random access by id, streaming in order.

    Args:
        path: a folder that `graphmatch parse` wrote.

    Raises:
        FormatError: no store, an unfinished one, a newer version, a missing or truncated part.

    Example:
        >>> import tempfile
        >>> from graphmatch.store_format import write_manifest, write_part
        >>> folder = tempfile.mkdtemp()
        >>> row = CaptionRow(id="a", text="", error="empty")
        >>> part = write_part(folder, 0, digest="", rows=[row])
        >>> write_manifest(folder, {}, parts=[part], complete=True)
        >>> GraphStore(folder)["a"].error
        'empty'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(path)
        if not self.manifest["complete"]:
            raise FormatError(
                f"{path}: expected a finished store (this one was interrupted); "
                "run the same graphmatch parse command again, it goes on where it stopped"
            )
        self._parts = [self._check(part) for part in self.manifest["parts"]]
        self._group: tuple[tuple[int, int], list[CaptionRow]] | None = None

    def _check(self, part: Any) -> tuple[Path, pq.FileMetaData]:
        path = self.path / part["file"]
        try:
            footer = pq.read_metadata(path)
            FORMAT.check_version(json.loads(footer.metadata[FOOTER])["version"], path)
            names = footer.schema.to_arrow_schema().names
        except FormatError:
            raise
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{path}: expected a part of the store (missing, truncated or damaged); "
                "run the same graphmatch parse command again to make it anew"
            ) from error
        if footer.num_rows != part["rows"] or names != SCHEMA.names:
            raise FormatError(f"{path}: expected {part['rows']} captions of the store's schema")
        return path, footer

    def __len__(self) -> int:
        return sum(part["rows"] for part in self.manifest["parts"])

    def __repr__(self) -> str:
        counts = self.manifest["counts"]
        return f"GraphStore({str(self.path)!r}: {len(self)} captions, {counts['failed']} failed)"

    def __iter__(self) -> Iterator[CaptionRow]:
        """All captions in order, a few hundred in memory at a time."""
        for part, (_, footer) in enumerate(self._parts):
            for group in range(footer.num_row_groups):
                yield from table_to_rows(self._read(part, group))

    def between(self, start: int, stop: int) -> Iterator[CaptionRow]:
        """Some captions in order; only their row groups are read.

        Args:
            start: number of the first one, from 0.
            stop: number behind the last one; those behind the end of the store are not there.

        Yields:
            Their rows.

        Raises:
            FormatError: a damaged page.
        """
        first = 0
        for part, (_, footer) in enumerate(self._parts):
            for group in range(footer.num_row_groups):
                count = footer.row_group(group).num_rows
                low, high = max(start - first, 0), min(stop - first, count)
                if low < high:
                    yield from table_to_rows(self._read(part, group).slice(low, high - low))
                first += count

    def _read(self, part: int, group: int, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
        path, footer = self._parts[part]
        try:
            # opened for each read: a store of many parts would run out of file handles
            with pq.ParquetFile(path, metadata=footer, page_checksum_verification=True) as file:
                return file.read_row_group(group, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise FormatError(
                f"{path}: a page is damaged ({error}); delete the file and run the "
                "same graphmatch parse command again"
            ) from error

    @cached_property
    def _places(self) -> dict[str, tuple[int, int, int]]:
        places: dict[str, tuple[int, int, int]] = {}
        for part, (_, footer) in enumerate(self._parts):
            for group in range(footer.num_row_groups):
                for row, key in enumerate(self._read(part, group, ["id"]).column(0).to_pylist()):
                    # a repeated id is a failed row further on
                    places.setdefault(key, (part, group, row))
        return places

    @property
    def ids(self) -> list[str]:
        """The different ids in order."""
        return list(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> CaptionRow:
        """The caption with an id.

        Args:
            key: the caption's id.

        Returns:
            Its row; the first one if the id came more than once.

        Raises:
            KeyError: no such id.
            FormatError: a damaged page.
        """
        if key not in self._places:
            raise KeyError(f"no caption with id {key!r} in {self.path}")
        part, group, row = self._places[key]
        if self._group is None or self._group[0] != (part, group):
            self._group = ((part, group), list(table_to_rows(self._read(part, group))))
        return self._group[1][row]

    def words(self) -> Iterator[tuple[str, ...]]:
        """Words of the captions that were parsed, in order, for `Vocabulary.build`."""
        for row in self:
            if row.parse is not None:
                yield row.parse.words
