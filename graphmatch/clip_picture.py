"""`clip_picture`: frames of a video above the clips of its graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graphmatch.canvas import Canvas, Line, Picture, Rectangle, Words, fit
from graphmatch.errors import GraphError
from graphmatch.graphs.clip import ClipGraph

_FRAME = 220.0  # pixels of the width of a frame
_GAP = 8.0
_BAR = 22.0  # pixels of the height of the bar of clips
_STEP = 30.0  # pixels between the frames and the bar
_EVEN, _ODD = "#0b6fa4", "#7fb2cf"
_POINTER = "#ffd21f"
_INK = "#3a4148"


def clip_picture(
    name: str,
    frames: Sequence[NDArray[np.uint8]],
    *,
    times: Sequence[float],
    graph: ClipGraph,
) -> Canvas:
    """A drawing of a few frames, with their times, above the clips of the video.

    Args:
        name: of the video.
        frames: [H, W, 3] uint8 each, all of one size.
        times: when each of them is shown, in seconds.
        graph: the clips.

    Returns:
        The drawing; the bar is the whole video, a line leads from each frame to its time, a clip's
        note has its start and end.

    Raises:
        GraphError: no frames, frames of several sizes, or another number of times.

    Example:
        >>> import torch
        >>> graph = ClipGraph(x=torch.zeros(2, 1), time=torch.tensor([[0.0, 2.0], [2.0, 4.0]]),
        ...                   duration=torch.tensor([4.0]))
        >>> frame = np.zeros((90, 160, 3), np.uint8)
        >>> canvas = clip_picture("v", [frame, frame], times=[1.0, 3.0], graph=graph)
        >>> sum(isinstance(shape, Rectangle) for shape in canvas.shapes)
        2
    """
    sizes = {frame.shape for frame in frames}
    if len(sizes) != 1 or len(times) != len(frames):
        raise GraphError(
            f"expected frames of one size and a time for each (got {len(frames)} frames of "
            f"{len(sizes)} sizes, {len(times)} times)"
        )
    rows, columns, _ = sizes.pop()
    width = min(_FRAME, float(columns))
    height = rows * width / columns
    total = _GAP + len(frames) * (width + _GAP)
    shapes: list[Picture | Rectangle | Line | Words] = []
    for number, (frame, time) in enumerate(zip(frames, times, strict=True)):
        left = _GAP + number * (width + _GAP)
        shapes.append(
            Picture(pixels=fit(frame, width), left=left, top=_GAP, width=width, height=height)
        )
        shapes.append(Words(left=left, bottom=_GAP + height, text=f"{time:.1f} s", colour=_INK))
    top, bar = _GAP + height + _STEP, total - 2 * _GAP
    seconds = float(graph.duration)
    scale = bar / seconds if seconds else 0.0
    for number, (start, end) in enumerate(graph.time.tolist()):
        shapes.append(
            Rectangle(
                left=_GAP + start * scale,
                top=top,
                width=(end - start) * scale,
                height=_BAR,
                colour=_ODD if number % 2 else _EVEN,
                filled=True,
                nodes=(number,),
                note=f"clip {number}: {start:.2f} to {end:.2f} s",
            )
        )
    for number, time in enumerate(times):
        middle = _GAP + number * (width + _GAP) + width / 2
        place = _GAP + min(max(time * scale, 0), bar)
        ends = ((middle, _GAP + height), (place, top + _BAR / 2))
        shapes.append(Line(start=ends[0], end=ends[1], colour=_POINTER))
    title = f"{name}: {len(graph.time)} clips in {seconds:.1f} s"
    return Canvas(width=round(total), height=round(top + _BAR + _GAP), title=title, shapes=shapes)
