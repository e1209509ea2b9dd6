"""`train`: the training loop of every matcher, on one device or many.

Everything random is drawn from (seed, epoch) or (seed, step, batch, process), and learning rates
follow from the step. So a training that was killed goes on from its last state as if nothing had
happened: on a CPU, with as many threads, bit for bit.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn
from tqdm import tqdm

from graphmatch.checkpoint import check_words
from graphmatch.config import config_values
from graphmatch.errors import ConfigError, GraphError
from graphmatch.gathered import BatchLoss, Share
from graphmatch.graphs.batch import MatchBatch
from graphmatch.models.matcher import Matcher
from graphmatch.models.table import model_name
from graphmatch.nn.piece_encoder import PieceEncoder
from graphmatch.pair_set import PairSet
from graphmatch.schedules import rate_factor
from graphmatch.train_batches import Batches, groups
from graphmatch.train_config import TrainConfig
from graphmatch.train_keeper import Keeper
from graphmatch.train_processes import (
    average_gradients,
    main_only,
    new_accelerator,
    seed_batch,
    share_weights,
)
from graphmatch.train_report import TrainReport, count_left_out
from graphmatch.train_run import RunFolder, describe_pairs, weights_digest
from graphmatch.train_state import Progress, restore_state
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

    Under `torchrun` every process calls this with the same arguments; the main one writes. Each
    step synchronises the device, to look at the loss.

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
        ConfigError: patience without validation pairs; a folder with something else in it, or with
            a training of another configuration or other data, and no `force`.
        CheckpointError: a damaged state; a vocabulary of another length than the model's.
        GraphError: the loss or a gradient is not finite: says at which step and for which captions.
    """
    started = time.perf_counter()
    check_words(matcher.config, vocabulary)
    if config.patience and validation is None:
        raise ConfigError(f"patience: expected validation pairs to watch (got {config.patience})")
    accelerator = new_accelerator(config.precision)
    run = RunFolder(out)

    def open_run() -> Any:
        described = describe_training(
            matcher, pairs, vocabulary=vocabulary, config=config, validation=validation
        )
        described["processes"] = accelerator.num_processes
        return run.open(described, force=force)

    mode, usual = matcher.training, matcher.hinge.negatives
    encoders = [module for module in matcher.modules() if isinstance(module, PieceEncoder)]
    device = accelerator.device
    try:
        first, tensors = main_only(accelerator, open_run)
        matcher.to(device)
        optimizer = make_optimizer(matcher, config)
        if tensors:
            restore_state(tensors, matcher, optimizer)
        share_weights(matcher)
        done = first
        keeper = Keeper(
            accelerator,
            matcher,
            optimizer,
            out=run.path,
            vocabulary=vocabulary,
            config=config,
            validation=validation,
        )
        batches = Batches(
            pairs,
            batch_size=config.batch_size,
            seed=config.seed,
            process=(accelerator.process_index, accelerator.num_processes),
            gather=config.gather,
        )
        for encoder in encoders:
            encoder.remember(text.word for text in pairs.texts())
            encoder.remember(text.word for text in (validation.texts() if validation else ()))
        # the caller's random numbers stay as they are
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            if not first.finished:
                done = _loop(
                    accelerator, optimizer, keeper, batches, first, board=tensorboard, bar=progress
                )
    finally:
        matcher.hinge.negatives = usual
        matcher.train(mode)
        for encoder in encoders:
            encoder.forget()
        run.close()
        accelerator.free_memory()
    return TrainReport(
        out=run.path,
        progress=done,
        first_step=first.step,
        epochs=done.step // epoch_steps(len(pairs), config),
        captions=len(pairs),
        items=len(pairs.gallery),
        left_out=count_left_out(pairs),
        seconds=time.perf_counter() - started,
    )


