"""Parquet, CSV and npz files as Arrow batches: `column_names`, `read_batches`, `read_table`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from graphmatch.errors import FormatError, check_choice

_ROWS = 1 << 18  # of a batch
_BYTES = 1 << 24  # of a block of text
_ENDINGS = (".parquet", ".npz", ".csv", ".tsv", ".csv.gz", ".tsv.gz")


def column_names(path: str | Path, separator: str | None = None) -> list[str]:
    """Names of the columns of a file.

    Args:
        path: the file.
        separator: of a text file, see `graphmatch.click_log.file_log`.

    Returns:
        Names in order.

    Raises:
        FormatError: no such file, another format, a damaged file.
    """
    kind = _kind(path)
    try:
        if kind == ".parquet":
            return list(pyarrow.parquet.read_schema(path).names)
        if kind == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return list(arrays.files)
        with _open_text(path, None, separator, {}) as stream:
            return list(stream.schema.names)
    except (pa.ArrowException, zipfile.BadZipFile, ValueError) as error:
        raise _unreadable(path, error) from error


def check_columns(where: str | Path, wanted: Sequence[str], present: Sequence[str]) -> None:
    """Raise `ConfigError` if a column is missing.

    Args:
        where: the file.
        wanted: names.
        present: names that are there.

    Raises:
        ConfigError: with the nearest name that is there.

    Example:
        >>> check_columns("a.csv", ["userId"], ["userID", "item"])
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: unknown column of a.csv 'userId': expected one of ...; did you mean 'userID'?
    """  # noqa: E501
    for name in wanted:
        check_choice(f"column of {where}", name, present)


def read_table(path: str | Path, columns: Sequence[str], separator: str | None = None) -> Any:
    """Columns of a file, all rows.

    Args:
        path: the file.
        columns: names.
        separator: of a text file.

    Returns:
        Arrow table; all columns of a text file are text.

    Raises:
        FormatError: a damaged file, in a text file a row with another number of columns.
    """
    bad: dict[int, str] = {}
    batches = list(read_batches(path, columns, separator=separator, bad=bad))
    for number, reason in bad.items():
        raise FormatError(f"{path}: row {number}: {reason}")
    if not batches:
        raise FormatError(f"{path}: expected rows (got none)")
    return pa.Table.from_batches(batches)


def read_batches(
    path: str | Path, columns: Sequence[str], *, separator: str | None, bad: dict[int, str]
) -> Iterator[Any]:
    """Rows of a file, lazily; memory holds some batches.

    Args:
        path: the file.
        columns: names.
        separator: of a text file.
        bad: becomes the reasons of rows that cannot be read, by number from 0.

    Yields:
        Arrow record batches; all columns of a text file are text.

    Raises:
        FormatError: a damaged file.
    """
    kind = _kind(path)
    try:
        if kind == ".parquet":
            with pyarrow.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(_ROWS, columns=list(columns))
        elif kind == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                yield from _of_arrays({name: arrays[name] for name in columns})
        else:
            with _open_text(path, columns, separator, bad) as stream:
                for batch in stream:
                    yield _decode(batch)
    except (pa.ArrowException, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _kind(path: str | Path) -> str:
    name = Path(path).name.lower()
    kind = next((ending for ending in _ENDINGS if name.endswith(ending)), None)
    if kind is None:
        raise FormatError(f"{path}: expected a name that ends with {', '.join(_ENDINGS)}")
    if not Path(path).is_file():
        raise FormatError(f"{path}: no such file")
    return kind


def _unreadable(path: str | Path, error: Exception) -> FormatError:
    return FormatError(f"{path}: expected a {_kind(path)} file ({error})")


def _of_arrays(arrays: dict[str, Any]) -> Iterator[Any]:
    columns = {}
    for name, array in arrays.items():
        if array.ndim not in (1, 2) or array.dtype.kind not in "iufbU":
            raise FormatError(
                f"array {name}: expected numbers or text [n] or [n, T] (got {array!r:.60})"
            )
        flat = pa.array(array.reshape(-1))
        if array.ndim == 2:
            flat = pa.FixedSizeListArray.from_arrays(flat, array.shape[1])
        columns[name] = flat
    if len({len(column) for column in columns.values()}) > 1:
        raise FormatError("arrays: expected one number of rows in all")
    yield from pa.table(columns).to_batches(max_chunksize=_ROWS)


def _open_text(
    path: str | Path, columns: Sequence[str] | None, separator: str | None, bad: dict[int, str]
) -> Any:
    def keep(row: Any) -> str:
        reason = f"expected {row.expected_columns} columns (got {row.actual_columns})"
        bad[len(bad) if row.number is None else row.number - 2] = reason  # the header is row 1
        return "skip"

    tab = ".tsv" in Path(path).name.lower()
    names = {} if columns is None else {"include_columns": list(columns)}
    types = {} if columns is None else {"column_types": dict.fromkeys(columns, pa.binary())}
    return pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_BYTES),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=separator or ("\t" if tab else ","),
            newlines_in_values=True,
            invalid_row_handler=keep,
        ),
        convert_options=pyarrow.csv.ConvertOptions(**names, **types),
    )


def _decode(batch: Any) -> Any:
    """Bytes as text; what is no UTF-8 becomes a missing value."""
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns[name] = column.cast(pa.string())
        except pa.ArrowInvalid:
            columns[name] = pa.array([_text(value.as_py()) for value in column], pa.string())
    return pa.record_batch(columns)


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None
