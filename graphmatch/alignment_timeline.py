"""`alignment_timeline`: when in a video each phrase of a caption is found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.alignment_picture import Shape
from graphmatch.canvas import FONT, ROW, Canvas, Picture, Rectangle, Words, fit, text_width
from graphmatch.caption_chips import GREY, INK, caption_chips, shorten
from graphmatch.errors import GraphError
from graphmatch.explanation import Explanation
from graphmatch.region_picture import COLOURS

_WIDTH = 900.0
_MARGIN = 8.0
_LABEL = 30  # characters of a phrase beside its row
_BAR = 24.0
_FRAME = 150.0  # pixels of the height of a frame at most
_TRACK = "#eef1f4"


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
    if len(times) != len(frames) or len({frame.shape for frame in frames}) > 1:
        raise GraphError(
            f"expected frames of one size and a time for each (got {len(frames)} frames, "
            f"{len(times)} times)"
        )
    title = f"{found.model}: score {found.score:.3f}"
    label = max((text_width(shorten(text, _LABEL)) for text in found.nodes), default=0.0)
    left = 2 * _MARGIN + label
    scale = (_WIDTH - left - _MARGIN) / (found.duration or 1.0)
    shapes: list[Shape] = [
        Words(left=_MARGIN, bottom=_MARGIN + ROW, text=title, colour="none", ink=INK)
    ]
    top = 2 * _MARGIN + ROW
    if frames:
        pictures, top = _frames(frames, times, left=left, top=top)
        shapes += pictures
    colours = {node: COLOURS[node % len(COLOURS)] for node in range(len(found.nodes))}
    for node, text in enumerate(found.nodes):
        name = shorten(text, _LABEL)
        place: dict[str, Any] = {
            "bottom": top + (_BAR + ROW) / 2,
            "colour": "none",
            "nodes": (node,),
        }
        shapes.append(Words(left=_MARGIN, text=name, ink=colours[node], **place))
        shapes += _row(found, node, left=left, top=top, scale=scale, colour=colours[node])
        top += _BAR + 6
    shapes += _ruler(found.duration, left=left, top=top, scale=scale)
    top += ROW + 10 + _MARGIN
    chips = caption_chips(found, width=_WIDTH, top=top, colours=colours)
    note = "Under each phrase what it gives to the score; dark cells have much attention."
    bottom = chips.bottom + ROW
    shapes += [*chips.shapes]
    shapes.append(Words(left=_MARGIN, bottom=bottom, text=note, colour="none", ink=GREY))
    return Canvas(width=round(_WIDTH), height=round(bottom + _MARGIN), title=title, shapes=shapes)


def _frames(
    frames: Sequence[NDArray[np.uint8]], times: Sequence[float], *, left: float, top: float
) -> tuple[list[Shape], float]:
    """Frames side by side with their times, and where they end."""
    rows, columns, _ = frames[0].shape
    width = (_WIDTH - left - _MARGIN) / len(frames) - 4
    width = min(width, _FRAME * columns / rows, float(columns))
    height = rows * width / columns
    step = (_WIDTH - left - _MARGIN) / len(frames)
    shapes: list[Shape] = []
    for number, (frame, time) in enumerate(zip(frames, times, strict=True)):
        start = left + number * step + (step - width) / 2
        place = {"left": start, "top": top, "width": width, "height": height}
        shapes.append(Picture(pixels=fit(frame, width), **place))
        shapes.append(
            Words(left=start, bottom=top + height, text=f"{time:.1f} s", colour="#3a4148")
        )
    return shapes, top + height + _MARGIN


def _row(
    found: Explanation, node: int, *, left: float, top: float, scale: float, colour: str
) -> list[Shape]:
    if found.time is None or found.duration is None:
        return []
    bar: dict[str, Any] = {"top": top, "height": _BAR, "filled": True}
    shapes: list[Shape] = [Rectangle(left=left, width=found.duration * scale, colour=_TRACK, **bar)]
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


def _ruler(duration: float, *, left: float, top: float, scale: float) -> list[Shape]:
    """Seconds below the rows, about every hundred pixels."""
    step = _round_step(100 / scale) if duration else 1.0
    shapes: list[Shape] = []
    for tick in range(int(duration / step + 1e-6) + 1):
        x = left + tick * step * scale
        shapes.append(Rectangle(left=x, top=top, width=1.0, height=6.0, colour=GREY, filled=True))
        text = f"{tick * step:g} s"
        start = min(x - text_width(text) / 2, _WIDTH - text_width(text))
        shapes.append(Words(left=start, bottom=top + 8 + FONT, text=text, colour="none", ink=GREY))
    return shapes


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
