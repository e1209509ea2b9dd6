"""`ClickLog`: rows of a click log in batches, from files or from a reader of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.click_schema import ClickSchema
from graphmatch.click_tables import check_columns, column_names, read_batches, read_table
from graphmatch.errors import ConfigError, check_choice

SPLITS = ("train", "valid", "test")
"""Names of the splits; a store keeps their numbers."""
LogFiles = str | Path | Sequence[str | Path] | Mapping[str, str | Path | Sequence[str | Path]]
"""One file, several, or either by the name of a split."""
_EXAMPLES = 3


@dataclass(slots=True)
class Skipped:
    """What was left out, counted by reason.

    Args:
        counts: by reason.
        examples: the first rows of each reason.

    Example:
        >>> skipped = Skipped()
        >>> skipped.add("no item", [4, 7])
        >>> skipped.lines()
        ['2 rows: no item (rows 4, 7)']
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[int]] = field(default_factory=dict)

    def add(self, reason: str, rows: Iterable[int]) -> None:
        """Count rows.

        Args:
            reason: why they were left out.
            rows: their numbers.
        """
        numbers = list(rows)
        if numbers:
            self.counts[reason] += len(numbers)
            shown = self.examples.setdefault(reason, [])
            shown.extend(int(number) for number in numbers[: _EXAMPLES - len(shown)])

    def lines(self) -> list[str]:
        """One line a reason, the most frequent first."""
        lines = []
        for reason, count in self.counts.most_common():
            shown, rows = self.examples[reason], "row" if count == 1 else "rows"
            numbers = ", ".join(map(str, shown)) + (", ..." if count > len(shown) else "")
            lines.append(f"{count} {rows}: {reason} ({'row' if count == 1 else 'rows'} {numbers})")
        return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """Some rows of a log.

    Args:
        columns: Arrow record batch.
        row: [n] int64 numbers of the rows, from 0, over all files.
        split: which file of which split they are from; None if files say nothing.
    """

    columns: Any
    row: NDArray[np.int64]
    split: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickLog:
    """A click log.

    Args:
        schema: what its columns are.
        read: reads it from the beginning; rows that cannot be read are counted in what it is given.
        items: Arrow table of items, with a column named as the log's column of the item; None if
            the features of items are in the log.
        sources: files that it is read from.
        options: what else makes its rows what they are; plain JSON values.
    """

    schema: ClickSchema
    read: Callable[[Skipped], Iterator[LogBatch]]
    items: Any = None
    sources: tuple[Path, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def file_log(
    schema: ClickSchema,
    files: LogFiles,
    *,
    items: str | Path | None = None,
    table: Any = None,
    separator: str | None = None,
) -> ClickLog:
    """A click log in Parquet, CSV or npz files.

    Args:
        schema: what its columns are.
        files: the files; by split if the schema says so. Names end with `.parquet`, `.npz`, `.csv`
            or `.tsv`, the latter two perhaps with `.gz` behind.
        items: file with a table of items.
        table: Arrow table of items, instead of a file.
        separator: between columns of text files, if not a comma or, in `.tsv`, a tab.

    Returns:
        The log. Files are opened to look at their columns, no more.

    Raises:
        ConfigError: files by split where the schema says otherwise, or the other way round; a
            column that is missing, with the nearest name.
        FormatError: no such file, another format.
    """
    by_split = isinstance(files, Mapping)
    if by_split != (schema.splitting.by == "file"):
        raise ConfigError(
            f'splitting by "{schema.splitting.by}": expected '
            + ("files by split" if schema.splitting.by == "file" else "files without splits")
        )
    parts: list[tuple[int | None, Path]] = []
    if isinstance(files, Mapping):
        for name, paths in files.items():
            check_choice("split", name, SPLITS)
            parts += [(SPLITS.index(name), path) for path in _paths(paths)]
    else:
        parts = [(None, path) for path in _paths(files)]
    if not parts:
        raise ConfigError("expected a file of the log (got none)")
    if items is not None:
        table = _items(schema, items, separator)
    elif table is not None:
        check_columns("the table of items", item_columns(schema), table.column_names)
    wanted = schema.log_columns(with_items=table is not None)
    for _, path in parts:
        check_columns(path, wanted, column_names(path, separator))
    return ClickLog(
        schema=schema,
        read=lambda skipped: _read(parts, wanted, separator, skipped),
        items=table,
        sources=tuple(path for _, path in parts) + (() if items is None else (Path(items),)),
    )


def table_log(
    schema: ClickSchema,
    table: Any,
    *,
    items: Any = None,
    sources: Sequence[str | Path] = (),
    skipped: Skipped | None = None,
    options: Mapping[str, Any] | None = None,
) -> ClickLog:
    """A click log in memory.

    Args:
        schema: what its columns are.
        table: Arrow table of the rows; the split is a column, if any.
        items: Arrow table of items.
        sources: files that it was made from.
        skipped: what was left out when it was made.
        options: with which it was made.

    Returns:
        The log.

    Raises:
        ConfigError: a column that is missing, with the nearest name.
    """
    check_columns("the log", schema.log_columns(with_items=items is not None), table.column_names)
    if items is not None:
        check_columns("the items", item_columns(schema), items.column_names)

    def read(counted: Skipped) -> Iterator[LogBatch]:
        start = 0
        if skipped is not None:
            counted.counts.update(skipped.counts)
            counted.examples.update(skipped.examples)
        for batch in table.to_batches(max_chunksize=1 << 18):
            yield LogBatch(columns=batch, row=np.arange(start, start + len(batch)))
            start += len(batch)

    return ClickLog(
        schema=schema,
        read=read,
        items=items,
        sources=tuple(map(Path, sources)),
        options=dict(options or {}),
    )


def item_columns(schema: ClickSchema) -> list[str]:
    """Columns that a table of items must have; vectors may be in files of their own.

    Args:
        schema: of the log.

    Returns:
        Different names, that of the item first.
    """
    names = [feature.source for feature in schema.items if feature.kind != "vector"]
    return list(dict.fromkeys([schema.item, *names]))


def _items(schema: ClickSchema, path: str | Path, separator: str | None) -> Any:
    wanted, present = item_columns(schema), column_names(path, separator)
    check_columns(path, wanted, present)
    vectors = {f.source for f in schema.items if f.kind == "vector"}
    wanted += sorted(vectors & {*present} - {*wanted})
    return read_table(path, wanted, separator)


def _read(
    parts: Sequence[tuple[int | None, Path]],
    wanted: Sequence[str],
    separator: str | None,
    skipped: Skipped,
) -> Iterator[LogBatch]:
    first = 0  # row of the next file
    for split, path in parts:
        bad: dict[int, str] = {}
        row = 0
        for batch in read_batches(path, wanted, separator=separator, bad=bad):
            rows = np.arange(row, row + len(batch) + len(bad))
            rows = rows[~np.isin(rows, list(bad))][: len(batch)] if bad else rows
            row = int(rows[-1]) + 1 if len(rows) else row
            yield LogBatch(columns=batch, row=first + rows, split=split)
        for reason in dict.fromkeys(bad.values()):
            skipped.add(reason, [first + number for number, why in bad.items() if why == reason])
        first += row + sum(number >= row for number in bad)


def _paths(files: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(files)] if isinstance(files, (str, Path)) else [Path(path) for path in files]
