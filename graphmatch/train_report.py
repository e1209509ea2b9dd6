"""`TrainReport`: what a training did."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphmatch.pair_set import PairSet
from graphmatch.train_state import Progress

if TYPE_CHECKING:
    from graphmatch.click_samples import ClickSamples
    from graphmatch.moment_set import MomentSet


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a training did.

    Args:
        out: its folder.
        progress: how far it is.
        first_step: steps that were done when this run began.
        epochs: epochs that are done.
        captions: pairs that were trained on: captions, queries or samples.
        items: images or videos of them.
        left_out: how many captions were left out, by reason.
        seconds: that this run took.
        most: largest number that validation can give.
        measure: what that number is.
        nouns: what captions and items are called.
    """

    out: Path
    progress: Progress
    first_step: int
    epochs: int
    captions: int
    items: int
    left_out: dict[str, int]
    seconds: float
    most: int = 600
    measure: str = "rsum"
    nouns: tuple[str, str] = ("captions", "images or videos")

    @property
    def did_nothing(self) -> bool:
        """Whether the training was finished before."""
        return bool(self.progress.finished) and self.first_step == self.progress.step

    def lines(self) -> list[str]:
        """The report in words.

        Returns:
            Lines.
        """
        done = self.progress
        if self.did_nothing:
            head = f"{self.out}: the training was finished before, nothing to do"
        else:
            head = f"{self.out}: {done.step - self.first_step:,} steps in {self.seconds:.1f} s"
            if self.first_step:
                head += f", after {self.first_step:,} of an earlier run"
        ends = {"patience": ", stopped since validation got no better", "epochs": ""}
        pairs = f"{self.captions:,} {self.nouns[0]} of {self.items:,} {self.nouns[1]}"
        lines = [head, f"{pairs}; {self.epochs:,} epochs{ends.get(done.finished, '')}"]
        lines += left_out_lines(self.left_out, self.nouns[0])
        if done.best_rsum is None:
            return [*lines, f"{self.out / 'best'}: the last weights; no validation chose them"]
        chosen = f"{self.measure} {done.best_rsum:.1f} of {self.most}"
        if self.most == 1:
            chosen = f"{self.measure.upper()} {done.best_rsum:.4f}"
        when = f"in epoch {done.best_epoch}, step {done.best_step:,}"
        return [*lines, f"{self.out / 'best'}: {chosen} {when}"]


def count_left_out(pairs: PairSet | MomentSet | ClickSamples) -> dict[str, int]:
    """How many captions were left out, by reason.

    Args:
        pairs: the pairs that remained.

    Returns:
        Counts; ids and other quoted text in a reason are not told apart.
    """
    return dict(Counter(re.sub(r"'[^']*'", "'...'", why) for _, why in pairs.skipped).most_common())


def left_out_lines(counts: dict[str, int], noun: str = "captions") -> list[str]:
    """Counts of what was left out, in words.

    Args:
        counts: by reason, the most frequent first.
        noun: what they are, in the plural.

    Returns:
        Lines; none if nothing was left out.

    Example:
        >>> left_out_lines({"'...' is not in the store": 2})
        ['2 captions left out:', "  2 x '...' is not in the store"]
    """
    if not counts:
        return []
    shown = [f"  {count:,} x {reason}" for reason, count in list(counts.items())[:8]]
    more = sum(list(counts.values())[8:])
    rest = [f"  {more:,} x other reasons"] if more else []
    return [f"{sum(counts.values()):,} {noun} left out:", *shown, *rest]
