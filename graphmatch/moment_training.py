"""`MomentTrainConfig`, `MomentTask`, `train_moments`: DRN's three stages in the common loop.

Source: Dense Regression Network for Video Grounding, R. Zeng et al., CVPR 2020; official code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from graphmatch.config import check_counts, config_values
from graphmatch.errors import ConfigError, check_choice
from graphmatch.graphs.batch import MatchBatch
from graphmatch.models.drn import DRN
from graphmatch.models.drn_stages import GRADIENT_NORM, STAGES, Stage
from graphmatch.models.table import model_name
from graphmatch.moment_metrics import evaluate_moments
from graphmatch.moment_prediction import predict_moments
from graphmatch.moment_set import MomentSet, collate_queries
from graphmatch.schedules import Schedule
from graphmatch.train import run_task
from graphmatch.train_batches import Batches
from graphmatch.train_config import LoopConfig
from graphmatch.train_report import TrainReport
from graphmatch.train_run import STAGE_FOLDERS, digest_items, weights_digest
from graphmatch.train_task import Phase, TrainTask
from graphmatch.vocab import Vocabulary

Choice = Literal["r1+r5", "r1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentTrainConfig(LoopConfig):
    """Options of DRN's training; defaults are the official ones for Charades-STA.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> MomentTrainConfig(stage_epochs=(20, 5, 0)).lr
        0.001
    """

    batch_size: int = 32  # queries of a batch, of all processes together
    lr: float = 1e-3  # learning rate of the first stage before the schedule
    schedule: Schedule = "constant"  # in each stage anew
    clip: float = GRADIENT_NORM  # largest norm of the gradients of all parameters together; 0: any
    stage_epochs: tuple[int, int, int] = (10, 40, 20)  # 0 leaves a stage out. The code counts on
    # from the epoch of the checkpoint it begins with, in stages 2 and 3 to 50
    stage_rates: tuple[float, float, float] = (1.0, 1e-2, 1e-4)  # parts of lr
    loss_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of matching, location and IoU
    best_by: Choice = "r1+r5"  # best in validation: R@1 + R@5 at IoU 0.5, as in the official code;
    # "r1": R@1 at IoU 0.5 + at 0.7
    official_clipping: bool = False  # in the second stage the norm counts stale gradients of the
    # rest, too, as in the official code

    def __post_init__(self) -> None:
        LoopConfig.__post_init__(self)
        if min(self.stage_epochs) < 0 or not any(self.stage_epochs):
            raise ConfigError(f"stage_epochs: expected a stage or more (got {self.stage_epochs})")
        check_counts(self, "batch_size")
        check_choice("best_by", self.best_by, get_args(Choice))
        if min(self.loss_weights) < 0:
            raise ConfigError(f"loss_weights: expected numbers from 0 (got {self.loss_weights})")
        for rate in self.stage_rates:
            if not 0 < rate < float("inf"):
                raise ConfigError(f"stage_rates: expected numbers above 0 (got {self.stage_rates})")


def train_moments(
    model: DRN,
    queries: MomentSet,
    out: str | Path,
    *,
    config: MomentTrainConfig,
    validation: MomentSet | None = None,
    force: bool = False,
    tensorboard: bool = False,
    progress: bool = False,
) -> TrainReport:
    """Train DRN in three stages; called again with the same arguments, go on where it stopped.

    `out/best` is the best of the stages that score with the predicted IoU, or of the first stage as
    long as there is no other; `out/stage-1`, `stage-2` and `stage-3` are the best of each.

    Args:
        model: with its first weights; afterwards it has its last ones, on the device where it was
            trained.
        queries: what to train on, with the vocabulary that the checkpoints keep.
        out: folder of the run, see `graphmatch.train_run`.
        config: how to train.
        validation: other queries, which choose the best checkpoint as `best_by` says, and
            each stage begins with the best of the one before. Without, the best is the last.
        force: throw away another training in the folder.
        tensorboard: write files for TensorBoard, too.
        progress: show a bar, if the output is a terminal.

    Returns:
        What was done.

    Raises:
        ConfigError: as `graphmatch.train.run_task`.
        CheckpointError: as `graphmatch.train.run_task`.
        GraphError: as `graphmatch.train.run_task`; videos that the model cannot read.
    """
    task = MomentTask(model, queries, config=config, validation=validation)
    return run_task(task, out, force=force, tensorboard=tensorboard, progress=progress)


class MomentTask(TrainTask):
    """DRN, trained on queries, a phase a stage.

    Args:
        model: the model.
        queries: what to train on.
        config: how to train.
        validation: queries that choose the best checkpoint.
    """

    most: Literal[1, 200, 600] = 200
    nouns = ("queries", "videos")
    config: MomentTrainConfig
    vocabulary: Vocabulary

    def __init__(
        self,
        model: DRN,
        queries: MomentSet,
        *,
        config: MomentTrainConfig,
        validation: MomentSet | None,
    ) -> None:
        super().__init__(
            model,
            vocabulary=queries.vocabulary,
            config=config,
            pairs=queries,
            validation=validation,
        )
        self._drn, self._queries, self._validation = model, queries, validation
        self._stage = STAGES[0]

    @property
    def phases(self) -> Sequence[Phase]:
        """The stages that have epochs."""
        config = self.config
        found = []
        for number, stage in enumerate(STAGES):
            if config.stage_epochs[number]:
                phase = Phase(
                    epochs=config.stage_epochs[number],
                    lr=config.lr * config.stage_rates[number],
                    begin=partial(self._begin, stage),
                    loss=_StageLoss(self._drn, stage, config.loss_weights),
                    name=STAGE_FOLDERS[number],
                    compared=number != 1,  # its scores are the first with the predicted IoU
                )
                found.append(phase)
        return found

    def _begin(self, stage: Stage) -> list[nn.Parameter]:
        self._stage = stage
        return stage.begin(self._drn, official_clipping=self.config.official_clipping)

    def describe(self) -> dict[str, Any]:
        """Model, options, and digests of the data and of the first weights."""
        held = self._validation
        return {
            "model": model_name(self._drn),
            "config": config_values(self._drn.config),
            "training": config_values(self.config),
            "words": len(self.vocabulary),
            "data": _describe(self._queries),
            "validation": None if held is None else _describe(held),
            "first_weights": weights_digest(self._drn),
        }

    def batches(self, process: tuple[int, int]) -> Batches:
        """Batches of queries, each video in them once.

        Args:
            process: number of this process and how many there are.
        """
        return Batches(
            self._queries,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            process=process,
            collate=collate_queries,
        )

    def validate(self) -> tuple[float, dict[str, Any]]:
        """What `best_by` says, and recalls; scores have the IoU once a stage trains it."""
        assert self._validation is not None
        found = predict_moments(self._drn, self._validation, use_iou="iou" in self._stage.losses)
        report = evaluate_moments(found.segment, found.score, self._validation.moment, found.mask)
        r1, r5 = report.recall_at(1, 0.5), report.recall_at(5, 0.5)
        close = report.recall_at(1, 0.7)
        chosen = r1 + (r5 if self.config.best_by == "r1+r5" else close)
        return chosen, {"r1": r1, "r5": r5, "r1_iou_0.7": close, "miou": report.miou}

    def find_bad(self, batch: Any) -> list[str]:
        """Queries and videos that cannot be encoded.

        Args:
            batch: on the device of the model.
        """
        bad = []
        with torch.no_grad():
            for what, ids, items in (
                ("query", batch.text_ids, self._drn.encode_text(batch.text)),
                ("video", batch.visual_ids, self._drn.encode_visual(batch.visual)),
            ):
                finite = items.nodes.isfinite().flatten(1).all(dim=1).tolist()
                bad += [
                    f"{what} {key!r}" for key, fine in zip(ids, finite, strict=True) if not fine
                ]
        return bad


class _StageLoss(nn.Module):
    """The loss of a batch in a stage."""

    def __init__(self, model: DRN, stage: Stage, weights: tuple[float, float, float]) -> None:
        super().__init__()
        self.model, self.stage = model, stage
        self.weights = dict(zip(("match", "location", "iou"), weights, strict=True))

    def forward(self, batch: MatchBatch) -> Tensor:
        losses = self.model(batch)
        each = [self.weights[name] * getattr(losses, name) for name in self.stage.losses]
        return torch.stack(each).sum()


def _describe(queries: MomentSet) -> dict[str, Any]:
    """What tells a set of queries from another."""
    digest = hashlib.sha256()
    owner = queries.owner.tolist()
    for number, key in enumerate(queries.ids):
        graph = queries.text(number)
        edges = graph.edge_index.tolist()
        content = [key, owner[number], graph.word.tolist(), edges, queries.moment[number].tolist()]
        digest.update(json.dumps(content).encode())
    return {
        "queries": len(queries),
        "videos": len(queries.gallery),
        "left_out": len(queries.skipped),
        "queries_digest": digest.hexdigest(),
        "items_digest": digest_items(queries),
    }
