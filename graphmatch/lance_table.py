"""`LanceTable`: the table of an index, with LanceDB's own vector index as prefilter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from graphmatch.errors import ConfigError, FormatError
from graphmatch.index_schema import ID, VECTOR
from graphmatch.lance_files import WriterLock, among, bracketed, brief, connect, is_local
from graphmatch.prefilter import Candidate

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLE = "items"
DISTANCE = "_distance"
_TRIES = 5  # of a read whose files a compaction took away
_STATEMENT = 10_000  # ids of a statement
_CONDITION = "applying filter expression"  # what LanceDB says of one that fails on a row
_T = TypeVar("_T")


class LanceTable:
    """Rows by id in a LanceDB table: a `Prefilter` that also holds the items.

    Every change is one transaction: after a crash it is there whole or not at all. Each read sees
    one version of the table, the newest. One process writes at a time, on local disks guarded by a
    lock; any number read.

    Args:
        uri: folder of the index, or an address of object storage, as LanceDB takes it.
        table: LanceDB's table.
        lock: held while something is written; one of its own if None.
    """

    name = "lance"

    def __init__(self, uri: str, table: Any, *, lock: WriterLock | None = None) -> None:
        self.uri, self._table = uri, table
        self.lock = WriterLock(uri) if lock is None else lock

    @classmethod
    def create(
        cls, uri: str | Path, rows: pa.Table, *, lock: WriterLock | None = None
    ) -> LanceTable:
        """Make a table of its first rows.

        Args:
            uri: a new or empty folder, or an address.
            rows: the rows, with the schema and metadata of the table.
            lock: as `LanceTable`.

        Returns:
            The table.

        Raises:
            ConfigError: a table is there, or another run is making one.
        """
        uri = str(uri)
        with WriterLock(uri) if lock is None else lock:
            if cls.exists(uri):
                raise ConfigError(f"{uri}: the index exists; open it to add items")
            if is_local(uri):
                foreign = [path.name for path in Path(uri).iterdir() if path.suffix != ".lance"]
                if foreign:
                    raise ConfigError(
                        f"{uri}: expected a new or empty folder, or an index (got {foreign[:3]})"
                    )
            # files of a run that was killed before its first commit may be there: no table yet
            made = connect(uri).create_table(TABLE, data=rows)
            return cls(uri, made, lock=lock)

    @classmethod
    def open(cls, uri: str | Path, *, lock: WriterLock | None = None) -> LanceTable:
        """Open a table.

        Args:
            uri: folder of the index, or an address.
            lock: as `LanceTable`.

        Returns:
            The table.

        Raises:
            FormatError: no index, or a damaged one.
        """
        uri = str(uri)
        if not cls.exists(uri):
            raise FormatError(f"{uri}: expected an index (no such folder, or none in it)")
        database = connect(uri)
        try:
            return cls(uri, database.open_table(TABLE), lock=lock)
        except (ValueError, RuntimeError, OSError) as error:
            raise FormatError(
                f"{uri}: expected an index (it is damaged, or was never finished: {brief(error)})"
            ) from error

    @staticmethod
    def exists(uri: str | Path) -> bool:
        """Whether there is a table, or the rest of one that cannot be read.

        Args:
            uri: folder of the index, or an address.
        """
        uri = str(uri)
        if is_local(uri):
            return any(Path(uri).glob(f"{TABLE}.lance/_versions/*.manifest"))
        return TABLE in connect(uri).list_tables().tables

    @property
    def schema(self) -> pa.Schema:
        """Columns and metadata."""
        return self._read(lambda: self._table.schema)

    @property
    def version(self) -> int:
        """Number of the newest version; every change adds at least one."""
        return self._read(lambda: int(self._table.version))

    def add(self, rows: pa.Table, *, new: bool = False) -> None:
        """Add rows, or replace those whose id is there, in one transaction.

        Args:
            rows: of the table's schema; no id twice.
            new: none of the ids is there, which is faster.

        Raises:
            OSError: it could not be written; nothing was changed.
        """
        with self._writing():
            if new:
                self._table.add(rows)
                return
            merge = self._table.merge_insert(ID).when_matched_update_all()
            merge.when_not_matched_insert_all().execute(rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete rows, 10,000 ids a transaction.

        Args:
            ids: of the rows; those that are not there are no error.
        """
        for start in range(0, len(ids), _STATEMENT):
            self.delete_where(among(ID, ids[start : start + _STATEMENT]))

    def delete_where(self, where: str) -> None:
        """Delete rows, in one transaction.

        Args:
            where: condition in SQL.

        Raises:
            ConfigError: a wrong condition.
        """
        with self._writing(), self._conditions(where):
            self._table.delete(bracketed(where))

    def search(
        self, vector: NDArray[np.float32], *, limit: int, where: str | None = None
    ) -> list[Candidate]:
        """The nearest rows; see `Prefilter.search`.

        Args:
            vector: [D] float32.
            limit: how many at most.
            where: condition in SQL.

        Returns:
            Best first.
        """
        rows = self.nearest(vector, limit=limit, columns=[ID], where=where)
        return [Candidate(*pair) for pair in zip(rows[ID].to_pylist(), scores(rows), strict=True)]

    def nearest(
        self,
        vector: NDArray[np.float32],
        *,
        limit: int,
        columns: Sequence[str],
        where: str | None = None,
    ) -> pa.Table:
        """The nearest rows and their content, read from one version of the table.

        With a vector index the rows are those that it finds, with exact distances; if all rows are
        wanted, or without an index, the search is exact.

        Args:
            vector: [D] float32.
            limit: how many at most.
            columns: what to read of them.
            where: condition in SQL, applied before.

        Returns:
            Rows, best first, with `_distance`, 1 - cosine.

        Raises:
            ConfigError: a wrong condition.
        """

        def work() -> pa.Table:
            query = self._table.search(vector, vector_column_name=VECTOR)
            query = query.distance_type("cosine").limit(limit).select([*columns, DISTANCE])
            if where is not None:
                query = query.where(bracketed(where), prefilter=True)
            if limit >= self._table.count_rows():
                query = query.bypass_vector_index()
            else:
                query = query.nprobes(20).ef(2 * limit).refine_factor(2)
            return query.to_arrow()

        with self._conditions(where):
            return self._read(work)

    def take(
        self, ids: Sequence[str], *, columns: Sequence[str], where: str | None = None
    ) -> pa.Table:
        """Rows by id.

        Args:
            ids: of the rows.
            columns: what to read of them.
            where: condition in SQL that they must meet as well.

        Returns:
            Those that are there, in any order.

        Raises:
            ConfigError: a wrong condition.
        """

        def work() -> pa.Table:
            condition = among(ID, ids)
            if where is not None:
                condition += f" AND {bracketed(where)}"
            query = self._table.search().where(condition).select(list(columns))
            return query.limit(len(ids)).to_arrow()

        with self._conditions(where):
            return self._read(work)

    def present(self, ids: Sequence[str]) -> set[str]:
        """Which ids are there.

        Args:
            ids: to look for.

        Returns:
            Those found.
        """
        parts = range(0, len(ids), _STATEMENT)
        found = [self.take(ids[start : start + _STATEMENT], columns=[ID]) for start in parts]
        return {key for rows in found for key in rows[ID].to_pylist()}

    def stream(
        self, *, columns: Sequence[str], batch: int, where: str | None = None
    ) -> Iterator[pa.Table]:
        """All rows of one version, some at a time.

        Args:
            columns: what to read.
            batch: rows at a time, at most.
            where: condition in SQL.

        Yields:
            Rows.

        Raises:
            ConfigError: a wrong condition.
            FormatError: damaged; or compacted meanwhile, with its old versions thrown away.
        """
        query = self._table.search().select(list(columns)).limit(max(1, self.count()))
        with self._conditions(where):
            if where is not None:
                query = query.where(bracketed(where))
            try:
                for part in query.to_batches(batch):
                    yield pa.Table.from_batches([part])
            except RuntimeError as error:
                raise self._damaged(error) from error

    def count(self, where: str | None = None) -> int:
        """How many rows there are.

        Args:
            where: condition in SQL.

        Raises:
            ConfigError: a wrong condition.
        """
        with self._conditions(where):
            condition = None if where is None else bracketed(where)
            return self._read(lambda: int(self._table.count_rows(condition)))

    def indexed(self) -> int | None:
        """How many rows are in the vector index; None without one."""
        for index in self._read(self._table.list_indices):
            if index.columns == [VECTOR]:
                return int(index.num_indexed_rows)
        return None

    def build_vector_index(self) -> None:
        """Build (again) the index of vectors, IVF-HNSW with 8 bits a number, and that of ids."""
        from lancedb.index import BTree, HnswSq

        with self._writing():
            self._table.create_index(ID, config=BTree())
            self._table.create_index(VECTOR, config=HnswSq(distance_type="cosine"))

    def compact(self, *, keep: timedelta) -> None:
        """Merge small files, drop deleted rows, bring indexes up to date, throw versions away.

        Args:
            keep: age from which older versions of the table are thrown away.
        """
        with self._writing():
            self._table.optimize(cleanup_older_than=max(keep, timedelta(milliseconds=1)))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One change; what LanceDB says of a full or a broken disk."""
        with self.lock:
            try:
                yield
            except RuntimeError as error:
                raise OSError(
                    f"{self.uri}: nothing was changed, as the index could not be written "
                    f"({brief(error)})"
                ) from error

    @contextmanager
    def _conditions(self, where: str | None) -> Iterator[None]:
        """Errors of a condition that the user wrote."""
        try:
            yield
        except (ValueError, RuntimeError) as error:
            if where is None or isinstance(error, ConfigError | FormatError):
                raise
            if isinstance(error, RuntimeError) and _CONDITION not in str(error):
                raise
            own = (VECTOR, *(name for name in self._table.schema.names if name.startswith("_")))
            names = [name for name in self._table.schema.names if name not in own]
            raise ConfigError(
                f"where {where!r}: expected a condition in SQL on {', '.join(names)} "
                f"(got: {brief(error)})"
            ) from error

    def _read(self, work: Callable[[], _T]) -> _T:
        """A read, again if a compaction took its files away; what stays broken is damage."""
        for last in [False] * (_TRIES - 1) + [True]:
            try:
                return work()
            except (RuntimeError, OSError) as error:
                if last or "not found" not in str(error).lower():
                    raise self._damaged(error) from error
                self._refresh()
        raise AssertionError  # the last try returns or raises

    def _refresh(self) -> None:
        try:
            self._table.checkout_latest()
        except (ValueError, RuntimeError, OSError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ValueError:
        if _CONDITION in str(error):  # not the index: a division by zero, see _conditions
            return ValueError(str(error))
        return FormatError(
            f"{self.uri}: the index is damaged ({brief(error)}); restore it or build it again"
        )


def scores(rows: pa.Table) -> list[float]:
    """Cosines of rows that `LanceTable.nearest` found.

    Args:
        rows: n rows.

    Returns:
        n cosines.
    """
    return [1 - float(distance) for distance in rows[DISTANCE].to_pylist()]
