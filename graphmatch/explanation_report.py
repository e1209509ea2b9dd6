"""An explanation as a table for the terminal and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphmatch.caption_chips import shorten
from graphmatch.explanation import Array, Explanation, NodeMatch

_WIDEST = 32  # characters of a node's text in a table


def explanation_lines(found: Explanation, *, top: int | None = None) -> Iterator[str]:
    """An explanation as lines of text: a table with a row for each node of the caption.

    Args:
        found: the explanation.
        top: rows at most, of the nodes that give the most; all in the caption's order if None.

    Yields:
        The score; the table: node, best region with its box in pixels or seconds, attention,
        similarity, what the node gives to the score, and the parts of its own direction if the
        matcher has any; a row with the sums of all nodes; with two directions, a line for each.
    """
    yield f"{found.model}: score {found.score:.4f}"
    parts = dict(found.text.parts) if found.text is not None else {}
    header = ["node", "region", "place", "attention", "similarity", "gives", *parts]
    contribution, similarity, attention = found.contribution, found.similarity, found.attention
    nodes = list(range(len(found.nodes)))
    if top is not None:
        nodes = sorted(nodes, key=lambda node: -contribution[node])[:top]
    rows = []
    for node in nodes:
        (region,) = found.best(node)
        row = [shorten(found.nodes[node], _WIDEST), found.regions[region], _place(found, region)]
        row += [f"{attention[node, region]:.3f}", f"{similarity[node]:.3f}"]
        row.append(f"{contribution[node]:+.4f}")
        rows.append([*row, *(f"{part[node]:+.4f}" for part in parts.values())])
    sums = [contribution.sum(), *(part.sum() for part in parts.values())]
    name = "sum" if len(nodes) == len(found.nodes) else f"sum of all {len(found.nodes)}"
    rows.append([name, "", "", "", "", *(f"{total:+.4f}" for total in sums)])
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
    if found.text is None or found.visual is None:
        return
    for name, side in (("words to regions", found.text), ("regions to words", found.visual)):
        line = f"{name}: {side.contribution.sum():+.4f}"
        addends = ", ".join(f"{part} {value.sum():+.4f}" for part, value in side.parts.items())
        yield f"{line} ({addends})" if addends else line


def _place(found: Explanation, region: int) -> str:
    if found.box is not None:
        return " ".join(f"{edge:.0f}" for edge in found.box[region].tolist())
    return "" if found.time is None else f"clip {region}"


def explanation_values(found: Explanation) -> dict[str, Any]:
    """An explanation as plain values: numbers, strings, lists and dictionaries.

    Args:
        found: the explanation.

    Returns:
        `model`, `score`, `words`, `nodes` (with `attention` over the regions, `similarity`,
        `contribution`, `best`), `regions` (with `box` in pixels or `time` in seconds, and
        `contribution`), and `text` and `visual`, the directions that the matcher has, with every
        array of `NodeMatch`.
    """
    contribution, similarity, attention = found.contribution, found.similarity, found.attention
    nodes = [
        {
            "text": found.nodes[node],
            "kind": found.kinds[node],
            "words": list(found.spans[node]),
            "best": found.best(node)[0],
            "attention": _rounded(attention[node]),
            "similarity": _rounded(similarity[node]),
            "contribution": _rounded(contribution[node]),
        }
        for node in range(len(found.nodes))
    ]
    regions: list[dict[str, Any]] = []
    for region, name in enumerate(found.regions):
        item = {"name": name, "contribution": _rounded(found.region_contribution[region])}
        if found.box is not None:
            item["box"] = _rounded(found.box[region])
        if found.time is not None:
            item["time"] = _rounded(found.time[region])
        regions.append(item)
    values = {"model": found.model, "score": found.score, "words": list(found.words)}
    if found.size is not None:
        values["size"] = list(found.size)
    if found.duration is not None:
        values["duration"] = found.duration
    values |= {"nodes": nodes, "regions": regions}
    for name, side in (("text", found.text), ("visual", found.visual)):
        if side is not None:
            values[name] = _side(side)
    return values


def _side(side: NodeMatch) -> dict[str, Any]:
    return {
        "attention": _rounded(side.attention),
        "similarity": _rounded(side.similarity),
        "contribution": _rounded(side.contribution),
        "pairs": _rounded(side.pairs),
        "parts": {name: _rounded(part) for name, part in side.parts.items()},
        "steps": _rounded(side.steps),
    }


def _rounded(values: Array) -> Any:
    """Numbers as lists; seven digits are those of float32."""
    return np.round(np.asarray(values, np.float64), 7).tolist()
