"""`MilvusPrefilter`: vectors in Milvus, for galleries beyond one machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graphmatch.errors import ConfigError
from graphmatch.index_schema import ID, VECTOR
from graphmatch.milvus_filter import milvus_filter
from graphmatch.prefilter import Candidate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS = 1000  # of a request
_LONGEST = 65_535  # bytes of an id or a text


class MilvusPrefilter:
    """A `Prefilter` in a collection of a Milvus server, or of a file (Milvus Lite).

    The collection has the ids, the vectors with cosine as metric, and those columns of the metadata
    that are numbers, truth values or texts; conditions on others are refused. It is made with the
    first items, and read with strong consistency: what was added is found.

    Args:
        uri: `http://host:19530` (or https, with `user:password@` before the host), or a path that
            ends in `.db`, which one process uses at a time.
        collection: its name, of letters, digits and _.
        token: `user:password` or an API key, if it is not in the address.

    Raises:
        ConfigError: no such server, a path of another ending, pymilvus is not installed.
    """

    def __init__(self, uri: str, *, collection: str = "graphmatch", token: str = "") -> None:
        if "://" not in uri and not uri.endswith(".db"):
            raise ConfigError(f"expected an address or a file that ends in .db (got {uri!r})")
        self.name = f"milvus:{collection}"
        self.collection = collection
        try:
            from pymilvus import MilvusClient
        except ImportError as error:
            raise ConfigError(
                "expected the package pymilvus: pip install 'graphmatch[milvus]'"
            ) from error
        with _errors("open"):
            self._client: Any = MilvusClient(uri, token=token)

    def add(self, rows: pa.Table) -> None:
        """Add items or replace them; see `Prefilter.add`.

        Args:
            rows: `id`, `vector` and metadata.
        """
        with _errors("add to"):
            if not self._client.has_collection(self.collection):
                self._create(rows.schema)
            columns = [ID, VECTOR, *self._fields()]
            missing = [name for name in columns if name not in rows.column_names]
            if missing:
                raise ConfigError(f"{self.name}: expected the columns {missing}")
            for start in range(0, len(rows), _ROWS):
                part = rows.slice(start, _ROWS).select(columns).to_pylist()
                self._client.upsert(self.collection, part)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete items; see `Prefilter.delete`.

        Args:
            ids: of the items.
        """
        with _errors("delete from"):
            if not self._client.has_collection(self.collection):
                return
            for start in range(0, len(ids), _ROWS):
                self._client.delete(self.collection, ids=list(ids[start : start + _ROWS]))

    def search(
        self, vector: NDArray[np.float32], *, limit: int, where: str | None = None
    ) -> list[Candidate]:
        """The nearest items; see `Prefilter.search`.

        Args:
            vector: [D] float32.
            limit: how many at most; Milvus gives 16,384 at most.
            where: condition in SQL, see `milvus_filter`.

        Returns:
            Best first.
        """
        with _errors("search"):
            if not self._client.has_collection(self.collection):
                return []
            condition = "" if where is None else milvus_filter(where, (ID, *self._fields()))
            [found] = self._client.search(
                self.collection,
                data=[vector.tolist()],
                anns_field=VECTOR,
                limit=limit,
                filter=condition,
                search_params={"metric_type": "COSINE"},
            )
            return [Candidate(str(hit["id"]), float(hit["distance"])) for hit in found]

    def count(self) -> int:
        """How many items there are."""
        with _errors("count"):
            if not self._client.has_collection(self.collection):
                return 0
            [row] = self._client.query(self.collection, filter="", output_fields=["count(*)"])
            return int(row["count(*)"])

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _fields(self) -> list[str]:
        """Names of the metadata that the collection has."""
        described = self._client.describe_collection(self.collection)["fields"]
        return [field["name"] for field in described if field["name"] not in (ID, VECTOR)]

    def _create(self, schema: pa.Schema) -> None:
        from pymilvus import DataType, MilvusClient

        made = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        made.add_field(ID, DataType.VARCHAR, is_primary=True, max_length=_LONGEST)
        size = schema.field(VECTOR).type.list_size
        made.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=size)
        for entry in schema:
            if entry.name in (ID, VECTOR):
                continue
            if pa.types.is_boolean(entry.type):
                made.add_field(entry.name, DataType.BOOL, nullable=True)
            elif pa.types.is_integer(entry.type):
                made.add_field(entry.name, DataType.INT64, nullable=True)
            elif pa.types.is_floating(entry.type):
                made.add_field(entry.name, DataType.DOUBLE, nullable=True)
            elif pa.types.is_string(entry.type) or pa.types.is_large_string(entry.type):
                made.add_field(entry.name, DataType.VARCHAR, max_length=_LONGEST, nullable=True)
        index = self._client.prepare_index_params()
        index.add_index(VECTOR, index_type="AUTOINDEX", metric_type="COSINE")
        self._client.create_collection(
            self.collection, schema=made, index_params=index, consistency_level="Strong"
        )


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("pymilvus", "grpc")):
            raise
        message = getattr(error, "message", str(error))
        raise ConfigError(f"expected to {what} Milvus (got: {message})") from error
