"""`region_picture`: a region graph on its photograph, with its strongest polar edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphmatch.canvas import ROW, Canvas, Line, Picture, Rectangle, Words, fit, text_width
from graphmatch.errors import GraphError
from graphmatch.regions.base import Photo, Regions
from graphmatch.regions.polar import box_centre, pairwise_polar

COLOURS = (  # told apart by colour-blind people, dark enough for white words
    "#0b6fa4", "#b35900", "#00795a", "#a8326f", "#5b4fa2", "#8a6d00", "#c0392b", "#3f6b2a"
)  # fmt: skip
"""Colours of boxes."""
_EDGE = "#ffd21f"
LONGEST = 900
"""Pixels of the longer side of a photograph in a drawing."""


class PolarEdge(NamedTuple):
    """An edge between two regions, in the polar coordinates of `source` seen from `target`."""

    source: int
    target: int
    rho: float
    theta: float
    strength: float


def strongest_edges(
    regions: Regions, count: int, strength: Tensor | None = None
) -> list[PolarEdge]:
    """The strongest edges of the complete region graph, each pair once.

    Args:
        regions: R regions. One that is the whole image has no edges: it is near to all.
        count: how many edges at most.
        strength: [R, R] weight of the edge from each region to each other one, such as a kernel's;
            exp(-rho) if None, so that near regions come first.

    Returns:
        Edges, strongest first; ties by number. rho is in units of the image's width and height,
        theta in radians, see `graphmatch.regions.polar`.

    Raises:
        GraphError: strengths of another shape.

    Example:
        >>> box = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [80, 80, 90, 90]])
        >>> regions = Regions(size=(100, 100), box=box, label=torch.zeros(3).long(),
        ...                   score=torch.ones(3))
        >>> [(edge.source, edge.target) for edge in strongest_edges(regions, 1)]
        [(0, 1)]
    """
    polar = pairwise_polar(regions.to_graph().box)  # [R, R, 2]
    if strength is None:
        strength = torch.exp(-polar[..., 0])
    if strength.shape != polar.shape[:-1]:
        raise GraphError(
            f"strength: expected shape {list(polar.shape[:-1])} (got {list(strength.shape)})"
        )
    both = torch.maximum(strength, strength.T)  # [R, R]
    part = ~whole_image(regions)  # [R]
    pairs = torch.triu(part[:, None] & part, diagonal=1).nonzero()  # [P, 2]
    weight = both[pairs[:, 0], pairs[:, 1]]
    order = torch.argsort(weight, descending=True, stable=True)[:count]
    return [
        PolarEdge(i, j, float(polar[i, j, 0]), float(polar[i, j, 1]), float(both[i, j]))
        for i, j in pairs[order].tolist()
    ]


def whole_image(regions: Regions) -> Tensor:
    """Which regions stand for the whole image, rather than for an object that fills it.

    Args:
        regions: R regions.

    Returns:
        [R] bool.
    """
    width, height = regions.size
    full = regions.box.new_tensor([0, 0, width, height])
    return (regions.box == full).all(dim=1) & (regions.label < 0)


def region_picture(
    photo: Photo,
    regions: Regions,
    *,
    labels: Sequence[str] = (),
    edges: int = 10,
    strength: Tensor | None = None,
) -> Canvas:
    """A drawing of a region graph on its photograph.

    Args:
        photo: the photograph.
        regions: its regions.
        labels: names of the classes.
        edges: how many of the strongest polar edges are drawn.
        strength: [R, R] weights of edges, see `strongest_edges`.

    Returns:
        The drawing: boxes with label and score, edges between centres; pointing at one shows its
        numbers and dims what does not belong to it.

    Raises:
        GraphError: regions of a photograph of another size.
    """
    if regions.size != photo.size:
        raise GraphError(
            f"{photo.id!r}: expected regions of a photograph of {photo.size[0]} x {photo.size[1]} "
            f"pixels (got {regions.size[0]} x {regions.size[1]})"
        )
    scale = min(1.0, LONGEST / max(photo.size))
    width, height = photo.size[0] * scale, photo.size[1] * scale
    shapes: list[Picture | Rectangle | Line | Words] = [
        Picture(pixels=fit(photo.pixels, width), left=0, top=0, width=width, height=height)
    ]
    whole = whole_image(regions).tolist()
    centres = (box_centre(regions.box) * scale).tolist() if len(regions) else []
    found = strongest_edges(regions, edges, strength)
    top = max((edge.strength for edge in found), default=1.0) or 1.0
    for edge in found:
        ends = (edge.source, edge.target)
        note = (
            f"{_name(regions, edge.source, labels)} - {_name(regions, edge.target, labels)}: "
            f"rho {edge.rho:.2f}, theta {math.degrees(edge.theta):.0f}\N{DEGREE SIGN}, "
            f"weight {edge.strength:.2f}"
        )
        first, second = (tuple(centres[end]) for end in ends)
        thickness = 0.8 + 2.2 * max(edge.strength / top, 0)
        shapes.append(
            Line(start=first, end=second, colour=_EDGE, thickness=thickness, nodes=ends, note=note)
        )
    words: list[Words] = []
    boxes: list[Rectangle] = []
    for number, (x1, y1, x2, y2) in enumerate((regions.box * scale).tolist()):
        if whole[number]:
            continue
        colour = COLOURS[int(regions.label[number]) % len(COLOURS)]
        name = _name(regions, number, labels)
        box = {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1}
        note = f"{number}: {name}"
        boxes.append(Rectangle(**box, colour=colour, nodes=(number,), note=note))
        left, bottom = free_place((x1, y1, x2, y2), name, words, size=(width, height))
        words.append(Words(left=left, bottom=bottom, text=name, colour=colour, nodes=(number,)))
    shapes += [*reversed(boxes), *reversed(words)]  # the best on top
    title = f"{photo.id}: {len(regions)} regions, {len(found)} strongest polar edges"
    return Canvas(width=round(width), height=round(height), title=title, shapes=shapes)


def free_place(
    box: tuple[float, float, float, float],
    text: str,
    others: Sequence[Words],
    *,
    size: tuple[float, float],
) -> tuple[float, float]:
    """A place for words at a corner of a box where they cover no others, or the least of them.

    Args:
        box: x1 y1 x2 y2 in pixels of the drawing.
        text: the words.
        others: words that have their places.
        size: width and height of the drawing.

    Returns:
        Left and bottom of the words.
    """
    x1, y1, x2, y2 = box
    width = text_width(text)
    rows = (y1, y1 + ROW, y2, y2 + ROW)  # above, inside at the top and at the bottom, below
    places = [
        (min(max(left, 0), max(size[0] - width, 0)), min(max(bottom, ROW), size[1]))
        for bottom in rows
        for left in (x1, x2 - width)
    ]

    def covered(place: tuple[float, float]) -> float:
        return sum(
            max(min(place[0] + width, o.left + text_width(o.text)) - max(place[0], o.left), 0)
            * max(ROW - abs(place[1] - o.bottom), 0)
            for o in others
        )

    return min(places, key=covered)  # the first of equals


def _name(regions: Regions, number: int, labels: Sequence[str]) -> str:
    label = int(regions.label[number])
    name = labels[label] if 0 <= label < len(labels) else f"class {label}"
    return f"{name} {float(regions.score[number]):.2f}"
