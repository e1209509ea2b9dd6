"""Items into an index: encoded chunk by chunk, written some tens of MB at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import torch

from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.text import TextGraph
from graphmatch.index_report import IndexReport
from graphmatch.index_rows import encoded_to_rows, pooled_vectors, unit_vectors
from graphmatch.index_schema import ID, tensor_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphmatch.index import MatchIndex

COMMIT = 64 << 20
"""Bytes of rows that are written together."""


class ItemColumns(NamedTuple):
    """What belongs to items beside themselves.

    Args:
        ids: of n items.
        metadata: n rows of the user's columns, or None.
        vectors: [n, D] vectors, if the user brings them.
    """

    ids: Sequence[str]
    metadata: pa.Table | None = None
    vectors: NDArray[Any] | None = None

    def take(self, places: Sequence[int]) -> ItemColumns:
        """Those of some items.

        Args:
            places: their numbers.
        """
        return ItemColumns(
            [self.ids[place] for place in places],
            None if self.metadata is None else self.metadata.take(places),
            None if self.vectors is None else self.vectors[list(places)],
        )


def add_items(
    index: MatchIndex,
    columns: ItemColumns,
    graphs: Sequence[Any],
    *,
    replace: bool,
    chunk: int,
    progress: Callable[[int], object] | None = None,
) -> IndexReport:
    """See `MatchIndex.add`.

    Args:
        index: where to add.
        columns: of n items.
        graphs: the n items, read when they are needed.
        replace: replace items whose id is there.
        chunk: items that are encoded together.
        progress: called with numbers of items that are done.

    Returns:
        Counts.
    """
    _check(index, columns, graphs)
    ids = columns.ids
    there = index.present(ids)
    first: dict[str, int] = {}
    for place, key in enumerate(ids):
        first.setdefault(key, place)
    again = [key for place, key in enumerate(ids) if first[key] != place]
    places = [place for key, place in first.items() if replace or key not in there]
    report = IndexReport(
        kept=len(first) - len(places),
        failures=tuple((key, "the id was there before") for key in again),
    )
    if progress is not None:
        progress(len(ids) - len(places))
    buffer: list[pa.Table] = []

    def flush() -> IndexReport:
        rows = pa.concat_tables(buffer)
        index.write(rows, new=not replace)
        buffer.clear()
        replaced = sum(key in there for key in rows[ID].to_pylist())
        return IndexReport(added=len(rows) - replaced, replaced=replaced)

    for start in range(0, len(places), chunk):
        part = places[start : start + chunk]
        for rows in _rows(index, columns, part, graphs):
            if isinstance(rows, tuple):
                report += IndexReport(failures=(rows,))
            else:
                buffer.append(rows)
        if sum(rows.nbytes for rows in buffer) >= COMMIT:
            report += flush()
        if progress is not None:
            progress(len(part))
    return report + flush() if buffer else report


def add_encoded(
    index: MatchIndex, columns: ItemColumns, encoded: Encoded, *, replace: bool
) -> IndexReport:
    """See `MatchIndex.add_encoded`.

    Args:
        index: where to add.
        columns: of n items, no id twice.
        encoded: the n items.
        replace: replace items whose id is there.

    Returns:
        Counts.
    """
    _check(index, columns, encoded)
    ids = columns.ids
    if len(set(ids)) != len(ids):
        raise ConfigError("expected each id once")
    there = index.present(ids)
    places = [place for place, key in enumerate(ids) if replace or key not in there]
    kept = len(ids) - len(places)
    if not places:
        return IndexReport(kept=kept)
    if kept:
        columns, encoded = columns.take(places), encoded[torch.tensor(places)]
    index.write(_to_rows(index, columns, encoded), new=not replace)
    replaced = len(there) if replace else 0
    return IndexReport(added=len(places) - replaced, replaced=replaced, kept=kept)


def _to_rows(index: MatchIndex, columns: ItemColumns, encoded: Encoded) -> pa.Table:
    """Rows of the index's table; the first items of all decide its columns."""
    vectors = pooled_vectors(encoded) if columns.vectors is None else columns.vectors
    units = unit_vectors(columns.ids, vectors)
    if index.schema is None:
        tensors = tensor_columns(encoded, index.header.dtype)
        index.header = changed(index.header, tensors=tensors)
        index.schema = index.header.schema(vector_size=units.shape[1], metadata=index.metadata)
    return encoded_to_rows(
        columns.ids,
        encoded,
        units,
        schema=index.schema,
        tensors=index.header.tensors,
        metadata=columns.metadata,
    )


def _rows(
    index: MatchIndex, columns: ItemColumns, places: Sequence[int], graphs: Sequence[Any]
) -> Iterator[pa.Table | tuple[str, str]]:
    """Rows of some items, or (id, reason) of one that cannot be used."""
    encode = encode_visuals if index.header.side == "visual" else encode_texts
    matcher = index.require_matcher()
    try:
        items = [graphs[place] for place in places]
        for item in items:
            if isinstance(item, TextGraph) != (index.header.side == "text"):
                raise GraphError(f"expected a {index.header.side} graph (got {item!r})")
        [encoded] = encode(matcher, items, chunk=len(places))
        yield _to_rows(index, columns.take(places), encoded)
    except (ConfigError, torch.OutOfMemoryError):
        raise
    except (ValueError, KeyError, IndexError, RuntimeError) as error:
        if len(places) == 1:
            yield columns.ids[places[0]], str(error) or type(error).__name__
            return
        for place in places:  # which of them is it?
            yield from _rows(index, columns, [place], graphs)


def _check(index: MatchIndex, columns: ItemColumns, items: Any) -> None:
    ids, metadata, vectors = columns
    if index.header.own_vectors != (vectors is not None):
        wanted = "vectors of the user" if index.header.own_vectors else "no vectors of the user"
        raise ConfigError(f"{index.path}: expected {wanted}, as the index was made")
    for name, value in (("items", items), ("rows of metadata", metadata), ("vectors", vectors)):
        if value is not None and len(value) != len(ids):
            raise ConfigError(f"expected as many {name} as ids, {len(ids)} (got {len(value)})")
    for entry in () if metadata is None else metadata.schema:
        if entry.name not in index.metadata.names:
            raise ConfigError(
                f"{index.path}: expected the metadata that the index was made with, "
                f"{index.metadata.names} (got {entry.name!r})"
            )
        there = index.metadata.field(entry.name).type
        if entry.type not in (there, pa.null()):
            raise ConfigError(
                f"{index.path}: expected {there} in the column {entry.name!r} of the metadata "
                f"(got {entry.type})"
            )
    if vectors is not None and index.schema is not None and vectors.ndim == 2:
        size = index.schema.field("vector").type.list_size
        if vectors.shape[1] != size:
            raise ConfigError(f"expected vectors of {size} numbers (got {vectors.shape[1]})")
