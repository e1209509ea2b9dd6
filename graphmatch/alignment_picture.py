"""`alignment_picture`: on the photograph, which region each word matched; the caption below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from graphmatch.canvas import ROW, Canvas, Line, Picture, Rectangle, Words, fit
from graphmatch.caption_chips import GREY, INK, caption_chips, shorten
from graphmatch.errors import GraphError
from graphmatch.explanation import Explanation
from graphmatch.region_picture import COLOURS, LONGEST, free_place
from graphmatch.regions.base import Photo

Shape = Picture | Rectangle | Line | Words
_NARROWEST = 640.0  # pixels that a caption and a legend need
_MARGIN = 6.0
_NOTES = (
    "Boxes: the regions that a word attends to most, thicker with more attention.",
    "Under each word what it gives to the score: blue above 0, red below.",
)


class Link(NamedTuple):
    """A region that a caption node matched, and how it is drawn."""

    node: int
    region: int
    attention: float
    colour: str


def best_links(
    found: Explanation, *, top: int = 5, node: int | None = None, regions: int | None = None
) -> list[Link]:
    """What an alignment picture shows.

    Args:
        found: the explanation.
        top: how many nodes, those of whose pairs with a region one gives the most to the score.
            Marks, punctuation and events, which are the whole caption, are left out if there is
            anything else.
        node: this node only.
        regions: how many regions of each node, by attention; one of several nodes, five of `node`.

    Returns:
        Links by node, strongest node first; each node has its own colour.

    Raises:
        GraphError: no such node.

    Example:
        >>> import numpy as np
        >>> from graphmatch.explanation import NodeMatch
        >>> attention = np.array([[0.8, 0.2], [0.3, 0.7]])
        >>> match = NodeMatch(attention=attention, similarity=np.array([0.9, 0.5]),
        ...                   contribution=np.array([0.45, 0.25]), steps=attention[None],
        ...                   pairs=attention * np.array([[0.45], [0.25]]))
        >>> found = Explanation(model="SCAN", score=0.7, words=("a", "dog"), nodes=("a", "dog"),
        ...                     kinds=("word", "word"), spans=((0,), (1,)), text=match, visual=None,
        ...                     regions=("dog", "grass"))
        >>> [(link.node, link.region) for link in best_links(found)]
        [(0, 0), (1, 1)]
    """
    if node is not None:
        if not 0 <= node < len(found.nodes):
            raise GraphError(f"node: expected 0 to {len(found.nodes) - 1} (got {node})")
        chosen = [node]
    else:
        worth = [number for number in range(len(found.nodes)) if is_content(found, number)]
        best = found.pairs.max(axis=1)
        order = sorted(worth or range(len(found.nodes)), key=lambda number: -best[number])
        chosen = order[:top]
    count = regions or (1 if node is None else 5)
    attention = found.attention
    return [
        Link(one, region, float(attention[one, region]), COLOURS[place % len(COLOURS)])
        for place, one in enumerate(chosen)
        for region in found.best(one, count)
    ]


def is_content(found: Explanation, node: int) -> bool:
    """Whether a node is a word or a phrase: no mark, no punctuation, no event.

    Args:
        found: the explanation.
        node: number of the node.

    Returns:
        Whether it is.
    """
    text = found.nodes[node]
    if found.kinds[node] == "event" or text in ("<start>", "<end>"):
        return False
    return any(character.isalnum() for character in text)


def alignment_picture(
    found: Explanation,
    photo: Photo | None = None,
    *,
    top: int = 5,
    node: int | None = None,
    regions: int | None = None,
) -> Canvas:
    """A drawing of the regions that the words of a caption matched.

    Args:
        found: an explanation of an image.
        photo: the photograph; a grey ground if None.
        top: as `best_links`.
        node: as `best_links`.
        regions: as `best_links`.

    Returns:
        The drawing: boxes in the colour of their node, thicker and less transparent with more
        attention; a legend; the caption, whose words are tinted by what they give to the score.

    Raises:
        GraphError: an explanation without boxes, a photograph of another size, no such node.
    """
    size = check_photo(found, photo)
    links = best_links(found, top=top, node=node, regions=regions)
    scale = photo_scale(size)
    width, height = size[0] * scale, size[1] * scale
    whole = max(width, _NARROWEST)
    left = (whole - width) / 2
    title = f"{found.model}: score {found.score:.3f}"
    head = ROW + 2 * _MARGIN
    shapes: list[Shape] = [
        Words(left=_MARGIN, bottom=_MARGIN + ROW, text=title, colour="none", ink=INK),
        _ground(photo, (left, head, width, height)),
        *_boxes(found, links, scale, corner=(left, head), size=(width, height)),
    ]
    bottom = head + height + _MARGIN
    colours = {link.node: link.colour for link in links}
    chips = caption_chips(found, width=whole, top=bottom, colours=colours)
    shapes += chips.shapes
    bottom = chips.bottom + _MARGIN
    for text, colour in _legend(found, links):
        if colour is not None:
            swatch: dict[str, Any] = {"left": _MARGIN, "width": 18, "height": ROW - 4}
            shapes.append(Rectangle(**swatch, top=bottom + 2, colour=colour, filled=True))
        left = _MARGIN + (22 if colour else 0)
        bottom += ROW
        ink = INK if colour else GREY
        text = shorten(text, int((whole - left) / 7.2))
        shapes.append(Words(left=left, bottom=bottom, text=text, colour="none", ink=ink))
        bottom += 3
    return Canvas(width=round(whole), height=round(bottom + _MARGIN), title=title, shapes=shapes)


def check_photo(found: Explanation, photo: Photo | None) -> tuple[int, int]:
    """Width and height of the explained image in pixels.

    Args:
        found: an explanation of an image.
        photo: its photograph, if there is one.

    Returns:
        The size.

    Raises:
        GraphError: an explanation without boxes, or a photograph of another size.
    """
    if found.size is None:
        raise GraphError("expected an explanation of an image (got one of a video)")
    if photo is not None and photo.size != found.size:
        raise GraphError(
            f"{photo.id!r}: expected a photograph of {found.size[0]} x {found.size[1]} pixels, as "
            f"the regions have it (got {photo.size[0]} x {photo.size[1]})"
        )
    return found.size


def photo_scale(size: tuple[int, int]) -> float:
    """How many pixels of a drawing a pixel of its photograph has.

    Args:
        size: width and height of the photograph.

    Returns:
        Less than 1 for large photographs, more for those that are narrower than a caption.
    """
    return min(LONGEST / max(size), max(1.0, _NARROWEST / size[0]))


def _ground(photo: Photo | None, place: tuple[float, float, float, float]) -> Shape:
    left, top, width, height = place
    where: dict[str, Any] = {"left": left, "top": top, "width": width, "height": height}
    if photo is None:
        return Rectangle(**where, colour="#d9dde1", filled=True)
    return Picture(pixels=fit(photo.pixels, width), **where)


def _boxes(
    found: Explanation,
    links: Sequence[Link],
    scale: float,
    *,
    corner: tuple[float, float],
    size: tuple[float, float],
) -> list[Shape]:
    """Boxes with their names on a photograph; those of one region stand inside each other."""
    if found.box is None:
        return []
    boxes: list[Shape] = []
    words: list[Words] = []
    inset: dict[int, float] = {}
    for link in links:
        x1, y1, x2, y2 = (found.box[link.region] * scale).tolist()
        strength = math.sqrt(min(max(link.attention, 0.0), 1.0))
        thickness = 2 + 5 * strength
        used = inset.get(link.region, 0.0)
        inset[link.region] = used + thickness + 1
        # a narrow box is drawn around its region rather than inside
        edge = min(used + thickness / 2, (x2 - x1) / 2 - 2, (y2 - y1) / 2 - 2)
        place: dict[str, Any] = {
            "left": corner[0] + x1 + edge,
            "top": corner[1] + y1 + edge,
            "width": x2 - x1 - 2 * edge,
            "height": y2 - y1 - 2 * edge,
        }
        ground = Rectangle(**place, colour="#ffffff", thickness=thickness + 2, opacity=0.6)
        boxes.append(
            Rectangle(
                **place,
                colour=link.colour,
                thickness=thickness,
                opacity=0.65 + 0.35 * strength,
                nodes=(link.region,),
                note=f"{found.nodes[link.node]}: {found.regions[link.region]}, attention "
                f"{link.attention:.2f}",
            )
        )
        name = f"{shorten(found.nodes[link.node], 24)} {link.attention:.2f}"
        boxes.append(ground)
        left, bottom = free_place((x1, y1, x2, y2), name, words, size=size)
        words.append(
            Words(left=left, bottom=bottom, text=name, colour=link.colour, nodes=(link.region,))
        )
    moved = [replace(w, left=w.left + corner[0], bottom=w.bottom + corner[1]) for w in words]
    return [*reversed(boxes), *reversed(moved)]  # the strongest on top


def _legend(found: Explanation, links: Sequence[Link]) -> list[tuple[str, str | None]]:
    pairs, similarity = found.pairs, found.similarity
    lines: list[tuple[str, str | None]] = []
    for link in links:
        name = found.regions[link.region]
        number = "" if name.startswith("region ") else f" (region {link.region})"
        lines.append(
            (
                f"{shorten(found.nodes[link.node], 24)} (similarity "
                f"{similarity[link.node]:.2f}) \N{RIGHTWARDS ARROW} {name}{number}: attention "
                f"{link.attention:.2f}, gives {pairs[link.node, link.region]:+.4f}",
                link.colour,
            )
        )
    return [*lines, *((note, None) for note in _NOTES)]
