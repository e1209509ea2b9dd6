"""`graphmatch export-items`: vectors of a whole catalogue, computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_items(
    checkpoint: Annotated[
        Path, typer.Option(help="Folder of a checkpoint of marn, or of a run of its training.")
    ],
    clicks: Annotated[
        Path, typer.Option(help="Store of graphmatch clicks, whose items are the catalogue.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    chunk: Annotated[int, typer.Option(min=1, help="Items at a time.")] = 4096,
    device: Annotated[
        str, typer.Option(help="Where to compute; auto is a CUDA device if there is one.")
    ] = "auto",
    threads: Annotated[
        int, typer.Option(min=0, help="Of torch on a CPU; 0 for its own choice.")
    ] = 0,
    force: Annotated[
        bool, typer.Option(help="Throw away vectors of another job that are there.")
    ] = False,
) -> None:
    """Encode every item of a catalogue; graphmatch.click_scorer scores users on the vectors."""
    import torch

    from graphmatch.click_store import ClickStore
    from graphmatch.item_export import export_items as export

    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    report = export(
        checkpoint,
        ClickStore(clicks),
        out,
        chunk=chunk,
        device=device,
        force=force,
        progress=True,
    )
    for line in report.lines():
        typer.echo(line)
