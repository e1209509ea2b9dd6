"""`RoleGraphEncoder`: captions as role graphs to vectors of their events, actions and entities."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.batch import word_ptr
from graphmatch.nn.event_attention import EventAttention
from graphmatch.nn.role_attention import RoleAttention, message_edges
from graphmatch.nn.span_pool import span_pool
from graphmatch.nn.word_encoder import WordEncoder
from graphmatch.parse import ROLES


class RoleGraphEncoder(nn.Module):
    """The text side of HGR.

    Source: HGR (CVPR 2020) section 3.1; official code, `encoders/mlsent.py`. The event is an
    average of its words by `EventAttention`; actions and entities are the maximum over the words of
    their span, times the vector of their role, which starts normally distributed. Graph layers
    follow, see `RoleAttention`.

    Args:
        words: encodes the words; its output size D is that of the nodes. Its recurrent layer gets
            the official initial values: orthogonal matrices, biases 0, 1 for an LSTM's forget gate.
        roles: rows of the table of role vectors, at least one for each of `ROLES`; 0: no roles.
        layers: number of graph layers, with parameters of their own.
        attention: numbers of queries and keys in a graph layer; 0: all edges weigh equally.
        dropout: share of the numbers of what a node receives that training drops.

    Raises:
        ConfigError: a number out of range.

    Example:
        >>> encoder = RoleGraphEncoder(WordEncoder(9, word_size=4, hidden=8), attention=4)
        >>> [name for name, _ in encoder.named_children()]
        ['words', 'event', 'roles', 'graph']
    """

    def __init__(
        self,
        words: WordEncoder,
        *,
        roles: int = len(ROLES),
        layers: int = 1,
        attention: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if roles != 0 and roles < len(ROLES):
            raise ConfigError(f"roles: expected 0, or at least {len(ROLES)} (got {roles})")
        if layers < 0:
            raise ConfigError(f"layers: expected a number from 0 (got {layers})")
        size = words.rnn.hidden_size
        reset_rnn(words.rnn)
        self.words = words
        self.event = EventAttention(size)
        self.roles = nn.Embedding(roles, size) if roles else None
        self.graph = nn.ModuleList(
            RoleAttention(size, attention=attention, dropout=dropout) for _ in range(layers)
        )

    def initial_nodes(self, texts: Any) -> Tensor:
        """Nodes before the first graph layer.

        Args:
            texts: as `forward`.

        Returns:
            [N, D] for the N nodes of all captions; 0 for an action or entity without words.

        Raises:
            GraphError: as `forward`.
        """
        ptr = word_ptr(texts)
        if bool((texts.kind[texts.ptr[:-1]] != 0).any()):
            raise GraphError("expected role graphs (got a dependency graph); node 0 is no event")
        words, mask, _ = self.words(texts.word, ptr)  # [n, L, D]
        inner = texts.span[:, texts.kind[texts.span[0]] != 0]  # words of actions and entities
        nodes = span_pool(words[mask], inner, len(texts.kind))  # [N, D], 0 for events
        if self.roles is not None:
            nodes = nodes * self.roles(texts.role.clamp(min=0))
        event = self.event(words, mask).to(nodes.dtype)  # autocast may have made it narrower
        return nodes.index_add(0, texts.ptr[:-1], event)

    def forward(self, texts: Any) -> Tensor:
        """Encode captions.

        Args:
            texts: PyG batch of n role graphs, as `batch_graphs(graphs, follow=("word",))` makes it.

        Returns:
            [N, D] for the N nodes of all captions. Synchronises a device.

        Raises:
            GraphError: a batch without `word_ptr`, dependency graphs, a caption without words, an
                id out of range.
        """
        x = self.initial_nodes(texts)
        edges = message_edges(texts.edge_index, texts.kind)
        for layer in self.graph:
            x = layer(x, edges)
        return x


def reset_rnn(rnn: nn.RNNBase) -> None:
    """HGR's initial values: orthogonal matrices, biases 0, 1 for the forget gate of an LSTM.

    Args:
        rnn: the layer to reset, in place.
    """
    for name, parameter in rnn.named_parameters():
        if name.startswith("weight"):
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)
            if isinstance(rnn, nn.LSTM) and name.startswith("bias_ih"):
                nn.init.ones_(parameter[rnn.hidden_size : 2 * rnn.hidden_size])
