"""`MomentSet`: queries of a data set and the videos in which they describe a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphmatch.chosen import Chosen
from graphmatch.clips.moments import moment_share, query_words
from graphmatch.errors import ConfigError, GraphError
from graphmatch.feature_store import FeatureStore
from graphmatch.graphs.batch import MatchBatch
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import word_graph
from graphmatch.query_dependencies import query_dependencies
from graphmatch.vocab import Vocabulary

if TYPE_CHECKING:
    from graphmatch.columns import GraphColumns
    from graphmatch.datasets.dataset import DataSet, Visual
    from graphmatch.rows import CaptionRow

Query = tuple[TextGraph, str, ClipGraph, str, Tensor]


class MomentSet(Sequence[Query]):
    """Queries with their videos and moments, one item a query; a data set for torch.

    The words of a query are those of `query_words`. What cannot be used is left out and kept in
    `skipped` with its reason: a broken line, a moment that ends before it starts or begins after
    the video, a video that is not in the store or failed there, a query without a known word.

    Args:
        data: videos, and captions with moments.
        visuals: clips of the videos, by their ids in the data set.
        vocabulary: word ids, such as `query_vocabulary` makes.
        cut_moments: let a moment that ends after its video end with it, as the official loader
            does; if not set, it is left out.
        graphs: parsed queries, for example a `GraphStore`, joined by their ids, for the graph
            layers of DRN: queries get the edges of `query_dependencies`. One without a parse, or
            with that of another text, is kept without edges and named in `unparsed`.

    Raises:
        ConfigError: a store of something else, or no query that can be used.
    """

    def __init__(
        self,
        data: DataSet,
        visuals: FeatureStore,
        vocabulary: Vocabulary,
        *,
        cut_moments: bool = True,
        graphs: Iterable[CaptionRow] | None = None,
    ) -> None:
        if visuals.kind != "clips" or not {"time", "duration"} <= {*visuals.arrays}:
            raise ConfigError(
                f"{visuals.path}: expected clips with time and duration (got {visuals.kind} with "
                f"{', '.join(sorted(visuals.arrays))})"
            )
        failed = {key for key, _ in visuals.failures}
        timed = tuple(_with_duration(visual, visuals, failed) for visual in data.visuals)
        data = replace(data, visuals=timed).check(clip_moments=cut_moments)
        self.visuals, self.vocabulary = visuals, vocabulary
        self.skipped: list[tuple[str, str]] = []
        """(id of the query, reason) of all that were left out."""
        self.ids: list[str] = []
        """Ids of the queries."""
        self.sentences: list[str] = []
        """Texts of the queries."""
        self._words: list[tuple[int, ...]] = []
        moments, positions = [], []
        known = {visual.id: visual for visual in reversed(data.visuals)}
        for caption in data.captions:
            words = vocabulary.encode(query_words(caption.text))
            visual = known.get(str(caption.owner))
            problem = _problem(visual, visuals, failed) or _unknown(words, vocabulary)
            problem = caption.error or problem
            if problem is None and caption.moment is None:
                problem = "it has no moment"
            if visual is None or caption.moment is None or problem is not None:
                self.skipped.append((caption.id, str(problem)))
                continue
            moments.append(moment_share(*caption.moment, float(visual.duration or 0)))
            positions.append(visuals.position(visual.id))
            self.ids.append(caption.id)
            self.sentences.append(caption.text)
            self._words.append(tuple(words))
        if not moments:
            why = f"; {self.skipped[0][0]}: {self.skipped[0][1]}" if self.skipped else ""
            raise ConfigError(
                f"expected captions with moments in videos of {visuals.path} "
                f"(got none of {len(data.captions)}{why})"
            )
        self.moment: Tensor = torch.stack(moments)
        """[N, 2] float64 true start and end as shares of the video, see `moment_share`."""
        self.gallery: list[int] = sorted({*positions})
        """Numbers in `visuals` of the videos that a query is about, ascending."""
        row = {position: number for number, position in enumerate(self.gallery)}
        self.owner: Tensor = torch.tensor([row[position] for position in positions])
        """[N] int64 place in `gallery` of each query's video."""

        self._trees: dict[str, GraphColumns] = {}
        self.unparsed: list[tuple[str, str]] = []
        """(id of the query, reason) of those without edges, if graphs were given."""
        if graphs is not None:
            self._read_graphs(graphs)

    def _read_graphs(self, graphs: Iterable[CaptionRow]) -> None:
        numbers = {key: number for number, key in enumerate(self.ids)}
        problems = dict.fromkeys(self.ids, "it is not among the parsed captions")
        for row in graphs:
            number = numbers.pop(row.id, None)  # of equal ids the first one counts
            if number is None:
                continue
            try:
                self._trees[row.id] = _tree(self.sentences[number], row)
                del problems[row.id]
            except GraphError as error:
                problems[row.id] = str(error)
        self.unparsed = [*problems.items()]

    @property
    def visual_ids(self) -> list[str]:
        """Ids of the gallery."""
        return [self.visuals.ids[position] for position in self.gallery]

    @property
    def seconds(self) -> Tensor:
        """[N, 2] float64 true start and end in seconds of the videos in the store."""
        duration = torch.tensor(self.visuals.arrays["duration"][self.gallery])  # [videos]
        return self.moment * duration[self.owner].unsqueeze(1)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> Query:  # type: ignore[override]  # no slices
        """A query.

        Args:
            number: of the query, from 0.

        Returns:
            Query, its id, video, its id, [2] float64 its moment in seconds of that video: what
            `collate_queries` takes.

        Raises:
            IndexError: no such number.
        """
        text = self.text(number)
        position = self.gallery[int(self.owner[number])]
        video: ClipGraph = self.visuals.graph(position)
        moment = self.moment[number] * float(self.visuals.arrays["duration"][position])
        return text, self.ids[number], video, self.visuals.ids[position], moment

    def text(self, number: int) -> TextGraph:
        """The words of a query.

        Args:
            number: of the query, from 0.

        Returns:
            A dependency graph; without edges unless parsed captions were given.

        Raises:
            IndexError: no such number.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"expected a number below {len(self)} (got {number})")
        tree = self._trees.get(self.ids[number])
        words = self._words[number]
        return word_graph(words) if tree is None else TextGraph.from_columns(tree, words)

    def gallery_graphs(self) -> Sequence[ClipGraph]:
        """Videos of the gallery, read when they are asked for."""
        return Chosen(self.visuals.graph, self.gallery)

    def __repr__(self) -> str:
        return (
            f"MomentSet({len(self)} queries, {len(self.gallery)} videos, "
            f"{len(self.skipped)} queries left out)"
        )


def collate_queries(queries: Sequence[Query]) -> MatchBatch:
    """A batch of queries; a video that several of them are about is there once.

    A `collate_fn` for `torch.utils.data.DataLoader`.

    Args:
        queries: what `MomentSet` gives.

    Returns:
        The batch with moments in seconds; videos in the order of their first query.

    Raises:
        GraphError: as `MatchBatch.collate`.
    """
    videos: dict[str, ClipGraph] = {}
    for _, _, video, video_id, _ in queries:
        videos.setdefault(video_id, video)
    number = {video_id: place for place, video_id in enumerate(videos)}
    return MatchBatch.collate(
        [text for text, *_ in queries],
        list(videos.values()),
        owner=[number[video_id] for _, _, _, video_id, _ in queries],
        text_ids=[text_id for _, text_id, *_ in queries],
        visual_ids=list(videos),
        moment=torch.stack([moment for *_, moment in queries]) if queries else None,
    )


def _tree(sentence: str, row: CaptionRow) -> GraphColumns:
    if row.parse is None or row.dependencies is None:
        raise GraphError(row.error or "no dependencies; parse with --graph dependencies or both")
    return query_dependencies(query_words(sentence), row.parse.words, row.dependencies)


def _with_duration(visual: Visual, visuals: FeatureStore, failed: set[str]) -> Visual:
    """Moments are counted by the annotation's seconds; where it has none, by the store's."""
    if visual.duration is not None or visual.id in failed or visual.id not in visuals:
        return visual
    seconds = visuals.arrays["duration"][visuals.position(visual.id)]
    return replace(visual, duration=float(seconds))


def _problem(visual: Visual | None, visuals: FeatureStore, failed: set[str]) -> str | None:
    if visual is None:
        return "its video is not in the data set"
    if visual.error is not None:
        return f"{visual.id!r}: {visual.error}"
    if visual.id in failed:
        return f"{visual.id!r} failed in the store"
    if visual.id not in visuals:
        return f"{visual.id!r} is not in the store"
    empty = not visuals.row_counts[visuals.position(visual.id)]
    return f"{visual.id!r} has no clips in the store" if empty else None


def _unknown(words: list[int], vocabulary: Vocabulary) -> str | None:
    if not words:
        return "the query has no words"
    return None if vocabulary.count_known(words) else "no word of the query is known"
