"""DRN's training in three stages: what is trained, by which losses, how fast.

Source: Dense Regression Network for Video Grounding, R. Zeng et al., CVPR 2020; official code,
`train.py`. Each stage starts from the best checkpoint of the one before, with a new Adam without
weight decay, batches of 32 and gradients cut to a norm of 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from graphmatch.models.drn import DRN
from graphmatch.nn.grounding import GroundingLosses

Loss = Literal["match", "location", "iou"]
GRADIENT_NORM = 0.5
"""Norm to which the official training cuts the gradients of all parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage.

    Args:
        trained: everything but the IoU's head, that head alone, or both.
        losses: whose sum is trained.
        rate: learning rate.
        epochs: until which epoch, counted from the first stage.
    """

    trained: Literal["base", "iou", "all"]
    losses: tuple[Loss, ...]
    rate: float
    epochs: int

    def loss(self, losses: GroundingLosses) -> Tensor:
        """The sum that this stage trains.

        Args:
            losses: of a batch.

        Returns:
            A number.
        """
        return torch.stack([getattr(losses, name) for name in self.losses]).sum()

    def begin(self, model: DRN, *, official_clipping: bool = False) -> list[nn.Parameter]:
        """Say which parameters get gradients, and forget the gradients that they have.

        All stay in training mode: normalisations use the statistics of the batch and update the
        running ones in frozen parts, too, as in the official code.

        Args:
            model: changed in place.
            official_clipping: in a stage of the IoU's head, gradients of the rest are computed as
                well; nobody clears them, and they count in the norm of all parameters' gradients
                that is cut to `GRADIENT_NORM`, at the cost of the head's. Off, only the head has
                gradients.

        Returns:
            The parameters for the optimiser.
        """
        head = {id(parameter) for parameter in model.heads.iou_parameters()}
        chosen = []
        for parameter in model.parameters():
            trained = self.trained == "all" or (self.trained == "iou") == (id(parameter) in head)
            parameter.requires_grad_(trained or (official_clipping and self.trained == "iou"))
            parameter.grad = None
            if trained:
                chosen.append(parameter)
        return chosen


STAGES = (
    Stage(trained="base", losses=("match", "location"), rate=1e-3, epochs=10),
    Stage(trained="iou", losses=("iou",), rate=1e-5, epochs=50),
    Stage(trained="all", losses=("match", "location", "iou"), rate=1e-7, epochs=50),
)
"""The official stages. The published model of Charades-STA is one of the second."""
