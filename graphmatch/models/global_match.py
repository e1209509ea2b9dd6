"""`GlobalMatch`: one vector a caption, one a video; HGR's global baseline (VSE++).

Source: HGR (CVPR 2020) section 4.2 has it as VSE++; official code, `models/globalmatch.py`,
`encoders/video.py`, `encoders/sentence.py`.

| step | here | field |
|---|---|---|
| word h = (RNN forward + backward) / 2 of the word | `WordEncoder` | `cell`, `bidirectional` |
| caption t = mean over the words of h | `encode_text` | |
| video v = W (mean over the frames of f) + b | `encode_visual` | |
| S = cos(v, t) | `score_tile` | |
| loss as HGR's | `loss` | `margin`, `negatives`, `top_k`, `direction` |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

from torch import Tensor, nn

from graphmatch.columns import CaptionGraph
from graphmatch.config import check_counts, check_positive
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.graphs.batch import word_ptr
from graphmatch.models.matcher import Matcher
from graphmatch.models.region_word import rnn_keys
from graphmatch.nn.frame_scores import unit_vectors
from graphmatch.nn.hinge_loss import HingeLoss, LossDirection, Negatives
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.nn.piece_encoder import PieceConfig
from graphmatch.nn.role_graph_encoder import reset_rnn
from graphmatch.nn.word_encoder import WordCell, WordEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalMatchConfig:
    """Options of `GlobalMatch`; defaults are the official ones.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> GlobalMatchConfig(vocabulary=10510).embed_size
        1024
    """

    vocabulary: int  # number of words, special symbols included: 10510 MSR-VTT
    feature_size: int = 2048  # numbers of a frame, several feature files together
    word_size: int = 300  # numbers of an embedded word
    embed_size: int = 1024  # numbers of a caption's or a video's vector
    cell: WordCell = "gru"  # of the word encoder; "linear" reads no order, see `nn.word_encoder`
    bidirectional: bool = True  # captions are read both ways
    word_layers: int = 1  # recurrent layers of the word encoder; the code's num_layers
    dropout: tuple[float, float] = (0.2, 0.2)  # of embedded words and of encoded videos
    pretrained: PieceConfig | None = None  # a transformer whose states words have beside embeddings
    margin: float = 0.2  # of the loss, in units of scores
    negatives: Negatives = "hardest"  # in the loss; the code's max_violation
    top_k: int = 1  # how many of the hardest; the code's hard_topk
    direction: LossDirection = "both"  # of the loss; the code's loss_direction, "bi" there
    ignore_same: bool = False  # captions of one video are no negatives; the code takes them as such

    def __post_init__(self) -> None:
        check_choice("cell", self.cell, get_args(WordCell))
        check_choice("negatives", self.negatives, get_args(Negatives))
        check_choice("direction", self.direction, get_args(LossDirection))
        check_counts(self, "vocabulary", "feature_size", "word_size", "embed_size")
        check_counts(self, "word_layers", "top_k")
        check_positive(self, "margin", or_zero=True)
        if len(self.dropout) != 2 or not all(0 <= share < 1 for share in self.dropout):
            raise ConfigError(f"dropout: expected two shares in [0, 1) (got {self.dropout})")


class GlobalMatch(Matcher):
    """Cosine of two vectors; see the module for the equations.

    Args:
        config: sizes and options.

    Example:
        >>> import torch
        >>> model = GlobalMatch(GlobalMatchConfig(vocabulary=9, feature_size=6, embed_size=8))
        >>> items = Encoded(nodes=torch.randn(3, 1, 8), mask=torch.ones(3, 1) > 0)
        >>> torch.allclose(model.score(items, items).diagonal(), torch.ones(3))
        True
    """

    caption_graph: ClassVar[CaptionGraph] = "roles"
    tile: ClassVar[tuple[int, int]] = (1024, 1024)

    def __init__(self, config: GlobalMatchConfig) -> None:
        super().__init__()
        self.config = config
        self.words = WordEncoder(
            config.vocabulary,
            word_size=config.word_size,
            hidden=config.embed_size,
            cell=config.cell,
            bidirectional=config.bidirectional,
            layers=config.word_layers,
            dropout=config.dropout[0],
            embedding_bound=config.word_size**-0.5,
            pretrained=config.pretrained,
        )
        if config.cell != "linear":
            reset_rnn(self.words.rnn)
        self.frames = nn.Linear(config.feature_size, config.embed_size)
        self.dropout = nn.Dropout(config.dropout[1])
        self.hinge = HingeLoss(
            margin=config.margin,
            negatives=config.negatives,
            top_k=config.top_k,
            direction=config.direction,
            reduction="mean",  # over captions, or over pairs for all negatives
            ignore_same=config.ignore_same,
        )

    def encode_text(self, texts: Any) -> Encoded:
        """Encode captions.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it;
                only its words are read.

        Returns:
            n items with one node, which is also `pooled`.

        Raises:
            GraphError: a batch without `word_ptr`, a caption without words, an id out of range.
        """
        words, mask, _ = self.words(texts.word, word_ptr(texts))  # [n, L, D]
        return _encoded(words.sum(dim=1) / mask.sum(dim=1, keepdim=True))

    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode videos.

        Args:
            visuals: PyG batch of n `ClipGraph`; one frame each where features are pooled already.

        Returns:
            n items with one node, which is also `pooled`. A video without frames is W 0 + b.

        Raises:
            GraphError: features of another length than the configuration says.
        """
        size = self.config.feature_size
        if visuals.x.size(-1) != size:
            raise GraphError(f"expected frames of {size} numbers (got {visuals.x.size(-1)})")
        x, mask = pad_nodes(visuals.x.to(self.frames.weight.dtype), visuals.ptr)  # [n, F, ...]
        mean = x.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        return _encoded(self.dropout(self.frames(mean)))

    def prepare_text(self, text: Encoded) -> Encoded:
        """Vectors of length 1."""
        return replace(text, nodes=unit_vectors(text.nodes)[0])

    def prepare_visual(self, visual: Encoded) -> Encoded:
        """Vectors of length 1."""
        return replace(visual, nodes=unit_vectors(visual.nodes)[0])

    def score_tile(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs of prepared items; see `Matcher.score_tile`.

        Args:
            visual: n_v prepared videos.
            text: n_t prepared captions.

        Returns:
            [n_v, n_t] cosines.
        """
        scores = visual.nodes[:, 0] @ text.nodes[:, 0].T
        return scores.float() if scores.dtype.itemsize < 4 else scores


def official_keys(config: GlobalMatchConfig) -> dict[str, str]:
    """Names of parameters in official checkpoints and here.

    The checkpoint's two state dicts count as one, with `video_encoder.` and `text_encoder.` before
    their names.

    Args:
        config: of the model.

    Returns:
        Official name to name in `GlobalMatch(config)`, for every parameter.

    Example:
        >>> official_keys(GlobalMatchConfig(vocabulary=10))["video_encoder.ft_embed.weight"]
        'frames.weight'
    """
    rnn = rnn_keys(
        "text_encoder.rnn", bidirectional=config.bidirectional, layers=config.word_layers
    )
    return {
        "text_encoder.embedding.we.weight": "words.embedding.weight",
        "video_encoder.ft_embed.weight": "frames.weight",
        "video_encoder.ft_embed.bias": "frames.bias",
        **rnn,
    }


def _encoded(vectors: Tensor) -> Encoded:
    nodes = vectors.unsqueeze(1)  # [n, 1, D]
    mask = nodes.new_ones(nodes.shape[:2]) > 0
    return Encoded(nodes=nodes, mask=mask, pooled=vectors)
