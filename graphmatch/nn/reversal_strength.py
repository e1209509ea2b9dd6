"""`reversal_strength`: how strongly an adversary pulls, by step; a pure function of the step."""

from __future__ import annotations

import math
from typing import Literal, get_args

from graphmatch.errors import check_choice

EtaSchedule = Literal["constant", "iwan", "dann"]


def reversal_strength(
    step: int, *, schedule: EtaSchedule = "constant", eta: float = 0.1, steps: int = 10_000
) -> float:
    """The factor eta of `reverse_gradient` at a step k, with q = min(1, k / `steps`).

    | schedule | factor | source |
    |---|---|---|
    | `"constant"` | eta | |
    | `"iwan"` | 2 eta / (1 + exp(-q)) - eta, from 0 to 0.46 eta | IWAN, CVPR 2018, its code |
    | `"dann"` | 2 / (1 + exp(-10 q)) - 1, from 0 to 1 whatever `eta` is | DANN, JMLR 2016 |

    Args:
        step: from 0.
        schedule: which one.
        eta: upper bound, from 0.
        steps: after which the factor no longer changes.

    Returns:
        The factor, from 0.

    Raises:
        ConfigError: an unknown schedule.

    Example:
        >>> [round(reversal_strength(k, schedule="iwan"), 4) for k in (0, 5000, 10_000, 20_000)]
        [0.0, 0.0245, 0.0462, 0.0462]
    """
    check_choice("schedule", schedule, get_args(EtaSchedule))
    share = min(1.0, step / steps)
    if schedule == "iwan":
        return 2 * eta / (1 + math.exp(-share)) - eta
    if schedule == "dann":
        return 2 / (1 + math.exp(-10 * share)) - 1
    return eta
