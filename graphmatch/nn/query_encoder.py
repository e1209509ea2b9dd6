"""`QueryEncoder`: a query as one vector for each level of a pyramid over time.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `model/query_encoder.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from graphmatch.errors import GraphError
from graphmatch.nn.dependency_layer import DependencyLayer
from graphmatch.nn.event_attention import masked_softmax
from graphmatch.nn.moment_targets import LEVELS
from graphmatch.nn.pad_nodes import pad_nodes


class Query(NamedTuple):
    """n queries of up to L words.

    Args:
        words: [n, L, 2 D] states of the words, zero past a query's last.
        mask: [n, L] bool, which words are real.
        whole: [n, 4 D] states of the first and of the last word.
        attention: [n, 3, L] weights of the words on each level; 0 for padding.
        steps: [n, 3, 2 D] the words averaged with these weights.
    """

    words: Tensor
    mask: Tensor
    whole: Tensor
    attention: Tensor
    steps: Tensor


class QueryEncoder(nn.Module):
    """Bidirectional LSTM, and attention to its words in three steps.

    With states h_n of the N words and g = [h_1 ; h_N], both directions of each, step t computes

        u_t = W_t ReLU(W g + b) + b_t,  a_tn = softmax over n of (w . (u_t * h_n) + c),
        q_t = sum_n a_tn h_n.

    The bias c cancels and never gets a gradient but rounding; it is there because official
    checkpoints have it. Word 0 is padding and every unknown word: a vector of zeros that no
    training changes.

    Args:
        vocabulary: V, number of words, word 0 included.
        word_size: numbers of an embedded word.
        hidden: D, numbers of a state in one direction.
        layers: of the LSTM.
        graph_layers: `DependencyLayer`s between the embedded words and the LSTM; not in the paper.
        dropout: share of the numbers of embedded words that training drops; not in the paper.

    Example:
        >>> encoder = QueryEncoder(10, word_size=4, hidden=6)
        >>> query = encoder(torch.tensor([1, 2, 3]), torch.tensor([0, 1, 3]))
        >>> query.steps.shape, query.attention[0, 0].tolist()
        (torch.Size([2, 3, 12]), [1.0, 0.0])
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        word_size: int = 300,
        hidden: int = 512,
        layers: int = 1,
        graph_layers: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(vocabulary, word_size, padding_idx=0)
        self.rnn = nn.LSTM(
            word_size, hidden, num_layers=layers, batch_first=True, bidirectional=True
        )
        self.whole = nn.Linear(4 * hidden, hidden)
        self.step = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(LEVELS))
        self.logit = nn.Linear(2 * hidden, 1)
        for layer in (self.whole, *self.step, self.logit):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.graph = nn.ModuleList(DependencyLayer(word_size) for _ in range(graph_layers))

    def forward(
        self,
        word: Tensor,
        ptr: Tensor,
        *,
        edge_index: Tensor | None = None,
        relation: Tensor | None = None,
    ) -> Query:
        """Encode n queries.

        Args:
            word: [T] int64 word ids of all queries.
            ptr: [n + 1] int64, query i has the words ptr[i] to ptr[i + 1] - 1.
            edge_index: [2, E] int64 rows (head, dependent) of all queries, for graph layers.
            relation: [E] int64 relations of these edges, for graph layers.

        Returns:
            The queries. Reads `ptr`, so it synchronises a device.

        Raises:
            GraphError: a query without words, a word id outside the vocabulary, or graph layers
                without edges.
        """
        ids, mask = pad_nodes(word, ptr)  # [n, L]
        lengths = ptr.diff()
        self._check(word, lengths)
        embedded = self.dropout(self.embedding(ids))  # [n, L, d]
        if len(self.graph):
            embedded = self._along_edges(embedded, mask, edge_index, relation)
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        words, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)  # [n, L, 2 D]
        last = words[torch.arange(len(words), device=words.device), lengths - 1]
        whole = torch.cat((words[:, 0], last), dim=-1)  # [n, 4 D]
        common = self.whole(whole).relu()  # [n, D]
        steps = torch.stack([layer(common) for layer in self.step], dim=1)  # [n, 3, 2 D]
        # w . (u * h) = (w * u) . h: no [n, 3, L, 2 D]
        logits = (steps * self.logit.weight) @ words.transpose(1, 2) + self.logit.bias  # [n, 3, L]
        attention = masked_softmax(logits, mask.unsqueeze(1).expand_as(logits))
        return Query(words, mask, whole, attention, attention @ words)

    def _along_edges(
        self, words: Tensor, mask: Tensor, edge_index: Tensor | None, relation: Tensor | None
    ) -> Tensor:
        """[n, L, d] embedded words after the graph layers; padding stays zero."""
        if edge_index is None or relation is None:
            raise GraphError("expected the edges of the queries for graph layers (got none)")
        x = words[mask]  # [T, d]
        for layer in self.graph:
            x = layer(x, edge_index, relation)
        return torch.zeros_like(words).masked_scatter(mask.unsqueeze(-1), x)

    def _check(self, word: Tensor, lengths: Tensor) -> None:
        if not bool((lengths > 0).all()):
            empty = int((lengths == 0).nonzero()[0])
            raise GraphError(f"expected at least one word in each query (got none in {empty})")
        low, high = int(word.min()), int(word.max())
        if low < 0 or high >= self.embedding.num_embeddings:
            last = self.embedding.num_embeddings - 1
            raise GraphError(f"expected word ids from 0 to {last} (got {low} to {high})")
