"""Caption graphs as trees of text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphmatch.columns import GraphColumns


def graph_tree(graph: GraphColumns, words: Sequence[str]) -> str:
    """A caption graph as an indented tree.

    An entity of several actions is written under each of them; a node that no edge reaches stands
    at the left. A node's words that do not follow each other are joined by `...`.

    Args:
        graph: a role or dependency graph.
        words: T words of its caption.

    Returns:
        One line a node, without a line end at the last one.

    Example:
        >>> graph = GraphColumns(kind=("word", "word"), role=("", ""), span_node=(0, 1),
        ...     span_word=(0, 1), source=(1,), target=(0,), relation=("nsubj",))
        >>> print(graph_tree(graph, ["dogs", "run"]))
        run
        └── nsubj  dogs
    """
    spans: list[list[int]] = [[] for _ in graph.kind]
    for node, word in zip(graph.span_node, graph.span_word, strict=True):
        spans[node].append(word)
    children: list[list[tuple[str, int]]] = [[] for _ in graph.kind]
    for source, target, relation in zip(graph.source, graph.target, graph.relation, strict=True):
        children[source].append((relation, target))
    reached = set(graph.target)
    lines = []
    for node in range(len(graph)):
        if node not in reached:
            label = graph.role[node] or ("event" if graph.kind[node] == "event" else "")
            head = f"{label}  " if label else ""
            lines.append(head + _phrase(spans[node], words))
            lines.extend(_branches(node, children, spans, words))
    return "\n".join(lines)


def _branches(
    root: int,
    children: Sequence[Sequence[tuple[str, int]]],
    spans: Sequence[Sequence[int]],
    words: Sequence[str],
) -> Iterator[str]:
    """Lines below a node; a stack of its own, because chains of hundreds of words occur."""
    stack = [("", children[root], 0)]
    while stack:
        indent, branches, place = stack.pop()
        if place == len(branches):
            continue
        relation, node = branches[place]
        last = place + 1 == len(branches)
        yield f"{indent}{'└── ' if last else '├── '}{relation}  {_phrase(spans[node], words)}"
        stack.append((indent, branches, place + 1))
        stack.append((indent + ("    " if last else "│   "), children[node], 0))


def _phrase(span: Sequence[int], words: Sequence[str]) -> str:
    pieces: list[str] = []
    for place, word in enumerate(span):
        if place and word != span[place - 1] + 1:
            pieces.append("...")
        pieces.append(words[word])
    return " ".join(pieces)
