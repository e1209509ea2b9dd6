"""`WordEncoder`: word ids to vectors that know the caption around them."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.nn.piece_encoder import PieceConfig, PieceEncoder

Cell = Literal["gru", "lstm"]
WordCell = Literal["gru", "lstm", "linear"]


class Words(NamedTuple):
    """Encoded words of n captions of up to L words.

    Args:
        nodes: [n, L, d] word vectors, zero past a caption's last word.
        mask: [n, L] bool, which words are real.
        last: [n, d] final states, averaged over the directions; mean of the words if no cell reads
            them in their order.
    """

    nodes: Tensor
    mask: Tensor
    last: Tensor


class WordEncoder(nn.Module):
    """Embedding and recurrent layers; the two directions of the last are averaged.

    Source: SCAN (ECCV 2018): h_j = (forward_j + backward_j) / 2. The same in GSMN and
    IMRAM, and in HGR (CVPR 2020) section 3.1 with dropout on the embedded words. Each caption is
    read to its own length, so padding changes nothing.

    With `pretrained`, the states of a frozen transformer stand beside the embedding, which then
    starts at 0: a word that training never shows is known by its state alone. The cell "linear"
    reads no order; it is for these states, which know it already.

    Parameters have torch's names (`embedding.weight`, `rnn.weight_ih_l0`, ...) and start as torch's
    layers do, the embedding uniform in +-`embedding_bound`.

    Args:
        vocabulary: V, number of words.
        word_size: numbers of an embedded word.
        hidden: d, numbers of an encoded word.
        cell: "gru", "lstm" or "linear", one linear map.
        bidirectional: whether captions are read backwards, too.
        layers: number of recurrent layers, each over the output of the one before.
        dropout: share of the numbers of embedded words that training drops.
        embedding_bound: initial size of the embedding, without `pretrained`.
        pretrained: sizes of a transformer, see `graphmatch.piece_folder`.
        wrap: put the transformer's own marks around each caption.

    Raises:
        ConfigError: a size below 1, a share outside [0, 1), an unknown cell.

    Example:
        >>> import torch
        >>> encoder = WordEncoder(10, word_size=4, hidden=6)
        >>> words = encoder(torch.tensor([1, 2, 3]), torch.tensor([0, 1, 3]))
        >>> words.nodes.shape, words.mask.tolist()
        (torch.Size([2, 2, 6]), [[True, False], [True, True]])
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        word_size: int = 300,
        hidden: int = 1024,
        cell: WordCell = "gru",
        bidirectional: bool = True,
        layers: int = 1,
        dropout: float = 0.0,
        embedding_bound: float = 0.1,
        pretrained: PieceConfig | None = None,
        wrap: bool = True,
    ) -> None:
        super().__init__()
        check_choice("cell", cell, get_args(WordCell))
        sizes = (vocabulary, word_size, hidden, layers)
        if min(sizes) < 1:
            raise ConfigError(f"expected sizes from 1 (got {sizes})")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout: expected a share in [0, 1) (got {dropout})")
        self.embedding = nn.Embedding(vocabulary, word_size)
        nn.init.uniform_(self.embedding.weight, -embedding_bound, embedding_bound)
        self.dropout = nn.Dropout(dropout)
        self.pieces: PieceEncoder | None = None
        if pretrained is not None:
            self.pieces = PieceEncoder(vocabulary, pretrained, wrap=wrap)
            nn.init.zeros_(self.embedding.weight)
            word_size += pretrained.size
        self.linear: nn.Linear | None = None
        if cell == "linear":
            self.linear = nn.Linear(word_size, hidden)
            return
        layer = nn.GRU if cell == "gru" else nn.LSTM
        self.rnn = layer(
            word_size, hidden, num_layers=layers, batch_first=True, bidirectional=bidirectional
        )

    def forward(self, word: Tensor, ptr: Tensor) -> Words:
        """Encode the words of n captions.

        Args:
            word: [T] int64 word ids of all captions.
            ptr: [n + 1] int64, caption i has the words ptr[i] to ptr[i + 1] - 1.

        Returns:
            The encoded words. Reads `ptr`, so it synchronises a device.

        Raises:
            GraphError: a caption without words, or a word id outside the vocabulary.
        """
        ids, mask = pad_nodes(word, ptr)  # [n, L]
        lengths = ptr.diff().cpu()
        if not bool((lengths > 0).all()):
            empty = int((lengths == 0).nonzero()[0])
            raise GraphError(f"expected at least one word in each caption (got none in {empty})")
        if int(word.min()) < 0 or int(word.max()) >= self.embedding.num_embeddings:
            last = self.embedding.num_embeddings - 1
            got = f"{int(word.min())} to {int(word.max())}"
            raise GraphError(f"expected word ids from 0 to {last} (got {got})")
        embedded = self.embedding(ids)  # [n, L, word_size]
        if self.pieces is not None:
            states = self.pieces(word, ptr).to(embedded.dtype)
            embedded = torch.cat((embedded, states), dim=-1)
        embedded = self.dropout(embedded)
        if self.linear is not None:
            nodes = self.linear(embedded) * mask.unsqueeze(-1)  # [n, L, d]
            mean = nodes.sum(dim=1) / lengths.to(nodes).unsqueeze(1)
            return Words(nodes=nodes, mask=mask, last=mean)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        states, final = self.rnn(packed)
        if isinstance(final, tuple):  # of an LSTM: hidden and cell states
            final = final[0]
        nodes, _ = pad_packed_sequence(states, batch_first=True)  # [n, L, directions * d]
        final = final[-2:] if self.rnn.bidirectional else final[-1:]  # of the last layer
        directions = nodes.view(*nodes.shape[:2], len(final), -1)  # [n, L, directions, d]
        return Words(nodes=directions.mean(dim=-2), mask=mask, last=final.mean(dim=0))
