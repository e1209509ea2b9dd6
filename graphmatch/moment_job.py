"""`train_moment_files`: DRN's training from files of queries and a store of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from graphmatch.checkpoint import load_checkpoint
from graphmatch.config import config_from_values, config_values
from graphmatch.datasets.dataset import DataSet
from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.moment_set import MomentSet
from graphmatch.moment_training import MomentTrainConfig, train_moments
from graphmatch.query_file import hold_out, read_queries
from graphmatch.query_vocabulary import query_vocabulary, read_query_vocabulary
from graphmatch.rows import CaptionRow
from graphmatch.store import GraphStore
from graphmatch.train_job import feature_width, in_words, split_settings
from graphmatch.train_report import TrainReport
from graphmatch.vocab import Vocabulary
from graphmatch.weights import check_fit
from graphmatch.word_vectors import read_word_vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentJob:
    """What `graphmatch train drn` is asked for.

    Args:
        queries: file of queries with moments, see `read_queries`.
        visual: store of clips.
        out: folder of the run.
        durations: seconds by video, for queries that come without them.
        val_queries: queries that choose the best checkpoint; never those of the test.
        val_share: in place of these, the share of the videos of `queries` that is held out.
        graphs: store of the queries, parsed, for graph layers; ids as the reader of the file gives.
        vocab: file with the words; made from the training queries if None.
        word_vectors: published vectors that embeddings begin with, see `read_word_vectors`.
        settings: `field=value` of `DRNConfig` or `MomentTrainConfig`.
        init: checkpoint to begin with.
    """

    queries: Path
    visual: Path
    out: Path
    durations: Path | None = None
    val_queries: Path | None = None
    val_share: float | None = None
    graphs: Path | None = None
    vocab: Path | None = None
    word_vectors: Path | None = None
    settings: Sequence[str] = ()
    init: Path | None = None


def train_moment_files(
    job: MomentJob,
    *,
    force: bool = False,
    tensorboard: bool = False,
    progress: bool = False,
    tell: Callable[[str], None] | None = None,
) -> TrainReport:
    """Train DRN from files; called again with the same job, go on where it stopped.

    Args:
        job: what to train on what.
        force: throw away another training in the folder.
        tensorboard: write files for TensorBoard, too.
        progress: show a bar, if the output is a terminal.
        tell: gets the effective configuration, a line each for the model and the training.

    Returns:
        What was done.

    Raises:
        ConfigError: an unknown field, an impossible value, options that contradict each other, no
            usable query; as `train_moments`.
        CheckpointError: a checkpoint that does not fit; as `train_moments`.
        FormatError: a damaged file.
    """
    own, ours = split_settings("drn", job.settings)
    config = config_from_values(MomentTrainConfig, ours)
    visuals = FeatureStore(job.visual)
    data, held = _data(job, seed=config.seed)
    started = None if job.init is None else load_checkpoint(job.init, task="ground")
    vocabulary = _vocabulary(job, data) if started is None else started[1]
    queries = MomentSet(data, visuals, vocabulary, graphs=_graphs(job))
    validation = None
    if held is not None:
        validation = MomentSet(held, visuals, vocabulary, graphs=_graphs(job))
    model = _begin(job, queries, own, started=started, seed=config.seed)
    if tell is not None:
        tell(f"drn: {in_words(model.config)}")
        tell(f"training: {in_words(config)}")
        tell(f"queries: {queries!r}; validation: {validation!r}")
    return train_moments(
        model,
        queries,
        job.out,
        config=config,
        validation=validation,
        force=force,
        tensorboard=tensorboard,
        progress=progress,
    )


def _data(job: MomentJob, *, seed: int) -> tuple[DataSet, DataSet | None]:
    """Queries to train on, and those to validate with."""
    data = read_queries(job.queries, durations=job.durations)
    if job.val_queries is None:
        return (data, None) if job.val_share is None else hold_out(data, job.val_share, seed=seed)
    if job.val_share is not None:
        raise ConfigError("--val-share: expected no --val-queries with it")
    held = read_queries(job.val_queries, durations=job.durations)
    both = {c.owner for c in data.captions} & {c.owner for c in held.captions} - {None}
    if both:
        raise ConfigError(
            f"{job.val_queries}: expected videos that are not trained on "
            f"(got {len(both)} of {job.queries}, such as {min(map(str, both))})"
        )
    return data, held


def _vocabulary(job: MomentJob, data: DataSet) -> Vocabulary:
    if job.vocab is not None:
        return read_query_vocabulary(job.vocab)
    if str(job.word_vectors).endswith(".safetensors"):
        raise ConfigError(f"{job.word_vectors}: it has no words, expected --vocab with it")
    return query_vocabulary(c.text for c in data.captions if c.error is None)


def _graphs(job: MomentJob) -> Iterable[CaptionRow] | None:
    return None if job.graphs is None else GraphStore(job.graphs)


def _begin(
    job: MomentJob,
    queries: MomentSet,
    own: dict[str, Any],
    *,
    started: tuple[Any, Vocabulary] | None,
    seed: int,
) -> DRN:
    """The model with its first weights."""
    width = feature_width(queries.visuals)
    values: dict[str, Any] = {"vocabulary": len(queries.vocabulary), "feature_size": width}
    rows = None
    if job.word_vectors is not None:
        if started is not None:
            raise ConfigError("--init: expected no --word-vectors, the checkpoint has embeddings")
        rows = read_word_vectors(job.word_vectors, queries.vocabulary)
        values["word_size"] = rows.size(1)
        if own.get("word_size", rows.size(1)) != rows.size(1):
            raise ConfigError(
                f"word_size: {job.word_vectors} has vectors of {rows.size(1)} numbers "
                f"(got {own['word_size']})"
            )
    if started is None:
        values = {"clips": _clips(queries), **own, **values}
    else:
        if job.vocab is not None:
            raise ConfigError("--init: expected no --vocab, the checkpoint has words")
        values = {**config_values(started[0].config), **own}
        if values["feature_size"] != width:
            raise ConfigError(
                f"{job.visual}: expected features of {values['feature_size']} numbers, as the "
                f"checkpoint reads (got {width})"
            )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DRN(config_from_values(DRNConfig, values))
    if rows is not None:
        with torch.no_grad():
            model.text.embedding.weight.copy_(rows)
    if started is not None:
        check_fit(model, started[0].state_dict())
        model.load_state_dict(started[0].state_dict())
    return model


def _clips(queries: MomentSet) -> int:
    """How many clips the videos have, if all have as many; else the usual number."""
    counts = {int(queries.visuals.row_counts[place]) for place in queries.gallery}
    return counts.pop() if len(counts) == 1 else DRNConfig(vocabulary=1).clips
