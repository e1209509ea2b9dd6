"""Dependency graphs, GSMN's pair lists and their adjacency.

Source: GSMN (CVPR 2020) section 3.1; official code, `model.py` and the `*_caps.json` files.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from graphmatch.columns import GraphColumns
from graphmatch.errors import GraphError, check_choice
from graphmatch.parse import Parse

Numbering = Literal["caption", "sentence"]
"""How words are numbered in a pair list: through the caption, or anew in every sentence."""


def dependency_graph(parse: Parse) -> GraphColumns:
    """The dependency tree as a graph: one node a word, edges from head to dependent.

    Args:
        parse: the parse.

    Returns:
        T nodes of kind `word`, an edge for every word that has a head, relations as in the parse.

    Example:
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"])
        >>> dependency_graph(parse).relation
        ('nsubj',)
    """
    words = tuple(range(len(parse)))
    targets = tuple(word for word in words if parse.heads[word] >= 0)
    return GraphColumns(
        kind=("word",) * len(words),
        role=("",) * len(words),
        span_node=words,
        span_word=words,
        source=tuple(parse.heads[word] for word in targets),
        target=targets,
        relation=tuple(parse.deprels[word] for word in targets),
    )


def dependency_pairs(parse: Parse, *, numbering: Numbering = "caption") -> list[list[int]]:
    """[governor, dependent] pairs of a caption as in GSMN's `*_caps.json`, 1-based, 0 is ROOT.

    Args:
        parse: the parse.
        numbering: `"caption"` (default) counts words through the whole caption and lists one ROOT
            pair, first, because the reader drops exactly the first pair. `"sentence"` is the
            official files' rule: every sentence starts again from 1 with a ROOT pair of its own,
            so that later sentences point at words of the first one.

    Returns:
        The pairs: the ROOT pair, then the others by dependent.

    Raises:
        ConfigError: an unknown numbering.

    Example:
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"])
        >>> dependency_pairs(parse)
        [[0, 2], [2, 1]]
    """
    check_choice("numbering", numbering, get_args(Numbering))
    if numbering == "caption":
        bounds = [(0, len(parse))] if len(parse) else []
    else:
        sentences = parse.sentences
        starts = [t for t in range(len(parse)) if t == 0 or sentences[t] != sentences[t - 1]]
        bounds = list(pairwise([*starts, len(parse)]))
    pairs = []
    for start, end in bounds:
        heads = parse.heads[start:end]
        roots = [[0, word + 1] for word, head in enumerate(heads) if head < 0]
        others = [[head - start + 1, word + 1] for word, head in enumerate(heads) if head >= 0]
        pairs += roots[:1] + others
    return pairs


def adjacency(
    pairs: Sequence[Sequence[int]], count: int, *, official: bool = True
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """The n x n adjacency of a caption from its pair list.

    Pairs are 1-based word numbers, so they fit rows in which row 0 is the start mark. Both
    directions are set to 1, pairs past the last row are skipped, every row has a self loop.

    Args:
        pairs: [governor, dependent] pairs.
        count: n, rows of the caption: words with the start and end mark.
        official: drop the first pair whatever it is, keep later pairs with 0 as edges of row 0,
            and add the identity on top, so that a pair of a word with itself gives 2 (the released
            code). False: drop every pair with 0, and self loops are always 1.

    Returns:
        float32 [n, n], symmetric. Allocates n x n.

    Raises:
        GraphError: a pair that is no pair of numbers from 0.

    Example:
        >>> adjacency([[0, 2], [2, 1]], 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]
    """
    matrix = np.zeros((count, count), dtype=np.float32)  # [n, n]
    for pair in list(pairs)[1:] if official else pairs:
        if len(pair) != 2 or min(pair) < 0:
            raise GraphError(f"expected [governor, dependent] pairs from 0 (got {list(pair)})")
        governor, dependent = pair
        if max(pair) < count and (official or min(pair) > 0):
            matrix[governor, dependent] = matrix[dependent, governor] = 1
    if official:
        return matrix + np.eye(count, dtype=np.float32)
    np.fill_diagonal(matrix, 1)
    return matrix
