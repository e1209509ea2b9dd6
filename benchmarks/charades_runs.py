"""One training of the benchmark `charades.py` with everything that is measured about it.

A run TRACKS-NAME-SEED has its folder of `graphmatch train drn`, and TRACKS-NAME-SEED.json with its
numbers, written as soon as they are known: what is there is never computed again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import run_pool
import torch
from charades_stores import Stores, Tracks
from run_pool import Record, read_record, write_record
from torch import Tensor

from graphmatch.checkpoint import load_checkpoint
from graphmatch.feature_store import FeatureStore
from graphmatch.models.drn import DRN
from graphmatch.moment_job import MomentJob, train_moment_files
from graphmatch.moment_metrics import evaluate_moments
from graphmatch.moment_prediction import predict_moments
from graphmatch.moment_report import MomentReport
from graphmatch.moment_set import MomentSet
from graphmatch.nn.segment_iou import segment_iou

Recipe = Literal["full", "location"]
COMMON = {
    "hidden": "128",
    "position_size": "64",
    "channels": "[64, 128, 256]",
    "pyramid_size": "128",
    "dropout": "[0.3, 0.0]",
    "batch_size": "64",
    "lr": "2e-3",
    "best_by": "r1",
}
"""The reduced model and how it is trained."""
SCHEDULES: dict[Tracks, str] = {"oracle": "cosine", "degraded": "constant"}
"""Of each stage. Where tracks are noisy, models of later epochs know the noise by heart."""
RECIPES: dict[Recipe, Mapping[str, str]] = {
    "full": {"stage_epochs": "[6, 1, 2]", "stage_rates": "[1.0, 0.5, 0.1]"},
    # nobody teaches its scores: all points are candidates
    "location": {
        "stage_epochs": "[6, 0, 0]",
        "loss_weights": "[0.0, 1.0, 0.0]",
        "score_threshold": "0.0",
    },
}
"""Trainings and what they set on top of `COMMON`."""
CHECKPOINTS = ("stage-1", "stage-2", "stage-3", "best")
AGREE = 0.7  # IoU from which two points of a model without scores agree


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A training.

    Args:
        tracks: what the videos are.
        recipe: what is trained.
        seed: of the first weights and the order of queries.
        stores: files.
        out: folder of all runs.
        extra: more settings, which count most.
        threads: of a processor; as many as there are if None.
        force: throw away a run with other settings.
    """

    tracks: Tracks
    recipe: Recipe
    seed: int
    stores: Stores
    out: Path
    extra: tuple[str, ...] = ()
    threads: int | None = None
    force: bool = False

    @property
    def key(self) -> str:
        """Name of the run."""
        return f"{self.tracks}-{self.recipe}-{self.seed}"

    @property
    def record(self) -> Path:
        """File of its numbers."""
        return self.out / f"{self.key}.json"

    @property
    def settings(self) -> dict[str, str]:
        """Values by field, as `--set` takes them."""
        extra = dict(setting.split("=", 1) for setting in self.extra)
        usual = {**COMMON, "schedule": SCHEDULES[self.tracks], **RECIPES[self.recipe]}
        return {**usual, **extra, "seed": str(self.seed)}

    def asked(self) -> Record:
        """What the run's numbers depend on, values of JSON."""
        return {"tracks": self.tracks, "settings": self.settings}

    @property
    def job(self) -> MomentJob:
        """What `graphmatch train drn` is asked for."""
        return MomentJob(
            queries=self.stores.queries("train"),
            val_queries=self.stores.queries("val"),
            durations=self.stores.durations,
            visual=self.stores.visual(self.tracks),
            vocab=self.stores.words,
            word_vectors=self.stores.word_vectors,
            settings=[f"{name}={value}" for name, value in self.settings.items()],
            out=self.out / self.key,
        )

    @property
    def command(self) -> str:
        """The same as a command."""
        words = ["graphmatch", "train", "drn"]
        names = ("queries", "val_queries", "durations", "visual", "vocab", "word_vectors", "out")
        for name in names:
            words += [f"--{name.replace('_', '-')}", str(getattr(self.job, name))]
        words += [word for setting in self.job.settings for word in ("--set", setting)]
        return shlex.join(words)


