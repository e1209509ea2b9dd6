"""IMRAM: iterative matching with recurrent attention memory.

Source: IMRAM: Iterative Matching with Recurrent Attention Memory for Cross-Modal Image-Text
Retrieval (H. Chen, G. Ding, X. Liu, Z. Lin, J. Liu, J. Han, CVPR 2020, arXiv 2003.03772); official
code HuiChen24/IMRAM. Encoders, attention and loss are SCAN's (`graphmatch.models.scan`).

Regions v_i = l2norm(W f_i + b) and words t_j = l2norm of the averaged directions of a GRU. There
are two independent directions with weights of their own: "text" (words are queries X_0, regions
contexts Y) and "image" (regions are queries, words contexts). Each repeats one block K times,

    C_k, X_k = RAM(X_{k-1}, Y)           see `graphmatch.nn.ram_block`
    F_k = mean_i cos(x_{0,i}, c_{k,i})   the original query, not the memory
    score = sum_k F_k of the text direction + sum_k F_k of the image direction

The weights of a direction serve all its steps; contexts stay as they are; the memory belongs to a
pair of items from X_1 on.

Where paper and code differ, or leave a choice:

* `mode`: "full" is both directions trained together, "text" and "image" (Text-IMRAM, Image-IMRAM)
  one of them. The unused direction keeps its parameters, as in official checkpoints.
* `normalise_memory`: the paper's equations do not normalise the memory, and both released training
  scripts switch it off, so off is the default here; the code's own default is on.
* `steps`: the code's default is 3; the scripts as released have 1 (image, Flickr30K) and 3 (text,
  COCO). The code computes the memory after the last step and throws it away; here it is not
  computed. With one step nothing reads the memory weights, and their gradient is None.
* The code normalises products over the queries (SCAN's "clipped_l2norm") in every step; the memory
  after the first step is not of unit length.
* In train mode the code transposes the score matrix, which changes no loss.
* `pooled` (mean of the regions; final states of the GRU) is computed there and here, and no score
  reads it.

Scores come from projections and inner products without any attended context; per pair of 36
regions and 15.5 words (d = 1024) that is 1.2, 8.1 and 231 MFLOP for one, two and three steps in
full mode instead of 437, 873 and 1310.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict, get_args

from torch import Tensor

from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.models.matcher import Matcher
from graphmatch.nn.attended_cosine import node_products
from graphmatch.nn.cross_attention import FirstNorm, check_first_norm
from graphmatch.nn.hinge_loss import hinge_loss
from graphmatch.nn.l2norm import l2_normalise
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.nn.ram_block import RAMBlock
from graphmatch.nn.ram_scores import prepare_contexts, prepare_queries, ram_scores
from graphmatch.nn.ram_steps import RAMStep, ram_steps
from graphmatch.nn.region_encoder import RegionEncoder
from graphmatch.nn.word_encoder import WordEncoder

Mode = Literal["full", "image", "text"]
Direction = Literal["image", "text"]
Negatives = Literal["hardest", "all"]


class _Options(TypedDict):
    block: RAMBlock
    steps: int
    scale: float
    first_norm: FirstNorm


@dataclass(frozen=True, slots=True, kw_only=True)
class IMRAMConfig:
    """Options of `IMRAM`; defaults are the full model of Flickr30K.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> IMRAMConfig(vocabulary=8481, mode="image", steps=1).embed_size
        1024
    """

    vocabulary: int  # number of words, special symbols included: 8481 Flickr30K, 11353 COCO
    feature_size: int = 2048  # numbers of a region feature
    word_size: int = 300  # numbers of an embedded word
    embed_size: int = 1024  # d, numbers of an encoded word or region
    mode: Mode = "full"  # which directions are summed; the code's model_mode, without _IMRAM
    steps: int = 3  # K, the code's iteration_step
    normalise_memory: bool = False  # off in both released scripts; the code's default is on
    scale: float = 9.0  # lambda, inverse temperature of the attention: 9 Flickr30K, 11 COCO
    first_norm: FirstNorm = "clipped_l2norm"  # of products, over the queries; see attention_weights
    weight_norm: bool = False  # of the regions' linear map; the code's precomp_enc_type weight_norm
    bidirectional: bool = True  # GRU in both directions; every published model
    margin: float = 0.2  # of the loss, in units of scores, which lie in [-2K, 2K]
    negatives: Negatives = "hardest"  # in the loss; the code's max_violation
    ignore_same: bool = False  # captions of one image are no negatives; the code takes them as such

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, get_args(Mode))
        check_choice("negatives", self.negatives, get_args(Negatives))
        check_first_norm(self.first_norm)
        for name in ("vocabulary", "feature_size", "word_size", "embed_size", "steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1 (got {getattr(self, name)})")
        if not 0 < self.scale < math.inf:
            raise ConfigError(f"scale: expected a number above 0 (got {self.scale})")
        if not 0 <= self.margin < math.inf:
            raise ConfigError(f"margin: expected a number from 0 (got {self.margin})")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IMRAMAlignment:
    """What attends to what in every pair of n_v images and n_t captions, step by step.

    Args:
        text: steps of the text direction, [n_v, n_t, ...]: contexts (m) are regions, queries (n)
            words. None if the mode is without this direction.
        image: steps of the image direction, [n_v, n_t, ...]: contexts are words, queries regions.
    """

    text: tuple[RAMStep, ...]
    image: tuple[RAMStep, ...]


class IMRAM(Matcher):
    """IMRAM; see the head of this file.

    Args:
        config: the options.

    Example:
        >>> import torch
        >>> model = IMRAM(IMRAMConfig(vocabulary=9, feature_size=6, word_size=4, embed_size=8))
        >>> image = Encoded(nodes=torch.randn(3, 5, 8), mask=torch.ones(3, 5) > 0)
        >>> caption = Encoded(nodes=torch.randn(2, 4, 8), mask=torch.ones(2, 4) > 0)
        >>> model.score(image, caption).shape
        torch.Size([3, 2])
    """

    tile: ClassVar[tuple[int, int]] = (32, 64)

    def __init__(self, config: IMRAMConfig) -> None:
        super().__init__()
        self.config = config
        size, normalise = config.embed_size, config.normalise_memory
        self.regions = RegionEncoder(config.feature_size, size, weight_norm=config.weight_norm)
        self.words = WordEncoder(
            config.vocabulary,
            word_size=config.word_size,
            hidden=size,
            bidirectional=config.bidirectional,
        )
        self.text_memory = RAMBlock(size, normalise=normalise)
        self.image_memory = RAMBlock(size, normalise=normalise)

    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode images: normalised regions, pooled to their mean.

        Args:
            visuals: PyG batch of n `RegionGraph` with features.

        Returns:
            n items.

        Raises:
            GraphError: features of another length than the configuration says.
        """
        regions = l2_normalise(self.regions(visuals.x))  # [N, d]
        nodes, mask = pad_nodes(regions, visuals.ptr)
        count = mask.sum(dim=1, keepdim=True).clamp(min=1)
        return Encoded(nodes=nodes, mask=mask, pooled=nodes.sum(dim=1) / count)

    def encode_text(self, texts: Any) -> Encoded:
        """Encode captions: normalised words, pooled to the normalised final state of the GRU.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it.

        Returns:
            n items.

        Raises:
            GraphError: a batch without `word_ptr`, a caption without words, an id out of range.
        """
        ptr = texts.get("word_ptr")
        if ptr is None:
            raise GraphError(
                "texts: no word_ptr; make it by batch_graphs(graphs, follow=('word',))"
            )
        words = self.words(texts.word, ptr)
        nodes = l2_normalise(words.nodes)  # [n, L, d]
        return Encoded(nodes=nodes, mask=words.mask, pooled=l2_normalise(words.last))

    def prepare_visual(self, visual: Encoded) -> Encoded:
        """Gram matrices, lengths and, with two steps or more, projections of regions.

        Args:
            visual: encoded images.

        Returns:
            The images; in full mode with 4d more numbers a region.
        """
        return self._prepare(visual, contexts_of="text", queries_of="image")

    def prepare_text(self, text: Encoded) -> Encoded:
        """Gram matrices, lengths and, with two steps or more, projections of words.

        Args:
            text: encoded captions.

        Returns:
            The captions; in full mode with 4d more numbers a word.
        """
        return self._prepare(text, contexts_of="image", queries_of="text")

    def score_tile(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs of prepared items.

        Args:
            visual: n_v prepared images.
            text: n_t prepared captions.

        Returns:
            [n_v, n_t], float32 (float64 for float64 nodes). Allocates a few numbers for every pair
            of nodes, and with gradients 3d for every node of a pair and update.
        """
        products = node_products(visual.nodes, text.nodes)  # [n_v, R, n_t, L]
        scores = []
        if self._uses("image"):  # first: it copies the products
            transposed = products.permute(2, 3, 0, 1)  # [n_t, L, n_v, R]
            scores.append(ram_scores(text, visual, transposed, **self._options("image")).T)
        if self._uses("text"):
            scores.append(ram_scores(visual, text, products, **self._options("text")))
        return scores[0] if len(scores) == 1 else scores[0] + scores[1]

    def align(self, visual: Encoded, text: Encoded) -> IMRAMAlignment:
        """Attention maps of all pairs, for pictures and tests, as the paper writes them.

        Args:
            visual: n_v images, prepared or not.
            text: n_t captions, prepared or not.

        Returns:
            The alignment. Allocates d numbers for every pair of an item and a query, several times
            a step: for few pairs.
        """
        words: tuple[RAMStep, ...] = ()
        regions: tuple[RAMStep, ...] = ()
        if self._uses("text"):
            words = ram_steps(visual, text, **self._options("text"))
        if self._uses("image"):
            regions = ram_steps(text, visual, **self._options("image"))
        return IMRAMAlignment(text=words, image=tuple(step.swap() for step in regions))

    def loss(self, scores: Tensor, owner: Tensor) -> Tensor:
        """Hinge loss with hardest or all negatives, summed; see `hinge_loss`.

        Args:
            scores: [n_v, n_t] scores, summed over steps and directions.
            owner: [n_t] int64 row of each caption's own image.

        Returns:
            A number.
        """
        return hinge_loss(
            scores,
            owner,
            margin=self.config.margin,
            negatives=self.config.negatives,
            ignore_same=self.config.ignore_same,
        )

    def _uses(self, direction: Direction) -> bool:
        return self.config.mode in ("full", direction)

    def _block(self, direction: Direction) -> RAMBlock:
        return self.text_memory if direction == "text" else self.image_memory

    def _prepare(self, items: Encoded, *, contexts_of: Direction, queries_of: Direction) -> Encoded:
        steps = self.config.steps
        if self._uses(contexts_of):
            items = prepare_contexts(items, self._block(contexts_of), steps=steps)
        if self._uses(queries_of):
            items = prepare_queries(items, self._block(queries_of), steps=steps)
        return items

    def _options(self, direction: Direction) -> _Options:
        return {
            "block": self._block(direction),
            "steps": self.config.steps,
            "scale": self.config.scale,
            "first_norm": self.config.first_norm,
        }


def official_keys(config: IMRAMConfig) -> dict[str, str]:
    """Names of parameters in official checkpoints and here.

    Official weights were saved from a wrapper for several GPUs, hence `module.`.

    Args:
        config: of the model.

    Returns:
        Official name to name in `IMRAM(config)`, for every parameter, whatever the mode.

    Example:
        >>> official_keys(IMRAMConfig(vocabulary=10))["module.linear_t2i.bias"]
        'text_memory.output.bias'
    """
    linear = "regions.linear"
    names = {
        "img_enc.fc_local.bias": f"{linear}.bias",
        "txt_enc.embed.weight": "words.embedding.weight",
    }
    if config.weight_norm:
        names["img_enc.fc_local.weight_g"] = f"{linear}.parametrizations.weight.original0"
        names["img_enc.fc_local.weight_v"] = f"{linear}.parametrizations.weight.original1"
    else:
        names["img_enc.fc_local.weight"] = f"{linear}.weight"
    for end in ("", "_reverse") if config.bidirectional else ("",):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            names[f"txt_enc.rnn.{name}_l0{end}"] = f"words.rnn.{name}_l0{end}"
    for direction, ours in (("t2i", "text_memory"), ("i2t", "image_memory")):
        for name in ("weight", "bias"):
            names[f"linear_{direction}.{name}"] = f"{ours}.output.{name}"
            names[f"gate_{direction}.{name}"] = f"{ours}.gate.{name}"
    return {f"module.{official}": name for official, name in names.items()}
