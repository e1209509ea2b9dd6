"""Recall and mean IoU of predicted moments, for all queries at once.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `utils/evaluate_utils.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import GraphError
from graphmatch.moment_protocol import MomentProtocol
from graphmatch.moment_report import MomentReport
from graphmatch.nn.segment_iou import segment_iou
from graphmatch.nn.segment_nms import Equal, nms_segments, soft_nms_segments, top_segments


def evaluate_moments(
    segment: Tensor,
    score: Tensor,
    truth: Tensor,
    mask: Tensor | None = None,
    *,
    protocol: MomentProtocol | None = None,
    skipped: int = 0,
) -> MomentReport:
    """The report of the moments that were predicted for some queries.

    Every query counts once; one without moments is not found. A true moment that ends before it
    starts, or has no length, is never found.

    Args:
        segment: [Q, K, 2] predicted start and end, as shares of the video.
        score: [Q, K].
        truth: [Q, 2] true start and end in the same unit.
        mask: [Q, K] bool, which moments there are; None is all.
        protocol: the rules; None is the official ones.
        skipped: number of queries that were left out before; goes into the report.

    Returns:
        The report. Allocates a few times Q x K float64 numbers.

    Raises:
        GraphError: no query, shapes that do not fit, numbers that are not finite.

    Example:
        >>> segment = torch.tensor([[[0.0, 0.4], [0.5, 1.0]]])
        >>> score, truth = torch.tensor([[0.9, 0.2]]), torch.tensor([[0.5, 0.9]])
        >>> print(evaluate_moments(segment, score, truth, protocol=MomentProtocol(ious=(0.5,))))
                     R@1    R@5
        IoU 0.5      0.0  100.0
        mIoU 0.0; 1 query; IoU >= m; moments that overlap by more than m - 0.05 suppressed
    """
    protocol = protocol or MomentProtocol()
    if not len(truth):
        raise GraphError("expected a query or more (got none)")
    hits = moment_hits(segment, score, truth, mask, protocol=protocol)  # [Q, M, A]
    recall = 100 * hits.to(torch.float64).mean(0)
    return MomentReport(
        protocol=protocol,
        recall=tuple(tuple(row) for row in recall.tolist()),
        miou=100 * float(best_iou(segment, score, truth, mask).mean()),
        queries=len(truth),
        skipped=skipped,
    )


def moment_hits(
    segment: Tensor,
    score: Tensor,
    truth: Tensor,
    mask: Tensor | None = None,
    *,
    protocol: MomentProtocol | None = None,
) -> Tensor:
    """Which queries are found among the first n moments at IoU m.

    Args:
        segment: [Q, K, 2] predicted start and end, as shares of the video.
        score: [Q, K].
        truth: [Q, 2] true start and end in the same unit.
        mask: [Q, K] bool, which moments there are; None is all.
        protocol: the rules, M numbers m and A numbers n; None is the official ones.

    Returns:
        [Q, M, A] bool.

    Raises:
        GraphError: shapes that do not fit, numbers that are not finite.
    """
    protocol = protocol or MomentProtocol()
    segment, score, truth = _double(segment, score, truth, mask)
    iou = segment_iou(segment, truth.unsqueeze(1))  # [Q, K]
    hits = []
    picks = None
    for level in protocol.ious:
        if picks is None or protocol.nms == "hard":
            picks = _picks(segment, score, mask, protocol, level)  # [Q, n]
        if not picks.size(1):  # no moment at all
            picks = picks.new_full((len(truth), 1), -1)
        found = iou.gather(1, picks.clamp(min=0)) if iou.size(1) else picks.to(iou.dtype)
        right = (found > level if protocol.strict else found >= level) & (picks >= 0)
        ever = right.cumsum(1) > 0  # [Q, n]
        last = [min(n, picks.size(1)) - 1 for n in protocol.at]
        hits.append(ever[:, last])
    return torch.stack(hits, dim=1)


def best_iou(segment: Tensor, score: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """IoU of each query's best-scored moment, of equal scores the first; mIoU is its mean.

    Args:
        segment: [Q, K, 2] predicted start and end in any unit.
        score: [Q, K].
        truth: [Q, 2] true start and end in the same unit.
        mask: [Q, K] bool, which moments there are; None is all.

    Returns:
        [Q] float64 in [0, 1]; 0 for a query without moments.

    Raises:
        GraphError: shapes that do not fit, numbers that are not finite.
    """
    segment, score, truth = _double(segment, score, truth, mask)
    best = top_segments(score, mask, top=1)  # [Q, 1]
    if not best.size(1):
        return truth.new_zeros(len(truth))
    one = segment.gather(1, best.clamp(min=0).unsqueeze(-1).expand(-1, -1, 2))  # [Q, 1, 2]
    return segment_iou(one.squeeze(1), truth).where(best.squeeze(1) >= 0, 0)


def _double(
    segment: Tensor, score: Tensor, truth: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    queries = len(truth)
    if truth.shape != (queries, 2) or score.dim() != 2 or len(score) != queries:
        raise GraphError(
            f"expected score [Q, K] and truth [Q, 2] (got {[*score.shape]} and {[*truth.shape]})"
        )
    if segment.shape != (*score.shape, 2):
        raise GraphError(f"segment: expected {[*score.shape, 2]} (got {[*segment.shape]})")
    if mask is not None and mask.shape != score.shape:
        raise GraphError(f"mask: expected {[*score.shape]} (got {[*mask.shape]})")
    finite = segment.isfinite().all(-1)
    for name, fine in (
        ("truth", truth.isfinite()),
        ("segment", finite if mask is None else finite | ~mask),
    ):
        if not bool(fine.all()):
            raise GraphError(f"{name}: expected finite numbers")
    return segment.double(), score.double(), truth.to(segment.device).double()


def _picks(
    segment: Tensor, score: Tensor, mask: Tensor | None, protocol: MomentProtocol, iou: float
) -> Tensor:
    """[Q, n] numbers of the moments that count, best first, -1 after the last."""
    top = protocol.at[-1]
    if protocol.nms == "none":
        return top_segments(score, mask, top=top)
    if protocol.nms == "soft":
        return soft_nms_segments(segment, score, mask, top=top)[0]
    equal: Equal = "last" if protocol.equal == "official" else "first"
    threshold = iou - protocol.margin
    return nms_segments(segment, score, mask, threshold=threshold, top=top, equal=equal)
