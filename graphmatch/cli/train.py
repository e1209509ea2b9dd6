"""`graphmatch train`: a matcher from stores of captions and of images or videos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

_MODELS = "scan|gsmn|imram|hgr|global-match"


def train(
    model: Annotated[str, typer.Argument(help="What to train.", metavar=_MODELS)],
    captions: Annotated[Path, typer.Option(help="Store of captions, of graphmatch parse.")],
    visual: Annotated[
        Path, typer.Option(help="Store of their images or videos, of graphmatch regions or clips.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    val_captions: Annotated[
        Path | None, typer.Option(help="Captions whose rsum chooses the best checkpoint.")
    ] = None,
    val_visual: Annotated[
        Path | None, typer.Option(help="Their images or videos, if not in --visual.")
    ] = None,
    vocab: Annotated[
        Path | None, typer.Option(help="File of the words; made from --captions if not given.")
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
    """Train a matcher; defaults are those of its paper's official code.

    Interrupted or killed, the same command goes on where it stopped, with the same result. Under
    torchrun several processes share each batch: torchrun --nproc-per-node 2 --no-python graphmatch
    train ... The best checkpoint is OUT/best, the last one OUT/last.
    """
    import torch
    from torch import distributed

    from graphmatch.train_job import TrainJob, train_stores

    if threads:
        torch.set_num_threads(threads)
    main = os.environ.get("RANK", "0") == "0"
    job = TrainJob(
        model=model,
        captions=captions,
        visual=visual,
        out=out,
        val_captions=val_captions,
        val_visual=val_visual,
        vocab=vocab,
        min_count=min_count,
        text_encoder=text_encoder,
        settings=settings or (),
        init=init,
    )
    try:
        report = train_stores(
            job,
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