def _loop(
    accelerator: Accelerator,
    optimizer: torch.optim.Optimizer,
    keeper: Keeper,
    batches: Batches,
    done: Progress,
    *,
    board: bool,
    bar: bool,
) -> Progress:
    """The loop: from the progress `done` to the end."""
    config, matcher = keeper.config, keeper.matcher
    per_epoch = epoch_steps(len(batches.pairs), config)
    total = config.epochs * per_epoch
    usual = matcher.hinge.negatives
    keeper.open_log(done, tensorboard=board)
    model, stepper = BatchLoss(matcher).train(), accelerator.prepare(optimizer)
    hidden = None if bar and accelerator.is_main_process else True  # None: only on a terminal
    try:
        with tqdm(total=total, initial=done.step, unit=" steps", disable=hidden) as shown:
            while not done.finished:
                epoch, start = divmod(done.step, per_epoch)
                reader = batches.read(
                    epoch, first=start * config.accumulate, workers=config.workers
                )
                clock = time.perf_counter()
                for step, group in enumerate(groups(reader, config.accumulate), done.step):
                    rate = config.lr * rate_factor(
                        step,
                        schedule=config.schedule,
                        steps=total,
                        epoch_steps=per_epoch,
                        decay_epochs=config.decay_epochs,
                        warmup_steps=config.warmup_steps,
                    )
                    for parameters in optimizer.param_groups:
                        parameters["lr"] = rate
                    matcher.hinge.negatives = usual if step >= config.hardest_after else "all"
                    loss = add_gradients(accelerator, model, group, seed=config.seed, step=step)
                    norm = accelerator.clip_grad_norm_(
                        model.parameters(), config.clip or float("inf")
                    )
                    if not bool(loss.isfinite() & norm.isfinite()):
                        raise _not_finite(accelerator, matcher, group, step, loss, norm)
                    stepper.step()
                    stepper.zero_grad()
                    pairs = batches.count(step - epoch * per_epoch, config.accumulate)
                    speed = pairs / (time.perf_counter() - clock)
                    clock = time.perf_counter()
                    keeper.write(
                        {
                            "step": step + 1,
                            "epoch": epoch,
                            "loss": loss.item(),
                            "lr": rate,
                            "norm": norm.item(),
                            "pairs_per_second": round(speed, 2),
                        }
                    )
                    shown.set_postfix_str(f"loss {loss.item():.4g}, {speed:.0f} pairs/s")
                    shown.update()
                    done = keeper.settle(
                        dataclasses.replace(done, step=step + 1),
                        epoch=epoch,
                        ends=step + 1 == (epoch + 1) * per_epoch,
                        last=step + 1 == total,
                    )
                    model.train()
    finally:
        keeper.close()
    return done


def add_gradients(
    accelerator: Accelerator,
    model: nn.Module,
    group: list[MatchBatch | Share],
    *,
    seed: int,
    step: int,
) -> Tensor:
    """The mean gradient of the batches of a step, added to that of the parameters.

    Args:
        accelerator: of this process.
        model: a `BatchLoss`.
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


def epoch_steps(pairs: int, config: TrainConfig) -> int:
    """Steps of an epoch.

    Args:
        pairs: how many there are.
        config: has the size of a batch and how many make a step.

    Returns:
        The number, at least 1; the last step may have fewer pairs.

    Example:
        >>> epoch_steps(145_000, TrainConfig())
        1133
    """
    batches = -(-pairs // config.batch_size)
    return -(-batches // config.accumulate)


def make_optimizer(matcher: Matcher, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of a training, of all parameters in one group.

    Args:
        matcher: its parameters.
        config: names the optimiser and its decay.

    Returns:
        Adam or AdamW, with torch's defaults otherwise.
    """
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(matcher.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def describe_training(
    matcher: Matcher,
    pairs: PairSet,
    *,
    vocabulary: Vocabulary,
    config: TrainConfig,
    validation: PairSet | None,
) -> dict[str, Any]:
    """Everything that the weights of a training follow from; a run folder belongs to it.

    Args:
        matcher: the model with its first weights.
        pairs: what to train on.
        vocabulary: the words.
        config: how to train.
        validation: pairs that choose the best checkpoint.

    Returns:
        Values of JSON.
    """
    return {
        "model": model_name(matcher),
        "config": config_values(matcher.config),
        "training": config_values(config),
        "words": len(vocabulary),
        "data": describe_pairs(pairs),
        "validation": None if validation is None else describe_pairs(validation),
        "first_weights": weights_digest(matcher),
    }


def _not_finite(
    accelerator: Accelerator,
    matcher: Matcher,
    group: list[MatchBatch | Share],
    step: int,
    loss: Tensor,
    norm: Tensor,
) -> GraphError:
    """The error of a step; names the items that cannot be encoded, or all captions."""
    texts: list[str] = []
    bad: list[str] = []
    with torch.no_grad():
        for part in group:
            batch = part.to(accelerator.device)
            texts += batch.text_ids
            for what, ids, items in (
                ("caption", batch.text_ids, matcher.encode_text(batch.text)),
                ("item", batch.visual_ids, matcher.encode_visual(batch.visual)),
            ):
                finite = items.nodes.isfinite().flatten(1).all(dim=1).tolist()
                bad += [
                    f"{what} {key!r}" for key, fine in zip(ids, finite, strict=True) if not fine
                ]
    found = [bad, texts]
    if accelerator.num_processes > 1:
        every: list[Any] = [None] * accelerator.num_processes
        distributed.all_gather_object(every, found)
        found = [[key for one in every for key in one[kind]] for kind in (0, 1)]
    bad, texts = found
    why = f"not finite when encoded: {listed(bad)}" if bad else f"captions {listed(texts)}"
    return GraphError(
        f"step {step + 1}: expected a finite loss and gradient (got loss {loss.item()}, norm "
        f"{norm.item()}); {why}; look at their features, or try a smaller lr or clip"
    )
