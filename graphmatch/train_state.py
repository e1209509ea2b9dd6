"""What resuming a training needs, on disk: whole at any moment, also when the process is killed.

`RUN/state/step-NNNNNNNNN/` holds `tensors.safetensors` (weights by name; by name of their weight
also the optimiser's numbers, and gradients that no step clears) and `progress.json` with the digest
of that file. A new folder is filled under another name, flushed to the disk and renamed; then older
ones are removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphmatch.config import config_from_values
from graphmatch.errors import CheckpointError, ConfigError

_FORMAT = "graphmatch-state"
_VERSION = 1
_TENSORS, _PROGRESS = "tensors.safetensors", "progress.json"
_WEIGHT, _MOMENT, _GRADIENT = "weight.", "optimizer.", "gradient."


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training is.

    Args:
        step: steps that are done, with everything that is due after the last of them.
        best_rsum: best sum of validation recalls, or AUC of clicks; None before the first.
        best_step: steps that were done then.
        best_epoch: epoch of it, from 0.
        log_bytes: length of the log.
        finished: why the training is over: `"epochs"`, `"patience"`, or empty if it is not.
        phase: number of the phase, from 0.
        phase_epoch: its first epoch, from 0.
        phase_rsum: best sum of validation recalls in the phase.
    """

    step: int = 0
    best_rsum: float | None = None
    best_step: int = 0
    best_epoch: int = -1
    log_bytes: int = 0
    finished: str = ""
    phase: int = 0
    phase_epoch: int = 0
    phase_rsum: float | None = None


def save_state(
    folder: str | Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write the state of a training; afterwards it is the only one in the folder.

    Args:
        folder: where states are kept.
        progress: how far the training is.
        model: its weights are written.
        optimizer: of all or some of the model's parameters.

    Raises:
        OSError: the disk is full or the folder cannot be written; the previous state stays.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"step-{progress.step:09d}"
    temporary = new.with_suffix(".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        tensors = state_tensors(model, optimizer)
        save_file(tensors, temporary / _TENSORS)
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "digest": _digest(temporary / _TENSORS),
            "progress": asdict(progress),
        }
        (temporary / _PROGRESS).write_text(json.dumps(content) + "\n", encoding="utf-8")
        sync_folder(temporary)
        shutil.rmtree(new, ignore_errors=True)  # a damaged one would stand in the way
        temporary.rename(new)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(folder)
    for other in folder.iterdir():
        if other.name.startswith("step-") and other != new:
            shutil.rmtree(other, ignore_errors=True)


def load_state(folder: str | Path) -> tuple[Progress, dict[str, Tensor]] | None:
    """Read the newest state of a training.

    Args:
        folder: where states are kept.

    Returns:
        How far it is, and tensors for `restore_state`; None if there is no state.

    Raises:
        CheckpointError: a damaged state, or one of a newer version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    states = sorted(path for path in folder.glob("step-*") if path.suffix != ".tmp")
    if not states:
        return None
    newest = states[-1]
    try:
        content = json.loads((newest / _PROGRESS).read_text(encoding="utf-8"))
        if content["format"] != _FORMAT or content["version"] > _VERSION:
            got = f"{content['format']!r}, version {content['version']!r}"
            raise ValueError(f"expected {_FORMAT}, version {_VERSION} or older (got {got})")
        if content["digest"] != _digest(newest / _TENSORS):
            raise ValueError(f"{_TENSORS} is not what was written")
        progress = config_from_values(Progress, content["progress"])
        return progress, load_file(newest / _TENSORS)
    except (OSError, KeyError, TypeError, ValueError, ConfigError, SafetensorError) as error:
        raise CheckpointError(
            f"{newest}: the state of the training is damaged ({error}); --force starts it anew"
        ) from error


def state_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights, the optimiser's numbers and gradients by name, on the CPU.

    Args:
        model: the model.
        optimizer: of all or some of its parameters.

    Returns:
        Copies.
    """
    tensors = {_WEIGHT + name: value for name, value in model.state_dict().items()}
    moments = optimizer.state_dict()["state"]
    for number, name in enumerate(_optimised(model, optimizer)):
        for key, value in moments.get(number, {}).items():
            tensors[f"{_MOMENT}{key}.{name}"] = torch.as_tensor(value)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            tensors[_GRADIENT + name] = parameter.grad
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def restore_state(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put back what `state_tensors` gave.

    Args:
        tensors: the numbers.
        model: gets its weights and gradients.
        optimizer: gets its numbers.

    Raises:
        CheckpointError: they do not fit the model.
    """
    from graphmatch.weights import check_fit

    weights = {n.removeprefix(_WEIGHT): v for n, v in tensors.items() if n.startswith(_WEIGHT)}
    check_fit(model, weights)
    model.load_state_dict(weights)
    moments: dict[int, dict[str, Any]] = {}
    numbers = {name: number for number, name in enumerate(_optimised(model, optimizer))}
    parameters = dict(model.named_parameters())
    for full, value in tensors.items():
        if full.startswith(_MOMENT):
            key, _, name = full.removeprefix(_MOMENT).partition(".")
            moments.setdefault(numbers[name], {})[key] = value
        elif full.startswith(_GRADIENT):
            parameter = parameters[full.removeprefix(_GRADIENT)]
            parameter.grad = value.to(parameter.device)
    content = optimizer.state_dict()
    optimizer.load_state_dict({**content, "state": moments})


def _optimised(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of an optimiser's parameters, in its order."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(one)] for group in optimizer.param_groups for one in group["params"]]


def sync_folder(folder: Path) -> None:
    """Flush a folder and its files to the disk.

    Args:
        folder: the folder.
    """
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
