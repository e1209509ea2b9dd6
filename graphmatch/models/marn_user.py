"""`UserEncoder`: MARN's vector of a user for a candidate, from what the user did before."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphmatch.errors import GraphError
from graphmatch.models.marn_config import MARNConfig
from graphmatch.nn.apgru import APGRU
from graphmatch.nn.behaviour_attention import BehaviourAttention


class UserEncoder(nn.Module):
    """Attention and the recurrent network, or what stands for them in an ablation.

    Args:
        config: of the model.
    """

    def __init__(self, config: MARNConfig) -> None:
        super().__init__()
        self.config = config
        steers = config.recurrent == "apgru" or config.property_input
        self.tables = config.properties if steers else ()
        self.table = nn.ModuleList(
            nn.Embedding(part.size, part.width, padding_idx=0) for part in self.tables
        )
        self.attention: BehaviourAttention | None = None
        if config.recurrent not in ("gru", "mean"):
            self.attention = BehaviourAttention(
                config.dim, attention=config.attention, norm=config.attention_norm
            )
        self.network: APGRU | None = None
        if config.recurrent not in ("attention", "mean"):
            self.network = APGRU(
                config.dim + config.property_size * config.property_input,
                hidden=config.hidden,
                property_size=config.property_size if config.recurrent == "apgru" else 0,
            )

    @property
    def _shares(self) -> bool:
        """Whether W x of the recurrence depends on the item alone."""
        return self.network is not None and not self.config.property_input

    def forward(
        self, rep: Tensor, history: Tensor, candidate: Tensor, properties: Mapping[str, Tensor]
    ) -> Tensor:
        """Vectors of users.

        Args:
            rep: [U, d] vectors of items.
            history: [B, T] int64 places of behaviours, -1 is padding.
            candidate: [B] places of the candidates, or [B, K], then without gradients.
            properties: of behaviours, by name: [B, T] int64.

        Returns:
            [B, user_size] or [B, K, user_size]; zero where the history is empty.

        Raises:
            GraphError: other properties than the configuration says.
        """
        mask, place = history >= 0, history.clamp(min=0)
        embedded = self.embed(properties)
        attention = self.attend(rep, place, candidate, mask)  # [B, T] or [B, K, T]
        if len(rep) > place.numel():  # a catalogue: what follows is made for each item of `rep`
            used, place = torch.unique(place, return_inverse=True)  # synchronises a device
            rep = rep[used]
        if self._shares and attention.dim() == 2 and not torch.is_grad_enabled():
            assert self.network is not None
            return self.network.last(self.network.items(rep), place, attention, embedded)
        inputs, gates = self.behaviours(rep, place, embedded)
        if self.network is None:
            assert inputs is not None
            weight = attention.unsqueeze(-2) if attention.dim() == 2 else attention
            pooled = weight @ inputs  # [B, 1 or K, size]
            return pooled.squeeze(-2) if attention.dim() == 2 else pooled
        assert gates is not None
        if attention.dim() == 3:
            return self.network.rank(gates, attention)
        return self.network(gates, attention)[1]  # type: ignore[no-any-return]

    def embed(self, properties: Mapping[str, Tensor]) -> Tensor | None:
        """Embedded properties.

        Args:
            properties: by name: [B, T] int64.

        Returns:
            [B, T, property_size]; None if the model uses none.

        Raises:
            GraphError: other names than the configuration says.
        """
        if not self.table:
            return None
        names = [part.name for part in self.tables]
        if sorted(properties) != sorted(names):
            raise GraphError(f"expected the properties {names} (got {sorted(properties)})")
        parts = [table(properties[name]) for name, table in zip(names, self.table, strict=True)]
        return torch.cat(parts, dim=-1)

    def behaviours(
        self, rep: Tensor, place: Tensor, properties: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """What is pooled [B, T, size], or what goes to the gates [B, T, 3H]; the other is None."""
        if not self._shares:
            x = functional.embedding(place, rep)  # [B, T, d]
            if self.config.property_input:
                assert properties is not None
                x = torch.cat((x, properties), dim=-1)
            return (x, None) if self.network is None else (None, self.network.gates(x))
        assert self.network is not None
        # the product with W once for each distinct item, gathered after it; time first, as the
        # recurrence reads it
        items = functional.embedding(place.T, self.network.items(rep))  # [T, B, 3H]
        first = None if properties is None else properties.transpose(0, 1)
        return None, self.network.steer(items, first).transpose(0, 1)

    def attend(self, rep: Tensor, place: Tensor, candidate: Tensor, mask: Tensor) -> Tensor:
        """Weights of behaviours.

        Args:
            rep: [U, d] vectors of items.
            place: [B, T] places of behaviours.
            candidate: [B] or [B, K] places of candidates.
            mask: [B, T] bool.

        Returns:
            [B, T] or [B, K, T], 0 at padding.
        """
        if self.attention is not None:
            query = functional.embedding(candidate, rep)
            return self.attention(functional.embedding(place, rep), query, mask)  # type: ignore[no-any-return]
        weight = mask.to(rep.dtype)
        if self.config.recurrent == "mean":
            weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)
        return weight if candidate.dim() == 1 else weight.unsqueeze(1).expand(*candidate.shape, -1)
