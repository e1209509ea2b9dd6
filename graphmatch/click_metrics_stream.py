"""`StreamingMetrics`: AUC, GAUC and log loss of scores that come batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphmatch.click_metrics import GroupedAUC, check_scores, grouped_auc, losses
from graphmatch.errors import GraphError

_BINS = 1 << 20
_SHIFT = 11  # of the bits of float32: the sign, which is 0, 8 of the exponent and 12 are left


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickMetrics:
    """What a model's scores are worth.

    Args:
        samples: how many.
        positives: those with a click.
        auc: area under the ROC curve; NaN if a class is absent.
        auc_error: the exact area is at most so far from it.
        log_loss: mean cross-entropy.
        gauc: AUC within users; None without users.
    """

    samples: int
    positives: int
    auc: float
    auc_error: float
    log_loss: float
    gauc: GroupedAUC | None = None


@dataclass(slots=True)
class _Users:
    """Sums over users that are complete, and the samples of the one that may go on."""

    value: float = 0.0
    users: int = 0
    skipped: int = 0
    samples: int = 0
    seen: set[int] = field(default_factory=set)
    rest: list[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]] = field(
        default_factory=list
    )


class StreamingMetrics:
    """Metrics in memory that does not grow with the samples.

    Scores are counted in bins of 2^-12 of their size; in a bin a click and a non-click count
    half, as equal scores do. The bins tell by how much that can be wrong at most: half of the pairs
    that share a bin. For probabilities that is some 1e-4 or less; scores that are float16 or
    bfloat16 are counted exactly. GAUC is exact; for it the samples of a user must follow each
    other, as those of a split that is not shuffled do.

    Args:
        by_user: also GAUC; `add` then needs users. Keeps 30 to 60 bytes a user.

    Example:
        >>> metrics = StreamingMetrics()
        >>> metrics.add([0.1, 0.4], [0, 1])
        >>> metrics.add([0.3, 0.8], [0, 1])
        >>> metrics.result().auc
        1.0
    """

    def __init__(self, *, by_user: bool = False) -> None:
        self._users = _Users() if by_user else None
        self._bins = np.zeros((2, _BINS), np.int64)
        self._loss = 0.0

    def add(
        self, probabilities: ArrayLike, labels: ArrayLike, users: ArrayLike | None = None
    ) -> None:
        """Count some samples.

        Args:
            probabilities: [n] of a click.
            labels: [n] 0 or 1.
            users: [n] whole numbers.

        Raises:
            GraphError: no probabilities, other labels, no users where they are wanted, or a user
                that comes again after another one.
        """
        numbers, clicks = check_scores(probabilities, labels)
        if not len(numbers):
            return
        if numbers.min() < 0 or numbers.max() > 1:
            raise GraphError("expected probabilities in [0, 1] (got others)")
        if self._users is not None:
            if users is None:
                raise GraphError("GAUC: expected users (got none)")
            self._add_users(self._users, numbers, clicks, np.asarray(users, np.int64))
        # the bits of numbers from 0 are in the order of the numbers; 0.0 is for -0.0
        bins = (numbers + 0.0).astype(np.float32).view(np.uint32) >> _SHIFT
        self._bins[0] += np.bincount(bins[~clicks], minlength=_BINS)
        self._bins[1] += np.bincount(bins[clicks], minlength=_BINS)
        self._loss += float(losses(numbers, clicks).sum())

    def _add_users(
        self,
        state: _Users,
        numbers: NDArray[np.float64],
        clicks: NDArray[np.bool_],
        users: NDArray[np.int64],
    ) -> None:
        if users.shape != numbers.shape:
            raise GraphError(f"GAUC: expected users [{len(numbers)}] (got {list(users.shape)})")
        starts = np.flatnonzero(np.append(True, users[1:] != users[:-1]))
        heads = users[starts].tolist()
        if state.rest and heads[0] == state.rest[-1][2][-1]:
            heads = heads[1:]
        if len({*heads}) < len(heads) or not state.seen.isdisjoint(heads):
            raise GraphError(
                "GAUC: expected the samples of a user after each other (a user came again); do not "
                "shuffle them"
            )
        state.seen.update(heads)
        last = int(starts[-1])
        if state.rest and last == 0 and users[0] == state.rest[-1][2][-1]:
            state.rest.append((numbers, clicks, users))
            return
        state.rest.append((numbers[:last], clicks[:last], users[:last]))
        self._close(state)
        state.rest = [(numbers[last:], clicks[last:], users[last:])]

    @staticmethod
    def _close(state: _Users) -> None:
        numbers, clicks, users = (np.concatenate(part) for part in zip(*state.rest, strict=True))
        if not len(numbers):
            return
        found = grouped_auc(numbers, clicks, users)
        if found.samples:
            state.value += found.value * found.samples
        state.users += found.users
        state.skipped += found.skipped
        state.samples += found.samples
        state.rest = []

    def result(self) -> ClickMetrics:
        """The metrics of all samples so far; more may be added afterwards.

        Returns:
            The metrics.

        Raises:
            GraphError: no sample.
        """
        negatives, positives = (int(total) for total in self._bins.sum(axis=1))
        if not negatives + positives:
            raise GraphError("expected samples (got none)")
        below = np.cumsum(self._bins[0]) - self._bins[0]  # non-clicks in lower bins
        # whole numbers below 2^53 are exact in float64, and so are halves of them
        wins = float((self._bins[1] * below).sum())
        ties = float((self._bins[1] * self._bins[0]).sum())
        pairs = negatives * positives
        return ClickMetrics(
            samples=negatives + positives,
            positives=positives,
            auc=(wins + ties / 2) / pairs if pairs else float("nan"),
            auc_error=ties / 2 / pairs if pairs else float("nan"),
            log_loss=self._loss / (negatives + positives),
            gauc=None if self._users is None else self._gauc(self._users),
        )

    def _gauc(self, state: _Users) -> GroupedAUC:
        whole = _Users(state.value, state.users, state.skipped, state.samples)
        whole.rest = list(state.rest)
        if whole.rest:
            self._close(whole)
        value = whole.value / whole.samples if whole.samples else float("nan")
        return GroupedAUC(
            value=value, users=whole.users, skipped=whole.skipped, samples=whole.samples
        )
