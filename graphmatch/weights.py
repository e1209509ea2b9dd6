"""`fill_model`: tensors into a model, all of them or none; what does not fit is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from graphmatch.errors import CheckpointError
from graphmatch.models.table import find_model


def new_model(
    name: str,
    config: Any,
    tensors: Mapping[str, Tensor],
    *,
    names: Mapping[str, str] | None = None,
) -> nn.Module:
    """A model with given weights; the state of torch's random numbers is not touched.

    Shapes are checked before anything of the model's size is allocated.

    Args:
        name: as in `graphmatch.models.table`.
        config: its configuration.
        tensors: its state by name; numbers of one type, which the model gets.
        names: as `check_fit`.

    Returns:
        The model, on the CPU and in evaluation mode.

    Raises:
        CheckpointError: the tensors do not fit; the message lists their names.
    """
    kind = find_model(name).model_class()
    dtypes = {value.dtype for value in tensors.values() if value.is_floating_point()}
    dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
    try:
        with torch.device("meta"):
            empty = kind(config).to(dtype)
    except (OverflowError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"the model has impossible sizes ({error})") from error
    check_fit(empty, tensors, names=names)
    if names is not None:
        tensors = {own: tensors[name] for name, own in names.items()}
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = kind(config).to(dtype)
    model.load_state_dict(tensors)
    return model.eval()


def check_fit(
    model: nn.Module, tensors: Mapping[str, Tensor], *, names: Mapping[str, str] | None = None
) -> None:
    """Raise `CheckpointError` unless tensors are the state of a model.

    Args:
        model: the model; its numbers are not read.
        tensors: the tensors by name.
        names: for each expected tensor, its name in the model; the names are the same if None.

    Raises:
        CheckpointError: a tensor is missing, unexpected, misshaped, of another type or not finite.
    """
    state = model.state_dict()
    names = {name: name for name in state} if names is None else names
    missing = [name for name in names if name not in tensors]
    unexpected = [name for name in tensors if name not in names]
    problems = [f"missing {listed(missing)}"] if missing else []
    if unexpected:
        near = [get_close_matches(name[:200], missing, n=1) for name in unexpected[:8]]
        hints = [f"{name} (for {best[0]}?)" if best else name
                 for name, best in zip(unexpected, near, strict=False)]  # fmt: skip
        problems.append(f"unexpected {listed([*hints, *unexpected[8:]])}")
    for name, own in names.items():
        if name in tensors and _kind(tensors[name]) != _kind(state[own]):
            problems.append(f"{name}: expected {_kind(state[own])} (got {_kind(tensors[name])})")
    if problems:
        raise CheckpointError(f"the weights do not fit the model: {listed(problems, '; ')}")
    check_finite(tensors)


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` if a number is infinite or NaN.

    Args:
        tensors: tensors by name.

    Raises:
        CheckpointError: with the names.
    """
    bad = [name for name, value in tensors.items() if not bool(value.isfinite().all())]
    if bad:
        raise CheckpointError(
            f"expected finite numbers (got infinite ones or NaN in {listed(bad)})"
        )


def listed(names: Iterable[str], separator: str = ", ") -> str:
    """Names in a row; of many, the first.

    Args:
        names: the names.
        separator: what is between them.

    Returns:
        The text.
    """
    names = [name if name.isprintable() else repr(name) for name in names]
    more = [f"and {len(names) - 8} more"] if len(names) > 8 else []
    return separator.join([*names[:8], *more])


def _kind(value: Tensor) -> str:
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
