"""`caption_chips`: a caption's nodes as drawn words, each tinted by what it gives to the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphmatch.canvas import FONT, ROW, Rectangle, Words, text_width
from graphmatch.explanation import Explanation

INK = "#1b1f23"
"""Of dark words."""
GREY = "#5c6570"
"""Of numbers and notes."""
_HIGH, _LOW = (11, 111, 164), (192, 57, 43)  # ground of the largest and of the smallest number
_GAP = 5.0
_CHARACTER = 0.55 * FONT  # about the width of one, on average
_HEIGHT = 2 * ROW + 8


class Chips(NamedTuple):
    """Shapes, and where the next thing below them may start, in pixels."""

    shapes: list[Rectangle | Words]
    bottom: float


def caption_chips(
    found: Explanation, *, width: float, top: float, colours: Mapping[int, str]
) -> Chips:
    """Draw a caption: its nodes in order with their contributions below, in several lines.

    Args:
        found: the explanation.
        width: pixels of a line.
        top: where the first line starts.
        colours: of some nodes, which are underlined with it.

    Returns:
        The chips. A role graph has one line or more for each level.
    """
    shapes: list[Rectangle | Words] = []
    contribution = found.contribution.tolist()
    left, kind = _GAP, found.kinds[0] if found.kinds else ""
    most = int((width - 2 * _GAP - 6) / text_width("x" * 100) * 100)  # characters of a line
    for node, text in enumerate(found.nodes):
        text = shorten(text, most)
        number = f"{contribution[node]:+.3f}"
        size = max(text_width(text), text_width(number))
        if left > _GAP and (left + size > width - _GAP or found.kinds[node] != kind):
            left, top = _GAP, top + _HEIGHT + _GAP
        kind = found.kinds[node]
        ground: dict[str, Any] = {"left": left, "top": top, "width": size, "height": float(_HEIGHT)}
        colour = tint(contribution[node], contribution)
        note = f"{text}: {contribution[node]:+.4f} of {found.score:.4f}"
        shapes.append(Rectangle(**ground, colour=colour, filled=True, note=note))
        if node in colours:
            line: dict[str, Any] = {**ground, "top": top + _HEIGHT - 4, "height": 4.0}
            shapes.append(Rectangle(**line, colour=colours[node], filled=True))
        for text_line, bottom, ink in ((text, ROW, INK), (number, 2 * ROW, GREY)):
            start = left + (size - _CHARACTER * len(text_line)) / 2 - 3
            shapes.append(
                Words(left=start, bottom=top + bottom + 2, text=text_line, colour="none", ink=ink)
            )
        left += size + _GAP
    return Chips(shapes, top + _HEIGHT + _GAP)


def tint(value: float, values: list[float]) -> str:
    """A ground for dark words: blue for numbers above 0, red below, white for 0.

    Args:
        value: the number.
        values: all numbers; the largest absolute one has the full colour.

    Returns:
        `#rrggbb`.

    Example:
        >>> tint(0.0, [0.0, 2.0]), tint(2.0, [0.0, 2.0])
        ('#ffffff', '#79b0cd')
    """
    top = max(map(abs, values), default=0.0)
    share = 0.55 * abs(value) / top if top else 0.0
    end = _HIGH if value > 0 else _LOW
    return "#" + "".join(f"{round(255 + (channel - 255) * share):02x}" for channel in end)


def shorten(text: str, most: int) -> str:
    """A text that is not longer than some characters; what is left out becomes an ellipsis.

    Args:
        text: any text.
        most: characters.

    Returns:
        The text.

    Example:
        >>> shorten("a very long phrase", 7)
        'a very…'
    """
    return (
        text if len(text) <= most else text[: max(most - 1, 0)].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    )
