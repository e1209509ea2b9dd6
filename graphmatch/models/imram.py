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

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict, get_args

from torch import Tensor

from graphmatch.config import check_counts
from graphmatch.encoded import Encoded
from graphmatch.errors import check_choice
from graphmatch.models.region_word import (
    RegionWordConfig,
    RegionWordMatcher,
    encoder_keys,
    node_mean,
)
from graphmatch.nn.attended_cosine import node_products
from graphmatch.nn.cross_attention import FirstNorm, check_first_norm
from graphmatch.nn.l2norm import l2_normalise
from graphmatch.nn.ram_block import RAMBlock
from graphmatch.nn.ram_scores import prepare_contexts, prepare_queries, ram_scores
from graphmatch.nn.ram_steps import RAMStep, ram_steps

Mode = Literal["full", "image", "text"]
Direction = Literal["image", "text"]


class _Options(TypedDict):
    block: RAMBlock
    steps: int
    scale: float
    first_norm: FirstNorm


@dataclass(frozen=True, slots=True, kw_only=True)
class IMRAMConfig(RegionWordConfig):
    """Options of `IMRAM`; defaults are the full model of Flickr30K.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> IMRAMConfig(vocabulary=8481, mode="image", steps=1).embed_size
        1024
    """

    mode: Mode = "full"  # which directions are summed; the code's model_mode, without _IMRAM
    steps: int = 3  # K, the code's iteration_step
    normalise_memory: bool = False  # off in both released scripts; the code's default is on
    scale: float = 9.0  # lambda, inverse temperature of the attention: 9 Flickr30K, 11 COCO
    first_norm: FirstNorm = "clipped_l2norm"  # of products, over the queries; see attention_weights

    def __post_init__(self) -> None:
        RegionWordConfig.__post_init__(self)
        check_choice("mode", self.mode, get_args(Mode))
        check_first_norm(self.first_norm)
        check_counts(self, "steps")


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


class IMRAM(RegionWordMatcher):
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

    tile: ClassVar[tuple[int, int]] = (16, 32)

    def __init__(self, config: IMRAMConfig) -> None:
        super().__init__(config)
        self.config = config
        size, normalise = config.embed_size, config.normalise_memory
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
        nodes, mask = self.encode_regions(visuals)
        return Encoded(nodes=nodes, mask=mask, pooled=node_mean(nodes, mask))

    def encode_text(self, texts: Any) -> Encoded:
        """Encode captions: normalised words, pooled to the normalised final state of the GRU.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it.

        Returns:
            n items.

        Raises:
            GraphError: a batch without `word_ptr`, a caption without words, an id out of range.
        """
        nodes, mask, last = self.encode_words(texts)
        return Encoded(nodes=nodes, mask=mask, pooled=l2_normalise(last))

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
        if self._uses("image"):
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
    names = encoder_keys(config, linear="fc_local", prefix="module.")
    for direction, ours in (("t2i", "text_memory"), ("i2t", "image_memory")):
        for name in ("weight", "bias"):
            names[f"module.linear_{direction}.{name}"] = f"{ours}.output.{name}"
            names[f"module.gate_{direction}.{name}"] = f"{ours}.gate.{name}"
    return names
