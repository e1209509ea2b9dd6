"""What pictures of captions' graphs and of regions share: their words, and PNG."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Protocol, TypeVar

from graphmatch.errors import ConfigError


class _Sized(Protocol):
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...


_Drawing = TypeVar("_Drawing", bound=_Sized)


def svg_text(text: str) -> str:
    """Text for SVG and HTML.

    Args:
        text: any text.

    Returns:
        The text with marks escaped, and a replacement character for what cannot be printed.

    Example:
        >>> svg_text("a < b")
        'a &lt; b'
    """
    return escape(_printable(text))


def png_text(text: str) -> str:
    """Text for `draw_png`.

    Args:
        text: any text.

    Returns:
        The text with a replacement character for what cannot be printed.
    """
    return _printable(text).replace("$", r"\$")  # matplotlib would read mathematics


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def draw_png(
    drawings: Sequence[_Drawing], draw: Callable[[Any, _Drawing, float], None], *, dpi: int
) -> bytes:
    """Drawings below each other as PNG.

    Args:
        drawings: one or more, each with `width` and `height` in pixels at 100 dpi.
        draw: puts a drawing on matplotlib's axes; its last argument is where its top is.
        dpi: how fine the picture is.

    Returns:
        The content of the file; the same drawings give the same bytes.

    Raises:
        ConfigError: matplotlib is missing.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "PNG needs matplotlib: pip install 'graphmatch[plot]'; html and svg do without"
        ) from error
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = max(drawing.width for drawing in drawings)
    height = sum(drawing.height for drawing in drawings)
    figure = Figure(figsize=(width / 100, height / 100), dpi=dpi)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    top = 0.0
    for drawing in drawings:
        draw(axes, drawing, top)
        top += drawing.height
    stream = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a script that the font lacks is drawn as boxes
        # no software version in the file
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
