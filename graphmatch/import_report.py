"""`ImportReport`: what an import of an official checkpoint found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphmatch.config import config_values


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import of an official checkpoint found; as text, some lines to print.

    Args:
        model: name of the model.
        tensors: how many were read; all of them are in the model.
        parameters: how many numbers these are.
        config: the model's configuration.
        epoch: how many epochs were trained, if the file says it.
        best_rsum: best sum of recalls in validation, in percent, if the file says it.
        notes: what to know: fields with default values, options that were not needed.
    """

    model: str
    tensors: int
    parameters: int
    config: Any
    epoch: int | None = None
    best_rsum: float | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        fields = ", ".join(
            f"{name}={value!r}" for name, value in config_values(self.config).items()
        )
        lines = [
            f"{self.model}: {self.tensors} tensors, {self.parameters:,} parameters",
            f"configuration: {fields}",
        ]
        if self.epoch is not None:
            lines.append(f"epoch: {self.epoch}")
        if self.best_rsum is not None:
            lines.append(f"best rsum in validation: {self.best_rsum:.2f}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])
