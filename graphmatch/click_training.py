"""`ClickTrainConfig`, `ClickTask`, `train_clicks`: MARN in the common training loop.

Sources: Adversarial Multimodal Representation Learning for Click-Through Rate Prediction, X. Li et
al., WWW 2020; options that it is not known to give are those of the re-implementation in MMCTR-Bench.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from graphmatch.adversary_log import AdversaryReport, read_adversary
from graphmatch.click_batch import ClickBatch
from graphmatch.click_metrics import auc, grouped_auc, log_loss
from graphmatch.click_prediction import predict_clicks
from graphmatch.click_samples import ClickSamples
from graphmatch.collapse import CollapseWatch
from graphmatch.config import check_counts, config_values
from graphmatch.errors import ConfigError, check_choice
from graphmatch.models.marn import MARN
from graphmatch.models.table import model_name
from graphmatch.schedules import Schedule
from graphmatch.train import run_task
from graphmatch.train_batches import Batches
from graphmatch.train_config import LoopConfig
from graphmatch.train_report import TrainReport
from graphmatch.train_run import LOG, weights_digest
from graphmatch.train_task import Phase, TrainTask

Measure = Literal["auc", "gauc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickTrainConfig(LoopConfig):
    """Options of MARN's training.

    Models of clicks often begin to overfit in their second epoch; the best checkpoint is kept.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> ClickTrainConfig(epochs=3).lr
        0.001
    """

    batch_size: int = 512  # samples of a batch, of all processes together
    lr: float = 1e-3  # learning rate before the schedule
    schedule: Schedule = "constant"
    clip: float = 10.0  # largest norm of the gradients of all parameters together; 0: any
    epochs: int = 20  # how often every sample is seen, at most
    patience: int = 5  # epochs without a better checkpoint in validation after which to stop
    choose: Measure = "auc"  # of validation, chooses the best checkpoint
    distinct: bool = True  # each distinct item of a batch once: the same results from less work

    def __post_init__(self) -> None:
        LoopConfig.__post_init__(self)
        check_counts(self, "epochs")
        check_choice("choose", self.choose, get_args(Measure))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickTrainReport:
    """What a training of MARN did.

    Args:
        training: as every training reports it.
        adversary: how its adversary fared; None if it has none.
    """

    training: TrainReport
    adversary: AdversaryReport | None

    def lines(self) -> list[str]:
        """The report in words."""
        return self.training.lines() + ([] if self.adversary is None else self.adversary.lines())


def train_clicks(
    model: MARN,
    samples: ClickSamples,
    out: str | Path,
    *,
    config: ClickTrainConfig,
    validation: ClickSamples | None = None,
    force: bool = False,
    tensorboard: bool = False,
    progress: bool = False,
) -> ClickTrainReport:
    """Train MARN; called again with the same arguments, go on where it stopped.

    Lines of the log have each loss (`ctr`, `d0`, `d1`, `ds`; `loss` is the total), `eta`, and what
    shows whether the adversary is alive: `accuracy` of D0, mean raw `weight`, mean norms of the
    fused `specific` and `invariant` features. A collapse is warned about, once of each kind.

    Args:
        model: with its first weights; afterwards it has its last ones, on the device where it was
            trained.
        samples: what to train on.
        out: folder of the run, see `graphmatch.train_run`.
        config: how to train.
        validation: samples of another split; their AUC or GAUC chooses the best checkpoint.
            Without, the best is the last.
        force: throw away another training in the folder.
        tensorboard: write files for TensorBoard, too.
        progress: show a bar, if the output is a terminal.

    Returns:
        What was done.

    Raises:
        ConfigError: as `graphmatch.train.run_task`; validation samples of which no AUC exists.
        CheckpointError: as `graphmatch.train.run_task`.
        GraphError: as `graphmatch.train.run_task`.
    """
    task = ClickTask(model, samples, config=config, validation=validation)
    report = run_task(task, out, force=force, tensorboard=tensorboard, progress=progress)
    splits = model.config.splits
    return ClickTrainReport(
        training=report, adversary=read_adversary(Path(out) / LOG) if splits else None
    )


class ClickTask(TrainTask):
    """MARN, trained on samples, all of it in one phase.

    Args:
        model: the model.
        samples: what to train on.
        config: how to train.
        validation: samples that choose the best checkpoint.

    Raises:
        ConfigError: validation samples of which no AUC or GAUC exists.
    """

    most: Literal[1, 200, 600] = 1
    nouns = ("samples", "items")
    config: ClickTrainConfig

    def __init__(
        self,
        model: MARN,
        samples: ClickSamples,
        *,
        config: ClickTrainConfig,
        validation: ClickSamples | None,
    ) -> None:
        super().__init__(
            model,
            vocabulary=samples.store.encoder,
            config=config,
            pairs=samples,
            validation=validation,
        )
        self.measure = config.choose
        self._marn, self._samples, self._validation = model, samples, validation
        self._watch: CollapseWatch | None = None
        self._loss = _ClickLoss(model)
        if validation is not None:
            _check_labels(validation, config.choose)

    @property
    def phases(self) -> Sequence[Phase]:
        """One, of all parameters."""
        phase = Phase(
            epochs=self.config.epochs,
            lr=self.config.lr,
            begin=self._begin,
            loss=self._loss,
            prepare=self._loss.prepare,
            measured=self._measured,
        )
        return [phase]

    def _begin(self) -> list[nn.Parameter]:
        return list(self._marn.parameters())

    def _measured(self) -> Mapping[str, Tensor]:
        found = self._loss.take()
        if self._watch is not None and self._marn.config.splits:
            self._watch.see({name: found[name] for name in WATCHED if name in found})
        return found

    def describe(self) -> dict[str, Any]:
        """Model, options, and digests of the data and of the first weights."""
        held = self._validation
        return {
            "model": model_name(self._marn),
            "config": config_values(self._marn.config),
            "training": config_values(self.config),
            "encoder": self._samples.store.encoder.digest(),
            "data": _describe(self._samples),
            "validation": None if held is None else _describe(held),
            "first_weights": weights_digest(self._marn),
        }

    def batches(self, process: tuple[int, int]) -> Batches:
        """Batches of samples.

        Args:
            process: number of this process and how many there are; the main one watches for a
                collapse.
        """
        self._watch = CollapseWatch() if process[0] == 0 else None
        return Batches(
            self._samples,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            process=process,
            collate=self._samples.collate,
        )

    def validate(self) -> tuple[float, dict[str, Any]]:
        """AUC or GAUC, and the other one and the log loss."""
        assert self._validation is not None
        found = predict_clicks(self._marn, self._validation)
        numbers = {"auc": auc(found.probability, found.label),
                   "log_loss": log_loss(found.probability, found.label)}  # fmt: skip
        if found.user is not None:
            within = grouped_auc(found.probability, found.label, found.user)
            if within.users:
                numbers["gauc"] = within.value
        return numbers.pop(self.config.choose), numbers

    def find_bad(self, batch: Any) -> list[str]:
        """Items that cannot be encoded.

        Args:
            batch: on the device of the model.
        """
        with torch.no_grad():
            finite = self._marn.encode_items(batch.items).rep.isfinite().all(dim=1)
        bad = int((~finite).sum())
        return [f"{bad} items"] if bad else []

    def batch_ids(self, batch: Any) -> list[str]:
        """Users of a batch.

        Args:
            batch: samples.
        """
        users = [] if batch.user is None else batch.user.unique().tolist()
        return [f"of user {number}" for number in users]


WATCHED = ("accuracy", "weight", "specific", "invariant")
"""What `graphmatch.collapse` looks at, as the log names it."""


class _ClickLoss(nn.Module):
    """The loss of a batch; the others, and what was measured, until they are taken."""

    def __init__(self, model: MARN) -> None:
        super().__init__()
        self.model = model
        self._eta = 0.0
        self._seen: list[dict[str, Tensor]] = []

    def prepare(self, step: int) -> None:
        self._eta = self.model.config.eta_at(step)
        self._seen = []

    def forward(self, batch: ClickBatch) -> Tensor:
        found = self.model.outcome(batch, eta=self._eta)
        losses = {name: found.losses[name].detach() for name in ("ctr", "d0", "d1", "ds")}
        self._seen.append({**losses, **found.measured})
        return found.losses["total"]

    def take(self) -> dict[str, Tensor]:
        """Means over the batches of a step."""
        seen, self._seen = self._seen, []
        means = {name: torch.stack([one[name] for one in seen]).mean() for name in seen[0]}
        eta = torch.tensor(self._eta, dtype=torch.float64, device=means["ctr"].device)
        return {**means, "eta": eta}


def _check_labels(samples: ClickSamples, choose: Measure) -> None:
    store, places = samples.store, samples.loader.samples
    label = store.sample("label")[places]
    where = f"{store.path}: samples of {samples.split}"
    if len(np.unique(label)) < 2:
        raise ConfigError(f"{where}: expected some with and some without a click (got one kind)")
    if choose == "gauc":
        if "sample_user" not in store.arrays:
            raise ConfigError(f"{where}: choose=gauc needs users (got none)")
        user = store.sample("user")[places]
        if not grouped_auc(np.zeros(len(label)), label, user).users:
            raise ConfigError(f"{where}: choose=gauc: no user has both kinds; use choose=auc")


def _describe(samples: ClickSamples) -> dict[str, Any]:
    """What tells samples from others: the store's manifest has checksums of all it holds."""
    manifest = json.dumps(samples.store.manifest, sort_keys=True).encode()
    return {
        "split": samples.split,
        "samples": len(samples),
        "digest": hashlib.sha256(manifest).hexdigest(),
    }
