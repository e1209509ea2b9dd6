"""`alignment_html`: an explanation as one page that needs nothing else; words light their regions.

The page has the picture, the caption, a table and heat maps of attention. Pointing at a word, or
clicking it to keep it, shows on the photograph how much it attends to each region; pointing at a
region shows which words matched it. Its few lines of script and style are inside, and a policy
forbids everything from elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graphmatch.alignment_page import PAGE
from graphmatch.alignment_picture import Link, Shape, best_links, check_photo, photo_scale
from graphmatch.alignment_timeline import alignment_timeline
from graphmatch.canvas import Canvas, Picture, Rectangle, canvas_svg, fit
from graphmatch.caption_chips import tint
from graphmatch.explanation import Array, Explanation
from graphmatch.pictures import svg_text
from graphmatch.regions.base import Photo

_PLAIN = "#0b6fa4"  # boxes of words without a colour of their own


def alignment_html(
    found: Explanation,
    photo: Photo | None = None,
    *,
    frames: Sequence[NDArray[np.uint8]] = (),
    times: Sequence[float] = (),
    top: int = 5,
    node: int | None = None,
) -> str:
    """An explanation as HTML.

    Args:
        found: the explanation, of an image or a video.
        photo: the photograph of an image, if there is one.
        frames: of a video, as `alignment_timeline` takes them.
        times: of the frames.
        top: how many nodes have boxes before anything is pointed at; see `best_links`.
        node: the node that is chosen at first.

    Returns:
        The page.

    Raises:
        GraphError: a photograph of another size, no such node.
    """
    links = best_links(found, top=top, node=node, regions=None if node is None else 1)
    colours = {link.node: link.colour for link in links}
    if found.time is None:
        picture = canvas_svg(_photo_canvas(found, photo, links))
    else:
        picture = canvas_svg(alignment_timeline(found, frames, times=times))
    title = f"{found.model}: score {found.score:.4f}"
    maps = [
        _heat_map("Attention of each node to the regions; rows sum to 1", found, found.attention)
    ]
    if found.text is not None and found.visual is not None:
        name = "Attention of each region to the nodes; columns sum to 1"
        maps.append(_heat_map(name, found, found.region_attention.T))
    data = {
        "attention": np.round(found.attention.astype(np.float64), 4).tolist(),
        "regionAttention": np.round(found.region_attention.astype(np.float64), 4).tolist(),
        "colours": [colours.get(number, _PLAIN) for number in range(len(found.nodes))],
        "video": found.time is not None,
        "chosen": -1 if node is None else node,
    }
    content = {
        "TITLE": svg_text(title),
        "PICTURE": picture,
        "CAPTION": _caption(found, colours),
        "TABLE": _table(found),
        "MAPS": "\n".join(maps),
        # no tag can begin in it
        "DATA": json.dumps(data).replace("<", "\\u003c"),
    }
    head, *pieces = PAGE.split("@@")
    return head + "".join(
        content[piece] if number % 2 == 0 else piece for number, piece in enumerate(pieces)
    )


def _photo_canvas(found: Explanation, photo: Photo | None, links: Sequence[Link]) -> Canvas:
    """The photograph with a box for each region; those of `links` are seen."""
    size = check_photo(found, photo)
    scale = photo_scale(size)
    width, height = size[0] * scale, size[1] * scale
    shapes: list[Shape] = [
        Rectangle(left=0, top=0, width=width, height=height, colour="#d9dde1", filled=True)
    ]
    if photo is not None:
        pixels = fit(photo.pixels, width)
        shapes = [Picture(pixels=pixels, left=0, top=0, width=width, height=height)]
    shown = {link.region: link for link in reversed(links)}  # the strongest node has the box
    boxes: list[tuple[float, Rectangle]] = []
    for region, (x1, y1, x2, y2) in enumerate([] if found.box is None else found.box.tolist()):
        link = shown.get(region)
        strength = math.sqrt(min(max(link.attention, 0.0), 1.0)) if link else 0.0
        box = Rectangle(
            left=x1 * scale,
            top=y1 * scale,
            width=(x2 - x1) * scale,
            height=(y2 - y1) * scale,
            colour=link.colour if link else _PLAIN,
            thickness=2 + 5 * strength,
            opacity=0.65 + 0.35 * strength if link else 0.0,
            nodes=(region,),
            note=f"{region}: {found.regions[region]}",
        )
        boxes.append(((x2 - x1) * (y2 - y1), box))
    boxes.sort(key=lambda pair: -pair[0])  # small ones on top, so that all can be pointed at
    shapes += [box for _, box in boxes]
    title = f"{found.model}: score {found.score:.3f}"
    return Canvas(width=round(width), height=round(height), title=title, shapes=shapes)


def _caption(found: Explanation, colours: dict[int, str]) -> str:
    contribution = found.contribution.tolist()
    buttons = []
    for node, text in enumerate(found.nodes):
        line = f"; border-bottom-color: {colours[node]}" if node in colours else ""
        gap = "<br>\n" if node and found.kinds[node] != found.kinds[node - 1] else ""
        buttons.append(
            f'{gap}<button class="node" data-node="{node}" style="background: '
            f'{tint(contribution[node], contribution)}{line}">{svg_text(text)}'
            f"<small>{contribution[node]:+.3f}</small></button>"
        )
    return "\n".join(buttons)


def _table(found: Explanation) -> str:
    parts = dict(found.text.parts) if found.text is not None else {}
    names = ["node", "best region", "attention", "similarity", "gives", *parts]
    contribution, similarity = found.contribution, found.similarity
    rows = ["<tr>" + "".join(f"<th>{svg_text(name)}</th>" for name in names) + "</tr>"]
    for node, text in enumerate(found.nodes):
        (region,) = found.best(node)
        cells = [
            svg_text(text),
            f"{region}: {svg_text(found.regions[region])}",
            f"{found.attention[node, region]:.3f}",
            f"{similarity[node]:.3f}",
            f"{contribution[node]:+.4f}",
            *(f"{part[node]:+.4f}" for part in parts.values()),
        ]
        rows.append(
            f'<tr data-node="{node}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    return "\n".join(rows)


def _heat_map(title: str, found: Explanation, weights: Array) -> str:
    """A table of weights [N, R]; darker cells have more."""
    most = float(weights.max()) if weights.size else 0.0
    pairs = found.pairs
    head = "".join(
        f'<th class="column" data-region="{region}"><span>{region}: {svg_text(name)}</span></th>'
        for region, name in enumerate(found.regions)
    )
    rows = [f"<tr><th></th>{head}</tr>"]
    for node, text in enumerate(found.nodes):
        cells = []
        for region, weight in enumerate(weights[node].tolist()):
            share = weight / most if most else 0.0
            ink = "; color: #fff" if share > 0.55 else ""
            note = (
                f"{text} / {region}: {found.regions[region]}: attention {weight:.3f}, gives "
                f"{pairs[node, region]:+.4f}"
            )
            cells.append(
                f'<td data-region="{region}" title="{svg_text(note)}" style="background: '
                f'rgba(11, 111, 164, {share:.3f}){ink}">'
                f"{f'{100 * weight:.0f}' if weight >= 0.005 else ''}</td>"
            )
        rows.append(f'<tr data-node="{node}"><th>{svg_text(text)}</th>{"".join(cells)}</tr>')
    body = "\n".join(rows)
    return f'<h2>{svg_text(title)}, in percent</h2>\n<table class="map">\n{body}\n</table>'
