"""`PieceEncoder`: word ids to the states of a pretrained transformer over word pieces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphmatch.config import check_counts
from graphmatch.errors import ConfigError
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.nn.transformer import TransformerLayer

FIRST, LAST = 0, 1
"""Rows of the embedding with the pieces that stand around a text, [CLS] and [SEP] of BERT."""

REMEMBERED = 2 << 30
"""Bytes of states that a training keeps."""
_CHUNK = 64  # captions that are computed together


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceConfig:
    """Sizes of a `PieceEncoder`; defaults are MiniLM's with six layers.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> PieceConfig(pieces=30522, longest=6).size
        384
    """

    pieces: int  # number of embedded pieces
    longest: int  # pieces of the word that has most
    size: int = 384  # d, numbers of a state
    layers: int = 6
    heads: int = 12  # divides `size`
    inner: int = 1536  # numbers between the linear maps of a layer
    positions: int = 512  # pieces of the longest text that can be read whole

    def __post_init__(self) -> None:
        names = ("longest", "size", "heads", "inner")
        check_counts(self, *names)
        check_counts(self, "pieces", least=2)
        check_counts(self, "positions", least=3)
        check_counts(self, "layers", least=0)
        if self.size % self.heads:
            raise ConfigError(f"heads: expected a divisor of {self.size} (got {self.heads})")


class PieceEncoder(nn.Module):
    """States of words in their caption: the mean over a word's pieces of BERT's last layer.

    Source: BERT (NAACL 2019), section 3: embedded pieces plus positions, normalised, then
    transformer layers. Its weights are those of `graphmatch.piece_folder` and never trained; they
    belong to the model's state, so that a checkpoint needs no other file.

    Args:
        vocabulary: V, number of words.
        config: sizes.
        wrap: put the pieces `FIRST` and `LAST` around each caption; off where the captions' own
            marks are these pieces.

    Example:
        >>> config = PieceConfig(pieces=7, longest=2, size=4, layers=1, heads=2, inner=8)
        >>> encoder = PieceEncoder(3, config)
        >>> encoder.piece[1:] = torch.tensor([[2, -1], [3, 4]])
        >>> encoder(torch.tensor([1, 2, 1]), torch.tensor([0, 1, 3])).shape
        torch.Size([2, 2, 4])
    """

    piece: Tensor

    def __init__(self, vocabulary: int, config: PieceConfig, *, wrap: bool = True) -> None:
        super().__init__()
        self.wrap = wrap
        self.register_buffer("piece", torch.full((vocabulary, config.longest), -1))
        self.embedding = nn.Embedding(config.pieces, config.size)
        self.position = nn.Embedding(config.positions, config.size)
        self.norm = nn.LayerNorm(config.size, eps=1e-12)
        self.layers = nn.ModuleList(
            TransformerLayer(config.size, heads=config.heads, inner=config.inner)
            for _ in range(config.layers)
        )
        self.requires_grad_(False)
        self._known: dict[bytes, Tensor] = {}

    def remember(self, texts: Iterable[Tensor], *, most: int = REMEMBERED) -> None:
        """Compute the states of captions once; `forward` then looks them up until `forget`.

        A training sees a caption in every epoch, and a looked up state is the same whatever stands
        beside it in a batch, to the bit.

        Args:
            texts: [T] int64 word ids of each caption.
            most: bytes of states that are kept, earlier ones included; further captions are
                computed each time.
        """
        found = {_key(text): text for text in (text.to(torch.int64) for text in texts)}
        rows = [text for key, text in found.items() if key not in self._known]
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
        room = most // (4 * self.embedding.embedding_dim)  # words
        room -= sum(map(len, self._known.values()))
        device = self.embedding.weight.device
        for start in range(0, len(order), _CHUNK):
            chunk = [rows[number] for number in order[start : start + _CHUNK]]
            lengths = torch.tensor([0, *map(len, chunk)])
            room -= int(lengths.sum())
            if room < 0:
                return
            states = self._compute(torch.cat(chunk).to(device), lengths.cumsum(0).to(device))
            for text, state in zip(chunk, states, strict=True):
                self._known[_key(text)] = state[: len(text)]

    def forget(self) -> None:
        """Drop what `remember` computed."""
        self._known = {}

    def forward(self, word: Tensor, ptr: Tensor) -> Tensor:
        """States of the words of n captions.

        Args:
            word: [T] int64 word ids of all captions.
            ptr: [n + 1] int64, caption i has the words ptr[i] to ptr[i + 1] - 1.

        Returns:
            [n, L, d], without gradients; 0 for padding, for a word without pieces, and for words
            past the last position. Reads `ptr`, so it synchronises a device.
        """
        if not self._known:
            return self._compute(word, ptr)
        texts = torch.split(word.cpu(), ptr.diff().tolist())
        known = [self._known.get(_key(text)) for text in texts]
        if any(states is None for states in known):
            return self._compute(word, ptr)
        found = [states for states in known if states is not None]
        return nn.utils.rnn.pad_sequence(found, batch_first=True)

    @torch.no_grad()
    def _compute(self, word: Tensor, ptr: Tensor) -> Tensor:
        ids, mask = pad_nodes(word, ptr)  # [n, L]
        pieces = self.piece[ids].masked_fill(~mask.unsqueeze(-1), -1)  # [n, L, P]
        flat = pieces.flatten(1)  # [n, L * P]
        first = int(self.wrap)
        place = (flat >= 0).cumsum(dim=1) - 1 + first  # of each piece in its caption
        room = self.position.num_embeddings - 2 * first
        real = (flat >= 0) & (place < room + first)
        counts = real.sum(dim=1)  # [n]
        width = max(1, int(counts.max()) + 2 * first) if len(counts) else 1
        text = flat.new_full((len(flat), width), FIRST)  # [n, M]
        item, where = real.nonzero(as_tuple=True)
        text[item, place[item, where]] = flat[item, where]
        if self.wrap:
            text[torch.arange(len(text), device=text.device), counts + 1] = LAST
        seen = torch.arange(width, device=text.device) < (counts + 2 * first).clamp(min=1)[:, None]
        positions = torch.arange(width, device=text.device)
        states = self.norm(self.embedding(text) + self.position(positions))  # [n, M, d]
        for layer in self.layers:
            states = layer(states, seen)
        picked = states.gather(
            1, place.clamp(0, width - 1).unsqueeze(-1).expand(-1, -1, states.size(-1))
        )  # [n, L * P, d]
        weight = real.view(pieces.shape).to(states.dtype)  # [n, L, P]
        total = torch.einsum("nlpd,nlp->nld", picked.view(*pieces.shape, -1), weight)
        mean: Tensor = total / weight.sum(dim=2, keepdim=True).clamp(min=1)
        return mean


def _key(text: Tensor) -> bytes:
    return text.numpy().tobytes()
