"""`graphmatch convert`: feature files of other projects to a store, and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from graphmatch.cli.options import finish_features

_FORMATS = "scan|bottom-up|vilbert|vilbert-pretraining|npz|npy|coco|hgr-mean|hgr-frames|drn|store"


def convert(
    source: Annotated[
        list[Path],
        typer.Argument(help="A file or folder; several files of HGR, whose features are joined."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file or folder to write.")],
    from_format: Annotated[
        str | None,
        typer.Option("--from", help="Format, if the name does not tell.", metavar=_FORMATS),
    ] = None,
    to_format: Annotated[
        str | None,
        typer.Option("--to", help="Format to write; store if the name does not tell."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="Round the features of a store.", metavar="float16|float32"),
    ] = None,
    names: Annotated[Path | None, typer.Option(help="hgr: the .npy file of names.")] = None,
    seconds_per_step: Annotated[
        float | None,
        typer.Option(help="hgr: seconds from row to row, 0.64 for 16 frames at 25; else 1."),
    ] = None,
    window: Annotated[int | None, typer.Option(help="drn: frames that a row covers.")] = None,
    step: Annotated[int | None, typer.Option(help="drn: frames from row to row.")] = None,
    fps: Annotated[
        str | None, typer.Option(help="drn: frames a second, or a JSON file of them by video.")
    ] = None,
    durations: Annotated[
        Path | None, typer.Option(help="drn: JSON file of seconds by video.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="coco: file with the images and categories.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="coco: what labels are in the store.", metavar="category_id|position"),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="bottom-up: columns to write.", metavar="bottom-up|vilbert|lxmert"),
    ] = None,
    repeat: Annotated[int | None, typer.Option(help="scan: rows an image.", metavar="1|5")] = None,
    force: Annotated[
        bool, typer.Option(help="Overwrite files, or throw away another store that is there.")
    ] = False,
) -> None:
    """Convert feature files of other projects to a store, a store to such files, or one to another.

    Nothing pickled in them is ever run. Interrupted, the same command goes on with a store where it
    stopped. An item that cannot be used is counted with its reason; the exit code is then 3.
    """
    from tqdm import tqdm

    from graphmatch.convert import convert_features

    options = {
        "names": names,
        "seconds_per_step": seconds_per_step,
        "window": window,
        "step": step,
        "fps": fps,
        "durations": durations,
        "annotations": annotations,
        "labels": labels,
        "layout": layout,
        "repeat": repeat,
    }
    started = time.perf_counter()
    with tqdm(unit=" items", disable=None, smoothing=0.1) as bar:
        report = convert_features(
            source,
            out,
            from_format=from_format,
            to_format=to_format,
            options={name: value for name, value in options.items() if value is not None},
            dtype=dtype,
            force=force,
            progress=bar.update,
        )
    finish_features(report, item="item", row="row", out=out, started=started)
