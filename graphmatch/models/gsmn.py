"""GSMN: images and captions matched node by node, then along the edges of two graphs.

Source: Graph Structured Network for Image-Text Matching, C. Liu et al., CVPR 2020, arXiv
2004.00277; official code, `model.py`. Words u_j and regions v_i are SCAN's, see
`graphmatch.models.scan`. Both directions of attention are computed; with queries q (words for the
textual graph, regions for the visual one) and contexts c (regions, words):

| step | here | field |
|---|---|---|
| a_ij = softmax over contexts of lambda z'_ij, section 3.2.1 | `attention_weights` | `scale` |
| x_i = cos of q_i and sum_j a_ij c_j in each of t blocks | `nn.block_cosine` | `blocks` |
| textual edges: word similarity, sparse times the dependencies | `TextualGraph.edges` | `graph` |
| visual edges: Gaussian kernels over polar coordinates of boxes | `PolarKernels` | `kernels` |
| h_i = concat_k (W_k sum_j w_ijk x_j + b_k), section 3.2.2 | `KernelConv` | `propagation` |
| s_i = W2 tanh(W1 h_i + b1) + b2; mean over a graph's nodes | `models.gsmn_graphs` | |
| S = textual score + visual score | `GSMN.score_tile` | |
| loss: hinge with hardest negatives, summed | `GSMN.loss` | `margin`, `negatives` |

Where paper and released code differ, the code made the published numbers:

* `propagation="paper"` is the published equation, x_j of the neighbours. `"official"` is what the
  released code computes: it puts the node's own x_i in the place of every x_j. Then the dense and
  the sparse model are one function (but for a word that depends on itself), the parses have no
  effect, and boxes act only by S_ik = sum_j w_ijk. Released checkpoints need "official".
* The attention has SCAN's LeakyReLU and first l2 norm, the paper's formula has not.
* No activation follows the convolution; b_k on the textual graph only; Gaussian weights sum to 1
  over the kernels, not over the neighbours; the l2 norm of textual edges, and the scalar of each
  kernel there, cancel in the normalisation that follows.
* Boxes of the released checkpoints were divided several times: `graphmatch.regions.official_boxes`.

The Gaussian weights are the numerically safe form in both settings; it equals the official one
wherever that is finite. "Sparse + dense" in the paper is the mean of two trained models' scores:
`graphmatch.models.ensemble`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from graphmatch.config import check_counts
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.models.gsmn_alignment import GSMNAlignment, node_matches
from graphmatch.models.gsmn_graphs import Propagation, TextualGraph, VisualGraph
from graphmatch.models.gsmn_matching import node_cosines, with_blocks
from graphmatch.models.region_word import (
    RegionWordConfig,
    RegionWordMatcher,
    encoder_keys,
    node_mean,
)
from graphmatch.nn.block_cosine import at_least_float32
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.regions.polar import pairwise_polar

GraphKind = Literal["sparse", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GSMNConfig(RegionWordConfig):
    """Options of `GSMN`; sizes are the paper's for Flickr30K.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> GSMNConfig(vocabulary=8481, graph="dense", propagation="official").blocks
        16
    """

    scale: float = 20.0  # lambda, inverse temperature of the attention: 20 Flickr30K, 10 COCO
    graph: GraphKind = "sparse"  # textual edges: dependencies, or every pair of words
    propagation: Propagation = "paper"  # x of the neighbours, or the node's own; see the module
    blocks: int = 16  # t, blocks of a vector; the code's num_block and feat_dim
    hidden: int = 32  # H, numbers of a node after the convolution; the code's hid_dim
    kernels: int = 8  # K, kernels of the convolutions; divides `hidden`

    def __post_init__(self) -> None:
        RegionWordConfig.__post_init__(self)
        check_choice("graph", self.graph, get_args(GraphKind))
        check_choice("propagation", self.propagation, get_args(Propagation))
        check_counts(self, "blocks", "hidden", "kernels")
        for name, total in (("blocks", self.embed_size), ("kernels", self.hidden)):
            if total % getattr(self, name):
                got = getattr(self, name)
                raise ConfigError(f"{name}: expected a divisor of {total} (got {got})")


class GSMN(RegionWordMatcher):
    """Graph structured network; see the module for the equations.

    Args:
        config: sizes and options.

    Example:
        >>> from graphmatch.graphs.batch import batch_graphs
        >>> from graphmatch.graphs.region import RegionGraph
        >>> config = GSMNConfig(vocabulary=9, feature_size=6, word_size=4, embed_size=8, blocks=2)
        >>> box, size = torch.tensor([[0.0, 0.0, 0.5, 1.0]]), torch.tensor([[640.0, 480.0]])
        >>> image = RegionGraph(x=torch.randn(1, 6), box=box, size=size)
        >>> GSMN(config).encode_visual(batch_graphs([image, image]))
        Encoded(2 items, 1 nodes, 8 features)
    """

    tile: ClassVar[tuple[int, int]] = (64, 32)

    def __init__(self, config: GSMNConfig) -> None:
        super().__init__(config)
        self.config = config
        sizes = config.blocks, config.hidden, config.kernels
        self.visual = VisualGraph(*sizes, config.propagation)
        self.textual = TextualGraph(*sizes, config.propagation)

    def encode_text(self, texts: Any) -> Encoded:
        """Encode captions, marks included.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it;
                for `graph="sparse"` dependency graphs, one node a word.

        Returns:
            n items; nodes are words, `pooled` is their mean. If the graph is sparse,
            `extra["adjacency"]` [n, L, L]: undirected, self loops added, so that a word that
            depends on itself has 2.

        Raises:
            GraphError: no `word_ptr`, role graphs, a caption without words, an id out of range.
        """
        nodes, mask, _ = self.encode_words(texts)
        text = Encoded(nodes=nodes, mask=mask, pooled=node_mean(nodes, mask))
        if self.config.graph == "dense":
            return text
        if texts.is_roles or not torch.equal(texts.ptr, texts.word_ptr):
            raise GraphError(
                "the sparse graph needs dependency graphs, one node a word (got role graphs); "
                "parse for dependencies, or use graph='dense'"
            )
        item = texts.batch[texts.edge_index[0]]  # [E]
        source, target = texts.edge_index - texts.ptr[item]
        adjacency = torch.diag_embed(mask.to(nodes.dtype))  # [n, L, L]
        edges = torch.zeros_like(adjacency)
        edges[item, source, target] = edges[item, target, source] = 1
        return text.with_extra(axes={"adjacency": (1, 2)}, adjacency=adjacency + edges)

    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode images.

        Args:
            visuals: PyG batch of n `RegionGraph`.

        Returns:
            n items; nodes are regions, `pooled` is their mean, `extra["box"]` [n, R, 4] their
            boxes.
        """
        nodes, mask = self.encode_regions(visuals)
        box, _ = pad_nodes(visuals.box.to(nodes.dtype), visuals.ptr)
        visual = Encoded(nodes=nodes, mask=mask, pooled=node_mean(nodes, mask))
        return visual.with_extra(axes={"box": (1,)}, box=box)

    def prepare_text(self, text: Encoded) -> Encoded:
        """Add lengths and Gram matrices by block, and the edges of the textual graph."""
        edges = self._textual_edges(text)  # [n, L, L]
        text = with_blocks(text, self.config.blocks)
        if self.config.propagation == "official":
            return text.with_extra(axes={"edges": (1,)}, edges=edges.sum(dim=-1))
        return text.with_extra(axes={"edges": (1, 2)}, edges=edges)

    def prepare_visual(self, visual: Encoded) -> Encoded:
        """Add lengths and Gram matrices by block, and the edges of the visual graph."""
        weight = self._visual_edges(visual)  # [n, R, R, K]
        visual = with_blocks(visual, self.config.blocks)
        if self.config.propagation == "official":
            merged = self.visual.merged(weight.sum(dim=-2))  # [n, R, H, t]
            return visual.with_extra(axes={"edges": (1,)}, edges=merged)
        weight = weight.permute(0, 3, 1, 2).contiguous()  # [n, K, R, R]
        return visual.with_extra(axes={"edges": (2, 3)}, edges=weight)

    def score_tile(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs of prepared items; see `Matcher.score_tile`.

        Works in steps of a few images; see `graphmatch.models.gsmn_matching`.

        Args:
            visual: n_v prepared images.
            text: n_t prepared captions.

        Returns:
            [n_v, n_t]. An item without nodes has the constant of its graph as its part.
        """
        if not len(visual) or not len(text):
            return text.extra["lengths"].new_zeros(len(visual), len(text))
        steps = node_cosines(visual, text, scale=self.config.scale, blocks=self.config.blocks)
        parts = [
            self.textual(word_x, text.extra["edges"], text.mask)
            + self.visual(region_x, images.extra["edges"], images.mask)
            for images, word_x, region_x in steps
        ]
        return torch.cat(parts)

    def align(self, visual: Encoded, text: Encoded) -> GSMNAlignment:
        """Attention maps and node vectors of all pairs, for pictures and tests.

        Args:
            visual: n_v images.
            text: n_t captions.

        Returns:
            The alignment. Allocates d numbers for every pair of an item and a node: for few pairs.
        """
        matches = node_matches(visual, text, scale=self.config.scale, blocks=self.config.blocks)
        edges = self._textual_edges(text).unsqueeze(-1)  # [n_t, n, n, 1]
        word_hidden = self.textual.hidden(
            matches.word_x, edges.expand(-1, -1, -1, self.config.kernels)
        )
        region_hidden = self.visual.hidden(
            matches.region_x, self._visual_edges(visual).unsqueeze(1)
        )
        return GSMNAlignment(
            **matches._asdict(),
            word_hidden=word_hidden,
            region_hidden=region_hidden,
            textual=_mean(self.textual.node_score(word_hidden), text.mask),
            visual=_mean(self.visual.node_score(region_hidden), visual.mask.unsqueeze(1)),
        )

    def _textual_edges(self, text: Encoded) -> Tensor:
        words = at_least_float32(text.nodes)
        adjacency = text.extra.get("adjacency")
        if self.config.graph == "dense":
            adjacency = text.mask.unsqueeze(1) & text.mask.unsqueeze(2)
        elif adjacency is None:
            raise GraphError("the sparse graph needs extra['adjacency'], which encode_text adds")
        return self.textual.edges(words, adjacency.to(words.dtype), scale=self.config.scale)

    def _visual_edges(self, visual: Encoded) -> Tensor:
        """[n, R, R, K] Gaussian weights."""
        if "box" not in visual.extra:
            raise GraphError("GSMN needs extra['box'], which encode_visual adds")
        polar = pairwise_polar(visual.extra["box"], visual.mask)
        pairs = visual.mask.unsqueeze(1) & visual.mask.unsqueeze(2)
        weight: Tensor = self.visual.kernels(polar, pairs)
        return weight


def official_keys(config: GSMNConfig, *, june_2020: bool = False) -> dict[str, str]:
    """Names of parameters in official checkpoints and here.

    The checkpoint's list of four state dicts counts as one, with `img_enc.`, `txt_enc.`,
    `i2t_match_G.` and `t2i_match_G.` before the names of each.

    Args:
        config: of the model.
        june_2020: names of the code of June 2020, whose convolutions are `vGNN` and `tGNN`.

    Returns:
        Official name to name in `GSMN(config)`, for every parameter.

    Example:
        >>> official_keys(GSMNConfig(vocabulary=10))["t2i_match_G.graph_convolution_3.params"]
        'textual.kernel_scale'
    """
    names = encoder_keys(config)
    visual, textual = "graph_convolution_1", "graph_convolution_3"
    if june_2020:
        visual, textual = "vGNN", "tGNN"
    for module, convolution, graph in (
        ("i2t_match_G", visual, "visual"),
        ("t2i_match_G", textual, "textual"),
    ):
        for kernel in range(config.kernels):
            for end in ("weight",) if graph == "visual" else ("weight", "bias"):
                name = f"conv_weights.{kernel}.{end}"
                names[f"{module}.{convolution}.{name}"] = f"{graph}.convolution.{name}"
        for layer in ("out_1", "out_2"):
            ours = f"{graph}.{layer}"
            names[f"{module}.{layer}.weight_g"] = f"{ours}.parametrizations.weight.original0"
            names[f"{module}.{layer}.weight_v"] = f"{ours}.parametrizations.weight.original1"
            names[f"{module}.{layer}.bias"] = f"{ours}.bias"
    for name in ("mean_rho", "mean_theta", "precision_rho", "precision_theta"):
        names[f"i2t_match_G.{visual}.{name}"] = f"visual.kernels.{name}"
    names[f"t2i_match_G.{textual}.params"] = "textual.kernel_scale"
    return names


def _mean(score: Tensor, mask: Tensor) -> Tensor:
    return (score * mask).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)
