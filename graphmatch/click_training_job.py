"""`train_click_store`: MARN's training from a store of clicks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from graphmatch.checkpoint import load_checkpoint
from graphmatch.click_inputs import FROM_STORE, ClickInputs, marn_config
from graphmatch.click_samples import ClickSamples
from graphmatch.click_store import ClickStore
from graphmatch.click_training import ClickTrainConfig, ClickTrainReport, train_clicks
from graphmatch.config import config_from_values, parse_setting
from graphmatch.errors import ConfigError, check_choice
from graphmatch.models.marn import MARN, MARNConfig
from graphmatch.train_job import in_words
from graphmatch.weights import check_fit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClickJob:
    """What `graphmatch train marn` is asked for.

    Args:
        clicks: store of `graphmatch clicks`. Its training split is trained on, its validation split
            chooses the best checkpoint, its test split is not read.
        out: folder of the run.
        settings: `field=value` of `ClickInputs`, `MARNConfig` or `ClickTrainConfig`.
        init: checkpoint to begin with, of the same encoder.
    """

    clicks: Path
    out: Path
    settings: Sequence[str] = ()
    init: Path | None = None


def train_click_store(
    job: ClickJob,
    *,
    force: bool = False,
    tensorboard: bool = False,
    progress: bool = False,
    tell: Callable[[str], None] | None = None,
) -> ClickTrainReport:
    """Train MARN on a store; called again with the same job, go on where it stopped.

    Args:
        job: what to train on what.
        force: throw away another training in the folder.
        tensorboard: write files for TensorBoard, too.
        progress: show a bar, if the output is a terminal.
        tell: gets the effective configuration, a line each for the model and the training.

    Returns:
        What was done.

    Raises:
        ConfigError: an unknown field, an impossible value; as `train_clicks`.
        CheckpointError: a checkpoint that does not fit; as `train_clicks`.
        FormatError: a damaged store.
    """
    store = ClickStore(job.clicks)
    inputs, own, ours = click_settings(job.settings)
    held = store.counts["valid"] > 0
    if not held:
        ours = {"patience": 0, **ours}  # nothing to watch
    config = config_from_values(ClickTrainConfig, ours)
    model = _begin(job, store, inputs, own, seed=config.seed)
    samples = ClickSamples(store, "train", model.config, distinct=config.distinct)
    validation = ClickSamples(store, "valid", model.config) if held else None
    if tell is not None:
        tell(f"marn: {in_words(model.config)}")
        tell(f"training: {in_words(config)}")
        tell(f"samples: {samples!r}; validation: {validation!r}")
    return train_clicks(
        model,
        samples,
        job.out,
        config=config,
        validation=validation,
        force=force,
        tensorboard=tensorboard,
        progress=progress,
    )


def click_settings(
    settings: Sequence[str],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of what is read, of the model and of its training.

    Args:
        settings: `field=value` each; the last of a field counts.

    Returns:
        Values by field, of `ClickInputs`, `MARNConfig` and `ClickTrainConfig`.

    Raises:
        ConfigError: an unknown field, with the nearest of all; a value of another type.

    Example:
        >>> click_settings(['modalities=["ids","title"]', "dim=64", "lr=0.01"])
        ({'modalities': ('ids', 'title')}, {'dim': 64}, {'lr': 0.01})
    """
    kinds: tuple[type, ...] = (ClickInputs, MARNConfig, ClickTrainConfig)
    place: dict[str, int] = {}
    for number, kind in enumerate(kinds):
        for field in dataclasses.fields(kind):
            if kind is not MARNConfig or field.name not in FROM_STORE:
                place.setdefault(field.name, number)
    values: tuple[dict[str, Any], ...] = ({}, {}, {})
    for setting in settings:
        name, equals, _ = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set: expected field=value (got {setting!r})")
        if name.strip() in FROM_STORE and name.strip() not in place:
            raise ConfigError(f"--set {name}: this follows from the data and cannot be set")
        check_choice("field", name.strip(), place)
        number = place[name.strip()]
        field_name, value = parse_setting(kinds[number], setting)
        values[number][field_name] = value
    return values[0], values[1], values[2]


def _begin(
    job: ClickJob, store: ClickStore, inputs: dict[str, Any], own: dict[str, Any], *, seed: int
) -> MARN:
    """The model with its first weights."""
    started = None
    if job.init is not None:
        started, encoder = load_checkpoint(job.init, task="click")
        check_encoder(store, encoder.digest(), where=job.init)
        if inputs:
            raise ConfigError(
                f"--init: the checkpoint decides what is read, expected no --set "
                f"{', '.join(sorted(inputs))}"
            )
        config = dataclasses.replace(started.config, **own)
    else:
        config = marn_config(store, config_from_values(ClickInputs, inputs), own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MARN(config)
    if started is not None:
        check_fit(model, started.state_dict())
        model.load_state_dict(started.state_dict())
    return model


def check_encoder(store: ClickStore, digest: str, *, where: str | Path) -> None:
    """Raise `ConfigError` if a store was encoded by another encoder than a model's data.

    Args:
        store: the store.
        digest: of the model's encoder.
        where: the model's folder, for the message.

    Raises:
        ConfigError: their digests differ.
    """
    if store.encoder.digest() != digest:
        raise ConfigError(
            f"{store.path}: expected clicks that were encoded as those of {where} (got another "
            f"encoder: its ids mean something else); graphmatch clicks --encoder {where} encodes a "
            "log so"
        )
