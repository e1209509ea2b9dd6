"""Captions whose first and last word are marks: what SCAN, GSMN and IMRAM read.

There <start> and <end> are words like the others. Their ids are
`graphmatch.datasets.caption_ids.mark_ids(vocabulary)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graphmatch.columns import KINDS
from graphmatch.graphs.text import TextGraph


def word_graph(ids: Sequence[int]) -> TextGraph:
    """A caption without a parse: one node a word, no edges.

    Args:
        ids: T word ids, marks included, as from `caption_ids`.

    Returns:
        A dependency graph without dependencies.

    Example:
        >>> word_graph([1, 7, 9, 2])
        TextGraph(4 words; 0 edges)
    """
    places = torch.arange(len(ids))
    return TextGraph(
        word=torch.tensor(ids, dtype=torch.int64),
        kind=torch.full_like(places, KINDS.index("word")),
        role=torch.full_like(places, -1),
        span=torch.stack((places, places)),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        relation=torch.zeros(0, dtype=torch.int64),
    )


def add_marks(graph: TextGraph, start: int, end: int) -> TextGraph:
    """A caption with a mark before its first and after its last word.

    In a dependency graph each mark is a node without edges, so that words and edges move by one,
    as in GSMN's matrices, where row 0 is <start>. In a role graph the event holds the marks, too,
    and nothing else changes.

    Args:
        graph: a caption, no batch, of either kind; it stays as it is.
        start: word id of <start>.
        end: word id of <end>.

    Returns:
        A new graph of two words more.

    Example:
        >>> marked = add_marks(word_graph([7, 9]), 1, 2)
        >>> marked.word.tolist(), marked.num_nodes
        ([1, 7, 9, 2], 4)
    """
    word, span = graph.word, graph.span
    count = len(word) + 2
    marked = torch.cat((word.new_tensor([start]), word, word.new_tensor([end])))
    if not graph.is_roles:
        plain = word_graph(marked.tolist())
        plain.edge_index, plain.relation = graph.edge_index + 1, graph.relation
        return plain
    event = torch.arange(count, device=span.device)
    others = span[:, span[0] > 0] + span.new_tensor([[0], [1]])  # words move, nodes do not
    return TextGraph(
        word=marked,
        kind=graph.kind,
        role=graph.role,
        span=torch.cat((torch.stack((torch.zeros_like(event), event)), others), dim=1),
        edge_index=graph.edge_index,
        relation=graph.relation,
    )
