"""Learning rates by step: pure functions, so that resuming needs no state of a scheduler."""

from __future__ import annotations

import math
from typing import Literal, get_args

from graphmatch.errors import check_choice

Schedule = Literal["step", "cosine", "constant"]


def rate_factor(
    step: int,
    *,
    schedule: Schedule,
    steps: int,
    epoch_steps: int,
    decay_epochs: int = 15,
    warmup_steps: int = 0,
) -> float:
    """What the learning rate of a step is multiplied by.

    With step t from 0, T steps in all, w of warm-up and E in an epoch:

    | t | schedule | factor |
    |---|---|---|
    | t < w | any | (t + 1) / w, times that of "step" |
    | t >= w | `"step"` | 0.1 ^ floor(floor(t / E) / `decay_epochs`), as SCAN's code |
    | | `"cosine"` | (1 + cos(pi (t - w) / (T - w))) / 2 |
    | | `"constant"` | 1 |

    Args:
        step: from 0.
        schedule: which one.
        steps: of the whole training.
        epoch_steps: of an epoch.
        decay_epochs: epochs between two decays of `"step"`.
        warmup_steps: steps of warm-up; 0 for none.

    Returns:
        The factor, from 0 to 1.

    Raises:
        ConfigError: an unknown schedule.

    Example:
        >>> [round(rate_factor(t, schedule="step", steps=8, epoch_steps=2, decay_epochs=2,
        ...                    warmup_steps=2), 3) for t in range(6)]
        [0.5, 1.0, 1.0, 1.0, 0.1, 0.1]
    """
    check_choice("schedule", schedule, get_args(Schedule))
    factor = 1.0
    if schedule == "step":
        factor = 0.1 ** (step // epoch_steps // decay_epochs)
    if step < warmup_steps:
        return factor * (step + 1) / warmup_steps
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (steps - warmup_steps)))
    return factor
