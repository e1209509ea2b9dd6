"""`query_dependencies`: the parser's dependency graph over the words that DRN counts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from graphmatch.columns import GraphColumns
from graphmatch.errors import GraphError


def query_dependencies(
    words: Sequence[str], parsed: Sequence[str], graph: GraphColumns
) -> GraphColumns:
    """A dependency graph of a query, moved from a parser's words to those of `query_words`.

    Both are laid side by side by their characters; case, spaces, full stops and the shape of
    quotation marks do not count. Where the words differ:

    * several of the parser's words in one of the query's (`t - shirt`, `t-shirt`): edges between
      them vanish, those of each with others are the query word's;
    * one of the parser's words over several of the query's: its edges are those of the first, from
      which an edge `dep` leads to each other one;
    * a full stop has no word in the query: its edges vanish.

    No two words have more than one edge in the same direction: the first stays.

    Args:
        words: T words of the query, see `graphmatch.clips.moments.query_words`.
        parsed: words of its parse.
        graph: the dependency graph over them.

    Returns:
        A dependency graph of T words.

    Raises:
        GraphError: words of different texts, a role graph.

    Example:
        >>> parsed = ["person", "wears", "t", "-", "shirt", "."]
        >>> tree = GraphColumns(
        ...     kind=("word",) * 6, role=("",) * 6, span_node=tuple(range(6)),
        ...     span_word=tuple(range(6)), source=(1, 4, 4, 1, 1), target=(0, 2, 3, 4, 5),
        ...     relation=("nsubj", "compound", "punct", "obj", "punct"))
        >>> moved = query_dependencies(["person", "wears", "t-shirt"], parsed, tree)
        >>> [*zip(moved.source, moved.target, moved.relation)]
        [(1, 0, 'nsubj'), (1, 2, 'obj')]
    """
    if graph.is_roles or len(graph.kind) != len(parsed):
        raise GraphError(f"expected a dependency graph of {len(parsed)} words (got another graph)")
    places = _places(words, parsed)
    edges: dict[tuple[int, int], str] = {}
    for source, target, relation in zip(graph.source, graph.target, graph.relation, strict=True):
        if places[source] and places[target] and places[source][0] != places[target][0]:
            edges.setdefault((places[source][0], places[target][0]), relation)
    held = {target for _, target in edges}
    for first, *others in filter(None, places):
        edges.update({(first, other): "dep" for other in others if other not in held})
        held.update(others)
    numbers = tuple(range(len(words)))
    return GraphColumns(
        kind=("word",) * len(words),
        role=("",) * len(words),
        span_node=numbers,
        span_word=numbers,
        source=tuple(source for source, _ in edges),
        target=tuple(target for _, target in edges),
        relation=tuple(edges.values()),
    )


def _places(words: Sequence[str], parsed: Sequence[str]) -> list[list[int]]:
    """For each of the parser's words the query's words that share a character with it."""
    owner = [number for number, word in enumerate(words) for _ in _characters(word)]
    pieces = [_characters(word) for word in parsed]
    if "".join(map(_characters, words)) != "".join(pieces):
        raise GraphError(
            f"expected the parse of this query, {' '.join(words)!r:.200} (got the words "
            f"{' '.join(parsed)!r:.200})"
        )
    places, start = [], 0
    for piece in pieces:
        places.append(sorted({*owner[start : start + len(piece)]}))
        start += len(piece)
    return places


def _characters(word: str) -> str:
    word = unicodedata.normalize("NFC", word).casefold().replace(".", "")
    return "".join(word.replace('"', "''").replace("`", "'").split())
