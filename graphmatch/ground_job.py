"""`ground_sentences`: when in a video each of several sentences is true.

| a sentence | what becomes of it |
|---|---|
| empty, or nothing but full stops | failed: it has no words |
| of unknown words only, or of punctuation | failed: the model could only say when things happen |
| with some unknown words | answered; they are named, and are nothing to the model |
| of more than 1,000 words | failed |
| without a point above the model's threshold | answered by the whole video, marked as a fallback |

| a video | what becomes of it |
|---|---|
| of another number of clips than the model reads | an error, unless the model has `mask_padding` |
| of one frame | its clips are that frame; moments are seconds of its short duration |
| of many hours | as any other; a query needs as many numbers as the video, so fewer go at once |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from graphmatch.clips.moments import query_words
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import word_graph
from graphmatch.nn.segment_nms import nms_segments
from graphmatch.query_dependencies import query_dependencies

if TYPE_CHECKING:
    from graphmatch.models.drn import DRN
    from graphmatch.moment_decoding import Moments
    from graphmatch.rows import CaptionRow
    from graphmatch.vocab import Vocabulary

_MOST_WORDS = 1000
_MOST_QUERIES = 64  # at once
_MOST_NUMBERS = 1 << 25  # of clips, repeated for each query


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMoment:
    """A moment of a video: start and end in seconds, and a score in [0, 1]."""

    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundQuery:
    """What became of a sentence.

    Args:
        sentence: the sentence.
        moments: best first; empty if it failed.
        unknown: its words that the model does not know.
        fallback: whether the one moment is the whole video because no point was above the model's
            threshold; its score of 1 says nothing.
        note: what is worth knowing of a sentence that did not fail.
        error: why it failed.
    """

    sentence: str
    moments: tuple[FoundMoment, ...] = ()
    unknown: tuple[str, ...] = ()
    fallback: bool = False
    note: str | None = None
    error: str | None = None


def ground_sentences(
    model: DRN,
    vocabulary: Vocabulary,
    video: ClipGraph,
    sentences: Sequence[str],
    *,
    top: int = 5,
    overlap: float = 0.45,
    use_iou: bool = True,
    rows: Sequence[CaptionRow] | None = None,
) -> list[FoundQuery]:
    """Find the moments of a video that sentences describe; the video is encoded once.

    Args:
        model: in any mode, which it keeps; it computes in evaluation mode, on its own device.
        vocabulary: of its checkpoint.
        video: clips of the video.
        sentences: the queries.
        top: moments of each at most.
        overlap: IoU above which a moment beside a better one is dropped; DRN's code has 0.45 where
            an IoU of 0.5 counts as found.
        use_iou: whether scores include the predicted IoU, see `DRN.decode`.
        rows: the sentences, parsed, for a model with graph layers; without, they have no edges.

    Returns:
        One result a sentence, in order. None stops the others.

    Raises:
        ConfigError: `top` below 1, a negative overlap, another number of rows.
        GraphError: a video that the model cannot read.

    Example:
        >>> from graphmatch.models.drn import DRN, DRNConfig
        >>> from graphmatch.query_vocabulary import query_vocabulary
        >>> words = query_vocabulary(["person opens the door."])
        >>> model = DRN(DRNConfig(vocabulary=len(words), feature_size=6, clips=4, word_size=4,
        ...                       hidden=5, position_size=3, channels=(4, 5, 6), pyramid_size=4))
        >>> video = ClipGraph(x=torch.randn(4, 6), time=torch.arange(5.0).unfold(0, 2, 1),
        ...                   duration=torch.tensor([4.0]))
        >>> door, cat = ground_sentences(model, words, video, ["the door opens", "ein Hund"])
        >>> door.moments, door.fallback  # it has learned nothing yet
        ((FoundMoment(start=0.0, end=4.0, score=1.0),), True)
        >>> cat.error
        'the model knows no word of it'
    """
    if top < 1 or not overlap >= 0:
        raise ConfigError(f"expected top from 1 and overlap from 0 (got {top} and {overlap})")
    if rows is not None and len(rows) != len(sentences):
        raise ConfigError(f"expected {len(sentences)} parsed sentences (got {len(rows)})")
    check_video(model, video)
    read = [
        _read(sentence, vocabulary, None if rows is None else rows[place], model=model)
        for place, sentence in enumerate(sentences)
    ]
    texts = [text for _, text in read if text is not None]
    answers = iter(_answers(model, video, texts, top=top, overlap=overlap, use_iou=use_iou))
    found = []
    for query, text in read:
        if text is not None:
            moments, fallback = next(answers)
            query = replace(query, moments=moments, fallback=fallback)
        found.append(query)
    return found


def check_video(model: DRN, video: ClipGraph) -> None:
    """Raise `GraphError` for a video that a model cannot read.

    Args:
        model: the model.
        video: clips of the video.

    Raises:
        GraphError: no clip, clips of another size or number; says how to make others.
    """
    count, size = video.x.shape
    config = model.config
    if size != config.feature_size:
        raise GraphError(
            f"expected clips of {config.feature_size} numbers, as the model was trained with "
            f"(got {size}); use features of the same kind"
        )
    if not count or not (config.mask_padding or count == config.clips):
        raise GraphError(
            f"expected a video of {config.clips} clips, as the model was trained with (got "
            f"{count}); --frames {config.clips} makes as many"
        )


def _read(
    sentence: str, vocabulary: Vocabulary, row: CaptionRow | None, *, model: DRN
) -> tuple[FoundQuery, TextGraph | None]:
    """What is known of a sentence before it is looked for, and its words unless it failed."""
    words = query_words(sentence)
    ids = vocabulary.encode(words)
    unknown_id = vocabulary.encode([vocabulary.unknown])[0]
    unknown = dict.fromkeys(word for word, id in zip(words, ids, strict=True) if id == unknown_id)
    query = FoundQuery(sentence=sentence, unknown=tuple(unknown))
    if not words:
        return replace(query, error="it has no words"), None
    if len(words) > _MOST_WORDS:
        got = f"it has {len(words):,} words; expected at most {_MOST_WORDS:,}"
        return replace(query, error=got, unknown=()), None
    if not vocabulary.count_known(ids):
        return replace(query, error="the model knows no word of it"), None
    if not model.config.graph_layers:
        return query, word_graph(ids)
    try:
        if row is None or row.parse is None or row.dependencies is None:
            reason = None if row is None else row.error
            raise GraphError(reason or "it was not parsed")
        tree = query_dependencies(words, row.parse.words, row.dependencies)
    except GraphError as error:
        return replace(query, note=f"read without dependencies: {error}"), word_graph(ids)
    return query, TextGraph.from_columns(tree, ids)


def _answers(
    model: DRN,
    video: ClipGraph,
    texts: Sequence[TextGraph],
    *,
    top: int,
    overlap: float,
    use_iou: bool,
) -> list[tuple[tuple[FoundMoment, ...], bool]]:
    """Moments of each text, and whether they are a fallback."""
    answers: list[tuple[tuple[FoundMoment, ...], bool]] = []
    if not texts:
        return answers
    size = max(1, min(_MOST_QUERIES, _MOST_NUMBERS // max(video.x.numel(), 1)))
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            visual = model.encode_visual(batch_graphs([video]).to(device))
            for start in range(0, len(texts), size):
                batch = batch_graphs(texts[start : start + size], follow=("word",)).to(device)
                text = model.encode_text(batch)
                owner = torch.zeros(len(text), dtype=torch.int64, device=device)
                moments = model.decode(model.ground(visual, text, owner), use_iou=use_iou)
                answers += _best(moments, float(video.duration), top=top, overlap=overlap)
    finally:
        model.train(training)
    return answers


def _best(
    moments: Moments, duration: float, *, top: int, overlap: float
) -> Iterator[tuple[tuple[FoundMoment, ...], bool]]:
    kept = nms_segments(
        moments.segment, moments.score, moments.mask, threshold=overlap, top=top
    ).cpu()  # [Q, K]
    seconds = moments.segment.double().cpu() * duration  # [Q, P, 2]
    score = moments.score.cpu()
    fallback = (moments.mask & (moments.level < 0)).any(1).tolist()
    for query, numbers in enumerate(kept.tolist()):
        found = tuple(
            FoundMoment(
                start=float(seconds[query, number, 0]),
                end=float(seconds[query, number, 1]),
                score=float(score[query, number]),
            )
            for number in numbers
            if number >= 0
        )
        yield found, fallback[query]
