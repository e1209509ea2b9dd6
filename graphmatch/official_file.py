"""`OfficialFile`: what a checkpoint of official code holds, in one form for all of them.

| code | file |
|---|---|
| SCAN | `model`: list of two state dicts, named here `img_enc` and `txt_enc`; `opt`, `epoch`, ... |
| GSMN | the same with `i2t_match_G` and `t2i_match_G` behind them |
| IMRAM | `model`: one state dict, each name with `module.` before it; `opt`, `epoch`, ... |
| HGR | `video_encoder` and `text_encoder`: state dicts, and nothing else |
| DRN | `state_dict`: names with `module.` before them; `epoch`, `loss`, `top1`, `top5` |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from graphmatch.errors import CheckpointError
from graphmatch.models.drn_keys import used_tensors
from graphmatch.torch_file import TorchFile, read_torch_file
from graphmatch.torch_pickle import StoredTensor
from graphmatch.weights import listed

PARTS = {
    "scan": ("img_enc", "txt_enc"),
    "gsmn": ("img_enc", "txt_enc", "i2t_match_G", "t2i_match_G"),
    "imram": (),
    "hgr": ("video_encoder", "text_encoder"),
    "global-match": ("video_encoder", "text_encoder"),
    "drn": (),
}
"""Names of the state dicts of each model's files; none if there is only one."""
_READ = {"model", "opt", "epoch", "best_rsum", "Eiters"}
_DRN = ("epoch", "loss", "top1", "top5", "state_dict")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFile:
    """A checkpoint of official code.

    Args:
        tensors: the parameters, by name of the state dict and name in it.
        options: the options of the training script; empty if the file has none.
        epoch: how many epochs were trained, if the file says it.
        best_rsum: best sum of recalls in validation, if the file says it.
        notes: what was peculiar.
    """

    tensors: Mapping[str, Tensor]
    options: Mapping[str, Any]
    epoch: int | None = None
    best_rsum: float | None = None
    notes: tuple[str, ...] = ()


def read_official(name: str, path: str | Path) -> OfficialFile:
    """Read a checkpoint of official code; no pickle is executed.

    Args:
        name: of the model, a key of `PARTS`.
        path: the file.

    Returns:
        Its content.

    Raises:
        CheckpointError: a file that cannot be read, or that another code has written.
    """
    file = read_torch_file(path)
    value, parts = file.value, PARTS[name]
    _expect_dict(value, "the file")
    if parts and parts[0] == "video_encoder":
        _expect_names(value, parts)
        return OfficialFile(
            tensors=state_tensors(file, {part: value[part] for part in parts}), options={}
        )
    if name == "drn":
        return _read_drn(file, value)
    if "model" not in value:
        raise CheckpointError(f"expected a dict with model (it has {listed(value)})")
    model, notes = value["model"], []
    if not parts:
        states = {"": model}
    elif isinstance(model, (list, tuple)) and len(model) == len(parts):
        states = dict(zip(parts, model, strict=True))
    else:
        count = f"{len(model)} of them" if isinstance(model, (list, tuple)) else _kind(model)
        raise CheckpointError(f"model: expected a list of {len(parts)} state dicts (got {count})")
    tensors = state_tensors(file, states)
    if name == "imram" and not any(key.startswith("module.") for key in tensors):
        tensors = {f"module.{key}": tensor for key, tensor in tensors.items()}
        notes.append("the names lack module., as without several GPUs")
    if unread := sorted(value.keys() - _READ):
        notes.append(f"parts of the file that were not read: {listed(unread)}")
    options = {} if value.get("opt") is None else _expect_dict(value["opt"], "opt")
    epoch, best = (_number(value, key) for key in ("epoch", "best_rsum"))
    return OfficialFile(
        tensors=tensors,
        options={key: _item(option) for key, option in options.items()},
        epoch=None if epoch is None else int(epoch),
        best_rsum=best,
        notes=tuple(notes),
    )


def _read_drn(file: TorchFile, value: Mapping[str, Any]) -> OfficialFile:
    if "state_dict" not in value:
        raise CheckpointError(f"expected a dict with state_dict (it has {listed(value)})")
    every = state_tensors(file, {"": value["state_dict"]})
    tensors = used_tensors(every)
    notes = []
    if unused := len(every) - len(tensors):
        notes.append(f"{unused} tensors that the network never uses were left out")
    numbers = {name: _number(value, name) for name in _DRN[:-1]}
    recalls = [f"{name} {numbers[name]:.3f}" for name in ("top1", "top5") if numbers[name]]
    if recalls:
        notes.append(f"{', '.join(recalls)} at IoU 0.5, which the code measures on its test set")
    if unread := sorted(value.keys() - {*_DRN}):
        notes.append(f"parts of the file that were not read: {listed(unread)}")
    epoch = numbers["epoch"]
    return OfficialFile(
        tensors=tensors,
        options={},
        epoch=None if epoch is None else int(epoch),
        notes=tuple(notes),
    )


def _expect_names(value: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if set(value) != set(names):
        got = listed(value)
        raise CheckpointError(f"expected a dict with {' and '.join(names)} (it has {got})")


def state_tensors(file: TorchFile, states: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of state dicts.

    Args:
        file: where they are from.
        states: the state dicts, as `file.value` has them, by the names of parts.

    Returns:
        Tensors by name of the part and name in it; a part without a name adds nothing.

    Raises:
        CheckpointError: no state dict, or a tensor whose numbers are not all in the file.
    """
    found: dict[str, Tensor] = {}
    total = 0
    for part, state in states.items():
        for key, stored in _expect_dict(state, part or "model").items():
            name = f"{part}.{key}" if part else key
            if not isinstance(stored, StoredTensor):
                raise CheckpointError(f"{name}: expected a tensor (got {_kind(stored)})")
            try:
                found[name] = file.tensor(stored)
            except CheckpointError as error:
                raise CheckpointError(f"{name}: {error}") from error
            total += found[name].nbytes
            if total > file.size:
                raise CheckpointError(f"{name}: more numbers than the file holds")
    return found


def _expect_dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(map(_is_name, value)):
        raise CheckpointError(f"{what}: expected a dict with names (got {_kind(value)})")
    return value


def _is_name(key: Any) -> bool:
    """Whether a key can be a name: they are printed, and compared with others."""
    return isinstance(key, str) and len(key) <= 200 and key.isprintable()


def _item(value: Any) -> Any:
    """A number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _number(value: Mapping[str, Any], name: str) -> float | None:
    number = _item(value.get(name))
    if number is None:
        return None
    if not isinstance(number, (int, float)) or not math.isfinite(number):
        raise CheckpointError(f"{name}: expected a finite number (got {_kind(number)})")
    return number


def _kind(value: Any) -> str:
    return "a tensor" if isinstance(value, StoredTensor) else type(value).__name__
