"""`graphmatch train`: a matcher from captions and images, DRN from queries, MARN from clicks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from graphmatch.click_training import ClickTrainReport
    from graphmatch.train_report import TrainReport

_MODELS = "scan|gsmn|imram|hgr|global-match|drn|marn"


def train(
    model: Annotated[str, typer.Argument(help="What to train.", metavar=_MODELS)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    visual: Annotated[
        Path | None,
        typer.Option(help="Store of their images or videos, of graphmatch regions or clips."),
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Store of captions, of graphmatch parse.")
    ] = None,
    clicks: Annotated[
        Path | None,
        typer.Option(
            help="marn: store of clicks, of graphmatch clicks; its validation split chooses the "
            "best checkpoint."
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="drn: queries with moments, as Charades-STA, ActivityNet Captions or TACoS have "
            "them."
        ),
    ] = None,
    val_captions: Annotated[
        Path | None, typer.Option(help="Captions whose rsum chooses the best checkpoint.")
    ] = None,
    val_visual: Annotated[
        Path | None, typer.Option(help="Their images or videos, if not in --visual.")
    ] = None,
    durations: Annotated[
        Path | None, typer.Option(help="drn: seconds by video, Charades_duration.json.")
    ] = None,
    val_queries: Annotated[
        Path | None,
        typer.Option(
            help="drn: queries of other videos, whose R@1 + R@5 at IoU 0.5 chooses the best "
            "checkpoint; never those of the test."
        ),
    ] = None,
    val_share: Annotated[
        float | None,
        typer.Option(help="drn: hold this share of the videos of --queries out for that."),
    ] = None,
    graphs: Annotated[
        Path | None,
        typer.Option(help="drn: store of the parsed queries, for --set graph_layers=N."),
    ] = None,
    word_vectors: Annotated[
        Path | None,
        typer.Option(
            help="drn: vectors that embeddings begin with, lines of GloVe, or a safetensors file "
            "in the order of --vocab."
        ),
    ] = None,
    vocab: Annotated[
        Path | None,
        typer.Option(help="File of the words; made from what is trained on if not given."),
    ] = None,
    min_count: Annotated[
        int | None,
        typer.Option(min=1, help="How often a word must occur; 4, or 3 for hgr and global-match."),
    ] = None,
    text_encoder: Annotated[
        Path | None,
        typer.Option(help="Folder of a BERT (MiniLM, ...) whose states words have beside theirs."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field of the model's configuration or of the training (epochs, batch_size, lr, "
            "schedule, patience, precision, gather, ...); repeatable.",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(help="Checkpoint to begin with; scan, gsmn, imram: of any of them."),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=0, help="Of torch on a CPU; 0 for its own choice.")
    ] = 0,
    tensorboard: Annotated[bool, typer.Option(help="Write files for TensorBoard, too.")] = False,
    force: Annotated[bool, typer.Option(help="Throw away another training that is there.")] = False,
) -> None:
    """Train a matcher, DRN or MARN; defaults are those of its paper's official code, if any.

    Interrupted or killed, the same command goes on where it stopped, with the same result. Under
    torchrun several processes share each batch: torchrun --nproc-per-node 2 --no-python graphmatch
    train ... The best checkpoint is OUT/best, the last one OUT/last.
    """
    import torch
    from torch import distributed

    from graphmatch.models.table import check_task, find_model
    from graphmatch.train_job import TrainJob, train_stores

    if threads:
        torch.set_num_threads(threads)
    main = os.environ.get("RANK", "0") == "0"
    of_matchers = {
        "--captions": captions,
        "--val-captions": val_captions,
        "--val-visual": val_visual,
        "--min-count": min_count,
        "--text-encoder": text_encoder,
    }
    of_drn = {
        "--queries": queries,
        "--durations": durations,
        "--val-queries": val_queries,
        "--val-share": val_share,
        "--graphs": graphs,
        "--word-vectors": word_vectors,
    }
    shared = {"--visual": visual, "--vocab": vocab}
    work: Callable[..., TrainReport | ClickTrainReport]
    if find_model(model).task == "match":
        _refuse(model, {**of_drn, "--clicks": clicks})
        job = TrainJob(
            model=model,
            captions=_needed("--captions", captions, model),
            visual=_needed("--visual", visual, model),
            out=out,
            val_captions=val_captions,
            val_visual=val_visual,
            vocab=vocab,
            min_count=min_count,
            text_encoder=text_encoder,
            settings=settings or (),
            init=init,
        )
        work = partial(train_stores, job)
    elif find_model(model).task == "click":
        from graphmatch.click_training_job import ClickJob, train_click_store

        _refuse(model, {**of_matchers, **of_drn, **shared})
        samples = ClickJob(
            clicks=_needed("--clicks", clicks, model), out=out, settings=settings or (), init=init
        )
        work = partial(train_click_store, samples)
    else:
        from graphmatch.moment_job import MomentJob, train_moment_files

        check_task(model, "ground")
        _refuse(model, {**of_matchers, "--clicks": clicks})
        moments = MomentJob(
            queries=_needed("--queries", queries, model),
            visual=_needed("--visual", visual, model),
            out=out,
            durations=durations,
            val_queries=val_queries,
            val_share=val_share,
            graphs=graphs,
            vocab=vocab,
            word_vectors=word_vectors,
            settings=settings or (),
            init=init,
        )
        work = partial(train_moment_files, moments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show  # type: ignore[assignment]  # takes fewer by name
            report = work(
                force=force,
                tensorboard=tensorboard,
                progress=True,
                tell=typer.echo if main else None,
            )
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    if main:
        typer.echo("\n".join(report.lines()))


def _show(message: Warning | str, *_: Any) -> None:
    """A warning as a line of its own, without the line of code that it came from."""
    typer.echo(f"graphmatch: {message}", err=True)


def _needed(option: str, value: Path | None, model: str) -> Path:
    from graphmatch.errors import ConfigError

    if value is None:
        raise ConfigError(f"expected {option} for {model} (got none)")
    return value


def _refuse(model: str, options: Mapping[str, object]) -> None:
    """Options of other models are no options of this one."""
    from graphmatch.errors import ConfigError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{', '.join(given)}: not for {model}")
