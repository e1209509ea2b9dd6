"""`ItemEncoder`: MARN's vector of an item, from any number of modalities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphmatch.click_batch import Items
from graphmatch.errors import GraphError
from graphmatch.models.marn_config import MARNConfig
from graphmatch.nn.attention_fusion import AttentionFusion
from graphmatch.nn.double_discriminator import (
    Discriminator,
    fuse_invariant,
    modality_weights,
    weighted_mean,
)
from graphmatch.nn.modality_embedding import ModalityEmbedding


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemVectors:
    """U encoded items, and what their losses need.

    Args:
        rep: [U, d] the items.
        present: [U, M] bool.
        fused_specific: [U, d] s; None without such a branch, as below.
        fused_invariant: [U, d] c.
        specific: [U, M, d] s^m; entries of absent modalities mean nothing, here and below.
        invariant: [U, M, d] c^m.
        logits: [U, M, M] of D0.
        raw_weight: [U, M] w before normalisation.
        weight: [U, M] w.
    """

    rep: Tensor
    present: Tensor
    fused_specific: Tensor | None = None
    fused_invariant: Tensor | None = None
    specific: Tensor | None = None
    invariant: Tensor | None = None
    logits: Tensor | None = None
    raw_weight: Tensor | None = None
    weight: Tensor | None = None


class ItemEncoder(nn.Module):
    """Everything of `MARN` that depends on an item alone, the first discriminator included.

    Args:
        config: of the model.
    """

    w_mean: Tensor

    def __init__(self, config: MARNConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.embedding = nn.ModuleList(
            ModalityEmbedding(part, config.vocabulary) for part in config.modalities
        )
        sizes = [part.size for part in config.modalities]
        if config.item == "concat":
            self.concat = nn.Linear(sum(sizes), dim)
            return
        self.align = nn.ModuleList(nn.Linear(size, dim) for size in sizes)
        if config.item != "invariant":
            self.fusion = AttentionFusion(len(sizes), dim)
        if config.item == "marn":
            self.specific = nn.ModuleList(nn.Linear(dim, dim) for _ in sizes)
        if config.splits:
            self.invariant = nn.Linear(dim, dim)
        if config.weighs:
            self.d0 = Discriminator(dim, hidden=config.disc_hidden, modalities=len(sizes))
            self.register_buffer("w_mean", torch.tensor(1 - 1 / len(sizes)))

    def forward(self, items: Items, counts: Tensor | None = None) -> ItemVectors:
        """Encode items.

        Args:
            items: U items.
            counts: [U] how often each occurs, for the mean of w in training; each once if None.

        Returns:
            Their vectors. In training the running mean of w is updated.

        Raises:
            GraphError: other modalities than the configuration says.
        """
        config, present = self.config, items.present
        embedded = self.embed(items)
        if config.item == "concat":
            rep = self._activate(self.concat(torch.cat(embedded, dim=1)))
            return ItemVectors(rep=rep, present=present)
        aligned = torch.stack(
            [self._activate(layer(x)) for layer, x in zip(self.align, embedded, strict=True)],
            dim=1,
        )  # [U, M, d]
        if config.item == "fusion":
            rep = self.fusion(aligned, present)
            return ItemVectors(rep=rep, present=present, fused_specific=rep)
        invariant = self._activate(self.invariant(aligned))  # [U, M, d]
        logits, raw, weight = self._weigh(invariant, present, counts)
        fused = fuse_invariant(invariant, weight, present, config.invariant_fusion)  # [U, d]
        specific = fused_specific = None
        if config.item == "marn":
            layers = enumerate(self.specific)
            parts = [self._activate(layer(aligned[:, place])) for place, layer in layers]
            specific = torch.stack(parts, dim=1)  # [U, M, d]
            fused_specific = self.fusion(specific, present)
        return ItemVectors(
            rep=fused if fused_specific is None else fused_specific + fused,
            present=present,
            fused_specific=fused_specific,
            fused_invariant=fused,
            specific=specific,
            invariant=invariant,
            logits=logits,
            raw_weight=raw,
            weight=weight,
        )

    def embed(self, items: Items) -> list[Tensor]:
        """Embedded modalities.

        Args:
            items: U items.

        Returns:
            M of [U, size], zero vectors where a modality is absent.

        Raises:
            GraphError: other modalities than the configuration says.
        """
        names = self.config.names
        if tuple(items.modality) != names or items.present.size(1) != len(names):
            raise GraphError(f"expected items with {list(names)} (got {list(items.modality)})")
        embedded, dtype = [], next(self.parameters()).dtype
        for place, value in enumerate(items.modality.values()):
            value = value.to(dtype) if value.is_floating_point() else value
            absent = ~items.present[:, place].unsqueeze(1)
            embedded.append(self.embedding[place](value).masked_fill(absent, 0))
        return embedded

    def _weigh(
        self, invariant: Tensor, present: Tensor, counts: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """Logits of D0, raw weights and weights of invariant features [U, M, d]."""
        if not self.config.weighs:
            return None, None, torch.ones_like(invariant[..., 0])
        logits = self.d0(invariant.detach())  # [U, M, M]
        raw = modality_weights(logits)
        if not self.config.w_normalize:
            return logits, raw, raw
        mean = self.w_mean
        if self.training:
            pairs = occurrences(present, counts)
            found = weighted_mean(raw, pairs)
            mean = torch.where(pairs.any(), found, mean)
            self.w_mean.lerp_(mean.to(self.w_mean.dtype), self.config.w_momentum)
        tiny = torch.finfo(raw.dtype).tiny  # all weights may be 0
        return logits, raw, raw / mean.clamp(min=tiny)

    def _activate(self, x: Tensor) -> Tensor:
        kind = self.config.proj_activation
        if kind == "none":
            return x
        return torch.relu(x) if kind == "relu" else torch.tanh(x)


def occurrences(present: Tensor, counts: Tensor | None) -> Tensor:
    """How often each pair of item and modality occurs.

    Args:
        present: [U, M] bool.
        counts: [U] how often each item occurs; each once if None.

    Returns:
        [U, M] int64.
    """
    return present.long() if counts is None else present * counts.unsqueeze(1)
