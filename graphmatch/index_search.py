"""A search of an index: candidates by their vectors, then the matcher's exact scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError
from graphmatch.index_rows import pooled_vectors, rows_to_encoded, unit_vectors
from graphmatch.index_schema import ID, VECTOR
from graphmatch.lance_table import scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphmatch.index import MatchIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An item that a search found.

    Args:
        id: of the item.
        score: of the matcher, for the query and the item.
        prefilter_score: cosine of their vectors, by which the prefilter found it.
        rank: from 1, by score; equal scores by id.
    """

    id: str
    score: float
    prefilter_score: float
    rank: int


def search_index(
    index: MatchIndex,
    query: Any,
    *,
    top_k: int,
    prefilter: int,
    where: str | None = None,
    vector: NDArray[Any] | None = None,
) -> list[Hit]:
    """See `MatchIndex.search`.

    Args:
        index: to search.
        query: a graph of the other side than the gallery, or one `Encoded` item of it.
        top_k: how many hits at most.
        prefilter: how many items the prefilter finds and the matcher scores.
        where: a condition on the metadata in SQL.
        vector: [D] the query's vector, if the user brought those of the items.

    Returns:
        Hits, best first.

    Raises:
        ConfigError: a wrong condition, or numbers that do not go together.
        GraphError: a query that cannot be encoded.
    """
    if not 1 <= top_k <= prefilter:
        raise ConfigError(f"expected 1 <= top_k <= prefilter (got {top_k} and {prefilter})")
    encoded = encode_query(index, query)
    direction = _direction(index, encoded, vector)
    rows, near = _nearest(index, direction, limit=prefilter, where=where)
    if not len(rows):
        return []
    items = rows_to_encoded(rows, index.header.tensors)
    exact = score_items(index, items, encoded)[:, 0].tolist()
    found = sorted(zip(exact, rows[ID].to_pylist(), near, strict=True), key=_order)
    return [
        Hit(id=key, score=score, prefilter_score=close, rank=rank)
        for rank, (score, key, close) in enumerate(found[:top_k], 1)
    ]


def encode_query(index: MatchIndex, query: Any) -> Encoded:
    """A query as the matcher sees it.

    Args:
        index: to search.
        query: a graph of the other side than the gallery, or one `Encoded` item of it.

    Returns:
        One item.

    Raises:
        GraphError: not one item, or one that cannot be encoded.
    """
    if not isinstance(query, Encoded):
        encode = encode_texts if index.header.side == "visual" else encode_visuals
        return encode(index.require_matcher(), [query])[0]
    if len(query) != 1:
        raise GraphError(f"expected one query (got {len(query)})")
    return query


def score_items(index: MatchIndex, items: Encoded, queries: Encoded) -> torch.Tensor:
    """The matcher's scores of items of the gallery and queries.

    Args:
        index: whose items.
        items: n items.
        queries: q queries.

    Returns:
        [n, q] float32, on the CPU.
    """
    from graphmatch.scoring import score_matrix

    matcher = index.require_matcher()
    with torch.no_grad():
        if index.header.side == "visual":
            return score_matrix(matcher, items, queries)
        return score_matrix(matcher, queries, items).T


def _nearest(
    index: MatchIndex, vector: NDArray[np.float32], *, limit: int, where: str | None
) -> tuple[pa.Table, list[float]]:
    """Rows of the nearest items, and their cosines."""
    columns = index.columns()
    if index.prefilter is None:
        rows = index.table.nearest(vector, limit=limit, columns=columns, where=where)
        return rows, scores(rows)
    near = dict(index.prefilter.search(vector, limit=limit, where=where))
    # the condition again: the table decides, the prefilter may be behind it
    rows = index.table.take(list(near), columns=columns, where=where)
    return rows, [near[key] for key in rows[ID].to_pylist()]


def _direction(
    index: MatchIndex, query: Encoded, vector: NDArray[Any] | None
) -> NDArray[np.float32]:
    """[D] the query's vector, of length 1."""
    if index.header.own_vectors != (vector is not None):
        wanted = "a vector of the query" if index.header.own_vectors else "no vector of the query"
        raise ConfigError(f"{index.path}: expected {wanted}, as the index was made")
    values = pooled_vectors(query) if vector is None else np.atleast_2d(np.asarray(vector))
    size = index.table.schema.field(VECTOR).type.list_size
    if values.shape != (1, size):
        raise ConfigError(f"expected a vector of {size} numbers (got {list(values.shape)})")
    unit: NDArray[np.float32] = unit_vectors(["the query"], values)[0]
    return unit


def _order(found: tuple[float, str, float]) -> tuple[float, str]:
    score, key, _ = found
    return -score, key
