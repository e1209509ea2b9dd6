"""MARN: which item will a user click? Adversarial features of items, a recurrent user.

Source: Adversarial Multimodal Representation Learning for Click-Through Rate Prediction, X. Li et
al., WWW 2020, arXiv 2003.07162. There is no official code, and the method section was not at hand:
no published number is known to be reproduced. For item i and modality m:

| step | here | field |
|---|---|---|
| e^m, an embedding of ids, words, buckets, or a vector | `ModalityEmbedding` | `modalities` |
| a^m = A_m e^m; s^m = S_m a^m; c^m = I a^m, with one I | `ItemEncoder` | `dim`, `proj_activation` |
| s = sum over m of tanh(W_m s^m) * s^m | `AttentionFusion` | `item` |
| w^m = 1 - D0^m(c^m), divided by its mean; c = max over m of w^m c^m | `fuse_invariant` | `w_normalize` |
| L_D0, L_D1 through a reversed gradient, L_Ds | `click_losses` | `adversary`, `aux_weight`, `eta` |
| item = s + c | `ItemEncoder` | `item` |
| attention of behaviours for the candidate; APGRU | `UserEncoder` | `recurrent`, `attention` |
| [user, candidate, context] to one logit | `ClickHead` | `units`, `activation` |

An item is encoded once, however often it occurs in a batch or a catalogue.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphmatch.click_batch import ClickBatch, Items
from graphmatch.click_losses import ClickOutcome, click_losses
from graphmatch.errors import ConfigError, GraphError
from graphmatch.models.marn_config import MARNConfig, Table
from graphmatch.models.marn_items import ItemEncoder, ItemVectors
from graphmatch.models.marn_user import UserEncoder
from graphmatch.nn.click_head import ClickHead
from graphmatch.nn.double_discriminator import Discriminator
from graphmatch.nn.modality_embedding import Modality

__all__ = ["MARN", "MARNConfig", "Modality", "Table"]


class MARN(nn.Module):
    """Multimodal adversarial representation network; see the module for the equations.

    Args:
        config: sizes and options.

    Example:
        >>> ids = Modality(name="ids", kind="ids", sizes=(9,), widths=(4,))
        >>> image = Modality(name="image", kind="vector", sizes=(3,))
        >>> model = MARN(MARNConfig(modalities=(ids, image), dim=6, hidden=5))
        >>> items = Items(modality={"ids": torch.tensor([[4], [7]]), "image": torch.randn(2, 3)},
        ...               present=torch.tensor([[True, True], [True, False]]))
        >>> batch = ClickBatch(items=items, history=torch.tensor([[0, 1], [0, -1]]),
        ...                    candidate=torch.tensor([1, 0]), properties={},
        ...                    label=torch.tensor([1.0, 0.0]))
        >>> model(batch).shape, sorted(model.outcome(batch).losses)
        (torch.Size([2]), ['ctr', 'd0', 'd1', 'ds', 'total'])
    """

    def __init__(self, config: MARNConfig) -> None:
        super().__init__()
        self.config = config
        self.items = ItemEncoder(config)
        self.user = UserEncoder(config)
        self.context = nn.ModuleList(
            nn.Embedding(table.size, table.width, padding_idx=0) for table in config.context_tables
        )
        if config.has_second:
            self.d1 = Discriminator(
                config.dim, hidden=config.disc_hidden, modalities=len(config.names)
            )
        size = config.user_size + config.dim * (2 if config.product else 1) + config.context
        self.head = ClickHead(
            size + sum(table.width for table in config.context_tables),
            units=config.units,
            activation=config.activation,
            dropout=config.dropout,
            batch_norm=config.batch_norm,
        )
        self._begin()

    def _begin(self) -> None:
        """Xavier's weights for linear layers, small numbers for tables; entry 0 stays zero."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.Embedding):
                nn.init.normal_(layer.weight, std=self.config.embedding_std)
                with torch.no_grad():
                    layer.weight[0].zero_()

    def encode_items(self, items: Items, counts: Tensor | None = None) -> ItemVectors:
        """Encode items; see `ItemEncoder.forward`."""
        return self.items(items, counts)  # type: ignore[no-any-return]

    @torch.no_grad()
    def catalogue(self, items: Items, *, chunk: int = 4096) -> Tensor:
        """Vectors of all items that may be scored, as in evaluation.

        Args:
            items: N items, on any device.
            chunk: items at a time.

        Returns:
            [N, d] for `score`.

        Raises:
            GraphError: as `encode_items`.
            ConfigError: no item at a time.
        """
        if chunk < 1:
            raise ConfigError(f"chunk: expected at least 1 item (got {chunk})")
        empty = next(self.parameters()).new_zeros(0, self.config.dim)
        training = self.training
        self.eval()
        try:
            starts = range(0, len(items), chunk)
            parts = [
                self.items(items.rows(slice(start, start + chunk)).to(empty.device)).rep
                for start in starts
            ]
        finally:
            self.train(training)
        return torch.cat([empty, *parts])

    def forward(self, batch: ClickBatch) -> Tensor:
        """Logits of clicks.

        Args:
            batch: B candidates.

        Returns:
            [B]; `sigmoid` gives probabilities.

        Raises:
            GraphError: modalities, properties or context that the configuration does not have.
        """
        return self._score(self._encode(batch).rep, batch)

    def outcome(self, batch: ClickBatch, *, eta: float | None = None) -> ClickOutcome:
        """Logits, losses by name, and what shows whether the adversary is alive.

        Args:
            batch: B candidates with labels.
            eta: strength of the reversed gradient; the configuration's `eta` if None. With a
                schedule, `config.eta_at(step)`.

        Returns:
            The outcome; `losses["total"]` is what training makes small.

        Raises:
            GraphError: as `forward`; no labels.
        """
        if batch.label is None:
            raise GraphError("expected labels in the batch (got none)")
        vectors = self._encode(batch)
        return click_losses(
            self._score(vectors.rep, batch),
            batch,
            vectors,
            config=self.config,
            discriminator=self.d1 if self.config.has_second else None,
            eta=self.config.eta if eta is None else eta,
        )

    def _encode(self, batch: ClickBatch) -> ItemVectors:
        counts = batch.counts() if self.training and self.config.weighs else None
        return self.encode_items(batch.items, counts)

    def _score(self, rep: Tensor, batch: ClickBatch) -> Tensor:
        return self.score(
            rep,
            batch.history,
            batch.candidate,
            properties=batch.properties,
            context=batch.context,
            context_ids=batch.context_ids,
        )

    def score(
        self,
        rep: Tensor,
        history: Tensor,
        candidate: Tensor,
        *,
        properties: Mapping[str, Tensor],
        context: Tensor | None = None,
        context_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits of clicks on items that are encoded already.

        Args:
            rep: [N, d] vectors of items, see `catalogue`.
            history: [B, T] int64 places among them, -1 is padding.
            candidate: [B] places, or [B, K] for K candidates of each history, then without
                gradients.
            properties: of behaviours, by name: [B, T] int64.
            context: [B, C] numbers of user and request.
            context_ids: [B, number of tables] int64.

        Returns:
            [B] or [B, K]. With K candidates, holds a few tensors of [B, K, 3H].

        Raises:
            GraphError: properties or context that the configuration does not have.
        """
        user = self.user(rep, history, candidate, properties)  # [B, H] or [B, K, H]
        item = functional.embedding(candidate, rep)
        parts = [user, item, user * item] if self.config.product else [user, item]
        for part in self._contexts(context, context_ids, len(history)):
            parts.append(part if candidate.dim() == 1 else
                         part.unsqueeze(1).expand(*candidate.shape, -1))  # fmt: skip
        logits: Tensor = self.head(torch.cat(parts, dim=-1).flatten(0, -2))
        return logits.view(candidate.shape)

    def _contexts(self, numbers: Tensor | None, ids: Tensor | None, size: int) -> list[Tensor]:
        """Features of user and request, each [B, ...]."""
        config, dtype = self.config, self.head.out.weight.dtype
        parts = []
        given = {"context": numbers, "context_ids": ids}
        for name, columns in {"context": config.context, "context_ids": len(self.context)}.items():
            value = given[name]
            got = None if value is None else list(value.shape)
            if got != [size, columns] and (columns or got is not None):
                raise GraphError(f"{name}: expected [{size}, {columns}] (got {got or 'none'})")
        if config.context and numbers is not None:
            parts.append(numbers.to(dtype))
        if ids is not None:
            parts += [table(ids[:, place]) for place, table in enumerate(self.context)]
        return parts
