"""One training of the benchmark `movielens.py` with everything that is measured about it.

A run NAME-SEED has its folder of `graphmatch train marn`, and NAME-SEED.json with its numbers,
written as soon as they are known: what is there is never computed again.
"""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import run_pool
import torch
from run_pool import Record, read_record, write_record

from graphmatch.checkpoint import load_checkpoint
from graphmatch.click_baselines import POPULARITY, mean_rules
from graphmatch.click_metrics import auc, grouped_auc, log_loss
from graphmatch.click_prediction import predict_clicks
from graphmatch.click_samples import ClickSamples
from graphmatch.click_store import ClickStore
from graphmatch.click_training_job import ClickJob, train_click_store
from graphmatch.collapse import CollapseWarning

COMMON = {
    "dim": "32",
    "hidden": "32",
    "units": "[80, 40]",
    "word_width": "32",
    "channels": "16",
    "history": "20",
    "batch_size": "128",
    "attention_norm": '"sigmoid"',
    "epochs": "2",
    "patience": "0",
    "eval_steps": "150",
}
"""The reduced model and how it is trained.

Chosen by the best validation AUC of MARN with one seed, in five trials: softmax attention 0.8033; a
cosine schedule 0.8023; words of 64 numbers and 64 channels 0.8041, stopped in the second epoch; one
epoch alone with a rate of 2e-3 0.8045, with sigmoid attention 0.8049. The differences are within
what seeds may give.
"""
_IDS = {"modalities": '["ids"]', "item": '"concat"'}
_BESIDE = {"property_input": "true"}
ALL = ("genres", "ids", "stat", "title")


def _without(name: str) -> dict[str, str]:
    left = ", ".join(f'"{other}"' for other in ALL if other != name)
    return {"modalities": f"[{left}]"}


ROWS: dict[str, tuple[str, Mapping[str, str]]] = {
    "attention-plain": (
        "attention over ids, neither type nor time",
        {**_IDS, "recurrent": '"attention"', "properties": "[]"},
    ),
    "attention": ("attention over ids", {**_IDS, **_BESIDE, "recurrent": '"attention"'}),
    "apgru-ids": ("APGRU on ids", _IDS),
    "concat": ("modalities concatenated", {"item": '"concat"'}),
    "fusion": ("attention fusion", {"item": '"fusion"'}),
    "marn": ("MARN", {}),
    "literal": ("MARN, literal w", {"w_normalize": "false"}),
    "loss": ("MARN, w in the loss", {"ddma_weighting": '"loss"', "invariant_fusion": '"max"'}),
    "single": ("MARN, one discriminator (w = 1)", {"adversary": '"single"'}),
    "no-adversary": ("MARN without adversary", {"adversary": '"none"'}),
    "no-ds": ("MARN without Ds", {"specific_loss": "false"}),
    "no-losses": (
        "MARN without adversary and Ds",
        {"adversary": '"none"', "specific_loss": "false"},
    ),
    "invariant": ("MARN, invariant features alone", {"item": '"invariant"'}),
    "softmax": ("MARN, softmax attention", {"attention_norm": '"softmax"'}),
    "no-type": ("MARN without type of behaviour", {"properties": '["time"]'}),
    "no-time": ("MARN without time of behaviour", {"properties": '["type"]'}),
    "gru": ("MARN, GRU, properties as inputs", {**_BESIDE, "recurrent": '"gru"'}),
    "augru": ("MARN, AUGRU, properties as inputs", {**_BESIDE, "recurrent": '"augru"'}),
    **{f"no-{name}": (f"MARN without {name}", _without(name)) for name in ALL},
}
"""Rows of the table: what they are called, and what they set on top of `COMMON`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A training.

    Args:
        name: of its row.
        seed: of the first weights and the order of samples.
        clicks: store.
        out: folder of all runs.
        extra: more settings, which count most.
        force: throw away a run with other settings.
    """

    name: str
    seed: int
    clicks: Path
    out: Path
    extra: tuple[str, ...] = ()
    force: bool = False

    @property
    def key(self) -> str:
        """Name of the run."""
        return f"{self.name}-{self.seed}"

    @property
    def record(self) -> Path:
        """File of its numbers."""
        return self.out / f"{self.key}.json"

    @property
    def settings(self) -> dict[str, str]:
        """Values by field, as `--set` takes them."""
        extra = dict(setting.split("=", 1) for setting in self.extra)
        return {**COMMON, **ROWS[self.name][1], **extra, "seed": str(self.seed)}

    def asked(self) -> Record:
        """What the run's numbers depend on, values of JSON."""
        return {"name": self.name, "settings": self.settings}

    @property
    def job(self) -> ClickJob:
        """What `graphmatch train marn` is asked for."""
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        return ClickJob(clicks=self.clicks, out=self.out / self.key, settings=settings)

    @property
    def command(self) -> str:
        """The same as a command."""
        words = ["graphmatch", "train", "marn", "--clicks", str(self.clicks)]
        words += ["--out", str(self.job.out)]
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
    stages = ("train", "valid", "test")
    return run_pool.do_runs([runs], do_run, stages=stages, jobs=jobs, tell=tell, in_short=_in_short)


def do_run(run: Run) -> Record:
    """Train and measure, as far as it is not done yet, in one thread.

    Args:
        run: what to do.

    Returns:
        Its record: `asked`, `train` with the state of the adversary, numbers of `valid` and `test`.
    """
    torch.set_num_threads(1)
    record = read_record(run) or {"asked": run.asked()}
    if "train" not in record:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)  # the record has its signs
            report = train_click_store(run.job, force=run.force)
        record["train"] = {
            "command": run.command,
            "seconds": report.training.seconds,
            "adversary": None if report.adversary is None else asdict(report.adversary),
        }
        write_record(run, record)
    for split in ("valid", "test"):
        if split not in record:
            record[split] = evaluate_run(run, split)
            write_record(run, record)
    return record


def evaluate_run(run: Run, split: str) -> dict[str, float]:
    """Numbers of the best checkpoint.

    Args:
        run: a training that is done.
        split: of which samples.

    Returns:
        `auc`, `gauc` and `log_loss`.
    """
    model, _ = load_checkpoint(run.job.out, task="click")
    found = predict_clicks(model, ClickSamples(ClickStore(run.clicks), split, model.config))
    return numbers(found.probability, found.label, found.user)


def rule_numbers(clicks: Path, split: str) -> dict[str, dict[str, float | None]]:
    """Numbers of rules without a model.

    Args:
        clicks: store.
        split: of which samples.

    Returns:
        Those of `evaluate_run` by rule; a count of samples has no log loss.
    """
    store = ClickStore(clicks)
    samples = store.split(split)
    label, user = store.sample("label")[samples], store.sample("user")[samples]
    return {
        name: numbers(scores, label, user, probabilities=name != POPULARITY)
        for name, scores in mean_rules(store, samples).items()
    }


def numbers(scores: Any, label: Any, user: Any, *, probabilities: bool = True) -> dict[str, Any]:
    """AUC, GAUC and log loss of predictions."""
    return {
        "auc": auc(scores, label),
        "gauc": grouped_auc(scores, label, user).value,
        "log_loss": log_loss(scores, label) if probabilities else None,
    }


def _in_short(record: Record) -> str:
    valid, test = record["valid"]["auc"], record["test"]["auc"]
    return f"{record['train']['seconds']:.0f} s, AUC {valid:.4f} on validation, {test:.4f} on test"
