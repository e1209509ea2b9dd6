"""`read_adversary`: from the log of a training, how the adversary of a model fared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphmatch.collapse import CollapseLimits, collapse_signs
from graphmatch.errors import ConfigError

_NAMES = ("accuracy", "weight", "specific", "invariant")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversaryReport:
    """How an adversary fared.

    Args:
        last: means over the last steps, of `accuracy`, `weight`, `specific` and `invariant`, as
            `graphmatch.click_losses.ClickOutcome` has them.
        steps: how many these are.
        signs: of a collapse at the end, a sentence each, by kind.
        first: of every sign that there was, the step at whose end it was seen first.
    """

    last: Mapping[str, float]
    steps: int
    signs: Mapping[str, str]
    first: Mapping[str, int]

    def lines(self) -> list[str]:
        """The report in words."""
        if not self.last:
            return []
        shown = {
            "weight": "mean w {:.3g}",
            "accuracy": "D0 right in {:.1%}",
            "invariant": "norm of c {:.3g}",
            "specific": "norm of s {:.3g}",
        }
        parts = [text.format(self.last[name]) for name, text in shown.items() if name in self.last]
        lines = [f"adversary in the last {self.steps:,} steps: {', '.join(parts)}"]
        lines += [
            f"  since step {self.first[name]:,} or again: {text}"
            for name, text in self.signs.items()
        ]
        gone = {name: step for name, step in self.first.items() if name not in self.signs}
        if gone:
            found = ", ".join(f"{name} in step {step:,}" for name, step in gone.items())
            lines.append(f"  signs of a collapse that are gone again: {found}")
        return lines


def read_adversary(
    path: str | Path, *, every: int = 100, limits: CollapseLimits | None = None
) -> AdversaryReport | None:
    """Read a log of a training.

    Args:
        path: `log.jsonl` of a run.
        every: steps whose mean is looked at; fewer are, if the log has no more.
        limits: what is still healthy.

    Returns:
        The report; None of a log without steps or of a model without an adversary.

    Raises:
        ConfigError: no step at a time.
        OSError: no such file.
    """
    if every < 1:
        raise ConfigError(f"every: expected at least 1 step (got {every})")
    sums: dict[str, float] = {}
    seen = step = 0
    last: dict[str, float] = {}
    steps = 0
    first: dict[str, int] = {}
    signs: dict[str, str] = {}
    with Path(path).open(encoding="utf-8") as stream:
        for line in stream:
            found = json.loads(line)
            if "loss" not in found:
                continue
            step = found["step"]
            for name in _NAMES:
                if name in found:
                    sums[name] = sums.get(name, 0.0) + found[name]
            seen += 1
            if seen == every:
                last, steps = {name: total / seen for name, total in sums.items()}, seen
                sums, seen = {}, 0
                signs = collapse_signs(last, limits)
                first |= {name: step for name in signs if name not in first}
    if not steps and seen:
        last, steps = {name: total / seen for name, total in sums.items()}, seen
        signs = collapse_signs(last, limits)
        first = dict.fromkeys(signs, step)
    return AdversaryReport(last=last, steps=steps, signs=signs, first=first) if last else None
