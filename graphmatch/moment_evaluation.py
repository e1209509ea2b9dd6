"""`evaluate_moment_files`: how well a trained DRN finds moments, beside rules that see no video."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphmatch.bootstrap import Interval
from graphmatch.checkpoint import checkpoint_digest, find_checkpoint, load_checkpoint
from graphmatch.datasets.dataset import DataSet
from graphmatch.device import check_device
from graphmatch.evaluation_report import Resampling, Source
from graphmatch.feature_store import FeatureStore
from graphmatch.models.table import model_name
from graphmatch.moment_blind import blind_recalls, timed_queries
from graphmatch.moment_metrics import best_iou, evaluate_moments, moment_hits
from graphmatch.moment_prediction import predict_moments
from graphmatch.moment_protocol import MomentProtocol
from graphmatch.moment_report import MomentReport
from graphmatch.moment_set import MomentSet
from graphmatch.rows import CaptionRow
from graphmatch.train_report import count_left_out, left_out_lines

_DRAWN = 1 << 22  # numbers that are drawn at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentEvaluation:
    """What an evaluation of a trained DRN found.

    Args:
        report: recalls and mean IoU.
        intervals: of each, by `R@n IoU m` and `mIoU`; none without resamples.
        blind: recalls of rules that see no video, by rule; None without training queries.
        resampling: how the intervals were made, over videos.
        source: the checkpoint.
        videos: how many were searched.
        skipped: (id, reason) of the queries that were left out.
        left_out: how many these are, by reason.
        failed: how many of these failed; videos of the others are not in the store.
        dtype: of large products.
        seconds: that the predictions took.
    """

    report: MomentReport
    intervals: Mapping[str, Interval]
    blind: Mapping[str, Mapping[str, float]] | None
    resampling: Resampling
    source: Source
    videos: int
    skipped: tuple[tuple[str, str], ...]
    left_out: dict[str, int]
    failed: int
    dtype: str
    seconds: float

    def content(self) -> dict[str, Any]:
        """The report as values of JSON."""
        return {
            "moments": json.loads(self.report.to_json()),
            "intervals": {name: asdict(found) for name, found in self.intervals.items()},
            "blind": None if self.blind is None else {k: {**v} for k, v in self.blind.items()},
            "resampling": asdict(self.resampling),
            "sources": [asdict(self.source)],
            "videos": self.videos,
            "failed": self.failed,
            "skipped": [list(skip) for skip in self.skipped],
            "dtype": self.dtype,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        lines = [str(self.report)]
        if self.intervals:
            how = self.resampling
            lines += ["", f"{100 * how.level:g} % of {how.resamples:,} resamples of videos:"]
            lines += [f"  {name:12} {found}" for name, found in self.intervals.items()]
        if self.blind is None:
            lines += ["", "no rules without a video beside it: --train-queries fits them"]
        else:
            lines += ["", "rules that see no video:"]
            for rule, numbers in self.blind.items():
                shown = "  ".join(f"{name} {number:.1f}" for name, number in numbers.items())
                lines.append(f"  {rule}: {shown}")
        speed = self.report.queries / max(self.seconds, 1e-9)
        made = f"{self.source.folder} ({self.source.model}); {self.videos:,} videos"
        lines += ["", f"{made}; {self.seconds:.1f} s, {speed:,.0f} queries/s, {self.dtype}"]
        return "\n".join([*lines, *left_out_lines(self.left_out, "queries")])


def evaluate_moment_files(
    folder: str | Path,
    data: DataSet,
    visuals: FeatureStore,
    *,
    train: DataSet | None = None,
    graphs: Iterable[CaptionRow] | None = None,
    protocol: MomentProtocol | None = None,
    resampling: Resampling | None = None,
    dtype: str = "fp32",
    device: str = "cpu",
) -> MomentEvaluation:
    """Evaluate a trained DRN.

    Args:
        folder: checkpoint, or run of a training.
        data: queries with moments.
        visuals: clips of their videos.
        train: queries that the rules without a video are fitted on; without, there are none.
        graphs: the queries, parsed, for a model with graph layers.
        protocol: which recalls; None is the official ones.
        resampling: of the intervals; None is the usual one.
        dtype: as in `predict_moments`, `"fp32"` or `"bf16"`.
        device: where to compute.

    Returns:
        What was found.

    Raises:
        CheckpointError: no checkpoint, or a damaged one.
        ConfigError: another model than DRN, no usable query, a device that is not there.
        GraphError: videos that the model cannot read.
    """
    rules, how = protocol or MomentProtocol(), resampling or Resampling()
    check_device(device)
    model, vocabulary = load_checkpoint(folder, task="ground")
    queries = MomentSet(data, visuals, vocabulary, graphs=graphs)
    blind = None
    if train is not None:  # before what takes long
        seen = timed_queries(train, visuals)
        blind = blind_recalls(seen, (queries.sentences, queries.moment), protocol=rules)
    started = time.perf_counter()
    found = predict_moments(model.to(device), queries, dtype=dtype)
    seconds = time.perf_counter() - started
    given = (found.segment, found.score, queries.moment, found.mask)
    skipped = len(queries.skipped)
    return MomentEvaluation(
        report=evaluate_moments(*given, protocol=rules, skipped=skipped),
        intervals=moment_intervals(
            moment_hits(*given, protocol=rules),
            best_iou(*given),
            queries.owner,
            protocol=rules,
            resampling=how,
        ),
        blind=blind,
        resampling=how,
        source=Source(
            folder=str(find_checkpoint(folder)),
            model=model_name(model),
            digest=checkpoint_digest(folder),
        ),
        videos=len(queries.gallery),
        skipped=tuple(queries.skipped),
        left_out=count_left_out(queries),
        failed=sum(not why.endswith("is not in the store") for _, why in queries.skipped),
        dtype=dtype,
        seconds=seconds,
    )


def moment_intervals(
    hits: Tensor,
    iou: Tensor,
    owner: Tensor,
    *,
    protocol: MomentProtocol,
    resampling: Resampling,
) -> dict[str, Interval]:
    """How sure recalls are: percentile bootstrap over videos, each with all of its queries.

    Args:
        hits: [Q, M, A] bool, see `moment_hits`.
        iou: [Q] of each query's best moment.
        owner: [Q] int64 number of each query's video, below V.
        protocol: names the M IoUs and the A numbers of moments.
        resampling: how many, and the level.

    Returns:
        Intervals in percent by `R@n IoU m` and `mIoU`; none without resamples.
    """
    if not resampling.resamples:
        return {}
    names = [f"R@{n} IoU {m:g}" for m in protocol.ious for n in protocol.at]
    columns = [*hits.flatten(1).double().unbind(1), iou.double(), torch.ones_like(iou).double()]
    videos = int(owner.max()) + 1
    sums = np.stack(
        [np.bincount(owner.numpy(), column.numpy(), minlength=videos) for column in columns], axis=1
    )  # [V, numbers + 1]
    rng = np.random.default_rng(resampling.seed)
    drawn = []
    left = resampling.resamples
    while left:
        count = min(left, max(1, _DRAWN // videos))
        times = rng.multinomial(videos, np.full(videos, 1 / videos), size=count)  # [b, V]
        totals = times @ sums
        drawn.append(100 * totals[:, :-1] / np.maximum(totals[:, -1:], 1))
        left -= count
    numbers = np.concatenate(drawn)  # [B, numbers]
    value = 100 * sums[:, :-1].sum(0) / sums[:, -1].sum()
    ends = (1 - resampling.level) / 2
    low, high = np.quantile(numbers, [ends, 1 - ends], axis=0)
    error = numbers.std(axis=0, ddof=1)
    return {
        name: Interval(
            value=float(value[k]), low=float(low[k]), high=float(high[k]), error=float(error[k])
        )
        for k, name in enumerate([*names, "mIoU"])
    }
