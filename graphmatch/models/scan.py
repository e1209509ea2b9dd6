"""SCAN: stacked cross attention between the words of a caption and the regions of an image.

Source: Stacked Cross Attention for Image-Text Matching, K.-H. Lee et al., ECCV 2018, arXiv
1803.08024; official code, `model.py`. Written for t2i ("text-image": queries are words e_i, contexts
regions v_j); i2t exchanges the two sides.

| step | here | field |
|---|---|---|
| regions v = W f + b, then divided by their length + 1e-8 | `encode_visual` | `weight_norm`, `normalise_image` |
| words e = (GRU forward + backward) / 2, then as regions | `encode_text` | `bidirectional`, `normalise_text` |
| z_ji = v_j . e_i, products of unit vectors | `node_products` | |
| z'_ji = [z_ji]+ / sqrt(sum over i of [z_ji]+^2) | `attention_weights` | `first_norm` |
| a_ji = softmax over j of lambda_1 z'_ji | `attention_weights` | `scale` |
| c_i = sum_j a_ji v_j | never made when scoring, see `attended_cosine` | |
| r_i = cos(e_i, c_i) | `attended_cosine` | |
| S = log(sum_i exp(lambda_2 r_i)) / lambda_2, or mean, maximum, sum of r_i | `SCAN.score_tile` | `aggregation`, `lambda_lse` |
| loss = sum of [margin - S + S of the hardest negative]+, both ways | `SCAN.loss` | `margin`, `negatives` |

Where the paper has [z]+, the official code has LeakyReLU with slope 0.1 and adds 1e-8 to the root;
`first_norm` chooses among the code's normalisations. The marks <start> and <end> are words like the
others, see `graphmatch.datasets.caption_ids`. The code evaluates in float64: `Encoded.to(dtype=
torch.float64)` before scoring does the same.
"""  # noqa: E501

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from graphmatch.config import check_positive
from graphmatch.encoded import Encoded
from graphmatch.errors import check_choice
from graphmatch.models.region_word import (
    RegionWordConfig,
    RegionWordMatcher,
    encoder_keys,
    node_mean,
)
from graphmatch.nn.attended_cosine import (
    attended_cosine,
    gram_matrices,
    node_lengths,
    node_products,
)
from graphmatch.nn.block_cosine import block_cosine
from graphmatch.nn.cross_attention import FirstNorm, attention_weights, check_first_norm

