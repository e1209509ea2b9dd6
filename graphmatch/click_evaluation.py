"""`evaluate_clicks`: how well a trained MARN predicts clicks, beside rules without a model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphmatch.bootstrap import Interval
from graphmatch.checkpoint import checkpoint_digest, find_checkpoint, load_checkpoint
from graphmatch.click_baselines import BOTH, ITEM, POPULARITY, mean_rules
from graphmatch.click_intervals import click_intervals
from graphmatch.click_metrics import (
    GroupedAUC,
    auc,
    grouped_auc,
    log_loss,
    relative_improvement,
)
from graphmatch.click_prediction import ClickPredictions, predict_clicks
from graphmatch.click_samples import ClickSamples
from graphmatch.click_store import ClickStore
from graphmatch.click_training_job import check_encoder
from graphmatch.device import check_device
from graphmatch.errors import ConfigError
from graphmatch.evaluation_report import Resampling, Source
from graphmatch.models.table import model_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickNumbers:
    """Metrics of one model or rule.

    Args:
        auc: area under the ROC curve.
        gauc: within users; None without users.
        log_loss: mean cross-entropy; None of scores that are no probabilities.
    """

    auc: float
    gauc: GroupedAUC | None
    log_loss: float | None

    def cells(self) -> list[str]:
        """The numbers as text."""
        within = None if self.gauc is None or np.isnan(self.gauc.value) else self.gauc.value
        return ["-" if n is None else f"{n:.4f}" for n in (self.auc, within, self.log_loss)]

    def content(self) -> dict[str, Any]:
        """The numbers as values of JSON."""
        values = asdict(self)
        if self.gauc is not None and np.isnan(self.gauc.value):
            values["gauc"]["value"] = None
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickEvaluation:
    """What an evaluation of a trained MARN found.

    Args:
        numbers: metrics of the model.
        rules: those of rules without a model, by rule; none without training samples.
        base: rule that `improvement` is over.
        improvement: RelaImpr in percent; None if the base is not there or not above chance.
        intervals: of `auc`, `gauc` and `log_loss`; none without resamples.
        resampling: how they were made, over users, or samples if there are no users.
        source: the checkpoint.
        clicks: the store.
        split: which of its samples.
        samples: how many.
        positives: how many of these with a click.
        items: how many different items these have; `new_items` have no training sample.
        new_items: see above.
        empty: samples without a history.
        dtype: of large products.
        seconds: that the predictions took.
    """

    numbers: ClickNumbers
    rules: Mapping[str, ClickNumbers]
    base: str
    improvement: float | None
    intervals: Mapping[str, Interval]
    resampling: Resampling
    source: Source
    clicks: str
    split: str
    samples: int
    positives: int
    items: int
    new_items: int
    empty: int
    dtype: str
    seconds: float

    def content(self) -> dict[str, Any]:
        """The report as values of JSON."""
        plain = ("base", "improvement", "clicks", "split", "samples", "positives", "items",
                 "new_items", "empty", "dtype", "seconds")  # fmt: skip
        intervals = {
            name: {key: None if np.isnan(number) else number for key, number in asdict(one).items()}
            for name, one in self.intervals.items()
        }
        return {
            "clicks": {
                "numbers": self.numbers.content(),
                "rules": {name: one.content() for name, one in self.rules.items()},
                **{name: getattr(self, name) for name in plain},
            },
            "intervals": intervals,
            "resampling": asdict(self.resampling),
            "sources": [asdict(self.source)],
        }

    def __str__(self) -> str:
        rows = [("", ["AUC", "GAUC", "log loss"]), (self.source.folder, self.numbers.cells())]
        rows += [(name, one.cells()) for name, one in self.rules.items()]
        width = max(len(name) for name, _ in rows)
        lines = [
            f"{name:{width}}" + "".join(f"{cell:>10}" for cell in cells) for name, cells in rows
        ]
        if self.improvement is not None:
            lines.append(f"RelaImpr over {self.base}: {self.improvement:+.1f} %")
        if self.intervals:
            how = self.resampling
            over = "samples" if self.numbers.gauc is None else "users"
            lines += ["", f"{100 * how.level:g} % of {how.resamples:,} resamples of {over}:"]
            names = {"auc": "AUC", "gauc": "GAUC", "log_loss": "log loss"}
            for name, shown in names.items():
                if name in self.intervals:
                    one = self.intervals[name]
                    lines.append(f"  {shown:8} {one.value:.4f} [{one.low:.4f}, {one.high:.4f}]")
        lines.append("")
        if self.numbers.gauc is not None:
            within = self.numbers.gauc
            lines.append(
                f"GAUC of {within.users:,} users with {within.samples:,} samples; "
                f"{within.skipped:,} users with one kind of label have none"
            )
        lines.append(
            f"{self.samples:,} samples ({self.split}), {self.positives:,} clicks; {self.items:,} "
            f"items, {self.new_items:,} of them without a training sample; {self.empty:,} samples "
            "without a history"
        )
        speed = self.samples / max(self.seconds, 1e-9)
        lines.append(
            f"{self.source.folder} ({self.source.model}); {self.seconds:.1f} s, "
            f"{speed:,.0f} samples/s, {self.dtype}"
        )
        return "\n".join(lines)


def evaluate_clicks(
    folder: str | Path,
    store: ClickStore,
    *,
    split: str = "test",
    resampling: Resampling | None = None,
    dtype: str = "fp32",
    device: str = "cpu",
    batch_size: int = 1024,
    progress: bool = False,
) -> tuple[ClickEvaluation, ClickPredictions]:
    """Evaluate a trained MARN.

    Args:
        folder: checkpoint, or run of a training.
        store: clicks, encoded as those of the training.
        split: of which samples.
        resampling: of the intervals; None is the usual one.
        dtype: as in `predict_clicks`.
        device: where to compute.
        batch_size: samples at once.
        progress: show a bar, if the output is a terminal.

    Returns:
        The report, and the predictions that it is of.

    Raises:
        CheckpointError: no checkpoint, or a damaged one.
        ConfigError: another model, clicks of another encoder, an unknown or empty split, a device
            that is not there.
        GraphError: samples of one kind of label only, predictions that are not finite.
    """
    how = resampling or Resampling()
    check_device(device)
    model, encoder = load_checkpoint(folder, task="click")
    check_encoder(store, encoder.digest(), where=folder)
    samples = ClickSamples(store, split, model.config)
    label = np.asarray(store.sample("label")[samples.loader.samples])
    if len(np.unique(label)) < 2:  # before what takes long
        raise ConfigError(
            f"{store.path}: expected samples of {split} with and without a click (got one kind), "
            "or there is no AUC"
        )
    started = time.perf_counter()
    found = predict_clicks(
        model.to(device), samples, batch_size=batch_size, dtype=dtype, progress=progress
    )
    seconds = time.perf_counter() - started
    fitted = mean_rules(store, found.sample) if store.counts["train"] else {}
    rules = {
        name: _numbers(scores, found, probabilities=name != POPULARITY)
        for name, scores in fitted.items()
    }
    base = BOTH if BOTH in rules else ITEM
    numbers = _numbers(found.probability, found)
    above = base in rules and rules[base].auc > 0.5
    items = np.unique(store.sample("item")[found.sample])
    trained = np.unique(store.sample("item")[store.split("train")])
    return (
        ClickEvaluation(
            numbers=numbers,
            rules=rules,
            base=base,
            improvement=relative_improvement(numbers.auc, rules[base].auc) if above else None,
            intervals=click_intervals(found.probability, found.label, found.user, resampling=how),
            resampling=how,
            source=Source(
                folder=str(find_checkpoint(folder)),
                model=model_name(model),
                digest=checkpoint_digest(folder),
            ),
            clicks=str(store.path),
            split=split,
            samples=len(found),
            positives=int(found.label.sum()),
            items=len(items),
            new_items=int(np.isin(items, trained, invert=True).sum()),
            empty=int((store.sample("length")[found.sample] == 0).sum()),
            dtype=dtype,
            seconds=seconds,
        ),
        found,
    )


def _numbers(scores: Any, found: ClickPredictions, *, probabilities: bool = True) -> ClickNumbers:
    return ClickNumbers(
        auc=auc(scores, found.label),
        gauc=None if found.user is None else grouped_auc(scores, found.label, found.user),
        log_loss=log_loss(scores, found.label) if probabilities else None,
    )
