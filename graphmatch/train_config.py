"""`LoopConfig`: what every training has; `TrainConfig`: how a matcher is trained.

Sources: official code of SCAN (whose loop GSMN and IMRAM share) for Flickr30K; of HGR for MSR-VTT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from graphmatch.config import check_counts, check_positive, config_from_values
from graphmatch.errors import check_choice
from graphmatch.models.table import check_task
from graphmatch.schedules import Schedule

Optimizer = Literal["adam", "adamw"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """Options of the training loop, whatever is trained.

    An epoch is every pair once, in batches; a step is one move of the optimiser, after `accumulate`
    batches. The gradient of a step is the mean of those of its batches. The last batch of an epoch,
    and the last step, may be smaller.

    Raises:
        ConfigError: an impossible value.
    """

    batch_size: int = 128  # pairs of a batch, of all processes together
    accumulate: int = 1  # batches of a step
    optimizer: Optimizer = "adam"  # "adamw" decays weights apart from the gradients
    lr: float = 2e-4  # learning rate before the schedule
    weight_decay: float = 0.0  # of the optimiser; no published model has any
    schedule: Schedule = "step"  # "step": times 0.1 every decay_epochs; "cosine": to 0 at the end
    decay_epochs: int = 15  # of "step"; the code's lr_update
    warmup_steps: int = 0  # steps in which the learning rate grows from 0
    clip: float = 2.0  # largest norm of the gradients of all parameters together; 0: any
    precision: Precision = "fp32"  # "bf16": large products in bfloat16; weights stay float32
    seed: int = 0  # of the order of pairs and of dropout
    patience: int = 0  # epochs without better recalls in validation after which to stop; 0: never
    eval_steps: int = 0  # validate every so many steps, and at ends of epochs; 0: there only
    save_steps: int = 500  # keep what resuming needs every so many steps, and at ends of epochs; 0:
    # there only
    workers: int = 0  # processes that read pairs ahead, for each process that trains

    def __post_init__(self) -> None:
        check_counts(self, "batch_size", "accumulate", "decay_epochs")
        names = ("warmup_steps", "seed", "patience", "eval_steps", "save_steps", "workers")
        check_counts(self, *names, least=0)
        check_positive(self, "lr")
        check_positive(self, "weight_decay", "clip", or_zero=True)
        check_choice("optimizer", self.optimizer, get_args(Optimizer))
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("precision", self.precision, get_args(Precision))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(LoopConfig):
    """Options of a matcher's training; defaults are those of SCAN for Flickr30K.

    Negatives of a pair are those of its batch.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> TrainConfig(epochs=20, lr=5e-4, decay_epochs=10).batch_size
        128
    """

    epochs: int = 30  # how often every pair is seen
    hardest_after: int = 0  # steps with all negatives before the matcher's own choice, usually the
    # hardest: from scratch on little data these may pull all items to one point
    gather: bool = False  # negatives of all processes, not of each one's share of the batch

    def __post_init__(self) -> None:
        LoopConfig.__post_init__(self)
        check_counts(self, "epochs")
        check_counts(self, "batch_size", least=2)  # one pair has no negatives
        check_counts(self, "hardest_after", least=0)


TRAINING: dict[str, dict[str, Any]] = {
    "scan": {},
    "gsmn": {"batch_size": 64},
    "imram": {},
    "hgr": {"epochs": 50, "batch_size": 64, "lr": 1e-4, "schedule": "constant", "clip": 0.0},
    "global-match": {"epochs": 50, "lr": 1e-4, "schedule": "constant", "clip": 0.0},
}
"""What the official code of each model has in other fields than `TrainConfig`'s defaults."""


def training_config(model: str, settings: Mapping[str, Any] | None = None) -> TrainConfig:
    """How a model is trained unless settings say otherwise.

    Args:
        model: as in `graphmatch.models.table`.
        settings: other values by name of a field.

    Returns:
        The options.

    Raises:
        ConfigError: no such model, an unknown field, an impossible value.

    Example:
        >>> training_config("hgr", {"seed": 3}).lr
        0.0001
    """
    check_task(model, "match")
    return config_from_values(TrainConfig, {**TRAINING[model], **(settings or {})})
