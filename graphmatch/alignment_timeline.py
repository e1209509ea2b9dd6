"""`alignment_timeline`: when in a video each phrase of a caption is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.alignment_picture import Shape
from graphmatch.canvas import ROW, Canvas, Rectangle, Words, text_width
from graphmatch.caption_chips import GREY, INK, caption_chips, shorten
from graphmatch.errors import GraphError
from graphmatch.explanation import Explanation
from graphmatch.region_picture import COLOURS
from graphmatch.time_axis import MARGIN, TRACK, WIDTH, frame_strip, time_ruler

_LABEL = 30  # characters of a phrase beside its row
_BAR = 24.0


def alignment_timeline(
    found: Explanation,
    frames: Sequence[NDArray[np.uint8]] = (),
    *,
    times: Sequence[float] = (),
) -> Canvas:
    """A drawing of a video's time with a row for each phrase.

    Args:
        found: an explanation of a video.
        frames: [H, W, 3] uint8 each, of one size, to show above the rows; none if empty.
        times: when each frame is shown, in seconds.

    Returns:
        The drawing: a phrase's row has a cell for each clip, darker with more attention; its best
        clip has a frame and its seconds; below is the caption as `caption_chips` draws it.

    Raises:
        GraphError: an explanation without times, frames of several sizes, another number of times.
    """
    if found.time is None or found.duration is None:
        raise GraphError("expected an explanation of a video (got one of an image)")
    title = f"{found.model}: score {found.score:.3f}"
    label = max((text_width(shorten(text, _LABEL)) for text in found.nodes), default=0.0)
    left = 2 * MARGIN + label
    scale = (WIDTH - left - MARGIN) / (found.duration or 1.0)
    shapes: list[Shape] = [
        Words(left=MARGIN, bottom=MARGIN + ROW, text=title, colour="none", ink=INK)
    ]
    top = 2 * MARGIN + ROW
    pictures, top = frame_strip(frames, times, left=left, top=top)
    shapes += pictures
    colours = {node: COLOURS[node % len(COLOURS)] for node in range(len(found.nodes))}
    for node, text in enumerate(found.nodes):
        name = shorten(text, _LABEL)
        place: dict[str, Any] = {
            "bottom": top + (_BAR + ROW) / 2,
            "colour": "none",
            "nodes": (node,),
        }
        shapes.append(Words(left=MARGIN, text=name, ink=colours[node], **place))
        shapes += _row(found, node, left=left, top=top, scale=scale, colour=colours[node])
        top += _BAR + 6
    shapes += time_ruler(found.duration, left=left, top=top, scale=scale)
    top += ROW + 10 + MARGIN
    chips = caption_chips(found, width=WIDTH, top=top, colours=colours)
    note = "Under each phrase what it gives to the score; dark cells have much attention."
    bottom = chips.bottom + ROW
    shapes += [*chips.shapes]
    shapes.append(Words(left=MARGIN, bottom=bottom, text=note, colour="none", ink=GREY))
    return Canvas(width=round(WIDTH), height=round(bottom + MARGIN), title=title, shapes=shapes)


def _row(
    found: Explanation, node: int, *, left: float, top: float, scale: float, colour: str
) -> list[Shape]:
    if found.time is None or found.duration is None:
        return []
    bar: dict[str, Any] = {"top": top, "height": _BAR, "filled": True}
    shapes: list[Shape] = [Rectangle(left=left, width=found.duration * scale, colour=TRACK, **bar)]
    weights = found.attention[node]
    most = float(weights.max()) or 1.0
    (best,) = found.best(node)
    for clip, (start, end) in enumerate(found.time.tolist()):
        cell: dict[str, Any] = {
            "left": left + start * scale,
            "width": max((end - start) * scale, 3.0),
        }
        note = f"{found.nodes[node]}: {found.regions[clip]}, attention {weights[clip]:.3f}"
        opacity = 0.06 + 0.94 * float(weights[clip]) / most
        shapes.append(
            Rectangle(**cell, **bar, colour=colour, opacity=opacity, nodes=(node,), note=note)
        )
        if clip == best:
            border: dict[str, Any] = {**cell, "top": top + 1, "height": _BAR - 2, "thickness": 2.0}
            shapes.append(Rectangle(**border, colour=INK, nodes=(node,), note=note))
    start, end = found.time[best].tolist()
    text = f"{start:.1f}-{end:.1f} s"
    right = left + found.duration * scale - text_width(text)
    words = left + end * scale + 3  # beside its cell, which it would hide
    if words > right:
        words = max(left + start * scale - text_width(text) - 3, left)
    shapes.append(
        Words(left=words, bottom=top + (_BAR + ROW) / 2, text=text, colour=INK, nodes=(node,))
    )
    return shapes
