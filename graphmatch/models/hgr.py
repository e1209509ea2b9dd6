"""HGR: event, actions and entities of a caption against the frames of a video, on three levels.

Source: Fine-grained Video-Text Retrieval with Hierarchical Graph Reasoning, S. Chen et al., CVPR
2020, arXiv 2003.00392; official code, `encoders/mlsent.py`, `encoders/graph.py`,
`encoders/mlvideo.py`, `models/mlmatch.py`, `models/criterion.py`.

| step | here | field |
|---|---|---|
| words h = (RNN forward + backward) / 2 of embedded words | `WordEncoder` | `cell`, `bidirectional` |
| event g_e = sum_i a_i h_i, a = softmax over words of w . h_i + b | `EventAttention` | |
| action, entity g = max over the words of its span of h_i, times the vector of its role | `span_pool` | `roles` |
| graph layers: x_i <- LayerNorm(x_i + W_t sum_j b_ij x_j) | `RoleAttention` | `layers`, `attention` |
| frames of each level v_f = W_level f + b_level | `encode_visual` | `share_levels` |
| event of the video: softmax over frames as over words | `EventAttention` | |
| event level s_e = cos(v_e, c_e) | `HGR.levels` | |
| phi_f = softmax over f of scale * [cos(v_f, c)]+ / norm over the frames | `frame_weights` | `scale` |
| node: cos(sum_f phi_f v_f, c) ("embed"), or sum_f phi_f cos(v_f, c) ("sim") | `HGR.levels` | `fusion` |
| action level s_a, entity level s_o: mean over the nodes, 0 without any | `HGR.levels` | |
| S = (s_e + s_a + s_o) / 3 | `HGR.score_tile` | |
| loss = [margin - S + S of the hardest negative]+, both ways, mean of the batch | `HGR.loss` | `margin`, `negatives`, `top_k`, `direction` |
| w_0 loss(S) + w_1 loss(s_e) + w_2 loss(s_a) + w_3 loss(s_o) | `HGR.training_loss` | `level_weights` |

Where the paper and the official code differ, defaults are the code's:

* The paper has an LSTM (`cell="lstm"`) and several graph layers; released models have a GRU and one.
* The paper gives roles to edges, the code to nodes: a node is multiplied by its role's vector once,
  an action by that of `V`, the event by none.
* The paper's W_q and W_k keep the size, the code halves it (`attention=512`) and adds biases, a
  dropout and a LayerNorm.
* Edges are event -> action, action -> entity and entity -> action; nothing is sent to the event.
* A node's score is the paper's sum of weighted similarities with `fusion="sim"` only.

The official 4 actions, 6 entities and 30 words of a caption and 20 frames of a video are limits of
its reader, not of the model: `graphmatch.datasets.role_limits`, `graphmatch.clips.frame_selection`.
"""  # noqa: E501

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from graphmatch.columns import KINDS, CaptionGraph
from graphmatch.config import check_counts, check_positive
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.models.hgr_alignment import HGRAlignment, align
from graphmatch.models.matcher import Matcher
from graphmatch.models.region_word import rnn_keys
from graphmatch.nn.event_attention import EventAttention
from graphmatch.nn.frame_scores import (
    Frames,
    Fusion,
    frame_scores,
    prepare_frames,
    unit_vectors,
)
from graphmatch.nn.hinge_loss import HingeLoss, LossDirection, Negatives
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.nn.piece_encoder import PieceConfig
from graphmatch.nn.role_graph_encoder import RoleGraphEncoder
from graphmatch.nn.word_encoder import Cell, WordEncoder
from graphmatch.parse import ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class HGRConfig:
    """Options of `HGR`; defaults are the released model of MSR-VTT.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> HGRConfig(vocabulary=10510, cell="lstm", layers=2).attention
        512
    """

    vocabulary: int  # number of words, special symbols included: 10510 MSR-VTT, 10424 VATEX
    feature_size: int = 2048  # numbers of a frame, several feature files together; VATEX: 1024
    word_size: int = 300  # numbers of an embedded word
    embed_size: int = 1024  # numbers of a word, a node and a frame once encoded
    cell: Cell = "gru"  # of the word encoder; "lstm" in the paper
    bidirectional: bool = True  # captions are read both ways
    word_layers: int = 1  # recurrent layers of the word encoder; the code's num_layers
    roles: int = len(ROLES)  # rows of the table of role vectors; 0: nodes have no roles
    layers: int = 1  # graph layers; each has parameters of its own
    attention: int = 512  # numbers of queries and keys of a graph layer; 0: all edges weigh equally
    share_levels: bool = False  # one linear map of frames for all levels; the code's share_enc
    fusion: Fusion = "embed"  # node score from averaged frames, or "sim": from averaged cosines
    scale: float = 4.0  # lambda, inverse temperature of the attention to frames; simattn_sigma
    dropout: tuple[float, float, float] = (0.2, 0.2, 0.5)  # of words, frames and graph layers
    pretrained: PieceConfig | None = None  # a transformer whose states words have beside embeddings
    margin: float = 0.2  # of the loss, in units of scores
    negatives: Negatives = "hardest"  # in the loss; the code's max_violation
    top_k: int = 1  # how many of the hardest; the code's hard_topk
    direction: LossDirection = "both"  # of the loss; the code's loss_direction, "bi" there
    level_weights: tuple[float, float, float, float] | None = None  # of the losses of S, s_e, s_a,
    # s_o; None: S alone. The code's loss_weights; its authors tried 1, 0.2, 0.2, 0.2
    ignore_same: bool = False  # captions of one video are no negatives; the code takes them as such

    def __post_init__(self) -> None:
        check_choice("cell", self.cell, get_args(Cell))
        check_choice("fusion", self.fusion, get_args(Fusion))
        check_choice("negatives", self.negatives, get_args(Negatives))
        check_choice("direction", self.direction, get_args(LossDirection))
        check_counts(self, "vocabulary", "feature_size", "word_size", "embed_size")
        check_counts(self, "word_layers", "top_k")
        check_counts(self, "layers", "attention", least=0)
        check_positive(self, "scale")
        check_positive(self, "margin", or_zero=True)
        if 0 != self.roles < len(ROLES):
            raise ConfigError(f"roles: expected 0, or at least {len(ROLES)} (got {self.roles})")
        if len(self.dropout) != 3 or not all(0 <= share < 1 for share in self.dropout):
            raise ConfigError(f"dropout: expected three shares in [0, 1) (got {self.dropout})")
        weights = self.level_weights
        if weights is not None and (len(weights) != 4 or not all(map(math.isfinite, weights))):
            raise ConfigError(f"level_weights: expected four numbers or None (got {weights})")


