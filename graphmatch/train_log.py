"""`TrainLog`: one JSON object a line for every step and validation; TensorBoard beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphmatch.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TrainLog:
    """The log of a training; what lies behind the state from which it goes on is cut off.

    A step's line has `step` (from 1), `epoch` (from 0), `loss`, `lr`, `norm` (of the gradients,
    before clipping) and `pairs_per_second`; a validation's line `step`, `epoch`, `rsum`, recalls at
    1, 5 and 10 as `i2t` and `t2i`, and whether it is the `best` one. What a task has instead or
    besides, DRN or MARN, is told there.

    Args:
        path: the file, made if it is not there.
        size: its length in bytes up to the state.
        tensorboard: folder for TensorBoard's files, if they are wanted.
        step: steps up to the state.

    Raises:
        CheckpointError: the file is shorter than that.
        ConfigError: TensorBoard is wanted and not installed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
        >>> with TrainLog(path) as log:
        ...     log.write({"step": 1, "loss": 0.5})
        ...     log.sync()
        25
        >>> TrainLog(path, size=0).close()
        >>> path.read_text()
        ''
    """

    def __init__(
        self, path: str | Path, *, size: int = 0, tensorboard: Path | None = None, step: int = 0
    ) -> None:
        self._board = None if tensorboard is None else _writer(tensorboard, step)
        self._file = Path(path).open("ab")  # noqa: SIM115  # closed by `close`
        present = self._file.tell()
        if present < size:
            self._file.close()
            raise CheckpointError(
                f"{path}: expected a log of at least {size} bytes (got {present}); "
                "--force starts the training anew"
            )
        self._file.truncate(size)

    def __enter__(self) -> TrainLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Args:
            line: values of JSON; `step` and what was measured there.
        """
        self._file.write((json.dumps(line) + "\n").encode())
        self._file.flush()
        if self._board is not None:
            for name, value in line.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, line["step"])

    def sync(self) -> int:
        """Flush everything to the disk.

        Returns:
            Length of the log in bytes.
        """
        os.fsync(self._file.fileno())
        if self._board is not None:
            self._board.flush()
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _writer(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            f"TensorBoard is not installed ({error}): pip install 'graphmatch[tensorboard]'"
        ) from error
    # what an interrupted run wrote after the state is not shown
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
