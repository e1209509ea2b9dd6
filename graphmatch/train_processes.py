"""What the processes of a training share: one accelerator, the main process's results, seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor, distributed, nn

from graphmatch.train_config import Precision

Result = TypeVar("Result")

_PATIENCE = timedelta(hours=24)  # processes wait while the main one validates


def new_accelerator(precision: Precision) -> Accelerator:
    """An accelerator for this process, in the group that `torchrun` made if there is one.

    Args:
        precision: of large products.

    Returns:
        The accelerator; it replaces an earlier one of this process.
    """
    # accelerate refuses a second one of another precision in the same process
    AcceleratorState._reset_state()
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return Accelerator(
        # without a word accelerate takes several processes on CPUs for as many single ones
        cpu=several and not torch.accelerator.is_available(),
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def main_only(accelerator: Accelerator, work: Callable[[], Result]) -> Result:
    """What the main process finds, on every process; what it raises is raised on every process.

    Args:
        accelerator: of this process.
        work: called in the main process only; what it returns can be pickled.

    Returns:
        Its result.
    """
    found: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            found[0] = work()
        except Exception as error:
            if accelerator.num_processes == 1:
                raise
            found[1] = error
    if accelerator.num_processes > 1:
        distributed.broadcast_object_list(found, src=0)
        if found[1] is not None:
            raise found[1]
    result: Result = found[0]
    return result


def share_weights(model: nn.Module) -> None:
    """Give every process the main one's weights.

    Args:
        model: on this process.
    """
    if distributed.is_initialized():
        for value in model.state_dict().values():
            distributed.broadcast(value, src=0)


def average_gradients(model: nn.Module) -> None:
    """Replace the gradients of every process by their mean; once a step.

    `DistributedDataParallel` averages while gradients are still computed. Then a process whose
    batch leaves a weight out (a batch without verbs, IMRAM's gates with one step) sends in another
    order than the rest, in between the messages of gathered negatives; and the order of its sums
    depends on what came before, so that resuming would not be exact. Here all gradients are one
    message. A weight that no process has a gradient of keeps none.

    Args:
        model: on this process. Holds another copy of all gradients. Synchronises the processes.
    """
    if not distributed.is_initialized():
        return
    parameters = [p for p in model.parameters() if p.requires_grad]
    used = parameters[0].new_tensor([float(p.grad is not None) for p in parameters])
    gradients = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    message = torch.cat([used, *gradients])
    distributed.all_reduce(message)
    counts = message[: len(used)].tolist()
    mean = message[len(used) :] / distributed.get_world_size()
    parts = torch.split(mean, [p.numel() for p in parameters])
    for parameter, part, count in zip(parameters, parts, counts, strict=True):
        parameter.grad = part.view_as(parameter) if count else None


def shared_numbers(accelerator: Accelerator, numbers: Mapping[str, Tensor]) -> dict[str, float]:
    """Means of numbers over all processes.

    Args:
        accelerator: of this process.
        numbers: one-element tensors by name, the same names in every process.

    Returns:
        Numbers by name. Synchronises the device and the processes.
    """
    if not numbers:
        return {}
    row = torch.stack([value.detach().double() for value in numbers.values()])
    mean = accelerator.reduce(row, reduction="mean").tolist()
    return dict(zip(numbers, mean, strict=True))


def seed_batch(seed: int, step: int, batch: int, process: int) -> None:
    """Set torch's random numbers for the dropout of a batch.

    Args:
        seed: of the training.
        step: from 0.
        batch: its number in the step.
        process: number of the process.
    """
    state = np.random.SeedSequence((seed, step, batch, process)).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0] >> np.uint64(1)))
