"""`ClickSamples`: the samples of a split as the training loop takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from graphmatch.click_batch import ClickBatch, Items
from graphmatch.click_loader import ClickLoader
from graphmatch.click_store import ClickStore
from graphmatch.errors import ConfigError
from graphmatch.models.marn_config import MARNConfig


class ClickSamples:
    """Numbers of the samples of a split, and batches of them as a model reads them.

    Args:
        store: an encoded log.
        split: train, valid or test.
        config: of the model: which modalities, properties and features of the request it reads,
            how many behaviours.
        distinct: each distinct item of a batch once.

    Raises:
        ConfigError: an unknown split, a split without samples, a store without what the model
            reads.
    """

    def __init__(
        self, store: ClickStore, split: str, config: MARNConfig, *, distinct: bool = True
    ) -> None:
        check_inputs(store, config)
        self.store, self.split, self.config = store, split, config
        buckets = [part.size for part in config.properties if part.name == "time"]
        self.loader = ClickLoader(
            store,
            split,
            batch_size=1,
            history=config.history,
            time_buckets=buckets[0] if buckets else 0,
            distinct=distinct,
        )
        self.gallery = range(store.counts["items"])
        self.skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.loader.samples)

    def __repr__(self) -> str:
        return f"ClickSamples({str(self.store.path)!r}, {self.split!r}: {len(self)} samples)"

    def __getitem__(self, place: int) -> int:
        """Number of a sample in the store.

        Args:
            place: in the split, from 0.
        """
        return int(self.loader.samples[place])

    def collate(self, samples: Any) -> ClickBatch:
        """A batch of samples.

        Args:
            samples: their numbers in the store.

        Returns:
            The batch, with what the model reads and nothing else.
        """
        return chosen_inputs(self.loader.collate(np.asarray(samples, np.int64)), self.config)


def check_inputs(store: ClickStore, config: MARNConfig) -> None:
    """Raise `ConfigError` unless a store has what a model reads.

    Args:
        store: an encoded log.
        config: of the model.

    Raises:
        ConfigError: modalities or properties are missing, or tables of another size.
    """
    there = {record["name"]: record for record in store.modalities}
    for part in config.modalities:
        sizes = None if part.name not in there else there[part.name]["sizes"]
        wanted = [config.vocabulary] if part.kind == "words" else list(part.sizes)
        fits = sizes is not None and (sizes[0] <= wanted[0] if part.kind == "words"
                                      else sizes == wanted)  # fmt: skip
        if not fits:
            raise ConfigError(
                f"{store.path}: expected the modality {part.name} of size {wanted} (got {sizes}); "
                "encode the log as that of the training: graphmatch clicks --encoder"
            )
    names = [record["name"] for record in store.properties]
    if "behaviour_time" in store.arrays and "sample_time" in store.arrays:
        names.append("time")
    missing = sorted({part.name for part in config.properties} - {*names})
    if missing:
        raise ConfigError(f"{store.path}: expected the properties {missing} (got {names})")
    got = (store.context["width"], len(store.context["sizes"]))
    if (config.context, len(config.context_tables)) not in ((0, 0), got):
        raise ConfigError(f"{store.path}: expected other features of the request (got {got})")


def chosen_inputs(batch: ClickBatch, config: MARNConfig) -> ClickBatch:
    """A batch without what a model does not read.

    Args:
        batch: with all that the store has.
        config: of the model.

    Returns:
        The batch.
    """
    names, items = list(batch.items.modality), batch.items
    if tuple(names) != config.names:
        places = torch.tensor([names.index(name) for name in config.names])
        modality = {name: items.modality[name] for name in config.names}
        items = Items(modality=modality, present=items.present[:, places])
    return replace(
        batch,
        items=items,
        properties={part.name: batch.properties[part.name] for part in config.properties},
        context=batch.context if config.context else None,
        context_ids=batch.context_ids if config.context_tables else None,
    )
