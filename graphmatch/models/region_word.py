"""Encoders and options that SCAN, GSMN and IMRAM share: regions and words of one size.

Source: SCAN (ECCV 2018), official code, `model.py`; GSMN and IMRAM were written on top of it.
Regions are v = W f + b, words the averaged directions of a GRU over embedded words; all
three models divide both by their length, |v| + 1e-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from torch import Tensor, nn

from graphmatch.config import check_counts, check_positive
from graphmatch.errors import ConfigError, check_choice
from graphmatch.graphs.batch import word_ptr
from graphmatch.models.matcher import Matcher
from graphmatch.nn.hinge_loss import HingeLoss, Negatives
from graphmatch.nn.l2norm import l2_normalise
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.nn.piece_encoder import PieceConfig
from graphmatch.nn.region_encoder import RegionEncoder
from graphmatch.nn.word_encoder import WordCell, WordEncoder, Words

ENCODER_FIELDS = (
    "vocabulary",
    "feature_size",
    "word_size",
    "embed_size",
    "weight_norm",
    "bidirectional",
    "cell",
    "pretrained",
)
"""Fields of a configuration that the shapes of the encoders follow from."""
ENCODERS = ("regions.", "words.")
"""How names of the encoders' parameters begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionWordConfig:
    """Options of the encoders and of the loss.

    Raises:
        ConfigError: an impossible value.
    """

    vocabulary: int  # number of words, special symbols included: 8481 Flickr30K, 11353 COCO
    feature_size: int = 2048  # numbers of a region feature
    word_size: int = 300  # numbers of an embedded word
    embed_size: int = 1024  # d, numbers of an encoded word or region
    weight_norm: bool = False  # of the regions' linear map; the code's precomp_enc_type weight_norm
    bidirectional: bool = True  # GRU in both directions; every published model
    scale: float = 9.0  # lambda, inverse temperature of the attention
    cell: WordCell = "gru"  # what reads the words; "linear": each alone, see `nn.word_encoder`
    dropout: tuple[float, float] = (0.0, 0.0)  # of embedded words and of region features
    pretrained: PieceConfig | None = None  # a transformer whose states words have beside embeddings
    margin: float = 0.2  # of the loss, in units of scores
    negatives: Negatives = "hardest"  # in the loss; the code's max_violation
    ignore_same: bool = False  # captions of one image are no negatives; the code takes them as such

    def __post_init__(self) -> None:
        check_counts(self, "vocabulary", "feature_size", "word_size", "embed_size")
        check_positive(self, "scale")
        check_positive(self, "margin", or_zero=True)
        check_choice("negatives", self.negatives, get_args(Negatives))
        check_choice("cell", self.cell, get_args(WordCell))
        if len(self.dropout) != 2 or not all(0 <= share < 1 for share in self.dropout):
            raise ConfigError(f"dropout: expected two shares in [0, 1) (got {self.dropout})")


class RegionWordMatcher(Matcher):
    """A matcher with the encoders of SCAN, and its loss.

    Args:
        config: sizes and options.
    """

    marks: ClassVar[bool] = True

    def __init__(self, config: RegionWordConfig) -> None:
        super().__init__()
        self.regions = RegionEncoder(
            config.feature_size, config.embed_size, weight_norm=config.weight_norm
        )
        self.words = WordEncoder(
            config.vocabulary,
            word_size=config.word_size,
            hidden=config.embed_size,
            cell=config.cell,
            bidirectional=config.bidirectional,
            dropout=config.dropout[0],
            pretrained=config.pretrained,
            wrap=False,  # <start> and <end> are the transformer's marks
        )
        self.dropout = nn.Dropout(config.dropout[1])
        self.hinge = HingeLoss(
            margin=config.margin, negatives=config.negatives, ignore_same=config.ignore_same
        )

    def encode_regions(self, visuals: Any, *, normalise: bool = True) -> tuple[Tensor, Tensor]:
        """Regions of images.

        Args:
            visuals: PyG batch of n `RegionGraph`.
            normalise: whether they are divided by their length.

        Returns:
            [n, R, d] regions, [n, R] bool, which are real.

        Raises:
            GraphError: features of another length than the configuration says.
        """
        regions = self.regions(self.dropout(visuals.x))  # [N, d]
        return pad_nodes(l2_normalise(regions) if normalise else regions, visuals.ptr)

    def encode_words(self, texts: Any, *, normalise: bool = True) -> Words:
        """Words of captions, marks included.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it.
            normalise: whether they are divided by their length.

        Returns:
            [n, L, d] words, which are real, and the final states of the GRU, as they are.

        Raises:
            GraphError: a batch without `word_ptr`, a caption without words, an id out of range.
        """
        words: Words = self.words(texts.word, word_ptr(texts))
        return words._replace(nodes=l2_normalise(words.nodes)) if normalise else words


def node_mean(nodes: Tensor, mask: Tensor) -> Tensor:
    """Mean of each item's nodes.

    Args:
        nodes: [n, M, d], zero for padding.
        mask: [n, M] bool, which nodes are real.

    Returns:
        [n, d]; 0 for an item without nodes.
    """
    return nodes.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def encoder_keys(
    config: RegionWordConfig, *, linear: str = "fc", prefix: str = ""
) -> dict[str, str]:
    """Names of the encoders' parameters in official checkpoints and here.

    Args:
        config: of the model.
        linear: official name of the regions' linear map.
        prefix: what stands before all official names.

    Returns:
        Official name to name here, for every parameter of `regions` and `words`.

    Example:
        >>> encoder_keys(RegionWordConfig(vocabulary=10))["img_enc.fc.weight"]
        'regions.linear.weight'
    """
    official, ours = f"img_enc.{linear}", "regions.linear"
    names = {
        f"{official}.bias": f"{ours}.bias",
        "txt_enc.embed.weight": "words.embedding.weight",
        **rnn_keys("txt_enc.rnn", bidirectional=config.bidirectional),
    }
    if config.weight_norm:
        names[f"{official}.weight_g"] = f"{ours}.parametrizations.weight.original0"
        names[f"{official}.weight_v"] = f"{ours}.parametrizations.weight.original1"
    else:
        names[f"{official}.weight"] = f"{ours}.weight"
    return {prefix + official: ours for official, ours in names.items()}


def rnn_keys(
    official: str, ours: str = "words.rnn", *, bidirectional: bool, layers: int = 1
) -> dict[str, str]:
    """Names of the parameters of torch's recurrent layers at two places.

    Args:
        official: the layers' official name.
        ours: their name here.
        bidirectional: whether there are parameters for reading backwards.
        layers: number of layers.

    Returns:
        Official name to name here.

    Example:
        >>> len(rnn_keys("txt_enc.rnn", bidirectional=True))
        8
    """
    ends = ("", "_reverse") if bidirectional else ("",)
    names = [
        f"{name}_l{layer}{end}"
        for layer in range(layers)
        for end in ends
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    return {f"{official}.{name}": f"{ours}.{name}" for name in names}
