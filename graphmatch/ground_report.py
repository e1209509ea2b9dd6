"""Found moments as lines for the terminal and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphmatch.ground_job import FoundQuery


def ground_lines(found: Sequence[FoundQuery], *, name: str, duration: float) -> Iterator[str]:
    """Results as lines of text.

    Args:
        found: the results.
        name: of the video.
        duration: of the video in seconds.

    Yields:
        The video; each sentence, below it a line for each moment: rank, start and end in seconds,
        score. Characters that cannot be printed are spaces.

    Example:
        >>> from graphmatch.ground_job import FoundMoment
        >>> query = FoundQuery(sentence="the door opens", unknown=("opens",),
        ...                    moments=(FoundMoment(start=3.2, end=9.75, score=0.81),))
        >>> for line in ground_lines([query], name="kitchen", duration=30.6):
        ...     print(line)
        kitchen: 30.60 s
        the door opens
          unknown to the model: opens
           1       3.20 to     9.75 s  score 0.8100
    """
    for line in _lines(found, name, duration):
        yield "".join(c if c.isprintable() else " " for c in line)


def ground_values(found: Sequence[FoundQuery], *, name: str, duration: float) -> dict[str, Any]:
    """Results as values of JSON.

    Args:
        found: the results.
        name: of the video.
        duration: of the video in seconds.

    Returns:
        `video`, `duration`, and `queries`: for each `query`, `moments` (`start` and `end` in
        seconds, `score`), best first, `unknown`, `fallback`, `note`, `error`.
    """
    return {
        "video": name,
        "duration": duration,
        "queries": [
            {
                "query": query.sentence,
                "moments": [
                    {"start": one.start, "end": one.end, "score": one.score}
                    for one in query.moments
                ],
                "unknown": [*query.unknown],
                "fallback": query.fallback,
                "note": query.note,
                "error": query.error,
            }
            for query in found
        ],
    }


def _lines(found: Sequence[FoundQuery], name: str, duration: float) -> Iterator[str]:
    yield f"{name}: {duration:.2f} s"
    for query in found:
        yield query.sentence.strip() or "(empty)"
        if query.error is not None:
            yield f"  failed: {query.error}"
            continue
        if query.unknown:
            yield f"  unknown to the model: {', '.join(query.unknown)}"
        if query.note is not None:
            yield f"  {query.note}"
        if query.fallback:
            yield f"  nothing found: the whole video, 0.00 to {duration:.2f} s"
            continue
        for rank, one in enumerate(query.moments, 1):
            yield f"{rank:>4} {one.start:>10.2f} to {one.end:>8.2f} s  score {one.score:.4f}"
    failed = sum(query.error is not None for query in found)
    if len(found) > 1:
        yield f"{len(found)} sentences, {failed} failed"
