"""`moment_timeline`: the moments of sentences, drawn over the time of their video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.alignment_picture import Shape
from graphmatch.canvas import FONT, ROW, Canvas, Rectangle, Words, text_width
from graphmatch.caption_chips import GREY, INK, shorten
from graphmatch.errors import GraphError
from graphmatch.ground_job import FoundMoment, FoundQuery
from graphmatch.region_picture import COLOURS
from graphmatch.time_axis import MARGIN, TRACK, WIDTH, frame_strip, time_ruler

_BEST, _OTHER = 24.0, 12.0  # pixels of the height of the best moment's bar, and of another one's
_GAP = 6.0
_LEAST = 3.0  # pixels of the width of a bar
_MOST = 100  # sentences of a drawing
_LETTERS = int((WIDTH - 2 * MARGIN - 6) / text_width("x" * 100) * 100)


def check_count(count: int) -> None:
    """Raise `GraphError` if there are too many sentences for a drawing.

    Args:
        count: of the sentences.

    Raises:
        GraphError: more than 100.
    """
    if count > _MOST:
        raise GraphError(f"expected at most {_MOST} sentences for a drawing (got {count})")


def moment_timeline(
    found: Sequence[FoundQuery],
    *,
    name: str,
    duration: float,
    frames: Sequence[NDArray[np.uint8]] = (),
    times: Sequence[float] = (),
) -> Canvas:
    """A drawing of a video's time with the moments of each sentence below it.

    Args:
        found: results, at most 100.
        name: of the video.
        duration: of the video in seconds.
        frames: [H, W, 3] uint8 each, of one size, to show above; none if empty.
        times: when each frame is shown, in seconds.

    Returns:
        The drawing: a sentence has a high bar for its best moment and low, lighter ones for the
        others, each with its seconds and score; an empty frame where nothing was found.

    Raises:
        GraphError: frames of several sizes, another number of times, too many sentences.

    Example:
        >>> query = FoundQuery(sentence="the door opens",
        ...                    moments=(FoundMoment(start=3.2, end=9.75, score=0.81),))
        >>> canvas = moment_timeline([query], name="kitchen", duration=30.6)
        >>> [one.text for one in canvas.shapes if isinstance(one, Words)][:3]
        ['kitchen: 30.6 s', 'the door opens', '3.2 to 9.8 s, score 0.81']
    """
    check_count(len(found))
    title = f"{shorten(name, _LETTERS - 20)}: {duration:.1f} s"
    shapes: list[Shape] = [
        Words(left=MARGIN, bottom=MARGIN + ROW, text=title, colour="none", ink=INK)
    ]
    pictures, top = frame_strip(frames, times, left=MARGIN, top=2 * MARGIN + ROW)
    shapes += pictures
    scale = (WIDTH - 2 * MARGIN) / (duration or 1.0)
    for number, query in enumerate(found):
        colour = COLOURS[number % len(COLOURS)]
        sentence = shorten(query.sentence.strip() or "(empty)", _LETTERS)
        shapes.append(Words(left=MARGIN, bottom=top + ROW, text=sentence, colour="none", ink=INK))
        rows, top = _rows(query, number, top=top + ROW + 2, scale=scale, colour=colour)
        shapes += rows
        top += MARGIN
    shapes += time_ruler(duration, left=MARGIN, top=top, scale=scale)
    height = top + FONT + 10 + MARGIN
    return Canvas(width=round(WIDTH), height=round(height), title=title, shapes=shapes)


def _rows(
    query: FoundQuery, number: int, *, top: float, scale: float, colour: str
) -> tuple[list[Shape], float]:
    """Bars of a sentence, and where what is below may begin."""
    note = query.error or query.note
    if query.unknown and query.error is None:
        note = f"unknown to the model: {', '.join(query.unknown)}"
    shapes: list[Shape] = []
    if note is not None:
        note = shorten(note if query.error is None else f"failed: {note}", _LETTERS)
        shapes.append(Words(left=MARGIN, bottom=top + ROW, text=note, colour="none", ink=GREY))
        top += ROW + 2
    if query.error is not None:
        return shapes, top
    track: dict[str, Any] = {"left": MARGIN, "width": WIDTH - 2 * MARGIN, "top": top}
    shapes.append(Rectangle(**track, height=_BEST, colour=TRACK, filled=True))
    if query.fallback:
        place: dict[str, Any] = {**track, "top": top + 1, "height": _BEST - 2}
        shapes.append(Rectangle(**place, colour=GREY, thickness=1.0, nodes=(number,)))
        text = "nothing found"
        shapes.append(Words(left=MARGIN + 6, bottom=top + 20, text=text, colour="none", ink=GREY))
        return shapes, top + _BEST
    for rank, moment in enumerate(query.moments):
        height = _BEST if rank == 0 else _OTHER
        shapes += _bar(query, moment, rank, number, top=top, scale=scale, colour=colour)
        top += height + (_GAP if rank + 1 < len(query.moments) else 0)
    return shapes, top


def _bar(
    query: FoundQuery,
    moment: FoundMoment,
    rank: int,
    number: int,
    *,
    top: float,
    scale: float,
    colour: str,
) -> list[Shape]:
    """A moment with its seconds and score: beside it, or in it where it leaves no room."""
    right = WIDTH - MARGIN
    left = min(MARGIN + moment.start * scale, right - _LEAST)
    end = max(min(MARGIN + moment.end * scale, right), left + _LEAST)
    height = _BEST if rank == 0 else _OTHER
    text = f"{moment.start:.1f} to {moment.end:.1f} s, score {moment.score:.2f}"
    wide = text_width(text)
    if end + 3 + wide <= right:
        place, ground, ink = end + 3, "none", INK
    elif left - 3 - wide >= MARGIN:
        place, ground, ink = left - 3 - wide, "none", INK
    else:
        place, ground, ink = left + 3, colour, "#ffffff"
    return [
        Rectangle(
            left=left,
            top=top,
            width=end - left,
            height=height,
            colour=colour,
            filled=True,
            opacity=1.0 if rank == 0 else 0.5,
            nodes=(number,),
            note=f"{query.sentence}: {rank + 1}, {text}",
        ),
        Words(
            left=place,
            bottom=top + (height + ROW) / 2,
            text=text,
            colour=ground,
            ink=ink,
            nodes=(number,),
        ),
    ]
