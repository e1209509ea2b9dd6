"""`MatchIndex`: a gallery encoded once, searched by a prefilter and ranked by the matcher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from graphmatch.errors import CheckpointError, ConfigError
from graphmatch.index_report import IndexReport
from graphmatch.index_schema import (
    COUNT,
    ID,
    VECTOR,
    IndexHeader,
    NodeType,
    Side,
    check_metadata,
    metadata_schema,
    read_header,
)
from graphmatch.lance_files import WriterLock
from graphmatch.lance_table import LanceTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphmatch.encoded import Encoded
    from graphmatch.index_search import Hit
    from graphmatch.models.matcher import Matcher
    from graphmatch.prefilter import Prefilter
    from graphmatch.vocab import Vocabulary

KEEP = timedelta(hours=1)
"""Age from which `compact` throws versions of the table away."""


class MatchIndex:
    """Items of a gallery in a LanceDB table, with the vectors that find them.

    A search asks the prefilter for the items whose vectors are nearest to the query's (the table's
    vector index, an exact scan if it has none, or another `Prefilter`), reads those items and
    scores them with the matcher. Nothing holds the gallery in memory. Make one by `create` or
    `open`.

    Args:
        path: folder of the index, or an address of object storage.
        header: what belongs to the whole index.
        table: its table; None until the first items are added.
        matcher: encodes and scores; None only to delete, compact and look.
        prefilter: another prefilter than the table.
        metadata: the user's columns.
    """

    def __init__(
        self,
        path: str,
        header: IndexHeader,
        *,
        table: LanceTable | None,
        matcher: Matcher | None,
        prefilter: Prefilter | None,
        metadata: pa.Schema,
    ) -> None:
        self.path, self.header, self.matcher = path, header, matcher
        self.vocabulary: Vocabulary | None = None
        """Of the checkpoint, if that was loaded here."""
        self.prefilter, self.metadata = prefilter, metadata
        self.lock = WriterLock(path) if table is None else table.lock
        """Held while items are written or deleted."""
        self._table = table
        self.schema: pa.Schema | None = None if table is None else table.schema
        """All columns of the table; None until the first items are known."""

    @classmethod
    def create(
        cls,
        path: str | Path,
        matcher: Matcher,
        *,
        digest: str,
        checkpoint: str | Path = "",
        side: Side = "visual",
        dtype: NodeType = "float16",
        own_vectors: bool = False,
        metadata: pa.Schema | None = None,
        prefilter: Prefilter | None = None,
    ) -> Self:
        """A new index; its table appears on disk with the first items.

        Args:
            path: a new or empty folder, or an address.
            matcher: encodes and scores.
            digest: of the matcher's checkpoint, see `checkpoint_digest`.
            checkpoint: where it is, for commands that are not told.
            side: whether the gallery is images or videos, or captions.
            dtype: numbers of nodes on disk.
            own_vectors: whether `add` and `search` are given vectors; the matcher's `pooled` if
                not.
            metadata: the user's columns: numbers, truth values, dates, texts, lists of them.
            prefilter: another prefilter than the table's own vector index.

        Returns:
            The index.

        Raises:
            ConfigError: an index is there, or metadata that cannot be.

        Example:
            >>> import tempfile, torch
            >>> from graphmatch.encoded import Encoded
            >>> from graphmatch.models.scan import SCAN, SCANConfig
            >>> scan = SCAN(SCANConfig(vocabulary=9, feature_size=6, embed_size=8))
            >>> index = MatchIndex.create(tempfile.mkdtemp(), scan, digest="0" * 64)
            >>> mask = torch.ones(3, 2, dtype=torch.bool)
            >>> items = Encoded(nodes=torch.randn(3, 2, 8), mask=mask, pooled=torch.randn(3, 8))
            >>> index.add_encoded(["a", "b", "c"], items).added
            3
            >>> [hit.rank for hit in index.search(items[:1], top_k=2)]
            [1, 2]
        """
        if LanceTable.exists(path):
            raise ConfigError(f"{path}: the index exists; open it to add items")
        metadata = pa.schema([]) if metadata is None else metadata
        check_metadata(metadata)
        header = IndexHeader(
            digest=digest,
            checkpoint=str(checkpoint),
            side=side,
            dtype=dtype,
            own_vectors=own_vectors,
            prefilter=None if prefilter is None else prefilter.name,
        )
        return cls(
            str(path), header, table=None, matcher=matcher, prefilter=prefilter, metadata=metadata
        )

    @classmethod
    def open(
        cls,
        path: str | Path,
        checkpoint: str | Path | None = None,
        *,
        matcher: Matcher | None = None,
        prefilter: Prefilter | None = None,
    ) -> Self:
        """An index that is there.

        Args:
            path: its folder or address.
            checkpoint: that of the index; None only to delete, compact and look.
            matcher: the checkpoint's, if it is loaded already (and perhaps on a device).
            prefilter: the one it was made with; without it, searches use the table's vectors.

        Returns:
            The index.

        Raises:
            FormatError: no index, a damaged one, a newer version.
            CheckpointError: another checkpoint than that of the index.
            ConfigError: another prefilter.
        """
        from graphmatch.checkpoint import checkpoint_digest, load_checkpoint

        table, vocabulary = LanceTable.open(path), None
        header = read_header(table.schema, where=str(path))
        if checkpoint is not None:
            digest = checkpoint_digest(checkpoint)
            if digest != header.digest:
                raise CheckpointError(
                    f"{path}: expected the checkpoint that encoded the index, {header.digest} "
                    f"(got {digest} of {checkpoint}); give that one, or build the index again"
                )
            loaded, vocabulary = load_checkpoint(checkpoint, task="match")
            matcher = loaded if matcher is None else matcher
        if prefilter is not None and prefilter.name != header.prefilter:
            raise ConfigError(
                f"{path}: expected the prefilter {header.prefilter or 'of the table itself'} "
                f"(got {prefilter.name})"
            )
        metadata = metadata_schema(table.schema, header)
        index = cls(
            str(path), header, table=table, matcher=matcher, prefilter=prefilter, metadata=metadata
        )
        index.vocabulary = vocabulary
        return index

    @property
    def table(self) -> LanceTable:
        """The table.

        Raises:
            ConfigError: no item was added yet.
        """
        if self._table is None:
            raise ConfigError(f"{self.path}: the index has no items yet")
        return self._table

    def __len__(self) -> int:
        return 0 if self._table is None else self._table.count()

    def present(self, ids: Sequence[str]) -> set[str]:
        """Which items are there.

        Args:
            ids: to look for.

        Returns:
            Those found.
        """
        return set() if self._table is None else self._table.present(ids)

    def add(
        self,
        ids: Sequence[str],
        graphs: Sequence[Any],
        *,
        metadata: pa.Table | None = None,
        vectors: NDArray[Any] | None = None,
        replace: bool = False,
        chunk: int = 128,
        progress: Callable[[int], object] | None = None,
    ) -> IndexReport:
        """Encode items and add them, about 64 MB a transaction.

        Args:
            ids: of n items.
            graphs: the n items, read when they are needed: `RegionGraph`, `ClipGraph` or
                `TextGraph`, as the gallery's side says.
            metadata: n rows with columns of the index; what is missing is null.
            vectors: [n, D] vectors, if the user brings them; of any length but 0.
            replace: replace items whose id is there; they are kept if not.
            chunk: items that are encoded together.
            progress: called with numbers of items that are done.

        Returns:
            Counts. What they count is on disk. An item that cannot be used is counted with its
            reason and stops nothing.

        Raises:
            ConfigError: arguments that do not go together, or another run is writing.
        """
        from graphmatch.index_add import ItemColumns, add_items

        columns = ItemColumns(ids, metadata, vectors)
        with self.lock:
            return add_items(self, columns, graphs, replace=replace, chunk=chunk, progress=progress)

    def add_encoded(
        self,
        ids: Sequence[str],
        encoded: Encoded,
        *,
        metadata: pa.Table | None = None,
        vectors: NDArray[Any] | None = None,
        replace: bool = False,
    ) -> IndexReport:
        """Add items that are encoded already, in one transaction.

        Args:
            ids: of n items, no id twice.
            encoded: the n items, of the index's checkpoint.
            metadata: as `add`.
            vectors: as `add`.
            replace: as `add`.

        Returns:
            Counts.

        Raises:
            GraphError: numbers that are not finite, with the id; nothing is added then.
            ConfigError: as `add`.
        """
        from graphmatch.index_add import ItemColumns, add_encoded

        with self.lock:
            return add_encoded(self, ItemColumns(ids, metadata, vectors), encoded, replace=replace)

    def write(self, rows: pa.Table, *, new: bool) -> None:
        """Write rows in one transaction; when this returns, they are on disk.

        Args:
            rows: of the table's schema, see `graphmatch.index_add`.
            new: none of the ids is there.

        Raises:
            ConfigError: the index was made with another prefilter than it was opened with, or
                another run is writing.
        """
        self._check_prefilter()
        with self.lock:
            if self.prefilter is not None:  # first: it may hold more than the table, never less
                self.prefilter.add(rows.select([ID, VECTOR, *self.metadata.names]))
            if self._table is None:
                self._table = LanceTable.create(self.path, rows, lock=self.lock)
            else:
                self._table.add(rows, new=new)

    def delete(self, ids: Sequence[str] = (), *, where: str | None = None) -> int:
        """Delete items; when this returns, they are gone.

        Args:
            ids: of items; those that are not there are no error.
            where: or a condition on the metadata in SQL.

        Returns:
            How many were deleted.

        Raises:
            ConfigError: a wrong condition, or another run is writing.
        """
        with self.lock:
            if where is not None:
                rows = self.table.stream(columns=[ID], batch=100_000, where=where)
                ids = [*ids, *(key for part in rows for key in part[ID].to_pylist())]
            before = self.table.count()
            self.table.delete(ids)
            if self.prefilter is not None:
                self.prefilter.delete(ids)
            return before - self.table.count()

    def build_vector_index(self) -> None:
        """Build (again) the table's index of vectors; without one, searches scan all vectors."""
        self.table.build_vector_index()

    def compact(self, *, keep: timedelta = KEEP) -> None:
        """Merge small files, drop deleted items, bring the vector index up to date.

        Readers go on meanwhile: a search whose version was thrown away starts again with the
        newest.

        Args:
            keep: age from which older versions of the table are thrown away.

        """
        with self.lock:
            self.table.compact(keep=keep)

    def search(
        self,
        query: Any,
        *,
        top_k: int = 10,
        prefilter: int = 200,
        where: str | None = None,
        vector: NDArray[Any] | None = None,
    ) -> list[Hit]:
        """The items that the matcher scores best for a query, among those that are near it.

        Args:
            query: a graph of the other side than the gallery, or one `Encoded` item of it.
            top_k: how many hits at most.
            prefilter: how many items the prefilter finds and the matcher scores.
            where: a condition on the metadata in SQL; items that do not meet it are left out
                before.
            vector: [D] the query's vector, if the user brought those of the items.

        Returns:
            Hits, best first.

        Raises:
            ConfigError: a wrong condition, or numbers that do not go together.
            GraphError: a query that cannot be encoded.
        """
        from graphmatch.index_search import search_index

        return search_index(
            self, query, top_k=top_k, prefilter=prefilter, where=where, vector=vector
        )

    def columns(self) -> list[str]:
        """The table's columns that an item is read from."""
        return [ID, COUNT, *(tensor.column for tensor in self.header.tensors)]

    def require_matcher(self) -> Matcher:
        """The matcher.

        Raises:
            ConfigError: the index was opened without a checkpoint.
        """
        if self.matcher is None:
            raise ConfigError(f"{self.path}: expected a checkpoint to open it with (got none)")
        return self.matcher

    def _check_prefilter(self) -> None:
        if self.prefilter is None and self.header.prefilter is not None:
            raise ConfigError(
                f"{self.path}: the index was made with the prefilter {self.header.prefilter}; "
                "open it with that one to add items"
            )

    def __repr__(self) -> str:
        return f"MatchIndex({self.path!r}: {len(self)} items, {self.header.side})"