class HGR(Matcher):
    """Hierarchical graph reasoning; see the module for the equations.

    Args:
        config: sizes and options.

    Example:
        >>> config = HGRConfig(vocabulary=9, feature_size=6, word_size=4, embed_size=8, attention=4)
        >>> model = HGR(config)
        >>> nodes, mask = torch.randn(2, 5, 8), torch.ones(2, 5) > 0
        >>> video = Encoded(nodes=nodes, mask=mask, pooled=nodes[:, 0], extra={"entity": nodes})
        >>> kind = torch.tensor([[0, 1, 2], [0, 2, 2]])
        >>> caption = Encoded(nodes=torch.randn(2, 3, 8), mask=mask[:, :3], extra={"kind": kind})
        >>> model.score(video, caption).shape, model.levels(video, caption).shape
        (torch.Size([2, 2]), torch.Size([3, 2, 2]))
    """

    caption_graph: ClassVar[CaptionGraph] = "roles"
    tile: ClassVar[tuple[int, int]] = (64, 256)

    def __init__(self, config: HGRConfig) -> None:
        super().__init__()
        self.config = config
        words = WordEncoder(
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
        self.text = RoleGraphEncoder(
            words,
            roles=config.roles,
            layers=config.layers,
            attention=config.attention,
            dropout=config.dropout[2],
        )
        self.frames = nn.ModuleList(
            nn.Linear(config.feature_size, config.embed_size)
            for _ in range(1 if config.share_levels else 3)
        )
        self.event = EventAttention(config.embed_size)
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
            texts: PyG batch of n role graphs, as `batch_graphs(graphs, follow=("word",))` makes it.

        Returns:
            n items; nodes are event, actions and entities, `extra["kind"]` [n, M] their kinds
            (`KINDS`), `pooled` the event.

        Raises:
            GraphError: a batch without `word_ptr`, dependency graphs, a caption without words, an
                id out of range.
        """
        nodes, mask = pad_nodes(self.text(texts), texts.ptr)  # [n, M, D]
        kind, _ = pad_nodes(texts.kind, texts.ptr)  # [n, M]
        return Encoded(
            nodes=nodes,
            mask=mask,
            pooled=nodes[:, 0],
            extra={"kind": kind},
            node_axes={"kind": (1,)},
        )

    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode videos.

        Args:
            visuals: PyG batch of n `ClipGraph`; the official code has at most 20 frames of each.

        Returns:
            n items; nodes are frames of the action level, `extra["entity"]` [n, F, D] frames of the
            entity level, `pooled` the event.

        Raises:
            GraphError: features of another length than the configuration says.
        """
        size = self.config.feature_size
        if visuals.x.size(-1) != size:
            raise GraphError(f"expected frames of {size} numbers (got {visuals.x.size(-1)})")
        x = visuals.x.to(self.frames[0].weight.dtype)
        encoded = [layer(x) for layer in self.frames]  # one or three of [L, D]
        levels = encoded * (3 // len(encoded))  # a shared map still has three dropouts
        event, action, entity = (pad_nodes(self.dropout(x), visuals.ptr) for x in levels)
        return Encoded(
            nodes=action[0],
            mask=action[1],
            pooled=self.event(*event),
            extra={"entity": entity[0]},
            node_axes={"entity": (1,)},
        )

    def prepare_text(self, text: Encoded) -> Encoded:
        """Nodes of length 1, and how many nodes of its kind a caption has."""
        kind = text.extra["kind"].masked_fill(~text.mask, -1)  # [n, M]
        same = (kind.unsqueeze(1) == kind.unsqueeze(2)).sum(dim=2)  # [n, M]
        text = replace(text, nodes=unit_vectors(text.nodes)[0])
        return text.with_extra(axes={"same": (1,)}, same=same)

    def prepare_visual(self, visual: Encoded) -> Encoded:
        """Frames of length 1, with their lengths and Gram matrices on both levels."""
        if visual.pooled is None:
            raise GraphError("expected videos with their event as `pooled` (got none)")
        dtype, fusion = visual.nodes.dtype, self.config.fusion
        action = prepare_frames(visual.nodes, visual.mask, fusion=fusion)
        entity = prepare_frames(visual.extra["entity"].to(dtype), visual.mask, fusion=fusion)
        event = unit_vectors(visual.pooled.to(dtype))[0]
        visual = replace(visual, nodes=action.unit).with_extra(
            axes={"action_prior": (1,), "entity_prior": (1,)},
            event=event,
            entity=entity.unit,
            action_prior=action.log_prior,
            entity_prior=entity.log_prior,
        )
        if action.gram is None or entity.gram is None:
            return visual
        axes = {"action_gram": (1, 2), "entity_gram": (1, 2)}
        return visual.with_extra(axes=axes, action_gram=action.gram, entity_gram=entity.gram)

    def score_tile(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs of prepared items; see `Matcher.score_tile`.

        Args:
            visual: n_v prepared videos.
            text: n_t prepared captions.

        Returns:
            [n_v, n_t]. Looks which nodes are actions and entities, so it synchronises a device.
        """
        return self._levels(visual, text).mean(dim=0)

    def levels(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs on each level.

        Args:
            visual: n_v encoded videos.
            text: n_t encoded captions.

        Returns:
            [3, n_v, n_t] scores of events, actions and entities in [-1, 1]; 0 for a caption without
            actions or entities. Allocates some numbers for every frame and node.
        """
        return self._levels(self.prepare_visual(visual), self.prepare_text(text))

    def _levels(self, visual: Encoded, text: Encoded) -> Tensor:
        """[3, n_v, n_t] of prepared items."""
        event = (visual.extra["event"] @ text.nodes[:, 0].T).to(visual.extra["action_prior"].dtype)
        levels = [event]  # [n_v, n_t] each
        for level in ("action", "entity"):
            frames = Frames(
                visual.nodes if level == "action" else visual.extra["entity"],
                visual.extra[f"{level}_prior"],
                visual.extra.get(f"{level}_gram"),
            )
            mask = text.mask & (text.extra["kind"] == KINDS.index(level))
            owner, place = mask.nonzero(as_tuple=True)  # [N] each: no padding is scored
            scores = frame_scores(frames, text.nodes[owner, place], self.config.scale)  # [n_v, N]
            mean = scores.new_zeros(len(owner), len(text))  # [N, n_t], 1 / number of its nodes
            share = text.extra["same"][owner, place].to(scores.dtype).reciprocal()
            levels.append(scores @ mean.scatter_(1, owner.unsqueeze(1), share.unsqueeze(1)))
        return torch.stack(levels)

    def training_scores(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores for the loss; with `level_weights` of the mean and of each level.

        Args:
            visual: n_v encoded videos.
            text: n_t encoded captions.

        Returns:
            [1, n_v, n_t], or [4, n_v, n_t] with `level_weights`. Then the activations of all pairs
            are kept, some 100 numbers for each node of a caption and video.
        """
        if self.config.level_weights is None:
            return super().training_scores(visual, text)
        levels = self.levels(visual, text)  # [3, n_v, n_t]
        return torch.cat([levels.mean(dim=0, keepdim=True), levels])

    def training_loss(self, scores: Tensor, owner: Tensor) -> Tensor:
        """Training loss; with `level_weights` the weighted sum of four losses.

        Args:
            scores: as `training_scores` gives them.
            owner: [n_t] int64 row of each caption's own video.

        Returns:
            A number.
        """
        weights = self.config.level_weights
        if weights is None:
            return super().training_loss(scores, owner)
        losses = torch.stack([self.loss(level, owner) for level in scores])
        return losses @ losses.new_tensor(weights)

    def align(self, visual: Encoded, text: Encoded) -> HGRAlignment:
        """Attention maps of all pairs, for pictures and tests.

        Args:
            visual: n_v encoded videos.
            text: n_t encoded captions.

        Returns:
            The alignment. Allocates D numbers for every pair of a video and a node: for few pairs.
        """
        return align(visual, text, scale=self.config.scale, fusion=self.config.fusion)


def official_keys(config: HGRConfig) -> dict[str, str]:
    """Names of parameters in official checkpoints and here.

    The checkpoint's two state dicts count as one, with `video_encoder.` and `text_encoder.` before
    their names.

    Args:
        config: of the model.

    Returns:
        Official name to name in `HGR(config)`, for every parameter.

    Example:
        >>> official_keys(HGRConfig(vocabulary=10))["text_encoder.gcn.layers.0.ctx_layer.weight"]
        'text.graph.0.context.weight'
    """
    text, video = "text_encoder", "video_encoder"
    rnn = rnn_keys(
        f"{text}.rnn",
        "text.words.rnn",
        bidirectional=config.bidirectional,
        layers=config.word_layers,
    )
    names = {f"{text}.embedding.we.weight": "text.words.embedding.weight", **rnn}
    if config.roles:
        names[f"{text}.role_embedding.weight"] = "text.roles.weight"
    parts = {f"{text}.ft_attn": "text.event.linear", f"{video}.ft_attn": "event.linear"}
    for level in range(1 if config.share_levels else 3):
        parts[f"{video}.level_embeds.{level}"] = f"frames.{level}"
    for layer in range(config.layers):
        theirs, ours = f"{text}.gcn.layers.{layer}", f"text.graph.{layer}"
        names[f"{theirs}.ctx_layer.weight"] = f"{ours}.context.weight"
        parts[f"{theirs}.layernorm"] = f"{ours}.norm"
        if config.attention:
            parts[f"{theirs}.edge_attn_query"] = f"{ours}.query"
            parts[f"{theirs}.edge_attn_key"] = f"{ours}.key"
    for theirs, ours in parts.items():
        for name in ("weight", "bias"):
            names[f"{theirs}.{name}"] = f"{ours}.{name}"
    return names
