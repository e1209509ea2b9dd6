"""`Keeper`: what a training keeps of itself while it runs: log, checkpoints, state."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from graphmatch.checkpoint import BEST, LAST, save_checkpoint
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.evaluate import evaluate_scores
from graphmatch.models.matcher import Matcher
from graphmatch.pair_set import PairSet
from graphmatch.retrieval_report import RetrievalReport
from graphmatch.scoring import score_matrix
from graphmatch.train_config import TrainConfig
from graphmatch.train_log import TrainLog
from graphmatch.train_processes import main_only
from graphmatch.train_run import BOARD, LOG, STATE
from graphmatch.train_state import Progress, save_state, sync_folder
from graphmatch.vocab import Vocabulary


class Keeper:
    """Writes to the folder of a run, in the main process; the others only hear what it decides.

    Args:
        accelerator: of this process.
        matcher: what is trained.
        optimizer: of its parameters.
        out: folder of the run, which exists.
        vocabulary: of the checkpoints.
        config: says when to validate, to keep the state, and to stop.
        validation: pairs that choose the best checkpoint.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        matcher: Matcher,
        optimizer: torch.optim.Optimizer,
        *,
        out: Path,
        vocabulary: Vocabulary,
        config: TrainConfig,
        validation: PairSet | None,
    ) -> None:
        self.accelerator, self.matcher, self.optimizer = accelerator, matcher, optimizer
        self.out, self.vocabulary, self.config = out, vocabulary, config
        self.validation = validation
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

    def settle(self, done: Progress, *, epoch: int, ends: bool, last: bool) -> Progress:
        """What is due after a step: validation, checkpoints, state, the decision to stop.

        Args:
            done: progress with the step counted.
            epoch: of the step, from 0.
            ends: whether the step is the last of its epoch.
            last: whether it is the last of all.

        Returns:
            The progress with what was found.
        """
        config = self.config
        due = ends or (config.eval_steps > 0 and done.step % config.eval_steps == 0)
        validation = self.validation if due else None
        if not (
            validation or ends or (config.save_steps > 0 and done.step % config.save_steps == 0)
        ):
            return done

        def work() -> Progress:
            found = done if validation is None else self._validated(done, epoch, validation)
            if ends:
                waited = epoch - found.best_epoch
                stop = config.patience > 0 and waited >= config.patience
                found = dataclasses.replace(
                    found, finished="epochs" if last else "patience" if stop else ""
                )
                self._save(LAST)
                if self.validation is None:
                    self._save(BEST)
            size = self._log.sync() if self._log is not None else 0
            found = dataclasses.replace(found, log_bytes=size)
            # last: it vouches for everything above
            save_state(self.out / STATE, found, self.matcher, self.optimizer)
            return found

        return main_only(self.accelerator, work)

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def _validated(self, done: Progress, epoch: int, pairs: PairSet) -> Progress:
        report = validate(self.matcher, pairs)
        best = done.best_rsum is None or report.rsum > done.best_rsum
        self.write(
            {
                "step": done.step,
                "epoch": epoch,
                "rsum": report.rsum,
                "i2t": [report.i2t.r1, report.i2t.r5, report.i2t.r10],
                "t2i": [report.t2i.r1, report.t2i.r5, report.t2i.r10],
                "best": best,
            }
        )
        if not best:
            return done
        self._save(BEST)
        return dataclasses.replace(
            done, best_rsum=report.rsum, best_step=done.step, best_epoch=epoch
        )

    def _save(self, name: str) -> None:
        save_checkpoint(self.out / name, self.matcher, self.vocabulary, force=True)
        sync_folder(self.out / name)


def validate(matcher: Matcher, pairs: PairSet) -> RetrievalReport:
    """All items of a set of pairs against all of its captions, in float32.

    Args:
        matcher: scores them.
        pairs: captions with their images or videos.

    Returns:
        The report. Holds all encoded items and the score matrix.
    """
    visuals = encode_visuals(matcher, pairs.gallery_graphs())
    texts = encode_texts(matcher, pairs.texts())
    return evaluate_scores(score_matrix(matcher, visuals, texts), pairs.owner)
