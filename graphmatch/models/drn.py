"""DRN: every clip inside a moment predicts how far its start and its end are.

Source: Dense Regression Network for Video Grounding, R. Zeng et al., CVPR 2020, arXiv 2004.03545;
official code (Charades-STA with C3D). The video is T clips long; level l has points of stride 2^l.

| step | here | field |
|---|---|---|
| words h of a bidirectional LSTM; q_l = sum_n a_ln h_n, an attention for each level | `QueryEncoder` | `hidden`, `word_layers` |
| k_l = Linear(q_l), as many numbers as the level below has channels | `encode_text` | `channels` |
| v = Linear(feature); p = Linear(start, end, end - start), shares of the video | `encode_visual` | `position_size` |
| C_0 = CBR([v * k_0 ; p]), C_l = CBR(C_(l-1) * k_l); pyramid P_0, P_1, P_2 | `MomentPyramid` | `channels`, `pyramid_size` |
| match m, distances d = exp(s_l Conv(.)) to the ends, IoU at every point | `MomentHeads` | `tower_layers`, `prior` |
| positive: inside, and the farther end in the level's range | `moment_targets` | `ranges`, `scale` |
| focal loss of m, -ln IoU of positive points, smooth L1 of the IoU where it is above 0.9 | `grounding_losses` | `alpha`, `gamma`, `iou_positive` |
| three stages of training | `graphmatch.models.drn_stages` | |

Where the paper as others summarise it and the official code differ, defaults are the code's:

* The focal loss is divided by the number of positive points plus that of items, not by the first
  alone (`match_divisor`).
* Points outside their level's range are negative even inside the moment (`ranges`).
* The IoU is learned where it is above 0.9 (`iou_positive`), not at all points; its gradient reaches
  the predicted moments (`detach_iou`); of these, each item's first one alone is cut to the video
  (`iou_clamp`).
* Times are divided by 32 whatever T is: `scale=32`; by T here, with `ranges` in 1/32 of the video.
* No mask on the axis of time: all videos have T clips (`mask_padding`), and T is a multiple of 4,
  since upsampling doubles (`cut_upsampling`).
"""  # noqa: E501

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphmatch.columns import CaptionGraph
from graphmatch.config import check_counts, check_positive
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.graphs.batch import MatchBatch, word_ptr
from graphmatch.moment_decoding import Moments, decode_moments
from graphmatch.nn.grounding import (
    Clamp,
    Divisor,
    Grounding,
    GroundingLosses,
    grounding_losses,
)
from graphmatch.nn.moment_heads import MomentHeads
from graphmatch.nn.moment_pyramid import MomentPyramid, level_masks
from graphmatch.nn.moment_targets import LEVELS, level_points
from graphmatch.nn.pad_nodes import pad_nodes
from graphmatch.nn.query_encoder import QueryEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class DRNConfig:
    """Options of `DRN`; defaults are the official model of Charades-STA with C3D features.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> DRNConfig(vocabulary=1302, feature_size=2048).channels  # I3D
        (256, 512, 1024)
    """

    vocabulary: int  # number of words; word 0 is padding and unknown words. Charades-STA: 1302
    feature_size: int = 4096  # numbers of a clip: C3D 4096, I3D 2048, MFnet 768
    clips: int = 32  # T, of every video unless mask_padding
    word_size: int = 300  # numbers of an embedded word, GloVe 6B
    hidden: int = 512  # of the LSTM in one direction
    word_layers: int = 1  # of the LSTM; the code's lstm_layers
    dropout: tuple[float, float] = (0.0, 0.0)  # while training: of embedded words, of clips
    graph_layers: int = 0  # along the query's dependencies, before the LSTM; not in the paper
    position_size: int = 256  # numbers of an embedded place in the video
    channels: tuple[int, int, int] = (256, 512, 1024)  # of C_0, C_1, C_2
    pyramid_size: int = 512  # channels of the pyramid and the heads; the code's fpn_feature_dim
    tower_layers: int = 1  # convolutions before the outputs of a head; fcos_conv_layers
    prior: float = 0.01  # probability of a match before training; fcos_prior_prob
    scale: float | None = None  # clip units of a video; None: its clips. The code's constant 32
    ranges: tuple[tuple[float, float], tuple[float, float], tuple[float, float]] = (
        (-1.0, 6.0),
        (5.6, 11.0),
        (11.0, 1e8),
    )  # distance to the farther end that a level is for, in 1/32 of the video; ends included
    alpha: float = 0.25  # focal loss: weight of positive points; fcos_loss_alpha
    gamma: float = 2.0  # focal loss: exponent; fcos_loss_gamma
    match_divisor: Divisor = "positives and items"  # of the focal loss; "positives" in the paper
    iou_positive: float = 0.9  # IoU above which it is learned; -1: all points, as in the paper
    iou_clamp: Clamp = "first"  # moments cut to the video before their IoU: "none", "all"
    detach_iou: bool = False  # the IoU is a constant target and does not move moments
    mask_padding: bool = False  # videos of any number of clips; padding has no effect
    cut_upsampling: bool = False  # any T: a doubled level is cut to the finer one
    score_threshold: float = 0.05  # probability of a match above which a point is a candidate
    candidates: int = 32  # at most, of each level; fcos_pre_nms_top_n

    def __post_init__(self) -> None:
        check_counts(self, "vocabulary", "feature_size", "clips", "word_size", "hidden")
        check_counts(self, "word_layers", "position_size", "pyramid_size", "candidates")
        check_counts(self, "tower_layers", "graph_layers", least=0)
        check_positive(self, "gamma", or_zero=True)
        check_choice("match_divisor", self.match_divisor, get_args(Divisor))
        check_choice("iou_clamp", self.iou_clamp, get_args(Clamp))
        if len(self.channels) != LEVELS or min(self.channels) < 1:
            raise ConfigError(f"channels: expected three numbers from 1 (got {self.channels})")
        if len(self.ranges) != LEVELS or not all(low <= high for low, high in self.ranges):
            raise ConfigError(f"ranges: expected three of [low, high] (got {self.ranges})")
        if self.scale is not None:
            check_positive(self, "scale")
        for name in ("prior", "alpha"):
            if not 0 < getattr(self, name) < 1:
                got = getattr(self, name)
                raise ConfigError(f"{name}: expected a number between 0 and 1 (got {got})")
        if len(self.dropout) != 2 or not all(0 <= share < 1 for share in self.dropout):
            raise ConfigError(f"dropout: expected two shares in [0, 1) (got {self.dropout})")
        if not 0 <= self.score_threshold < 1:
            got = self.score_threshold
            raise ConfigError(f"score_threshold: expected a number in [0, 1) (got {got})")
        if not self.iou_positive < 1:
            raise ConfigError(f"iou_positive: expected a number below 1 (got {self.iou_positive})")
        if self.clips % 4 and not self.cut_upsampling:
            raise ConfigError(
                f"clips: expected a multiple of 4 (got {self.clips}); set cut_upsampling"
            )


