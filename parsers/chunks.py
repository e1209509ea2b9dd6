"""Base noun phrases of a dependency tree."""

from __future__ import annotations

from graphmatch.parse import Parse

_NOMINAL = frozenset(("NOUN", "PROPN", "PRON"))
_PHRASES = frozenset(
    ("root", "nsubj", "csubj", "obj", "iobj", "obl", "nmod", "conj", "appos", "xcomp", "dep")
)
_PREMODIFIERS = frozenset(
    ("det", "det:predet", "amod", "nummod", "compound", "nmod:poss", "advmod", "cc:preconj", "nmod",
     "punct", "flat", "obl:npmod")
)  # fmt: skip


def noun_chunks(parse: Parse) -> tuple[tuple[int, int], ...]:
    """Base noun phrases: a noun or pronoun with its determiners and premodifiers, no clauses.

    They play the part of spaCy's `noun_chunks` in HGR's repair of graphs without verbs, for any
    parser (HGR official code, `miscs/parse_sent_to_role_graph.ipynb`).

    Args:
        parse: a parse; only its tree and universal tags are read.

    Returns:
        Spans [start, end) in words, ascending, not overlapping.

    Example:
        >>> parse = Parse.from_tree(
        ...     ["a", "black", "dog", "in", "the", "park"], heads=[2, 2, -1, 5, 5, 2],
        ...     deprels=["det", "amod", "root", "case", "det", "nmod"],
        ...     pos=["DET", "ADJ", "NOUN", "ADP", "DET", "NOUN"])
        >>> noun_chunks(parse)
        ((0, 3), (4, 6))
    """
    count = len(parse)
    left = list(range(count))
    for token in range(count):  # a premodifier lies left of its head and is done before it
        label = parse.deprels[token]
        head = parse.heads[token]
        if head > token and label in _PREMODIFIERS:
            left[head] = min(left[head], left[token])
    chunks: list[tuple[int, int]] = []
    for token in range(count):
        label = parse.deprels[token].partition(":")[0]
        if (
            parse.pos[token] in _NOMINAL
            and label in _PHRASES
            and parse.deprels[token] != "nmod:poss"
            and not (label in ("nmod", "conj") and _is_premodifier(parse, token))
        ):
            start = max(left[token], chunks[-1][1] if chunks else 0)
            while start < token and parse.pos[start] == "PUNCT":
                start += 1
            chunks.append((start, token + 1))
    return tuple(chunks)


def _is_premodifier(parse: Parse, token: int) -> bool:
    """Whether a word, or the word it is coordinated with, modifies a noun to its right."""
    if parse.deprels[token] == "conj":
        token = parse.heads[token]
    return parse.deprels[token] in ("nmod", "amod", "compound") and parse.heads[token] > token
