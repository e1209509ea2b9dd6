"""`Batches`: which pairs come together in which step, and which of them a process takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from graphmatch.gathered import Share
from graphmatch.graphs.batch import collate_pairs
from graphmatch.pair_set import PairSet

if TYPE_CHECKING:
    from graphmatch.click_samples import ClickSamples
    from graphmatch.moment_set import MomentSet

Integers = npt.NDArray[np.int64]


class Batches(Dataset[Any]):
    """The batches of a training, by epoch and number; the same for every process and every start.

    The order of an epoch is a permutation drawn from (seed, epoch). Batch k has the pairs from
    k * `batch_size` on; consecutive parts of it, as equal as can be, go to the processes. A process
    for which nothing is left takes one pair all the same: alone it has no negatives and no loss.

    Args:
        pairs: what is trained on; `gather` needs a `PairSet`.
        batch_size: pairs of a batch, of all processes together.
        seed: of the order.
        process: number of this process and how many there are.
        gather: make shares of a batch whose negatives are gathered, instead of small batches.
        collate: makes a batch of pairs.
    """

    def __init__(
        self,
        pairs: PairSet | MomentSet | ClickSamples,
        *,
        batch_size: int,
        seed: int = 0,
        process: tuple[int, int] = (0, 1),
        gather: bool = False,
        collate: Callable[[Any], Any] = collate_pairs,
    ) -> None:
        self.pairs, self.batch_size, self.seed = pairs, batch_size, seed
        self.process, self.gather = process, gather and process[1] > 1
        self.collate = collate

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.pairs) // self.batch_size)

    def positions(self, epoch: int, number: int) -> Integers:
        """Numbers of the pairs of a batch, of all processes.

        Args:
            epoch: from 0.
            number: of the batch in the epoch, from 0.

        Returns:
            [B] int64.
        """
        order = _order(len(self.pairs), self.seed, epoch)
        return order[number * self.batch_size : (number + 1) * self.batch_size]

    def count(self, step: int, accumulate: int) -> int:
        """Pairs of a step, of all processes together.

        Args:
            step: in the epoch, from 0.
            accumulate: batches of a step.

        Returns:
            How many.
        """
        size = self.batch_size * accumulate
        return min(size, len(self.pairs) - step * size)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        """What this process takes of a batch.

        Args:
            key: epoch and number of the batch.

        Returns:
            A batch of its own, or its share of one that is gathered.
        """
        positions = self.positions(*key)
        if self.gather:
            return self._share(positions)
        own = split_batch(positions, self.process)
        return self.collate([self.pairs[k] for k in (own if len(own) else positions[:1]).tolist()])

    def _share(self, positions: Integers) -> Share:
        pairs = self.pairs
        assert isinstance(pairs, PairSet)
        owners = pairs.owner.numpy()[positions]
        rows, first, inverse = np.unique(owners, return_index=True, return_inverse=True)
        order = np.argsort(first)  # items in the order of their first caption, as `collate_pairs`
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        texts = split_batch(positions, self.process)
        visuals = split_batch(rows[order], self.process)
        captions, items = pairs.captions.ids, pairs.visuals.ids
        graphs, galleries = pairs.texts(), pairs.gallery_graphs()
        return Share.collate(
            [
                (graphs[k], captions[pairs.places[k]])
                for k in (texts if len(texts) else positions[:1]).tolist()
            ],
            [
                (galleries[k], items[pairs.gallery[k]])
                for k in (visuals if len(visuals) else rows[:1]).tolist()
            ],
            count=(len(texts), len(visuals)),
            owner=torch.from_numpy(place[inverse]),
        )

    def read(self, epoch: int, *, first: int = 0, workers: int = 0) -> Iterator[Any]:
        """This process's part of the batches of an epoch, in order.

        Args:
            epoch: from 0.
            first: number of the batch to begin with.
            workers: processes that read ahead; 0 reads in this one.

        Yields:
            Batches or shares.
        """
        keys = [(epoch, number) for number in range(first, len(self))]
        yield from read_ahead(self, keys, workers=workers)


def read_ahead(
    batches: Dataset[Any], keys: Sequence[tuple[int, int]], *, workers: int
) -> Iterator[Any]:
    """Batches in order, some of them read before they are asked for.

    Args:
        batches: by key; torch's random numbers stay as they are.
        keys: which ones.
        workers: processes that read ahead; 0 reads in this one.

    Yields:
        Batches.
    """
    loader: DataLoader[Any] = DataLoader(
        batches,
        batch_size=None,
        sampler=keys,
        num_workers=workers,
        collate_fn=_as_it_is,
        generator=torch.Generator(),  # not torch's own numbers
    )
    yield from loader


def split_batch(positions: Integers, process: tuple[int, int]) -> Integers:
    """A process's part of a batch.

    Args:
        positions: [B] of all processes.
        process: number of the process, and how many there are.

    Returns:
        A consecutive part; parts differ by one position at most.

    Example:
        >>> split_batch(np.arange(5), (1, 2)).tolist()
        [3, 4]
    """
    number, count = process
    return np.array_split(positions, count)[number]


def groups(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Batches that belong to one step.

    Args:
        batches: all of them.
        size: how many make a step.

    Yields:
        Lists; the last one may be shorter.
    """
    while group := list(islice(batches, size)):
        yield group


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> Integers:
    return np.random.default_rng((seed, epoch)).permutation(count)


def _as_it_is(batch: Any) -> Any:
    return batch