Direction = Literal["t2i", "i2t"]
Aggregation = Literal["lse", "mean", "max", "sum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SCANConfig(RegionWordConfig):
    """Options of `SCAN`; defaults are the official t-i LSE model of Flickr30K.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> SCANConfig(vocabulary=8481, direction="i2t", aggregation="mean", scale=4.0).embed_size
        1024
    """

    direction: Direction = "t2i"  # t2i: words attend to regions; i2t: regions to words
    aggregation: Aggregation = "lse"  # of cosines of a pair; "mean" is AVG in the paper's tables
    first_norm: FirstNorm = "clipped_l2norm"  # of products, over the queries; see attention_weights
    scale: float = 9.0  # lambda_1, inverse temperature of the attention: 9 for t2i, 4 for i2t
    lambda_lse: float = 6.0  # lambda_2 of "lse": 6 for t2i; for i2t 5 (Flickr30K) or 20 (COCO)
    normalise_image: bool = True  # regions have length 1; off: the code's no_imgnorm
    normalise_text: bool = True  # words have length 1; off: the code's no_txtnorm

    def __post_init__(self) -> None:
        RegionWordConfig.__post_init__(self)
        check_choice("direction", self.direction, get_args(Direction))
        check_choice("aggregation", self.aggregation, get_args(Aggregation))
        check_first_norm(self.first_norm)
        check_positive(self, "lambda_lse")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SCANAlignment:
    """What attends to what in every pair of n_v images and n_t captions.

    Args:
        attention: [n_v, n_t, m, n] of m contexts for n queries, sums to 1 over the contexts; t2i:
            [.., region, word], i2t: [.., word, region]. 0 for padding.
        attended: [n_v, n_t, n, d] attended context of each query.
        cosine: [n_v, n_t, n] cosine of each query with its attended context.
    """

    attention: Tensor
    attended: Tensor
    cosine: Tensor


class SCAN(RegionWordMatcher):
    """Stacked cross attention; see the module for the equations.

    Args:
        config: sizes and options.

    Example:
        >>> model = SCAN(SCANConfig(vocabulary=10, feature_size=6, word_size=4, embed_size=8))
        >>> image = Encoded(nodes=torch.randn(3, 5, 8), mask=torch.ones(3, 5) > 0)
        >>> caption = Encoded(nodes=torch.randn(2, 4, 8), mask=torch.ones(2, 4) > 0)
        >>> model.score(image, caption).shape
        torch.Size([3, 2])
    """

    tile: ClassVar[tuple[int, int]] = (32, 32)

    def __init__(self, config: SCANConfig) -> None:
        super().__init__(config)
        self.config = config

    def encode_text(self, texts: Any) -> Encoded:
        """Encode captions, marks included.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it.

        Returns:
            n items; nodes are words, `pooled` is their mean.

        Raises:
            GraphError: a batch without `word_ptr`, a caption without words, an id out of range.
        """
        nodes, mask, _ = self.encode_words(texts, normalise=self.config.normalise_text)
        return Encoded(nodes=nodes, mask=mask, pooled=node_mean(nodes, mask))

    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode images.

        Args:
            visuals: PyG batch of n `RegionGraph`.

        Returns:
            n items; nodes are regions, `pooled` is their mean.

        Raises:
            GraphError: features of another length than the configuration says.
        """
        nodes, mask = self.encode_regions(visuals, normalise=self.config.normalise_image)
        return Encoded(nodes=nodes, mask=mask, pooled=node_mean(nodes, mask))

    def prepare_text(self, text: Encoded) -> Encoded:
        """Add the lengths of queries, or the Gram matrices of contexts."""
        return _with_gram(text) if self.config.direction == "i2t" else _with_lengths(text)

    def prepare_visual(self, visual: Encoded) -> Encoded:
        """Add the Gram matrices of contexts, or the lengths of queries."""
        return _with_gram(visual) if self.config.direction == "t2i" else _with_lengths(visual)

    def score_tile(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs of prepared items; see `Matcher.score_tile`.

        Args:
            visual: n_v prepared images.
            text: n_t prepared captions.

        Returns:
            [n_v, n_t]. A cosine with an item without nodes is 0; without any cosine the score is 0,
            or -1 of "lse" and "max".
        """
        t2i = self.config.direction == "t2i"
        contexts, queries = (visual, text) if t2i else (text, visual)
        products = node_products(contexts.nodes, queries.nodes)  # [C, m, Q, n]
        query_mask = _padding(queries.mask)
        weights = attention_weights(
            products,
            self.config.scale,
            first_norm=self.config.first_norm,
            context_mask=_padding(contexts.mask),
            query_mask=query_mask,
        )
        gram, lengths = contexts.extra["gram"], queries.extra["lengths"]
        cosine = attended_cosine(products, weights, gram, lengths)  # [C, Q, n]
        scores = self._aggregate(cosine, query_mask)  # [C, Q]
        return scores if t2i else scores.T

    def _aggregate(self, cosine: Tensor, mask: Tensor | None) -> Tensor:
        """One number for each last axis of [C, Q, n]; `mask` is [Q, n]."""
        how, scale = self.config.aggregation, self.config.lambda_lse
        if how == "lse":
            logits = cosine * scale
            if mask is not None:
                logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
            return logits.logsumexp(dim=-1).clamp(min=-scale) / scale
        if how == "max":
            return (cosine if mask is None else cosine.masked_fill(~mask, -1)).amax(dim=-1)
        total = (cosine if mask is None else cosine.masked_fill(~mask, 0)).sum(dim=-1)
        if how == "sum":
            return total
        count = cosine.size(-1) if mask is None else mask.sum(dim=-1).clamp(min=1)  # [Q]
        return total / count

    def align(self, visual: Encoded, text: Encoded) -> SCANAlignment:
        """Attention maps of all pairs, for pictures and tests.

        Args:
            visual: n_v images.
            text: n_t captions.

        Returns:
            The alignment. Allocates d numbers for every pair of an item and a query: for few pairs.
        """
        t2i = self.config.direction == "t2i"
        contexts, queries = (visual, text) if t2i else (text, visual)
        attention = attention_weights(
            node_products(contexts.nodes, queries.nodes),
            self.config.scale,
            first_norm=self.config.first_norm,
            context_mask=contexts.mask,
            query_mask=queries.mask,
            normalise=True,
        )  # [C, m, Q, n]
        attention = attention * queries.mask
        attended = torch.einsum("cmqn,cmd->cqnd", attention, contexts.nodes.to(attention.dtype))
        cosine = block_cosine(attended, queries.nodes.to(attended.dtype), 1).squeeze(-1)
        maps = (attention.transpose(1, 2), attended, cosine)  # [C, Q, ...] each
        attention, attended, cosine = maps if t2i else (value.transpose(0, 1) for value in maps)
        return SCANAlignment(attention=attention, attended=attended, cosine=cosine)


def official_keys(config: SCANConfig) -> dict[str, str]:
    """Names of parameters in official checkpoints and here.

    The checkpoint's list of two state dicts counts as one, with `img_enc.` before names of the
    first and `txt_enc.` before names of the second.

    Args:
        config: of the model.

    Returns:
        Official name to name in `SCAN(config)`, for every parameter.

    Example:
        >>> official_keys(SCANConfig(vocabulary=10))["img_enc.fc.weight"]
        'regions.linear.weight'
    """
    return encoder_keys(config)


def _with_gram(items: Encoded) -> Encoded:
    return items.with_extra(axes={"gram": (1, 2)}, gram=gram_matrices(items.nodes))


def _with_lengths(items: Encoded) -> Encoded:
    return items.with_extra(axes={"lengths": (1,)}, lengths=node_lengths(items.nodes))


def _padding(mask: Tensor) -> Tensor | None:
    """The mask, or None if it is on the CPU, where looking is cheap, and all nodes are real."""
    return None if mask.device.type == "cpu" and bool(mask.all()) else mask
