"""`Discriminator`, `modality_weights`, `fuse_invariant`: MARN's two discriminators.

Source: MARN (WWW 2020) section 3, double-discriminator multimodal adversarial network (DDMA), after
Importance Weighted Adversarial Nets (IWAN), J. Zhang et al., CVPR 2018. D^m(x) is the probability
that a discriminator gives to the modality m of x, c^m an invariant and s^m a specific feature:

    L_D0 = - mean log D0^m(c^m)               c is constant: D0 only measures
    w^m  = 1 - D0^m(c^m)                      constant, too
    L_D1 = - mean log D1^m(w^m c^m)           or - mean w^m log D1^m(c^m); c makes it large
    L_Ds = - mean log D1^m(s^m)               s makes it small
    c    = max over present m of w^m c^m
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from graphmatch.errors import check_choice

InvariantFusion = Literal["weighted_max", "weighted_mean", "weighted_sum", "max", "mean", "sum"]


class Discriminator(nn.Sequential):
    """Linear, ReLU, Linear: of which of M modalities is a feature of d numbers?

    Args:
        size: d.
        hidden: numbers between.
        modalities: M.
    """

    def __init__(self, size: int, *, hidden: int, modalities: int) -> None:
        super().__init__(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, modalities))

    def loss(self, x: Tensor, *, frozen: bool = False) -> Tensor:
        """Negative log-probability of the own modality.

        Args:
            x: [U, M, d] features, modality m in place m.
            frozen: the discriminator gets no gradient.

        Returns:
            [U, M].
        """
        return own_loss(self.frozen(x) if frozen else self(x))

    def frozen(self, x: Tensor) -> Tensor:
        """Logits [U, M, M] whose gradient reaches x [U, M, d] alone."""
        constants = {name: value.detach() for name, value in self.named_parameters()}
        return torch.func.functional_call(self, constants, (x,))  # type: ignore[no-any-return]


def own_loss(logits: Tensor) -> Tensor:
    """Negative log-probability of the own modality.

    Args:
        logits: [U, M, M], the true modality second, the guessed one last.

    Returns:
        [U, M].
    """
    return -torch.diagonal(logits.log_softmax(dim=-1), dim1=-2, dim2=-1)


def modality_weights(logits: Tensor) -> Tensor:
    """Weights w = 1 - D0^m, as constants.

    They are the sum of the other modalities' probabilities, so small ones are exact.

    Args:
        logits: [U, M, M] of D0, the true modality second, the guessed one last.

    Returns:
        [U, M] from 0 to 1; without knowledge 1 - 1 / M.

    Example:
        >>> modality_weights(torch.zeros(1, 4, 4))
        tensor([[0.7500, 0.7500, 0.7500, 0.7500]])
    """
    probability = logits.detach().softmax(dim=-1)
    own = torch.eye(logits.size(-1), dtype=torch.bool, device=logits.device)
    return probability.masked_fill(own, 0).sum(dim=-1).clamp(max=1)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(values * weight) / sum(weight), 0 if all weights are 0.

    Args:
        values: [U, M], finite.
        weight: [U, M] from 0: how often each pair of item and modality occurs.

    Returns:
        A number.

    Example:
        >>> weighted_mean(torch.tensor([[1.0, 4.0]]), torch.tensor([[2.0, 1.0]]))
        tensor(2.)
    """
    weight = weight.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp(min=1)


def fuse_invariant(c: Tensor, weight: Tensor, present: Tensor, how: InvariantFusion) -> Tensor:
    """One invariant vector of each item.

    Args:
        c: [U, M, d] invariant features.
        weight: [U, M] weights, which `max`, `mean` and `sum` do not use.
        present: [U, M] bool.
        how: largest, mean or sum over present modalities, of weighted features or not.

    Returns:
        [U, d]; a zero vector where no modality is present.

    Raises:
        ConfigError: an unknown fusion.

    Example:
        >>> c = torch.tensor([[[1.0, -2.0], [3.0, -4.0]]])
        >>> weight, present = torch.tensor([[1.0, 0.1]]), torch.tensor([[True, True]])
        >>> fuse_invariant(c, weight, present, "weighted_max")
        tensor([[ 1.0000, -0.4000]])
    """
    check_choice("invariant_fusion", how, get_args(InvariantFusion))
    if how.startswith("weighted"):
        c = weight.unsqueeze(-1) * c
    there = present.unsqueeze(-1)  # [U, M, 1]
    if how.endswith("max"):
        top = c.masked_fill(~there, -torch.inf).amax(dim=1)  # [U, d]
        return top.masked_fill(~there.any(dim=1), 0)
    total = c.masked_fill(~there, 0).sum(dim=1)
    return total / there.sum(dim=1).clamp(min=1) if how.endswith("mean") else total
