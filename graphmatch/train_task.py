"""`TrainTask`: what a training is of. The loop in `graphmatch.train` is the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from graphmatch.train_batches import Batches
from graphmatch.train_config import LoopConfig
from graphmatch.vocab import Vocabulary

if TYPE_CHECKING:
    from graphmatch.click_encoder import ClickEncoder
    from graphmatch.click_samples import ClickSamples
    from graphmatch.moment_set import MomentSet
    from graphmatch.pair_set import PairSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a training with an optimiser of its own.

    The first begins with the model's first weights, each other one with the best checkpoint of the
    one before; without validation, with its last weights.

    Args:
        epochs: how often all pairs are seen.
        lr: learning rate before the schedule.
        begin: says which parameters get gradients, forgets those that they have, and gives the
            optimiser's parameters.
        loss: maps a batch to a number.
        prepare: called with the number of each step, from 0, before it.
        name: of the folder for its best checkpoint; none is kept of a training of one phase.
        compared: whether its checkpoints must be better than those of the phases before to be the
            best of all; if not, they take their place.
        measured: called after each step; gives numbers of its batches for the log, by name, the
            same names in every process.
    """

    epochs: int
    lr: float
    begin: Callable[[], Sequence[nn.Parameter]]
    loss: nn.Module
    prepare: Callable[[int], None] | None = None
    name: str = ""
    compared: bool = True
    measured: Callable[[], Mapping[str, Tensor]] | None = None


class TrainTask(ABC):
    """What is trained, on what, and how good it is.

    Args:
        model: whose weights are trained and kept; it has a `config`.
        vocabulary: the words, kept in the checkpoints; of click models what encodes their data.
        config: how to train.
        pairs: what to train on.
        validation: what chooses the best checkpoint; without, the best is the last.
    """

    most: Literal[1, 200, 600]
    """Largest number that validation can give."""
    measure: str = "rsum"
    """What that number is; its name in the log."""
    nouns: tuple[str, str]
    """What a pair has, in the plural: captions of images or videos, queries of videos."""

    def __init__(
        self,
        model: nn.Module,
        *,
        vocabulary: Vocabulary | ClickEncoder,
        config: LoopConfig,
        pairs: PairSet | MomentSet | ClickSamples,
        validation: PairSet | MomentSet | ClickSamples | None,
    ) -> None:
        self.model, self.vocabulary, self.config = model, vocabulary, config
        self.pairs, self.validation = pairs, validation

    @property
    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """Parts of the training, in order; one or more."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Everything that the weights follow from, values of JSON; a run folder belongs to it."""

    @abstractmethod
    def batches(self, process: tuple[int, int]) -> Batches:
        """What is read.

        Args:
            process: number of this process and how many there are.
        """

    @abstractmethod
    def validate(self) -> tuple[float, dict[str, Any]]:
        """How good the model is.

        Returns:
            Sum of validation recalls, in percent, or another `measure`, of which more is better;
            and what else the log tells.
        """

    @abstractmethod
    def find_bad(self, batch: Any) -> list[str]:
        """What of a batch is not finite when it is encoded, in words.

        Args:
            batch: on the device of the model.
        """

    def batch_ids(self, batch: Any) -> list[str]:
        """Names of what a batch has, for messages.

        Args:
            batch: as `batches` gives it.
        """
        return list(batch.text_ids)

    def around(self) -> AbstractContextManager[object]:
        """Entered before the first step, with the model on its device; left however it ends."""
        return nullcontext()
