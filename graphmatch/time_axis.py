"""What drawings of a video's time share: frames above, seconds below."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graphmatch.canvas import FONT, Picture, Rectangle, Words, fit, text_width
from graphmatch.caption_chips import GREY
from graphmatch.errors import GraphError

WIDTH = 900.0
"""Pixels of such a drawing."""
MARGIN = 8.0
"""Pixels at its edges."""
TRACK = "#eef1f4"
"""Colour of a whole video."""
_FRAME = 150.0  # pixels of the height of a frame at most


def frame_strip(
    frames: Sequence[NDArray[np.uint8]], times: Sequence[float], *, left: float, top: float
) -> tuple[list[Picture | Words], float]:
    """Frames side by side with their times.

    Args:
        frames: [H, W, 3] uint8 each, of one size; none if empty.
        times: when each frame is shown, in seconds.
        left: where the first may begin, in pixels; the last ends at the right margin.
        top: where they begin.

    Returns:
        The shapes, and where what is below may begin.

    Raises:
        GraphError: frames of several sizes, another number of times.
    """
    if len(times) != len(frames) or len({frame.shape for frame in frames}) > 1:
        raise GraphError(
            f"expected frames of one size and a time for each (got {len(frames)} frames, "
            f"{len(times)} times)"
        )
    if not frames:
        return [], top
    rows, columns, _ = frames[0].shape
    width = (WIDTH - left - MARGIN) / len(frames) - 4
    width = min(width, _FRAME * columns / rows, float(columns))
    height = rows * width / columns
    step = (WIDTH - left - MARGIN) / len(frames)
    shapes: list[Picture | Words] = []
    for number, (frame, time) in enumerate(zip(frames, times, strict=True)):
        start = left + number * step + (step - width) / 2
        place = {"left": start, "top": top, "width": width, "height": height}
        shapes.append(Picture(pixels=fit(frame, width), **place))
        shapes.append(
            Words(left=start, bottom=top + height, text=f"{time:.1f} s", colour="#3a4148")
        )
    return shapes, top + height + MARGIN


def time_ruler(
    duration: float, *, left: float, top: float, scale: float
) -> list[Rectangle | Words]:
    """Seconds with their marks, about every hundred pixels.

    Args:
        duration: of the video in seconds.
        left: where it begins, in pixels.
        top: where the marks begin.
        scale: pixels of a second.

    Returns:
        The shapes; they are `FONT` + 10 pixels high.

    Example:
        >>> [one.text for one in time_ruler(5, left=0, top=0, scale=60) if isinstance(one, Words)]
        ['0 s', '2 s', '4 s']
    """
    step = _round_step(100 / scale) if duration else 1.0
    shapes: list[Rectangle | Words] = []
    for tick in range(int(duration / step + 1e-6) + 1):
        x = left + tick * step * scale
        shapes.append(Rectangle(left=x, top=top, width=1.0, height=6.0, colour=GREY, filled=True))
        text = f"{tick * step:g} s"
        start = max(min(x - text_width(text) / 2, WIDTH - text_width(text)), 0.0)
        shapes.append(Words(left=start, bottom=top + 8 + FONT, text=text, colour="none", ink=GREY))
    return shapes


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