class DRN(nn.Module):
    """Dense regression network; see the module for the equations.

    A video is encoded once for all its queries.

    Args:
        config: sizes and options.

    Example:
        >>> from graphmatch.graphs.batch import batch_graphs
        >>> from graphmatch.graphs.clip import ClipGraph
        >>> from graphmatch.graphs.words import word_graph
        >>> model = DRN(DRNConfig(vocabulary=9, feature_size=6, clips=8, word_size=4, hidden=5,
        ...                       position_size=3, channels=(4, 5, 6), pyramid_size=4)).eval()
        >>> time = torch.arange(9.0).unfold(0, 2, 1)
        >>> video = ClipGraph(x=torch.randn(8, 6), time=time, duration=torch.tensor([8.0]))
        >>> queries = batch_graphs([word_graph([1, 2]), word_graph([3])], follow=("word",))
        >>> text, visual = model.encode_text(queries), model.encode_visual(batch_graphs([video]))
        >>> model.ground(visual, text, torch.tensor([0, 0])).segments().shape
        torch.Size([2, 14, 2])
    """

    caption_graph: ClassVar[CaptionGraph] = "dependencies"
    marks: ClassVar[bool] = False

    def __init__(self, config: DRNConfig) -> None:
        super().__init__()
        self.config = config
        self.text = QueryEncoder(
            config.vocabulary,
            word_size=config.word_size,
            hidden=config.hidden,
            layers=config.word_layers,
            graph_layers=config.graph_layers,
            dropout=config.dropout[0],
        )
        self.dropout = nn.Dropout(config.dropout[1])
        sizes = (config.feature_size, *config.channels[:2])
        self.level = nn.ModuleList(nn.Linear(2 * config.hidden, size) for size in sizes)
        self.clips = nn.Linear(config.feature_size, config.feature_size)
        self.position = nn.Linear(3, config.position_size)
        self.pyramid = MomentPyramid(
            config.feature_size,
            position_size=config.position_size,
            channels=config.channels,
            out=config.pyramid_size,
        )
        self.heads = MomentHeads(
            config.pyramid_size, tower_layers=config.tower_layers, prior=config.prior
        )

    def encode_text(self, texts: Any) -> Encoded:
        """Encode queries.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it;
                edges matter with `graph_layers` only.

        Returns:
            n items; nodes are words, `pooled` is g; `extra` has the `attention` [n, 3, L] of each
            level and `level0`, `level1`, `level2`, what multiplies the channels there.

        Raises:
            GraphError: a batch without `word_ptr`, a query without words, an id out of range.
        """
        query = self.text(
            texts.word, word_ptr(texts), edge_index=texts.edge_index, relation=texts.relation
        )
        factors = {f"level{k}": self.level[k](query.steps[:, k]) for k in range(LEVELS)}
        return Encoded(
            nodes=query.words,
            mask=query.mask,
            pooled=query.whole,
            extra={"attention": query.attention, **factors},
            node_axes={"attention": (2,)},
        )

    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode videos.

        Args:
            visuals: PyG batch of n `ClipGraph`.

        Returns:
            n items; nodes are clips, `extra["position"]` [n, T, p] their embedded places. With
            `mask_padding`, T is a multiple of 4 unless upsampling is cut.

        Raises:
            GraphError: features of another length than the configuration says, or another number
                of clips.
        """
        config = self.config
        if visuals.x.size(-1) != config.feature_size:
            got = visuals.x.size(-1)
            raise GraphError(f"expected clips of {config.feature_size} numbers (got {got})")
        dtype = self.clips.weight.dtype
        x, mask = self._padded(visuals.x.to(dtype), visuals.ptr)  # [n, T, F]
        counts = visuals.ptr.diff()
        if not config.mask_padding and not bool((counts == config.clips).all()):
            raise GraphError(
                f"expected videos of {config.clips} clips (got {counts.unique().tolist()}); pool "
                "them to as many, or set mask_padding"
            )
        if not bool(mask[:, 0].all()):
            raise GraphError("expected at least one clip in each video (got none)")
        duration = visuals.duration[visuals.batch].unsqueeze(-1)  # [L, 1]
        tiny = torch.finfo(duration.dtype).tiny
        share = visuals.time / duration.clamp(min=tiny)  # [L, 2]
        place = torch.cat((share, share[:, 1:] - share[:, :1]), dim=1)  # before they are rounded
        return Encoded(
            nodes=self.clips(self.dropout(x)) * mask.unsqueeze(-1),
            mask=mask,
            extra={"position": self.position(self._padded(place.to(dtype), visuals.ptr)[0])},
            node_axes={"position": (1,)},
        )

    def _padded(self, x: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
        """As `pad_nodes`; with `mask_padding` to a number of clips that can be halved twice."""
        nodes, mask = pad_nodes(x, ptr)  # [n, T, F]
        if not self.config.mask_padding or self.config.cut_upsampling:
            return nodes, mask
        rest = -mask.size(1) % 4
        return functional.pad(nodes, (0, 0, 0, rest)), functional.pad(mask, (0, rest))

    def ground(self, visual: Encoded, text: Encoded, owner: Tensor) -> Grounding:
        """Find queries in their videos.

        Args:
            visual: n_v encoded videos.
            text: B encoded queries.
            owner: [B] int64 number of each query's video.

        Returns:
            What every point of time says. Allocates T x F numbers a query.

        Raises:
            GraphError: a number of clips that cannot be halved twice.
        """
        clips, config = visual.nodes.size(1), self.config
        if clips % 4 and not config.cut_upsampling:
            raise GraphError(
                f"expected a multiple of 4 clips (got {clips}); pad them, or set cut_upsampling"
            )
        masks = level_masks(visual.mask[owner]) if config.mask_padding else None
        levels = self.pyramid(
            visual.nodes[owner],
            visual.extra["position"][owner],
            [text.extra[f"level{k}"] for k in range(LEVELS)],
            masks,
        )
        found = self.heads(levels, masks)
        scale = found.match.new_full((len(owner),), config.scale or clips)
        if config.mask_padding and config.scale is None:
            scale = visual.counts[owner].to(scale.dtype)
        points = level_points(clips, device=scale.device, dtype=scale.dtype)
        mask = None if masks is None else torch.cat(masks, dim=1)  # [B, P]
        return Grounding(found=found, points=points, mask=mask, scale=scale)

    def decode(self, grounding: Grounding, *, use_iou: bool = True) -> Moments:
        """Moments of predictions, see `decode_moments`.

        Args:
            grounding: predictions of B queries.
            use_iou: whether scores include the predicted IoU; the official code leaves it out in
                the first stage of training, when nobody has taught it.

        Returns:
            The moments, not yet suppressed or sorted.

        Raises:
            GraphError: predictions that are not finite.
        """
        found = grounding.found
        return decode_moments(
            found.match,
            found.distance,
            grounding.points,
            scale=grounding.scale,
            iou_logit=found.iou if use_iou else None,
            mask=grounding.mask,
            threshold=self.config.score_threshold,
            candidates=self.config.candidates,
        )

    def losses(self, grounding: Grounding, moment: Tensor) -> GroundingLosses:
        """Losses of predictions, with the configuration's options.

        Args:
            grounding: predictions of B queries.
            moment: [B, 2] true start and end as shares of the video, see `moment_share`.

        Returns:
            The three losses.
        """
        config = self.config
        return grounding_losses(
            grounding,
            moment,
            ranges=config.ranges,
            alpha=config.alpha,
            gamma=config.gamma,
            divisor=config.match_divisor,
            iou_positive=config.iou_positive,
            clamp=config.iou_clamp,
            detach_iou=config.detach_iou,
        )

    def forward(self, batch: MatchBatch) -> GroundingLosses:
        """Losses of a batch.

        Args:
            batch: queries, their videos and moments in seconds; ends are cut to the video.

        Returns:
            The three losses; which of them are trained says `graphmatch.models.drn_stages`.

        Raises:
            GraphError: a batch without moments, or as `encode_text` and `encode_visual`.
        """
        if batch.moment is None:
            raise GraphError("expected a batch with moments (got none)")
        duration = batch.visual.duration[batch.owner].unsqueeze(-1)  # [B, 1]
        start, end = batch.moment[:, :1], batch.moment[:, 1:]
        moment = torch.cat((start, torch.minimum(end, duration.to(end))), dim=1) / duration
        visual, text = self.encode_visual(batch.visual), self.encode_text(batch.text)
        return self.losses(self.ground(visual, text, batch.owner), moment)
