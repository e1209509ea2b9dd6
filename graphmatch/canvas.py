"""`Canvas`: photographs with boxes, lines and words on them, as SVG, HTML or PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import ConfigError, check_choice
from graphmatch.output import open_output
from graphmatch.pictures import draw_png, png_text, svg_text

FONT = 13
"""Height of words in pixels."""
ROW = FONT + 3
"""Height of words and their ground in pixels."""
FORMATS = ("html", "png", "svg")
"""Formats that `save_canvases` writes, by the suffix of the file."""
_GROUND = "#1b1f23"  # of lines, so that they are seen on anything


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """Pixels [H, W, 3] uint8 stretched into a rectangle of the canvas."""

    pixels: NDArray[np.uint8]
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A box; `nodes` are the numbers of what lights up with it, `note` appears when pointed at.

    `opacity` from 0 to 1 is that of its colour.
    """

    left: float
    top: float
    width: float
    height: float
    colour: str
    thickness: float = 2.0
    filled: bool = False
    opacity: float = 1.0
    nodes: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight line between two points, each with a dot, on a dark ground."""

    start: tuple[float, float]
    end: tuple[float, float]
    colour: str
    thickness: float = 1.5
    nodes: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """White words on a coloured ground, their lower left corner at a point.

    `ink` is the colour of the words; the ground may be "none".
    """

    left: float
    bottom: float
    text: str
    colour: str
    ink: str = "#ffffff"
    nodes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """A drawing in pixels; later shapes lie on earlier ones.

    Args:
        width: of the drawing.
        height: of the drawing.
        title: what it shows.
        shapes: what is on it.

    Example:
        >>> box = Rectangle(left=1, top=1, width=3, height=2, colour="#c25e00")
        >>> canvas_svg(Canvas(width=8, height=6, title="a box", shapes=[box])).count("<rect")
        2
    """

    width: float
    height: float
    title: str
    shapes: Sequence[Picture | Rectangle | Line | Words]


def canvas_svg(canvas: Canvas) -> str:
    """A canvas as one `<svg>` element that needs nothing else.

    Args:
        canvas: the drawing.

    Returns:
        SVG with its photographs inside, as JPEG.

    Raises:
        ConfigError: there are photographs, and pillow is missing.
    """
    size = f'width="{canvas.width:g}" height="{canvas.height:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {canvas.width:g} {canvas.height:g}" role="img" '
            f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="{FONT}">',
            f"<title>{svg_text(canvas.title)}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *map(_shape_svg, canvas.shapes),
            "</svg>",
        ]
    )


def save_canvases(path: str | Path, canvases: Sequence[Canvas], *, force: bool = False) -> None:
    """Write drawings to a file, below each other.

    Args:
        path: the file; its suffix says the format: html, png, or svg for one drawing.
        canvases: the drawings.
        force: overwrite a file that is there.

    Raises:
        ConfigError: another suffix, no drawing, several for SVG, a file that is there, a missing
            library.
    """
    path = Path(path)
    format = path.suffix.lower().lstrip(".")
    check_choice("picture format", format, FORMATS)
    if not canvases or (format == "svg" and len(canvases) > 1):
        raise ConfigError(
            f"expected one drawing for {format} (got {len(canvases)}); html and png take several"
        )
    if format == "png":
        content = draw_png(canvases, _draw, dpi=100)
        with open_output(path, force=force, binary=True) as stream:
            stream.write(content)
        return
    if format == "svg":
        text = canvas_svg(canvases[0])
    else:
        figures = [
            f"<h2>{svg_text(one.title)}</h2>\n<figure>\n{canvas_svg(one)}\n</figure>"
            for one in canvases
        ]
        text = _PAGE.format(pictures="\n".join(figures))
    with open_output(path, force=force) as stream:
        stream.write(text + "\n")


def fit(pixels: NDArray[np.uint8], width: float) -> NDArray[np.uint8]:
    """Pixels at the size at which they are shown: a page need not be as large as its photographs.

    Args:
        pixels: [H, W, 3] uint8.
        width: at which they are shown, in pixels.

    Returns:
        The pixels, or a reduced copy if they are wider; the aspect is kept.
    """
    from graphmatch.regions.resize import stretch

    rows, columns = pixels.shape[:2]
    if columns <= width:
        return pixels
    target = max(1, round(width))
    small = stretch(pixels, target, max(1, round(rows * target / columns)))
    return np.ascontiguousarray(small.permute(1, 2, 0).numpy())


def text_width(text: str) -> float:
    """How wide `Words` are about, in pixels.

    Args:
        text: the words.

    Returns:
        The width of their ground.
    """
    return 6 + 0.62 * FONT * len(text)


def _shape_svg(shape: Picture | Rectangle | Line | Words) -> str:
    if isinstance(shape, Picture):
        return (
            f'<image x="{shape.left:.1f}" y="{shape.top:.1f}" width="{shape.width:.1f}" '
            f'height="{shape.height:.1f}" preserveAspectRatio="none" href="{_jpeg(shape.pixels)}"/>'
        )
    nodes = f' data-nodes="{" ".join(map(str, shape.nodes))}"' if shape.nodes else ""
    if isinstance(shape, Words):
        return (
            f'<g class="words"{nodes}><rect x="{shape.left:.1f}" y="{shape.bottom - ROW:.1f}" '
            f'width="{text_width(shape.text):.1f}" height="{ROW}" fill="{shape.colour}"/>'
            f'<text x="{shape.left + 3:.1f}" y="{shape.bottom - 4:.1f}" fill="{shape.ink}">'
            f"{svg_text(shape.text)}</text></g>"
        )
    note = f"<title>{svg_text(shape.note)}</title>" if shape.note else ""
    if isinstance(shape, Line):
        return f'<g class="line"{nodes}>{note}{_line_svg(shape)}</g>'
    ink = "stroke" if not shape.filled else "fill"
    opacity = f'{ink}-opacity="{shape.opacity:.2f}" ' if shape.opacity < 1 else ""
    return (
        f'<g class="box"{nodes}>{note}<rect x="{shape.left:.1f}" y="{shape.top:.1f}" '
        f'width="{shape.width:.1f}" height="{shape.height:.1f}" {ink}="{shape.colour}" '
        + opacity
        + ("" if shape.filled else f'fill="none" stroke-width="{shape.thickness:.1f}" ')
        + 'pointer-events="all"/></g>'
    )


def _line_svg(line: Line) -> str:
    (x1, y1), (x2, y2) = line.start, line.end
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    strokes = "".join(
        f'<line {ends} stroke="{colour}" stroke-width="{width:.1f}"/>'
        for colour, width in ((_GROUND, line.thickness + 2), (line.colour, line.thickness))
    )
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{line.colour}" stroke="{_GROUND}"/>'
        for x, y in (line.start, line.end)
    )
    return strokes + dots


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    from base64 import b64encode
    from io import BytesIO

    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(
            "photographs in pictures need pillow: pip install 'graphmatch[detect]'"
        ) from error
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"


def _draw(axes: Any, canvas: Canvas, top: float) -> None:
    for shape in canvas.shapes:
        _draw_shape(axes, shape, top, len(axes.get_children()))


def _draw_shape(
    axes: Any, shape: Picture | Rectangle | Line | Words, top: float, layer: int
) -> None:
    from matplotlib.patches import Rectangle as Patch

    points = 72 / 100  # a pixel in the units of lines and fonts
    if isinstance(shape, Picture):
        right, bottom = shape.left + shape.width, shape.top + shape.height + top
        extent = (shape.left, right, bottom, shape.top + top)
        axes.imshow(shape.pixels, extent=extent, aspect="auto", zorder=layer)
    elif isinstance(shape, Line):
        (x1, y1), (x2, y2) = shape.start, shape.end
        for colour, more in ((_GROUND, 2), (shape.colour, 0)):
            style = {"color": colour, "marker": "o", "mew": 0, "zorder": layer}
            sizes = {"lw": (shape.thickness + more) * points, "ms": (7 + more) * points}
            axes.plot((x1, x2), (y1 + top, y2 + top), scalex=False, scaley=False, **style, **sizes)
    elif isinstance(shape, Words):
        box = {"boxstyle": "square,pad=0.15", "fc": shape.colour, "ec": "none"}
        place = (shape.left + 2, shape.bottom + top - 3)
        axes.text(
            *place,
            png_text(shape.text),
            size=FONT * points,
            color=shape.ink,
            bbox=box,
            zorder=layer,
        )
    else:
        face = shape.colour if shape.filled else "none"
        edge = "none" if shape.filled else shape.colour
        patch = Patch(
            (shape.left, shape.top + top), shape.width, shape.height,
            fc=face, ec=edge, lw=shape.thickness * points, alpha=shape.opacity, zorder=layer,
        )  # fmt: skip
        axes.add_patch(patch)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Regions and clips</title>
<style>
body {{ font-family: sans-serif; margin: 2em; color: #1b1f23 }}
figure {{ margin: 1em 0; overflow-x: auto }}
svg.lit [data-nodes] {{ opacity: 0.12 }}
svg.lit [data-nodes].lit {{ opacity: 1 }}
</style>
</head>
<body>
{pictures}
<script>
for (const shape of document.querySelectorAll("[data-nodes]")) {{
  const picture = shape.closest("svg");
  const own = shape.dataset.nodes.split(" ");
  const light = on => {{
    picture.classList.toggle("lit", on);
    for (const other of picture.querySelectorAll("[data-nodes]")) {{
      const nodes = other.dataset.nodes.split(" ");
      const touches = own.length > 1 ? nodes.every(n => own.includes(n)) : nodes.includes(own[0]);
      other.classList.toggle("lit", on && touches);
    }}
  }};
  shape.addEventListener("mouseenter", () => light(true));
  shape.addEventListener("mouseleave", () => light(false));
}}
</script>
</body>
</html>"""
