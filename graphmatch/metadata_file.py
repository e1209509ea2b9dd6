"""`MetadataFile`: the user's columns of items, by id, from Parquet, CSV or JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from graphmatch.errors import ConfigError, FormatError, check_choice
from graphmatch.index_schema import ID, check_metadata

SUFFIXES = (".parquet", ".csv", ".jsonl")


class MetadataFile:
    r"""A table with a column `id` and typed columns; held in memory.

    Types are those of the Parquet file, or what CSV and JSON lines look like: whole numbers,
    numbers, truth values, dates and times in ISO 8601, texts.

    Args:
        path: `.parquet`, `.csv` (with a line of names) or `.jsonl`.

    Raises:
        ConfigError: another suffix, or columns that cannot be metadata.
        FormatError: a damaged file, no ids, an id twice.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "photos.csv"
        >>> _ = path.write_text("id,year\n1,2019\n2,\n")
        >>> MetadataFile(path).take(["2", "1", "0"])["year"].to_pylist()
        [None, 2019, None]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        check_choice("kind of metadata file", self.path.suffix, SUFFIXES)
        if not self.path.is_file():
            raise FormatError(f"{path}: no such file")
        try:
            table = _read(self.path)
        except pa.ArrowException as error:
            raise FormatError(f"{path}: expected a table (got: {error})") from error
        if ID not in table.column_names:
            raise FormatError(f"{path}: expected a column {ID!r} (got {table.column_names})")
        ids = table[ID].cast(pa.string()).combine_chunks()
        counts = pc.value_counts(ids)
        twice = counts.filter(pc.greater(counts.field("counts"), 1))
        if ids.null_count or len(twice):
            what = "an empty id" if ids.null_count else f"{twice.field('values')[0]} twice"
            raise FormatError(f"{path}: expected each item once, with an id (got {what})")
        self._ids = ids
        self._table = table.drop_columns([ID])
        try:
            check_metadata(self.schema)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @property
    def schema(self) -> pa.Schema:
        """Names and types without `id`."""
        return self._table.schema.remove_metadata()

    def __len__(self) -> int:
        return len(self._ids)

    def take(self, ids: Sequence[str]) -> pa.Table:
        """Rows of some items.

        Args:
            ids: of n items.

        Returns:
            n rows; of nulls where an id is not in the file.
        """
        places = pc.index_in(pa.array(ids, pa.string()), value_set=self._ids)
        return self._table.take(places)

    def missing(self, ids: Sequence[str]) -> int:
        """How many items have no row.

        Args:
            ids: of the items.
        """
        return int(pc.index_in(pa.array(ids, pa.string()), value_set=self._ids).null_count)


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path)
    if path.suffix == ".csv":
        from pyarrow import csv

        # ids stay texts: 007 is not 7
        options = csv.ConvertOptions(column_types={ID: pa.string()}, strings_can_be_null=True)
        return csv.read_csv(path, convert_options=options)
    from pyarrow import json

    return json.read_json(path)
