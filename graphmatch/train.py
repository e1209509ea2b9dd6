"""`train`, `run_task`: the training loop of every model, on one device or many.

Everything random is drawn from (seed, epoch) or (seed, step, batch, process), and learning rates
follow from the step. So a training that was killed goes on from its last state as if nothing had
happened: on a CPU, with as many threads, bit for bit.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, distributed, nn
from tqdm import tqdm

from graphmatch.checkpoint import check_words
from graphmatch.errors import ConfigError, GraphError
from graphmatch.models.matcher import Matcher
from graphmatch.pair_set import PairSet
from graphmatch.schedules import rate_factor
from graphmatch.train_batches import Batches, groups
from graphmatch.train_config import LoopConfig, TrainConfig
from graphmatch.train_keeper import Keeper
from graphmatch.train_matcher import MatcherTask
from graphmatch.train_processes import (
    average_gradients,
    main_only,
    new_accelerator,
    seed_batch,
    share_weights,
    shared_numbers,
)
from graphmatch.train_report import TrainReport, count_left_out
from graphmatch.train_run import RunFolder
from graphmatch.train_state import Progress, restore_state
from graphmatch.train_task import TrainTask
from graphmatch.vocab import Vocabulary
from graphmatch.weights import listed


def train(
    matcher: Matcher,
    pairs: PairSet,
    out: str | Path,
    *,
    vocabulary: Vocabulary,
    config: TrainConfig,
    validation: PairSet | None = None,
    force: bool = False,
    tensorboard: bool = False,
    progress: bool = False,
) -> TrainReport:
    """Train a matcher; called again with the same arguments, go on where it stopped.

    Args:
        matcher: the model with its first weights; afterwards it has its last ones, on the device
            where it was trained.
        pairs: what to train on.
        out: folder of the run, see `graphmatch.train_run`.
        vocabulary: the words of the captions, kept in the checkpoints.
        config: how to train.
        validation: pairs whose rsum chooses the best checkpoint; without, the best is the last.
        force: throw away another training in the folder.
        tensorboard: write files for TensorBoard, too.
        progress: show a bar with loss, rate and time left, if the output is a terminal.

    Returns:
        What was done.

    Raises:
        ConfigError: as `run_task`.
        CheckpointError: as `run_task`.
        GraphError: as `run_task`.
    """
    task = MatcherTask(matcher, pairs, vocabulary=vocabulary, config=config, validation=validation)
    return run_task(task, out, force=force, tensorboard=tensorboard, progress=progress)


def run_task(
    task: TrainTask,
    out: str | Path,
    *,
    force: bool = False,
    tensorboard: bool = False,
    progress: bool = False,
) -> TrainReport:
    """Train; called again with the same arguments, go on where it stopped.

    Under `torchrun` every process calls this with the same arguments; the main one writes. Each
    step synchronises the device, to look at the loss.

    Args:
        task: what is trained on what; afterwards its model has its last weights, on the device
            where it was trained.
        out: folder of the run, see `graphmatch.train_run`.
        force: throw away another training in the folder.
        tensorboard: write files for TensorBoard, too.
        progress: show a bar with loss, rate and time left, if the output is a terminal.

    Returns:
        What was done.

    Raises:
        ConfigError: patience without validation; a folder with something else in it, or with a
            training of another configuration or other data, and no `force`.
        CheckpointError: a damaged state; a vocabulary of another length than the model's.
        GraphError: the loss or a gradient is not finite: says at which step and for which captions.
    """
    started = time.perf_counter()
    model, config = task.model, task.config
    check_words(model.config, task.vocabulary)
    if config.patience and task.validation is None:
        raise ConfigError(f"patience: expected validation pairs to watch (got {config.patience})")
    accelerator = new_accelerator(config.precision)
    run = RunFolder(out)

    def open_run() -> Any:
        described = task.describe()
        described["processes"] = accelerator.num_processes
        return run.open(described, force=force)

    mode, device = model.training, accelerator.device
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        first, tensors = main_only(accelerator, open_run)
        model.to(device)
        keeper = Keeper(accelerator, task, out=run.path, phase=first.phase)
        if tensors:
            restore_state(tensors, model, keeper.optimizer)
        share_weights(model)
        batches = task.batches((accelerator.process_index, accelerator.num_processes))
        done = first
        if not first.finished:
            # the caller's random numbers stay as they are
            with torch.random.fork_rng([device] if device.type == "cuda" else []), task.around():
                done = _loop(accelerator, keeper, batches, first, board=tensorboard, bar=progress)
    finally:
        model.train(mode)
        for parameter, before in trained:
            parameter.requires_grad_(before)
        run.close()
        accelerator.free_memory()
    return TrainReport(
        out=run.path,
        progress=done,
        first_step=first.step,
        epochs=done.step // epoch_steps(len(task.pairs), config),
        captions=len(task.pairs),
        items=len(task.pairs.gallery),
        left_out=count_left_out(task.pairs),
        seconds=time.perf_counter() - started,
        most=task.most,
        measure=task.measure,
        nouns=task.nouns,
    )


def _loop(
    accelerator: Accelerator,
    keeper: Keeper,
    batches: Batches,
    done: Progress,
    *,
    board: bool,
    bar: bool,
) -> Progress:
    """The loop: phases and their epochs, from the progress `done` to the end."""
    total = sum(one.epochs for one in keeper.phases) * epoch_steps(
        len(batches.pairs), keeper.task.config
    )
    keeper.open_log(done, tensorboard=board)
    hidden = None if bar and accelerator.is_main_process else True  # None: only on a terminal
    try:
        with tqdm(total=total, initial=done.step, unit=" steps", disable=hidden) as shown:
            while not done.finished:
                number, stepper = done.phase, accelerator.prepare(keeper.optimizer)
                while not done.finished and done.phase == number:
                    done = _epoch(accelerator, keeper, stepper, batches, done, shown)
    finally:
        keeper.close()
    return done


def _epoch(
    accelerator: Accelerator,
    keeper: Keeper,
    stepper: AcceleratedOptimizer,
    batches: Batches,
    done: Progress,
    shown: tqdm[Any],
) -> Progress:
    """The rest of an epoch, step by step."""
    task, config, phase = keeper.task, keeper.task.config, keeper.phases[done.phase]
    per_epoch = epoch_steps(len(batches.pairs), config)
    epoch, start = divmod(done.step, per_epoch)
    model = phase.loss.train()
    reader = batches.read(epoch, first=start * config.accumulate, workers=config.workers)
    clock = time.perf_counter()
    for step, group in enumerate(groups(reader, config.accumulate), done.step):
        rate = phase.lr * rate_factor(
            step - done.phase_epoch * per_epoch,
            schedule=config.schedule,
            steps=phase.epochs * per_epoch,
            epoch_steps=per_epoch,
            decay_epochs=config.decay_epochs,
            warmup_steps=config.warmup_steps,
        )
        for parameters in stepper.param_groups:
            parameters["lr"] = rate
        if phase.prepare is not None:
            phase.prepare(step)
        loss = add_gradients(accelerator, model, group, seed=config.seed, step=step)
        norm = accelerator.clip_grad_norm_(model.parameters(), config.clip or float("inf"))
        if not bool(loss.isfinite() & norm.isfinite()):
            raise _not_finite(accelerator, task, group, step, loss, norm)
        stepper.step()
        stepper.zero_grad()
        more = {}
        if phase.measured is not None:
            more = shared_numbers(accelerator, phase.measured())
        pairs = batches.count(step - epoch * per_epoch, config.accumulate)
        speed = pairs / (time.perf_counter() - clock)
        clock = time.perf_counter()
        keeper.write(
            {
                "step": step + 1,
                "epoch": epoch,
                "loss": loss.item(),
                **more,
                "lr": rate,
                "norm": norm.item(),
                "pairs_per_second": round(speed, 2),
            }
        )
        shown.set_postfix_str(f"loss {loss.item():.4g}, {speed:.0f} pairs/s")
        shown.update()
        ends = step + 1 == (epoch + 1) * per_epoch
        done = keeper.settle(replace(done, step=step + 1), epoch=epoch, ends=ends)
        model.train()
    return done


def add_gradients(
    accelerator: Accelerator,
    model: nn.Module,
    group: list[Any],
    *,
    seed: int,
    step: int,
) -> Tensor:
    """The mean gradient of the batches of a step, added to that of the parameters.

    Args:
        accelerator: of this process.
        model: maps a batch to its loss.
        group: batches of the step.
        seed: of the training.
        step: from 0.

    Returns:
        Mean loss of the batches, and of the processes, on each process.
    """
    total = torch.zeros((), device=accelerator.device)
    for number, batch in enumerate(group):
        seed_batch(seed, step, number, accelerator.process_index)
        with accelerator.autocast():
            loss = model(batch.to(accelerator.device)) / len(group)
        accelerator.backward(loss)
        total += loss.detach()
    average_gradients(model)
    mean: Tensor = accelerator.reduce(total, reduction="mean")
    return mean


def epoch_steps(pairs: int, config: LoopConfig) -> int:
    """Steps of an epoch.

    Args:
        pairs: how many there are.
        config: has the size of a batch and how many make a step.

    Returns:
        The number, at least 1; the last step may have fewer pairs.

    Example:
        >>> epoch_steps(145_000, LoopConfig())
        1133
    """
    batches = -(-pairs // config.batch_size)
    return -(-batches // config.accumulate)


def _not_finite(
    accelerator: Accelerator,
    task: TrainTask,
    group: list[Any],
    step: int,
    loss: Tensor,
    norm: Tensor,
) -> GraphError:
    """The error of a step; names the items that cannot be encoded, or all captions."""
    texts: list[str] = []
    bad: list[str] = []
    for part in group:
        texts += task.batch_ids(part)
        bad += task.find_bad(part.to(accelerator.device))
    found = [bad, texts]
    if accelerator.num_processes > 1:
        every: list[Any] = [None] * accelerator.num_processes
        distributed.all_gather_object(every, found)
        found = [[key for one in every for key in one[kind]] for kind in (0, 1)]
    bad, texts = found
    why = f"not finite when encoded: {listed(bad)}" if bad else f"{task.nouns[0]} {listed(texts)}"
    return GraphError(
        f"step {step + 1}: expected a finite loss and gradient (got loss {loss.item()}, norm "
        f"{norm.item()}); {why}; look at their features, or try a smaller lr or clip"
    )
