"""Items into an index: encoded chunk by chunk, written some tens of MB at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch

from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError
from graphmatch.index_report import IndexReport
from graphmatch.index_rows import encoded_to_rows, pooled_vectors, unit_vectors
from graphmatch.index_schema import tensor_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphmatch.index import MatchIndex

COMMIT = 64 << 20
"""Bytes of rows that are written together."""


def add_items(
    index: MatchIndex,
    ids: Sequence[str],
    graphs: Sequence[Any],
    *,
    metadata: pa.Table | None = None,
    vectors: NDArray[Any] | None = None,
    replace: bool = False,
    chunk: int,
    progress: Callable[[int], object] | None = None,
) -> IndexReport:
    """See `MatchIndex.add`.

    Args:
        index: where to add.
        ids: of n items.
        graphs: the n items, read when they are needed.
        metadata: n rows of the user's columns.
        vectors: [n, D] vectors, if the user brings them.
        replace: replace items whose id is there.
        chunk: items that are encoded together.
        progress: called with numbers of items that are done.

    Returns:
        Counts.
    """
    _check_lengths(ids, graphs, metadata=metadata, vectors=vectors)
    there = index.present(ids)
    first = {key: place for place, key in reversed(list(enumerate(ids)))}
    report = IndexReport(
        kept=0
        if replace
        else sum(first[key] == place for place, key in enumerate(ids) if key in there),
        failures=tuple(
            (key, "the id was there before") for place, key in enumerate(ids) if first[key] != place
        ),
    )
    places = [first[key] for key in first if replace or key not in there]
    places.sort()
    if progress is not None:
        progress(len(ids) - len(places))
    buffer: list[pa.Table] = []

    def flush() -> IndexReport:
        rows = pa.concat_tables(buffer)
        index.write(rows, new=not replace)
        buffer.clear()
        replaced = sum(key in there for key in rows["id"].to_pylist())
        return IndexReport(added=len(rows) - replaced, replaced=replaced)

    for start in range(0, len(places), chunk):
        part = places[start : start + chunk]
        for rows in _rows(index, part, ids, graphs, metadata=metadata, vectors=vectors):
            if isinstance(rows, tuple):
                report += IndexReport(failures=(rows,))
            else:
                buffer.append(rows)
        if buffer and sum(rows.nbytes for rows in buffer) >= COMMIT:
            report += flush()
        if progress is not None:
            progress(len(part))
    return report + flush() if buffer else report


def add_encoded(
    index: MatchIndex,
    ids: Sequence[str],
    encoded: Encoded,
    *,
    metadata: pa.Table | None = None,
    vectors: NDArray[Any] | None = None,
    replace: bool = False,
) -> IndexReport:
    """See `MatchIndex.add_encoded`.

    Args:
        index: where to add.
        ids: of n items, no id twice.
        encoded: the n items.
        metadata: n rows of the user's columns.
        vectors: [n, D] vectors, if the user brings them.
        replace: replace items whose id is there.

    Returns:
        Counts.
    """
    _check_lengths(ids, encoded, metadata=metadata, vectors=vectors)
    if len(set(ids)) != len(ids):
        raise ConfigError("expected each id once")
    there = index.present(ids)
    places = [place for place, key in enumerate(ids) if replace or key not in there]
    kept = len(ids) - len(places)
    if not places:
        return IndexReport(kept=kept)
    if kept:
        ids, encoded = [ids[place] for place in places], encoded[torch.tensor(places)]
        metadata = None if metadata is None else metadata.take(places)
        vectors = None if vectors is None else vectors[places]
    rows = to_rows(index, ids, encoded, metadata=metadata, vectors=vectors)
    index.write(rows, new=not replace)
    replaced = len(there) if replace else 0
    return IndexReport(added=len(ids) - replaced, replaced=replaced, kept=kept)


def to_rows(
    index: MatchIndex,
    ids: Sequence[str],
    encoded: Encoded,
    *,
    metadata: pa.Table | None = None,
    vectors: NDArray[Any] | None = None,
) -> pa.Table:
    """Items as rows of an index's table; the first ones decide its columns.

    Args:
        index: whose table.
        ids: of n items.
        encoded: the n items.
        metadata: n rows of the user's columns.
        vectors: [n, D] vectors, if the user brings them.

    Returns:
        n rows, for `MatchIndex.write`.

    Raises:
        GraphError: numbers that are not finite, with the id.
        ConfigError: vectors of another size, or not as the index was made.
    """
    if index.header.own_vectors != (vectors is not None):
        wanted = "vectors of the user" if index.header.own_vectors else "no vectors of the user"
        raise ConfigError(f"{index.path}: expected {wanted}, as the index was made")
    units = unit_vectors(ids, pooled_vectors(encoded) if vectors is None else vectors)
    if not index.header.tensors:
        tensors = tensor_columns(encoded, index.header.dtype)
        index.header = changed(index.header, tensors=tensors)
        index.schema = index.header.schema(vector_size=units.shape[1], metadata=index.metadata)
    return encoded_to_rows(
        ids,
        encoded,
        units,
        schema=index.schema,
        tensors=index.header.tensors,
        metadata=metadata,
    )


def _rows(
    index: MatchIndex,
    places: Sequence[int],
    ids: Sequence[str],
    graphs: Sequence[Any],
    *,
    metadata: pa.Table | None,
    vectors: NDArray[Any] | None,
) -> Iterator[pa.Table | tuple[str, str]]:
    """Rows of some items, or (id, reason) of one that cannot be used."""
    encode = encode_visuals if index.header.side == "visual" else encode_texts
    try:
        [encoded] = encode(
            index.require_matcher(), [graphs[place] for place in places], chunk=len(places)
        )
        yield to_rows(
            index,
            [ids[place] for place in places],
            encoded,
            metadata=None if metadata is None else metadata.take(places),
            vectors=None if vectors is None else vectors[places],
        )
    except (ConfigError, torch.OutOfMemoryError):
        raise
    except (ValueError, KeyError, IndexError, RuntimeError) as error:
        if len(places) == 1:
            yield ids[places[0]], str(error) or type(error).__name__
            return
        for place in places:  # which of them is it?
            yield from _rows(index, [place], ids, graphs, metadata=metadata, vectors=vectors)


def _check_lengths(
    ids: Sequence[str],
    items: Any,
    *,
    metadata: pa.Table | None,
    vectors: NDArray[Any] | None,
) -> None:
    for name, value in (("items", items), ("rows of metadata", metadata), ("vectors", vectors)):
        if value is not None and len(value) != len(ids):
            raise ConfigError(f"expected as many {name} as ids, {len(ids)} (got {len(value)})")