def do_runs(
    runs: Sequence[Run], *, jobs: int, tell: Callable[[str], None]
) -> tuple[dict[str, Record], dict[str, str]]:
    """Do runs, each in a process of its own.

    Args:
        runs: what to do.
        jobs: runs at a time.
        tell: gets a line for each one that is done.

    Returns:
        Records by the name of the run, and errors of those that failed.
    """
    stages = ("train", "val", "test")
    return run_pool.do_runs([runs], do_run, stages=stages, jobs=jobs, tell=tell, in_short=_in_short)


def do_run(run: Run) -> Record:
    """Train and measure, as far as it is not done yet.

    Args:
        run: what to do.

    Returns:
        Its record: `asked`, `train`, and recalls by checkpoint and score for `val` and `test`.
    """
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    record = read_record(run) or {"asked": run.asked()}
    if "train" not in record:
        report = train_moment_files(run.job, force=run.force)
        record["train"] = {"command": run.command, "seconds": report.seconds}
        write_record(run, record)
    for split in ("val", "test"):
        if split not in record:
            record[split] = evaluate_run(run, split)
            write_record(run, record)
    return record


def evaluate_run(run: Run, split: str) -> Record:
    """Recalls of a split by checkpoint and by what scores the moments.

    Args:
        run: a training that is done.
        split: of the queries.

    Returns:
        `stage-1 match`, `stage-2 match`, `stage-2 iou`, ..., `best iou`, and `best bf16`, the last
        in bfloat16; `location` alone for a run without scores.
    """
    visuals = FeatureStore(run.stores.visual(run.tracks))
    data = run.stores.data_set(split)
    folder = run.out / run.key
    found = {}
    if run.recipe == "location":
        model, vocabulary = load_checkpoint(folder / "last", task="ground")
        queries = MomentSet(data, visuals, vocabulary)
        report = evaluate_moments(*agreed_moments(model, queries), queries.moment)
        return {"location": numbers(report)}
    for name in CHECKPOINTS:
        model, vocabulary = load_checkpoint(folder / name, task="ground")
        queries = MomentSet(data, visuals, vocabulary)
        found[f"{name} match"] = recalls(model, queries, use_iou=False)
        if name != "stage-1":  # nobody taught its IoU
            found[f"{name} iou"] = recalls(model, queries)
    found["best bf16"] = recalls(model, queries, dtype="bf16")
    return found


def recalls(
    model: DRN, queries: MomentSet, *, use_iou: bool = True, dtype: str = "fp32"
) -> dict[str, float]:
    """Recalls of a model; options are those of `predict_moments`."""
    found = predict_moments(model, queries, use_iou=use_iou, dtype=dtype)
    return numbers(evaluate_moments(found.segment, found.score, queries.moment, found.mask))


def agreed_moments(model: DRN, queries: MomentSet) -> tuple[Tensor, Tensor]:
    """Moments of a model whose scores mean nothing, with the agreement of its points as scores.

    Args:
        model: all of whose points are candidates.
        queries: what to find.

    Returns:
        Moments [Q, P, 2]; their scores [Q, P]: the share of points whose moment has an IoU of
        `AGREE` or more with it.
    """
    segment = predict_moments(model, queries, use_iou=False).segment
    parts = [
        (segment_iou(some.unsqueeze(2), some.unsqueeze(1)) >= AGREE).float().mean(2)  # [q, P]
        for some in segment.split(256)
    ]
    return segment, torch.cat(parts)


def numbers(report: MomentReport) -> dict[str, float]:
    """A report as plain numbers: `R@1 IoU 0.5`, ..., `mIoU`, `queries`."""
    found = {
        f"R@{n} IoU {level:g}": report.recall_at(n, level)
        for level in report.protocol.ious
        for n in report.protocol.at
    }
    return {**found, "mIoU": report.miou, "queries": report.queries}


def _in_short(record: Record) -> str:
    test = record["test"]
    one = test.get("best iou") or test["location"]
    recalls = f"test R@1 {one['R@1 IoU 0.5']:.1f} / {one['R@1 IoU 0.7']:.1f} at IoU 0.5 / 0.7"
    return f"{record['train']['seconds']:.0f} s, {recalls}"
