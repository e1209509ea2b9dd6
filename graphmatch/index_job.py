"""`index_blocks`: a whole corpus into an index, block after block, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from graphmatch.errors import ConfigError
from graphmatch.index_report import IndexReport
from graphmatch.index_sources import Block, VectorFile, chosen

if TYPE_CHECKING:
    from graphmatch.index import MatchIndex
    from graphmatch.metadata_file import MetadataFile

LARGE = 50_000
"""Items from which an index of vectors is built if it is not said otherwise."""


def index_blocks(
    index: MatchIndex,
    blocks: Iterable[Block],
    *,
    metadata: MetadataFile | None = None,
    vectors: VectorFile | None = None,
    replace: bool = False,
    progress: Callable[[int], object] | None = None,
) -> IndexReport:
    """Add the items of a corpus; run again, it goes on where it stopped.

    Items whose id is there are kept, before anything of them is read. Memory holds one transaction
    of about 64 MB, the metadata and the ids of the vectors, not the gallery.

    Args:
        index: where to add.
        blocks: the items.
        metadata: the user's columns by id; items that it does not have get nulls.
        vectors: the user's vectors by id; items that it does not have fail.
        replace: replace items whose id is there.
        progress: called with numbers of items that are done.

    Returns:
        Counts.

    Raises:
        ConfigError: not one item could be used and the index is empty; says why.
    """
    report = IndexReport()
    with index.lock:
        for block in blocks:
            if progress is not None:
                progress(len(block.failures))
            if vectors is not None:
                block = chosen(block, vectors)
            bare = 0 if metadata is None else metadata.missing(block.ids)
            report += IndexReport(failures=block.failures, bare=bare) + index.add(
                block.ids,
                block.graphs,
                metadata=_join(block, metadata),
                vectors=None if vectors is None else vectors.take(block.ids),
                replace=replace,
                progress=progress,
            )
    if not len(index):
        why = f" ({report.failures[0][0]}: {report.failures[0][1]})" if report.failures else ""
        raise ConfigError(f"{index.path}: expected items that can be indexed (got none{why})")
    return report


def _join(block: Block, metadata: MetadataFile | None) -> pa.Table | None:
    """Metadata of the store and of the user side by side."""
    if metadata is None:
        return block.metadata
    found = metadata.take(block.ids)
    if block.metadata is None:
        return found
    for name in block.metadata.column_names:
        if name in found.column_names:
            raise ConfigError(f"{metadata.path}: expected another name than {name!r}")
        found = found.append_column(name, block.metadata[name])
    return found
