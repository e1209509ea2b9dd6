"""`graphmatch clips`: videos to a store of the features of their clips."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from graphmatch.cli.options import finish_features


def clips(
    videos: Annotated[
        list[str],
        typer.Argument(
            help="Videos, folders, patterns, lists of paths (.txt, a path a line); - is a list on "
            "standard input."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the store.")],
    every: Annotated[int | None, typer.Option(min=1, help="Take every n-th frame.")] = None,
    fps: Annotated[float | None, typer.Option(help="Take so many frames a second.")] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Take so many frames, equally spaced.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Cut into clips of this length: means over all frames, or over those of --every "
            "or --fps. Without any of these four options: --fps 1."
        ),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(
            help="efficientnet-lite0, a file with its weights, or a folder with a vision model of "
            "transformers."
        ),
    ] = "efficientnet-lite0",
    side: Annotated[
        int | None,
        typer.Option(min=1, help="Stretch frames to this side in pixels, not the backbone's own."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Frames at once; if not given, 1 on a CPU, where it is fastest."),
    ] = None,
    partial: Annotated[
        bool, typer.Option(help="Take what is there of damaged and truncated videos.")
    ] = False,
    dtype: Annotated[
        str, typer.Option(help="Of the features.", metavar="float32|float16")
    ] = "float32",
    force: Annotated[bool, typer.Option(help="Throw away another store that is there.")] = False,
) -> None:
    """Sample videos and store a feature of each clip, with its time.

    Interrupted, the same command goes on where it stopped. A video that cannot be used becomes an
    item with its error; the exit code is then 3.
    """
    from tqdm import tqdm

    from graphmatch.clip_job import extract_clips
    from graphmatch.clips.sampling import Sampling
    from graphmatch.clips.video_sources import find_videos
    from graphmatch.regions.load_backbone import load_backbone

    started = time.perf_counter()
    if all(option is None for option in (every, fps, frames, seconds)):
        fps = 1.0
    sampling = Sampling(every=every, fps=fps, frames=frames, seconds=seconds)
    sources = find_videos(videos)
    with tqdm(total=len(sources), unit=" videos", disable=None) as bar:
        report = extract_clips(
            sources,
            out,
            backbone=load_backbone(backbone),
            sampling=sampling,
            side=side,
            batch_size=batch_size,
            partial=partial,
            dtype=dtype,
            force=force,
            progress=bar.update,
        )
    finish_features(report, item="video", row="clip", out=out, started=started)
