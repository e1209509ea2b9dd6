"""`blind_recalls`: what can be said about moments without a look at any video.

Moments are alike: those of Charades-STA are seldom longer than a third of their video and often
begin with it. Numbers of rules that know nothing else stand beside every result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from graphmatch.clips.moments import moment_share, query_words
from graphmatch.datasets.dataset import DataSet
from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore
from graphmatch.moment_protocol import MomentProtocol
from graphmatch.nn.segment_iou import segment_iou

Timed = tuple[Sequence[str], Tensor]
"""Sentences, and [N, 2] float64 their moments as shares of the video."""
GRID = 50
"""Constant segments begin and end at multiples of 1 / 50 of the video."""
LEAST = 10
"""Training queries from which a first word has a segment of its own."""
EMPTY = frozenset(("a", "an", "the", "person"))
"""Words of nearly every query; those of Charades-STA begin with "person" or "a person"."""
_MOST = 1 << 22  # overlaps that are held at a time


def blind_recalls(
    train: Timed, test: Timed, *, protocol: MomentProtocol | None = None
) -> dict[str, dict[str, float]]:
    """Recalls of rules that see no video.

    | rule | |
    |---|---|
    | one constant segment | the one that finds most training queries, for each IoU another |
    | constant by first content word | the same of the training queries with that word |
    | N constant segments | each finds the most that those before it do not |

    Args:
        train: what the segments are chosen for.
        test: what is answered.
        protocol: which numbers of moments and IoUs; None is the usual ones. Nothing is suppressed.

    Returns:
        Percent by rule: `R@n IoU m`, and `mIoU` of the segment for the IoU nearest to 0.5.

    Example:
        >>> moments = torch.tensor([[0.0, 0.3], [0.0, 0.3], [0.5, 0.9]], dtype=torch.float64)
        >>> queries = (["a man runs", "a man runs", "he sits"], moments)
        >>> found = blind_recalls(queries, queries)
        >>> round(found["one constant segment"]["R@1 IoU 0.5"], 1)
        66.7
    """
    rules = protocol or MomentProtocol()
    grid, truth = _segments(), test[1]
    most = rules.at[-1]
    middle = min(rules.ious, key=lambda level: abs(level - 0.5))
    one: dict[str, float] = {}
    words: dict[str, float] = {}
    several: dict[str, float] = {}
    for level in rules.ious:
        hits = _hits(grid, train[1], level)  # [N, G]
        best = grid[int(hits.sum(0).argmax())]
        places = _by_word(train[0], hits)
        rows = [places.get(first_word(text)) for text in test[0]]
        chosen = torch.stack([best if row is None else grid[row] for row in rows])
        for recalls, segment in ((one, best.expand(len(truth), 2)), (words, chosen)):
            iou = segment_iou(segment, truth)
            recalls[f"R@1 IoU {level:g}"] = _percent(_right(iou, level, rules))
            if level == middle:
                recalls["mIoU"] = 100 * float(iou.mean())
        if most > 1:
            iou = segment_iou(grid[_cover(hits, most)], truth.unsqueeze(1))  # [Q, n]
            for n in rules.at:
                right = _right(iou[:, :n], level, rules).any(dim=1)
                several[f"R@{n} IoU {level:g}"] = _percent(right)
    found = {"one constant segment": one, "constant by first content word": words}
    if several:
        found[f"{most} constant segments"] = several
    return found


def timed_queries(data: DataSet, visuals: FeatureStore | None = None) -> Timed:
    """Sentences and moments of a data set.

    Args:
        data: queries with moments.
        visuals: tells how long videos are of which the data set does not know it.

    Returns:
        The usable queries.

    Raises:
        ConfigError: none of them is usable.
    """
    stored: dict[str, float] = {}
    if visuals is not None:
        failed = {key for key, _ in visuals.failures}
        stored = {
            key: float(seconds)
            for key, seconds in zip(visuals.ids, visuals.arrays["duration"], strict=True)
            if key not in failed
        }
    sentences, moments = [], []
    known = data.usable()
    for caption in known.captions:
        video = known.visual(str(caption.owner))
        seconds = stored.get(video.id) if video.duration is None else video.duration
        if caption.moment is None or seconds is None or not caption.moment[0] < seconds:
            continue
        moments.append(moment_share(*caption.moment, seconds))
        sentences.append(caption.text)
    if not moments:
        raise ConfigError(
            f"{data.name}: expected queries of videos whose length is known (got none of "
            f"{len(data.captions)}); durations tell it"
        )
    return sentences, torch.stack(moments)


def first_word(sentence: str) -> str | None:
    """The first word that says something.

    Args:
        sentence: the query.

    Returns:
        The word; None if all of them are in `EMPTY`.

    Example:
        >>> first_word("a person opens the door")
        'opens'
    """
    return next((word for word in query_words(sentence) if word not in EMPTY), None)


def _segments() -> Tensor:
    """[G, 2] float64: all segments with ends on the grid."""
    return torch.combinations(torch.arange(GRID + 1, dtype=torch.float64) / GRID, 2)


def _hits(grid: Tensor, moments: Tensor, level: float) -> Tensor:
    """[N, G] bool: which segments find which queries."""
    parts = torch.split(moments.unsqueeze(1), max(1, _MOST // len(grid)))
    return torch.cat([segment_iou(grid, part) >= level for part in parts])


def _by_word(sentences: Sequence[str], hits: Tensor) -> dict[str | None, int]:
    """The segment that finds most queries with a first word, for words with enough of them."""
    groups: dict[str | None, list[int]] = defaultdict(list)
    for number, sentence in enumerate(sentences):
        groups[first_word(sentence)].append(number)
    return {
        word: int(hits[rows].sum(0).argmax())
        for word, rows in groups.items()
        if word is not None and len(rows) >= LEAST
    }


def _cover(hits: Tensor, count: int) -> list[int]:
    """Segments, each of which finds the most queries that those before it do not."""
    left, chosen = hits.clone(), []
    for _ in range(count):
        chosen.append(int(left.sum(0).argmax()))
        left &= ~hits[:, chosen[-1:]]
    return chosen


def _right(iou: Tensor, level: float, rules: MomentProtocol) -> Tensor:
    return iou > level if rules.strict else iou >= level


def _percent(right: Tensor) -> float:
    return 100 * float(right.double().mean())
