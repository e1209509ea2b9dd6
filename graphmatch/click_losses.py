"""`click_losses`: MARN's losses by name, and whether its adversary is alive.

Source: MARN (WWW 2020) section 3; see `graphmatch.nn.double_discriminator` for the equations.

    L_total = L_CTR + L_D0 + lambda (L_D1 + L_Ds)

Each mean runs over the occurrences of present pairs of item and modality.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from graphmatch.click_batch import ClickBatch
from graphmatch.models.marn_config import MARNConfig
from graphmatch.models.marn_items import ItemVectors, occurrences
from graphmatch.nn.double_discriminator import Discriminator, own_loss, weighted_mean
from graphmatch.nn.gradient_reversal import reverse_gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickOutcome:
    """What a batch gives.

    Args:
        logits: [B].
        losses: numbers with gradients by name: `ctr`, `d0`, `d1`, `ds`, `total`; 0 for what the
            configuration leaves out.
        measured: numbers without gradients by name, for `graphmatch.collapse`: `accuracy` of D0,
            mean raw `weight`, mean norms of the fused `specific` and `invariant` features; only
            what the configuration has.
    """

    logits: Tensor
    losses: dict[str, Tensor]
    measured: dict[str, Tensor]


def click_losses(
    logits: Tensor,
    batch: ClickBatch,
    vectors: ItemVectors,
    *,
    config: MARNConfig,
    discriminator: Discriminator | None,
    eta: float,
) -> ClickOutcome:
    """Losses of a batch with labels.

    Args:
        logits: [B] of clicks.
        batch: B candidates with labels, of which everything comes.
        vectors: its U items.
        config: of the model.
        discriminator: D1, if the configuration has one.
        eta: strength of the reversed gradient, from 0.

    Returns:
        The outcome.
    """
    assert batch.label is not None
    counts = batch.counts(candidates_only=config.adversarial_scope == "target")
    pairs = occurrences(vectors.present, counts)  # [U, M]
    ctr = functional.binary_cross_entropy_with_logits(logits, batch.label.to(logits.dtype))
    d0 = d1 = ds = torch.zeros_like(ctr)
    if vectors.logits is not None:
        d0 = weighted_mean(own_loss(vectors.logits), pairs)
    if discriminator is not None and config.adversary != "none":
        d1 = weighted_mean(_adversarial(vectors, discriminator, config, eta), pairs)
    if discriminator is not None and vectors.specific is not None and config.has_specific:
        frozen = not config.ds_updates_discriminator
        ds = weighted_mean(discriminator.loss(vectors.specific, frozen=frozen), pairs)
    total = ctr + d0 + config.aux_weight * (d1 + ds)
    losses = {"ctr": ctr, "d0": d0, "d1": d1, "ds": ds, "total": total}
    return ClickOutcome(logits=logits, losses=losses, measured=_measured(vectors, counts, pairs))


def _adversarial(
    vectors: ItemVectors, discriminator: Discriminator, config: MARNConfig, eta: float
) -> Tensor:
    """Loss of D1 at each pair [U, M]; its gradient to the features is reversed."""
    assert vectors.invariant is not None
    assert vectors.weight is not None
    if config.ddma_weighting == "loss":
        return vectors.weight * discriminator.loss(reverse_gradient(vectors.invariant, eta))
    weighted = vectors.weight.unsqueeze(-1) * vectors.invariant  # [U, M, d]
    return discriminator.loss(reverse_gradient(weighted, eta))


@torch.no_grad()
def _measured(vectors: ItemVectors, counts: Tensor, pairs: Tensor) -> dict[str, Tensor]:
    found = {}
    if vectors.logits is not None and vectors.raw_weight is not None:
        own = torch.arange(pairs.size(1), device=pairs.device)
        right = vectors.logits.argmax(dim=-1) == own  # [U, M]
        found["accuracy"] = weighted_mean(right.to(vectors.logits.dtype), pairs)
        found["weight"] = weighted_mean(vectors.raw_weight, pairs)
    parts = {"specific": vectors.fused_specific, "invariant": vectors.fused_invariant}
    for name, value in parts.items():
        if value is not None:
            found[name] = weighted_mean(torch.linalg.vector_norm(value, dim=-1), counts)
    return found
