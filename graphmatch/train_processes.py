"""What the processes of a training share: one accelerator, the main process's results, seeds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import distributed

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
    return Accelerator(
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[
            # a matcher may have weights that no score depends on (IMRAM's gates with one step)
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=_PATIENCE),
        ],
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
