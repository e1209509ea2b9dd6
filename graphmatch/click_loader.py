"""`ClickLoader`: batches of an encoded click log, shuffled, each distinct item of a batch once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from graphmatch.buckets import time_gap_ids
from graphmatch.click_batch import ClickBatch, Items
from graphmatch.click_store import ClickStore
from graphmatch.config import check_counts
from graphmatch.distinct_rows import distinct_rows
from graphmatch.errors import ConfigError
from graphmatch.train_batches import read_ahead

Integers = NDArray[np.int64]


class ClickLoader(Dataset[Any]):
    """Batches of the samples of a split, by epoch and number; the same for every start.

    The order of an epoch is a permutation drawn from (seed, epoch), so a training goes on exactly
    from any step. Histories are the most recent behaviours before the sample, right padded. Memory
    holds the numbers of the split's samples; the rest is read from the store as it is used.

    Args:
        store: the encoded log.
        split: train, valid or test.
        batch_size: samples of a batch.
        history: T, how many behaviours are kept.
        time_buckets: ids of the time from a behaviour to its candidate, padding included; 0 leaves
            the property `time` out. Without times in the store it is left out, too.
        seed: of the order.
        shuffle: without, batches are in the order of the store: by user and time.
        distinct: each distinct item of a batch once; without, once an occurrence, which gives the
            same results from more work.

    Raises:
        ConfigError: an impossible option, an unknown split, a split without samples.

    Example:
        >>> from graphmatch.click_job import encode_clicks
        >>> from graphmatch.click_log import table_log
        >>> from graphmatch.click_schema import ClickSchema
        >>> from graphmatch.click_features import Feature
        >>> import pyarrow, tempfile
        >>> schema = ClickSchema(user="u", item="i", time="t", label="y",
        ...                      items=(Feature(name="item", kind="ids", column="i"),))
        >>> rows = pyarrow.table({"u": [1] * 5, "i": [7, 8, 7, 9, 8], "t": [0, 60, 70, 80, 90],
        ...                       "y": [0, 1, 1, 0, 1]})
        >>> folder = tempfile.mkdtemp()
        >>> report = encode_clicks(table_log(schema, rows), folder)
        >>> store = ClickStore(folder)
        >>> loader = ClickLoader(store, "train", batch_size=3, history=2, shuffle=False)
        >>> batch = loader[0, 0]
        >>> batch.history, batch.candidate, batch.items.modality["item"].flatten()
        (tensor([[-1, -1],
                [ 0, -1],
                [ 0,  1]]), tensor([0, 1, 0]), tensor([2, 3]))
    """

    def __init__(
        self,
        store: ClickStore,
        split: str,
        *,
        batch_size: int,
        history: int = 20,
        time_buckets: int = 16,
        seed: int = 0,
        shuffle: bool = True,
        distinct: bool = True,
    ) -> None:
        self.store, self.split, self.seed, self.shuffle = store, split, seed, shuffle
        self.batch_size, self.history, self.distinct = batch_size, history, distinct
        check_counts(self, "batch_size")
        check_counts(self, "history", least=0)
        if time_buckets and time_buckets < 2:
            raise ConfigError(f"time_buckets: expected 0 or at least 2 (got {time_buckets})")
        timed = "behaviour_time" in store.arrays and "sample_time" in store.arrays
        self.time_buckets = time_buckets if timed else 0
        self.samples = store.split(split)
        if not len(self.samples):
            raise ConfigError(f"{store.path}: expected samples of the split {split} (got none)")
        self._names = [record["name"] for record in store.modalities]
        self._before = [record["before"] for record in store.modalities]

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.samples) // self.batch_size)

    @property
    def property_sizes(self) -> dict[str, int]:
        """Number of ids of each property of the behaviours, 0 included, by name."""
        sizes = {record["name"]: record["sizes"][0] for record in self.store.properties}
        return {**sizes, **({"time": self.time_buckets} if self.time_buckets else {})}

    def positions(self, epoch: int, number: int) -> Integers:
        """Numbers of a batch's samples in the store.

        Args:
            epoch: from 0.
            number: of the batch in the epoch, from 0.

        Returns:
            [B] int64.
        """
        piece = slice(number * self.batch_size, (number + 1) * self.batch_size)
        if not self.shuffle:
            return self.samples[piece]
        return self.samples[_order(len(self.samples), self.seed, epoch)[piece]]

    def __getitem__(self, key: tuple[int, int]) -> ClickBatch:
        """A batch.

        Args:
            key: epoch and number of the batch.

        Returns:
            Its samples in a random order, with labels and users.

        Raises:
            IndexError: no such batch.
        """
        if not 0 <= key[1] < len(self):
            raise IndexError(f"expected a number below {len(self)} (got {key[1]})")
        return self.collate(self.positions(*key))

    def read(self, epoch: int, *, first: int = 0, workers: int = 0) -> Iterator[ClickBatch]:
        """The batches of an epoch, in order.

        Args:
            epoch: from 0.
            first: number of the batch to begin with.
            workers: processes that read ahead; 0 reads in this one.

        Yields:
            Batches.
        """
        keys = [(epoch, number) for number in range(first, len(self))]
        yield from read_ahead(self, keys, workers=workers)

    def collate(self, samples: Integers) -> ClickBatch:
        """A batch of any samples.

        Args:
            samples: [B] numbers of samples in the store.

        Returns:
            The batch.
        """
        store = self.store
        stop = store.sample("first")[samples] + store.sample("length")[samples]
        length = np.minimum(store.sample("length")[samples], self.history).astype(np.int64)
        width = int(length.max(initial=0))
        steps = (stop - length)[:, None] + np.arange(width)  # [B, T]
        mask = np.arange(width) < length[:, None]
        acts = steps[mask]  # [V] behaviours, row after row
        keys = np.concatenate([store.behaviour("item")[acts], store.sample("item")[samples]])
        statistics = self._statistics(acts, samples)
        places, first = self._places(keys.astype(np.int64), statistics)
        history = np.full(mask.shape, -1, np.int64)
        history[mask] = places[: len(acts)]
        return ClickBatch(
            items=self._items(keys[first], None if statistics is None else statistics[first]),
            history=torch.from_numpy(history),
            candidate=torch.from_numpy(places[len(acts) :]),
            properties=self._properties(acts, mask, samples),
            context=self._optional("context", samples, np.float32),
            context_ids=self._optional("context_ids", samples, np.int64),
            label=self._optional("label", samples, np.float32),
            user=self._optional("user", samples, np.int64),
        )

    def _statistics(self, acts: Integers, samples: Integers) -> NDArray[np.int64] | None:
        """[V + B, J] statistics of the items before each behaviour and sample."""
        if not any(self._before):
            return None
        store = self.store
        both = [store.behaviour("statistic")[acts], store.sample("statistic")[samples]]
        return np.concatenate(both).astype(np.int64)

    def _places(
        self, keys: Integers, statistics: NDArray[np.int64] | None
    ) -> tuple[Integers, Integers]:
        """[n] place of each occurrence among the distinct items; [U] an occurrence of each."""
        if not self.distinct:
            return np.arange(len(keys)), np.arange(len(keys))
        first, places = distinct_rows([keys] if statistics is None else [keys, *statistics.T])
        return places, first

    def _items(self, items: Integers, statistics: NDArray[np.int64] | None) -> Items:
        """Modalities of items: [U, ...]."""
        store = self.store
        modality: dict[str, Tensor] = {}
        present = store.item("present")[items]
        start = 0
        for number, (name, before) in enumerate(zip(self._names, self._before, strict=True)):
            rows = store.item(name)[items]
            if before:
                assert statistics is not None
                rows = np.concatenate([rows, statistics[:, start : start + before]], axis=1)
                present[:, number] = (rows != 0).any(axis=1)
                start += before
            dtype = np.float32 if rows.dtype.kind == "f" else np.int64
            modality[name] = torch.from_numpy(rows.astype(dtype, copy=False))
        return Items(modality=modality, present=torch.from_numpy(present))

    def _properties(
        self, acts: Integers, mask: NDArray[np.bool_], samples: Integers
    ) -> dict[str, Tensor]:
        """Properties of the behaviours by name: [B, T], 0 where there is none."""
        store = self.store
        found: dict[str, NDArray[Any]] = {}
        if store.properties:
            table = store.behaviour("property")[acts]
            for number, record in enumerate(store.properties):
                found[record["name"]] = table[:, number]
        if self.time_buckets:
            now = np.broadcast_to(store.sample("time")[samples][:, None], mask.shape)[mask]
            found["time"] = time_gap_ids(now - store.behaviour("time")[acts], self.time_buckets)
        properties = {}
        for name in sorted(found):
            ids = np.zeros(mask.shape, np.int64)
            ids[mask] = found[name]
            properties[name] = torch.from_numpy(ids)
        return properties

    def _optional(self, name: str, samples: Integers, dtype: type[Any]) -> Tensor | None:
        if f"sample_{name}" not in self.store.arrays:
            return None
        return torch.from_numpy(self.store.sample(name)[samples].astype(dtype))


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> Integers:
    return np.random.default_rng((seed, epoch)).permutation(count)
