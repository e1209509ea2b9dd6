"""Pictures of caption graphs: SVG and HTML without any library, PNG through matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphmatch.columns import GraphColumns
from graphmatch.errors import ConfigError, check_choice
from graphmatch.layout import CHARACTER, Box, Drawing, Line, lay_out
from graphmatch.output import open_output
from graphmatch.parse import Parse
from graphmatch.pictures import draw_png, png_text, svg_text

_COLOURS = {  # kind -> fill, text; readable by colour-blind people and in grey
    "event": ("#444b54", "#ffffff"),
    "action": ("#c25e00", "#ffffff"),
    "entity": ("#1f6fb2", "#ffffff"),
    "word": ("none", "#1b1f23"),
}
_EDGE = "#7a828c"
_FONT = 14
Pictured = tuple[Parse, Sequence[GraphColumns]]
"""A caption and those of its graphs that are drawn."""
FORMATS = ("svg", "html", "png")
"""Formats that `save_pictures` writes, by the suffix of the file."""


def graph_svg(graph: GraphColumns, parse: Parse) -> str:
    """A picture of a caption graph as SVG.

    Args:
        graph: a role or dependency graph.
        parse: the caption that it belongs to.

    Returns:
        One `<svg>` element on a white ground, also good inside HTML.

    Raises:
        GraphError: a graph of another caption.

    Example:
        >>> from graphmatch.parsers.dependencies import dependency_graph
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"])
        >>> graph_svg(dependency_graph(parse), parse).count("<path")
        1
    """
    drawing = lay_out(graph, parse.words)
    size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    view = f'viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} role="img" '
            f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{_FONT}">',
            f"<title>{svg_text(parse.text)}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *map(_line_svg, drawing.lines),
            *map(_box_svg, drawing.boxes),
            "</svg>",
        ]
    )


def graphs_html(captions: Sequence[Pictured]) -> str:
    """A page with pictures of captions' graphs; pointing at a node lights up its words.

    Args:
        captions: (parse, its graphs) of each caption.

    Returns:
        A whole HTML document that needs nothing else.

    Example:
        >>> parse = Parse.from_tree(["dogs"], heads=[-1], deprels=["root"])
        >>> graphs_html([(parse, [])]).startswith("<!doctype html>")
        True
    """
    parts = []
    for parse, graphs in captions:
        parts.append(f"<h2>{svg_text(parse.text)}</h2>")
        parts.extend(f"<figure>\n{graph_svg(graph, parse)}\n</figure>" for graph in graphs)
    return _PAGE.format(pictures="\n".join(parts))


def save_pictures(path: str | Path, captions: Sequence[Pictured], *, force: bool = False) -> None:
    """Write pictures of captions' graphs to a file, below each other.

    Args:
        path: the file; its suffix says the format: svg (one graph), html or png. PNG draws only
            scripts that the DejaVu fonts have.
        captions: (parse, its graphs) of each caption.
        force: overwrite a file that is there.

    Raises:
        ConfigError: another suffix, no graph, several graphs for SVG, a file that is there, or PNG
            without matplotlib.
    """
    path = Path(path)
    format = path.suffix.lower().lstrip(".")
    check_choice("picture format", format, FORMATS)
    graphs = [(graph, parse) for parse, own in captions for graph in own]
    if not graphs or (format == "svg" and len(graphs) > 1):
        raise ConfigError(
            f"expected one graph for {format} (got {len(graphs)}); html and png take several"
        )
    if format == "png":
        content = draw_png([lay_out(graph, parse.words) for graph, parse in graphs], _draw, dpi=150)
        with open_output(path, force=force, binary=True) as stream:
            stream.write(content)
        return
    text = graph_svg(*graphs[0]) if format == "svg" else graphs_html(captions)
    with open_output(path, force=force) as stream:
        stream.write(text + "\n")


def _line_svg(line: Line) -> str:
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = line.points
    path = (
        f'<path d="M{x1:.1f},{y1:.1f} C{x2:.1f},{y2:.1f} {x3:.1f},{y3:.1f} {x4:.1f},{y4:.1f}" '
        f'fill="none" stroke="{_EDGE}" stroke-width="1.3"/>'
        f'<polygon points="{x4:.1f},{y4:.1f} {x4 - 4:.1f},{y4 - 8:.1f} {x4 + 4:.1f},{y4 - 8:.1f}" '
        f'fill="{_EDGE}"/>'
    )
    if not line.label:
        return path
    x, y = _middle(line)
    label = (
        f'<text x="{x:.1f}" y="{y - 3:.1f}" text-anchor="middle" font-size="{_FONT - 3}" '
        f'fill="#4b535c">{svg_text(line.label)}</text>'
    )
    return path + label


def _middle(line: Line) -> tuple[float, float]:
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = line.points
    return (x1 + 3 * x2 + 3 * x3 + x4) / 8, (y1 + 3 * y2 + 3 * y3 + y4) / 8


def _box_svg(box: Box) -> str:
    fill, ink = _COLOURS[box.kind]
    words = " ".join(map(str, box.words))
    middle, base = box.left + box.width / 2, box.top + box.height / 2 + _FONT * 0.35
    return (
        f'<g class="{box.kind}" data-words="{words}">'
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="4" fill="{fill}"/>'
        f'<text x="{middle:.1f}" y="{base:.1f}" text-anchor="middle" fill="{ink}">'
        f"{svg_text(box.text)}</text></g>"
    )


def _draw(axes: Any, drawing: Drawing, top: float) -> None:
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path as Curve

    add, write = axes.add_patch, axes.text
    size = 72 * CHARACTER / 0.602 / 100  # of a fixed-width font whose characters are that wide
    for line in drawing.lines:
        points = [(x, y + top) for x, y in line.points]
        curve = Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
        add(FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=9, color=_EDGE))
        if line.label:
            x, y = _middle(line)
            label = png_text(line.label)
            write(x, y + top - 3, label, size=size * 0.8, family="monospace", ha="center")
    for box in drawing.boxes:
        fill, ink = _COLOURS[box.kind]
        corner, style = (box.left, box.top + top), "round,pad=0,rounding_size=4"
        patch = FancyBboxPatch(corner, box.width, box.height, style, fc=fill, ec="none")
        add(patch)
        x, y = box.left + box.width / 2, box.top + top + box.height / 2
        place = {"ha": "center", "va": "center_baseline"}
        write(x, y, png_text(box.text), size=size, family="monospace", color=ink, **place)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Caption graphs</title>
<style>
body {{ font-family: sans-serif; margin: 2em; color: #1b1f23 }}
figure {{ margin: 1em 0; overflow-x: auto }}
g.lit rect {{ stroke: #d1007a; stroke-width: 2 }}
g.word.lit rect {{ fill: #ffe3f1 }}
</style>
</head>
<body>
{pictures}
<script>
for (const node of document.querySelectorAll("g[data-words]")) {{
  const words = new Set(node.dataset.words.split(" "));
  const picture = node.closest("svg");
  const light = on => {{
    node.classList.toggle("lit", on);
    for (const word of picture.querySelectorAll("g.word"))
      if (words.has(word.dataset.words)) word.classList.toggle("lit", on);
  }};
  node.addEventListener("mouseenter", () => light(true));
  node.addEventListener("mouseleave", () => light(false));
}}
</script>
</body>
</html>"""
