"""`measure_recall`: what the prefilter of an index loses, against scoring every item."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, FormatError
from graphmatch.index_rows import rows_to_encoded
from graphmatch.index_schema import ID
from graphmatch.index_search import encode_query, score_items, search_index
from graphmatch.lance_files import connect

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphmatch.index import MatchIndex

_TABLE = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefilterRecall:
    """How many of the best k of all items a search finds, in percent.

    Args:
        recall: percent by k.
        queries: how many were measured.
        items: how many the index had.
        prefilter: how many items the prefilter found for each query.
        name: of the prefilter, and whether it was exact.
        version: of the table.
    """

    recall: dict[int, float]
    queries: int
    items: int
    prefilter: int
    name: str
    version: int

    def values(self) -> dict[str, Any]:
        """The fields by name, as JSON has them."""
        return asdict(self)

    def line(self) -> str:
        """The numbers as text.

        Example:
            >>> PrefilterRecall(recall={1: 100, 10: 98.5}, queries=200, items=5000, prefilter=200,
            ...                 name="exact scan", version=3).line()
            'prefilter of 200 (exact scan): 100.0 % of the best 1, 98.5 % of the best 10 of 5,000 items, 200 queries'
        """  # noqa: E501
        parts = ", ".join(f"{value:.1f} % of the best {k}" for k, value in self.recall.items())
        return (
            f"prefilter of {self.prefilter} ({self.name}): {parts} of {self.items:,} items, "
            f"{self.queries:,} queries"
        )


def measure_recall(
    index: MatchIndex,
    queries: Sequence[Any],
    *,
    prefilter: int = 200,
    ks: Sequence[int] = (1, 5, 10),
    vectors: NDArray[Any] | None = None,
    batch: int = 1024,
    progress: Callable[[int], object] | None = None,
) -> PrefilterRecall:
    """Score every item for every query, and compare with what searches find.

    Reads the whole table once, `batch` items at a time; allocates q x max(ks) numbers.

    Args:
        index: to measure.
        queries: q graphs or encoded items of the other side than the gallery.
        prefilter: as `MatchIndex.search`.
        ks: for which lengths of the list of hits; those longer than the gallery are left out.
        vectors: [q, D] vectors of the queries, if the user brought those of the items.
        batch: items scored together.
        progress: called with numbers of items that are done.

    Returns:
        The shares that were found. Items that score the same as the last of the best count as
        found in its place.

    Raises:
        ConfigError: no query, or an empty index.
    """
    if not len(queries) or not len(index):
        raise ConfigError(f"expected queries and items (got {len(queries)} and {len(index)})")
    encoded = [encode_query(index, query) for query in queries]
    ks = [k for k in sorted(ks) if k <= min(len(index), prefilter)]
    if not ks:
        raise ConfigError(f"expected a length of at most {min(len(index), prefilter)}")
    best = _exhaustive(index, Encoded.cat(encoded), ks[-1], batch=batch, progress=progress)
    found = dict.fromkeys(ks, 0.0)
    for number, query in enumerate(encoded):
        vector = None if vectors is None else vectors[number]
        hits = search_index(index, query, top_k=ks[-1], prefilter=prefilter, vector=vector)
        for k in ks:
            # a hit is right if it scores no less than the k-th of all, but for rounding
            least = best[number, k - 1] - 1e-5 * max(1.0, abs(float(best[number, k - 1])))
            found[k] += sum(hit.score >= float(least) for hit in hits[:k]) / k
    return PrefilterRecall(
        recall={k: 100 * total / len(encoded) for k, total in found.items()},
        queries=len(encoded),
        items=len(index),
        prefilter=prefilter,
        name=_name(index),
        version=index.table.version,
    )


def store_recall(index: MatchIndex, recall: PrefilterRecall) -> None:
    """Keep a measurement beside the items, for searches to show.

    Args:
        index: that was measured.
        recall: what was found.
    """
    rows = pa.table({"report": [json.dumps(recall.values())]})
    with index.lock:
        database = connect(index.path)
        there = _TABLE in database.list_tables().tables
        database.create_table(_TABLE, data=rows, mode="overwrite" if there else "create")


def stored_recall(index: MatchIndex) -> PrefilterRecall | None:
    """The last measurement.

    Args:
        index: that may have been measured.

    Returns:
        It, or None; `version` is that of the table then.

    Raises:
        FormatError: it is damaged.
    """
    database = connect(index.path)
    if _TABLE not in database.list_tables().tables:
        return None
    try:
        [line] = database.open_table(_TABLE).to_arrow()["report"].to_pylist()
        values = json.loads(line)
        shares = {int(k): float(value) for k, value in values.pop("recall").items()}
        return PrefilterRecall(recall=shares, **values)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        raise FormatError(
            f"{index.path}: the measured recall is damaged; measure it again"
        ) from error


def _name(index: MatchIndex) -> str:
    if index.prefilter is not None:
        return index.prefilter.name
    indexed = index.table.indexed()
    if indexed is None:
        return "exact scan"
    return f"IVF-HNSW of {indexed:,} items"


def _exhaustive(
    index: MatchIndex,
    queries: Encoded,
    k: int,
    *,
    batch: int,
    progress: Callable[[int], object] | None,
) -> NDArray[np.float32]:
    """[q, k] the best scores of all items, descending."""
    best = torch.full((len(queries), k), -torch.inf)
    for rows in index.table.stream(columns=index.columns(), batch=batch):
        scores = score_items(index, rows_to_encoded(rows, index.header.tensors), queries)
        best = torch.cat([best, scores.T], dim=1).topk(k, dim=1).values
        if progress is not None:
            progress(len(rows[ID]))
    found: NDArray[np.float32] = best.numpy()
    return found
