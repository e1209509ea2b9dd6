"""GraphML of caption graphs, line by line, so that any number of them fits in memory.

Source: GraphML specification 1.0, graphml.graphdrawing.org.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from graphmatch.columns import GraphColumns
from graphmatch.parse import Parse
from graphmatch.rows import CaptionRow

_KEYS = {
    "node": ("caption", "graph", "kind", "role", "words", "positions"),
    "edge": ("relation",),
}
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def graphml_lines(rows: Iterable[CaptionRow]) -> Iterator[str]:
    """One GraphML document of all graphs of some captions.

    Nodes are named `caption/roles/number` and `caption/dependencies/number`. A node carries its
    caption's id, its graph, kind, role, words and word positions; an edge its relation. Characters
    that XML cannot hold become U+FFFD.

    Args:
        rows: captions; those without a graph leave nothing.

    Yields:
        Lines of the document.

    Example:
        >>> len(list(graphml_lines([])))
        12
    """
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    for place, names in _KEYS.items():
        for name in names:
            yield f'<key id="{name}" for="{place}" attr.name="{name}" attr.type="string"/>'
    yield '<graph edgedefault="directed">'
    for row in rows:
        if row.parse is None:
            continue
        for name, graph in (("roles", row.roles), ("dependencies", row.dependencies)):
            if graph is not None:
                yield from _graph_lines(row.id, name, graph, row.parse)
    yield "</graph>"
    yield "</graphml>"


def _graph_lines(caption: str, name: str, graph: GraphColumns, parse: Parse) -> Iterator[str]:
    spans: list[list[int]] = [[] for _ in graph.kind]
    for node, word in zip(graph.span_node, graph.span_word, strict=True):
        spans[node].append(word)
    prefix = f"{caption}/{name}"
    for node, span in enumerate(spans):
        data = {
            "caption": caption,
            "graph": name,
            "kind": graph.kind[node],
            "role": graph.role[node],
            "words": " ".join(parse.words[word] for word in span),
            "positions": " ".join(map(str, span)),
        }
        yield f"<node id={_quote(f'{prefix}/{node}')}>{_data(data)}</node>"
    for source, target, relation in zip(graph.source, graph.target, graph.relation, strict=True):
        ends = f"source={_quote(f'{prefix}/{source}')} target={_quote(f'{prefix}/{target}')}"
        yield f"<edge {ends}>{_data({'relation': relation})}</edge>"


def _data(values: Mapping[str, str]) -> str:
    return "".join(
        f'<data key="{key}">{escape(_legal(value))}</data>' for key, value in values.items()
    )


def _quote(text: str) -> str:
    return quoteattr(_legal(text))


def _legal(text: str) -> str:
    return text if text.isascii() and text.isprintable() else _ILLEGAL.sub("\ufffd", text)
