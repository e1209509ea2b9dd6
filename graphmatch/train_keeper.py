"""`Keeper`: what a training keeps of itself while it runs: log, checkpoints, state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

from graphmatch.checkpoint import BEST, LAST, WEIGHTS, save_checkpoint
from graphmatch.train_config import LoopConfig
from graphmatch.train_log import TrainLog
from graphmatch.train_processes import main_only
from graphmatch.train_run import BOARD, LOG, STATE
from graphmatch.train_state import Progress, save_state, sync_folder
from graphmatch.train_task import TrainTask


class Keeper:
    """Writes to the folder of a run, in the main process; the others only hear what it decides.

    Args:
        accelerator: of this process.
        task: what is trained.
        out: folder of the run, which exists.
        phase: number of the phase that the optimiser is for.
    """

    def __init__(
        self, accelerator: Accelerator, task: TrainTask, *, out: Path, phase: int = 0
    ) -> None:
        self.accelerator, self.task, self.out = accelerator, task, out
        self.phases = task.phases
        self.optimizer = make_optimizer(self.phases[phase].begin(), task.config)
        self._log: TrainLog | None = None

    def open_log(self, done: Progress, *, tensorboard: bool = False) -> None:
        """Go on with the log from where the state was kept.

        Args:
            done: the state.
            tensorboard: write files for TensorBoard, too.

        Raises:
            CheckpointError: the log is shorter than it was.
            ConfigError: TensorBoard is wanted and not installed.
        """

        def work() -> None:
            board = self.out / BOARD if tensorboard else None
            path = self.out / LOG
            self._log = TrainLog(path, size=done.log_bytes, tensorboard=board, step=done.step)

        main_only(self.accelerator, work)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line to the log.

        Args:
            line: what was measured at a step.
        """
        if self._log is not None:
            self._log.write(line)

    def settle(self, done: Progress, *, epoch: int, ends: bool) -> Progress:
        """What is due after a step: validation, checkpoints, state, the next phase or the end.

        Args:
            done: progress with the step counted.
            epoch: of the step, from 0.
            ends: whether the step is the last of its epoch.

        Returns:
            The progress with what was found. If it has another phase, model and `optimizer` are
            those with which that phase begins.
        """
        config = self.task.config
        due = ends or (config.eval_steps > 0 and done.step % config.eval_steps == 0)
        validates = due and self.task.validation is not None
        if not (
            validates or ends or (config.save_steps > 0 and done.step % config.save_steps == 0)
        ):
            return done

        def work() -> Progress:
            found = self._validated(done, epoch) if validates else done
            if ends:
                found = self._ended(found, epoch)
                self._save(LAST)
                if self.task.validation is None:
                    self._save(BEST, self.phases[done.phase].name)
            return self._keep(found) if found.phase == done.phase else found

        found = main_only(self.accelerator, work)
        return found if found.phase == done.phase else self._begin(found)

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def _ended(self, done: Progress, epoch: int) -> Progress:
        """After an epoch: the training, or its phase, may be over."""
        waited = epoch - max(done.best_epoch, done.phase_epoch - 1)
        over = epoch + 1 == done.phase_epoch + self.phases[done.phase].epochs
        if not over and not 0 < self.task.config.patience <= waited:
            return done
        if done.phase + 1 == len(self.phases):
            return replace(done, finished="epochs" if over else "patience")
        after = replace(done, phase=done.phase + 1, phase_epoch=epoch + 1, phase_rsum=None)
        return after if self.phases[after.phase].compared else replace(after, best_rsum=None)

    def _begin(self, done: Progress) -> Progress:
        """Begin a phase; its state is kept at once, as the checkpoint it begins with may change."""
        if self.task.validation is not None:
            path = self.out / self.phases[done.phase - 1].name / WEIGHTS
            weights = main_only(self.accelerator, lambda: load_file(path))
            self.task.model.load_state_dict(weights)
        self.optimizer = make_optimizer(self.phases[done.phase].begin(), self.task.config)
        return main_only(self.accelerator, lambda: self._keep(done))

    def _keep(self, done: Progress) -> Progress:
        size = self._log.sync() if self._log is not None else 0
        done = replace(done, log_bytes=size)
        # last: it vouches for everything above
        save_state(self.out / STATE, done, self.task.model, self.optimizer)
        return done

    def _validated(self, done: Progress, epoch: int) -> Progress:
        rsum, more = self.task.validate()
        best = done.best_rsum is None or rsum > done.best_rsum
        of_phase = done.phase_rsum is None or rsum > done.phase_rsum
        found = {self.task.measure: rsum, **more, "best": best}
        self.write({"step": done.step, "epoch": epoch, **found})
        if of_phase:
            self._save(self.phases[done.phase].name)
            done = replace(done, phase_rsum=rsum)
        if not best:
            return done
        self._save(BEST)
        return replace(done, best_rsum=rsum, best_step=done.step, best_epoch=epoch)

    def _save(self, *names: str) -> None:
        for name in filter(None, names):
            save_checkpoint(self.out / name, self.task.model, self.task.vocabulary, force=True)
            sync_folder(self.out / name)


def make_optimizer(parameters: Iterable[nn.Parameter], config: LoopConfig) -> torch.optim.Optimizer:
    """The optimiser of a phase, of all its parameters in one group.

    Args:
        parameters: what it moves.
        config: names the optimiser and its decay.

    Returns:
        Adam or AdamW, with torch's defaults otherwise.
    """
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=config.lr, weight_decay=config.weight_decay)
