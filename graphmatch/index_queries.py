"""Queries of an index from texts and stores, and what its hits are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from graphmatch.caption_set import CaptionSet
from graphmatch.errors import ConfigError, check_choice
from graphmatch.index_schema import ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphmatch.graphs.text import TextGraph
    from graphmatch.index import MatchIndex
    from graphmatch.index_search import Hit
    from graphmatch.index_sources import VectorFile
    from graphmatch.vocab import Vocabulary


class Queries(NamedTuple):
    """Queries to measure an index with.

    Args:
        graphs: q graphs.
        vectors: [q, D] their own vectors, or None.
        left_out: how many were drawn that have no graph or no vector.
    """

    graphs: list[Any]
    vectors: NDArray[Any] | None
    left_out: int


def text_query(
    index: MatchIndex, text: str, *, parser: str = "spacy", model: str | None = None, mode: str
) -> TextGraph:
    """A caption as the index's matcher reads it.

    Args:
        index: opened with its checkpoint.
        text: the caption.
        parser: what parses, see `load_parser`.
        model: the parser's.
        mode: how role graphs are made.

    Returns:
        Its graph.

    Raises:
        ConfigError: a caption without a graph, says why.
    """
    from graphmatch.datasets.captions import Caption
    from graphmatch.parse_job import caption_rows
    from graphmatch.parsers import load_parser
    from graphmatch.parsers.roles import RoleMode

    check_choice("role mode", mode, get_args(RoleMode))
    rows = caption_rows(
        [Caption(id="query", text=text)],
        parser=load_parser(parser, model),
        mode=mode,  # type: ignore[arg-type]  # checked above
    )
    captions = CaptionSet.for_matcher(rows, _vocabulary(index), index.require_matcher())
    if not len(captions):
        raise ConfigError(f"expected a caption that has a graph (got: {captions.failures[0][1]})")
    return captions[0]


def sample_queries(
    index: MatchIndex,
    *,
    visual: Path | None,
    captions: Path | None,
    count: int,
    seed: int,
    vectors: VectorFile | None = None,
) -> Queries:
    """Queries for an index, drawn from a store.

    Args:
        index: opened with its checkpoint.
        visual: store of regions or clips, for a gallery of captions.
        captions: store of captions, for a gallery of images or videos.
        count: how many; all if there are no more.
        seed: of the draw.
        vectors: the user's vectors of queries.

    Returns:
        The queries.

    Raises:
        ConfigError: the store of the other side, or not one query.
    """
    from graphmatch.feature_store import FeatureStore
    from graphmatch.store import GraphStore

    wanted, other = ("captions", visual) if index.header.side == "visual" else ("visual", captions)
    path = captions if index.header.side == "visual" else visual
    if path is None or other is not None:
        raise ConfigError(f"{index.path}: expected queries by --{wanted} alone")
    random = np.random.default_rng(seed)
    if index.header.side == "visual":
        texts = GraphStore(path)
        ids = _draw(texts.ids, count, random)
        found = CaptionSet.for_matcher(
            [texts[key] for key in ids], _vocabulary(index), index.require_matcher()
        )
        items = list(zip(found.ids, found, strict=True))
    else:
        store = FeatureStore(path)
        bad = {key for key, _ in store.failures}
        ids = _draw(store.ids, count, random)
        items = [(key, store.graph(key)) for key in ids if key not in bad]
    if vectors is not None:
        items = [item for item in items if item[0] in vectors]
    if not items:
        raise ConfigError(f"{path}: expected queries with graphs and vectors (got none)")
    chosen = [key for key, _ in items]
    return Queries(
        [graph for _, graph in items],
        None if vectors is None else vectors.take(chosen),
        len(ids) - len(items),
    )


def hit_values(index: MatchIndex, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Hits with the metadata of their items, which may have any names.

    Args:
        index: that was searched.
        hits: what was found.

    Returns:
        For each hit its fields, and as `metadata` the columns of its item; None for each column of
        an item that was deleted meanwhile.
    """
    names = index.metadata.names
    rows = index.table.take([hit.id for hit in hits], columns=[ID, *names]).to_pylist()
    found = {row[ID]: row for row in rows}
    return [
        {
            "rank": hit.rank,
            "id": hit.id,
            "score": hit.score,
            "prefilter_score": hit.prefilter_score,
            "metadata": {name: found.get(hit.id, {}).get(name) for name in names},
        }
        for hit in hits
    ]


def _draw(ids: Sequence[str], count: int, random: np.random.Generator) -> list[str]:
    places = random.permutation(len(ids))[:count]
    return [ids[place] for place in sorted(places.tolist())]


def _vocabulary(index: MatchIndex) -> Vocabulary:
    if index.vocabulary is None:
        raise ConfigError(f"{index.path}: expected a checkpoint to open it with (got none)")
    return index.vocabulary
