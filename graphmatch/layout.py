"""`Drawing`: where the parts of a caption graph's picture go; renderers are in `graphmatch.plot`.

A role graph is drawn over the words of its caption: a bar over each node's words, the event above
the actions above the entities. A dependency graph is drawn as arcs from heads to dependents.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graphmatch.columns import GraphColumns
from graphmatch.errors import GraphError

CHARACTER = 8.4
"""Width of a character of the fixed-width font, pixels."""
_GAP = 14.0
_MARGIN = 16.0
_BAR = 22.0
_ROW = 34.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a text in it: a word, or one run of words of a node.

    Args:
        left, top, width, height: pixels from the upper left corner.
        text: what is written in it.
        kind: a node kind, `word` for words.
        node: number of the node; -1 for words of a role graph, which are no nodes.
        words: word positions that it stands for.
    """

    left: float
    top: float
    width: float
    height: float
    text: str
    kind: str
    node: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """An edge: a cubic curve with an arrow at its end.

    Args:
        points: start, two control points, end; pixels.
        label: relation written at the middle of the curve; empty for none.
        source: node number.
        target: node number.
    """

    points: tuple[tuple[float, float], ...]
    label: str
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """Boxes and lines of a picture of `width` x `height` pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def lay_out(graph: GraphColumns, words: Sequence[str]) -> Drawing:
    """The picture of a caption graph.

    Args:
        graph: a role or dependency graph.
        words: T words of its caption.

    Returns:
        The drawing.

    Raises:
        GraphError: a graph of other words.

    Example:
        >>> graph = GraphColumns(kind=("word", "word"), role=("", ""), span_node=(0, 1),
        ...     span_word=(0, 1), source=(1,), target=(0,), relation=("nsubj",))
        >>> [box.text for box in lay_out(graph, ["dogs", "run"]).boxes]
        ['dogs', 'run']
    """
    if graph.span_word and max(graph.span_word) >= len(words):
        raise GraphError(
            f"expected a graph of {len(words)} words (a node has word {max(graph.span_word)})"
        )
    return _lay_out_roles(graph, words) if graph.is_roles else _lay_out_arcs(graph, words)


def _columns(words: Sequence[str]) -> tuple[list[float], list[float], float]:
    """Left border and width of each word, and the width of the picture."""
    lefts = []
    widths = [max(_text_width(word), 2 * CHARACTER) for word in words]
    position = _MARGIN
    for width in widths:
        lefts.append(position)
        position += width + _GAP
    return lefts, widths, max(position - _GAP, 8 * CHARACTER + _MARGIN) + _MARGIN


def _text_width(text: str) -> float:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return CHARACTER * (len(text) + wide)


def _runs(span: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last word of each contiguous run."""
    if not span:
        return
    start = span[0]
    for before, word in pairwise(span):
        if word != before + 1:
            yield start, before
            start = word
    yield start, span[-1]


def _lay_out_roles(graph: GraphColumns, words: Sequence[str]) -> Drawing:
    lefts, widths, width = _columns(words)
    spans: list[list[int]] = [[] for _ in graph.kind]
    for node, word in zip(graph.span_node, graph.span_word, strict=True):
        spans[node].append(word)
    bars: dict[int, list[tuple[float, float]]] = {}  # node -> left and right of its runs
    for node, span in enumerate(spans):
        label = _text_width(graph.role[node]) + CHARACTER
        for first, last in _runs(span):
            left, right = lefts[first], lefts[last] + widths[last]
            spare = max(0.0, label - (right - left)) / 2
            bars.setdefault(node, []).append((left - spare, right + spare))
    rows = {0: 0}
    depth = 1
    for kind in ("action", "entity"):
        nodes = [node for node in bars if graph.kind[node] == kind]
        nodes.sort(key=lambda node: (-len(spans[node]), spans[node]))
        filled: list[list[tuple[float, float]]] = []
        for node in nodes:  # wide bars first, each in the first row where it fits
            row = next(
                (number for number, taken in enumerate(filled) if _fits(bars[node], taken)),
                len(filled),
            )
            if row == len(filled):
                filled.append([])
            filled[row].extend(bars[node])
            rows[node] = depth + row
        depth += len(filled) or 1
    boxes = []
    centres: dict[int, float] = {}
    for node, pieces in bars.items():
        top = _MARGIN + rows[node] * (_ROW + _BAR)
        text = graph.role[node] or "event"
        for left, right in pieces:
            box = (left, top, right - left, _BAR, text, graph.kind[node], node, tuple(spans[node]))
            boxes.append(Box(*box))
        centres[node] = sum(pieces[0]) / 2
    bottom = _MARGIN + depth * (_ROW + _BAR)
    for word, text in enumerate(words):
        box = (lefts[word], bottom, widths[word], _BAR, text, "word", -1, (word,))
        boxes.append(Box(*box))
    lines = []
    for source, target in zip(graph.source, graph.target, strict=True):
        if source in centres and target in centres:
            start = (centres[source], _MARGIN + rows[source] * (_ROW + _BAR) + _BAR)
            end = (centres[target], _MARGIN + rows[target] * (_ROW + _BAR))
            bend = (end[1] - start[1]) / 2
            curve = (start, (start[0], start[1] + bend), (end[0], end[1] - bend), end)
            lines.append(Line(curve, "", source, target))
    return Drawing(width, bottom + _BAR + _MARGIN, tuple(boxes), tuple(lines))


def _fits(bars: Sequence[tuple[float, float]], taken: Sequence[tuple[float, float]]) -> bool:
    return all(right + 4 < a or b + 4 < left for left, right in bars for a, b in taken)


def _lay_out_arcs(graph: GraphColumns, words: Sequence[str]) -> Drawing:
    lefts, widths, width = _columns(words)
    edges = list(zip(graph.source, graph.target, graph.relation, strict=True))
    levels = _arc_levels([(source, target) for source, target, _ in edges])
    bottom = _MARGIN + _BAR + _ROW * (max(levels, default=0) + 1)
    lines = []
    for (source, target, relation), level in zip(edges, levels, strict=True):
        side = 5.0 if target > source else -5.0  # arcs that leave a word do not meet those that end
        start = lefts[source] + widths[source] / 2 + side
        end = lefts[target] + widths[target] / 2 - side
        # the middle of a cubic lies at three quarters of its control points' height
        height = bottom - _ROW * (level + 1) * 4 / 3
        curve = ((start, bottom), (start, height), (end, height), (end, bottom))
        lines.append(Line(curve, relation, source, target))
    boxes = [
        Box(lefts[word], bottom, widths[word], _BAR, text, "word", word, (word,))
        for word, text in enumerate(words)
    ]
    return Drawing(width, bottom + _BAR + _MARGIN, tuple(boxes), tuple(lines))


def _arc_levels(edges: Sequence[tuple[int, int]]) -> list[int]:
    """Height of each arc: above every arc that it spans, so that nested arcs do not cross."""
    spans = [(min(edge), max(edge)) for edge in edges]
    levels = [0] * len(edges)
    top: dict[int, int] = {}  # gap between two words -> height that is taken above it
    for number in sorted(range(len(edges)), key=lambda n: spans[n][1] - spans[n][0]):
        first, last = spans[number]
        gaps = range(first, last)
        levels[number] = max((top.get(gap, 0) for gap in gaps), default=0)
        for gap in gaps:
            top[gap] = levels[number] + 1
    return levels
