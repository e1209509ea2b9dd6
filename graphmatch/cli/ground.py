"""`graphmatch ground`: when in a video a sentence is true, as text, JSON or a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphmatch.cli.options import Force, ModelName, ParserName

if TYPE_CHECKING:
    from graphmatch.clips.sampling import Sampling
    from graphmatch.datasets.captions import Caption
    from graphmatch.rows import CaptionRow


def ground(
    video: Annotated[str, typer.Argument(help="A video file, or an id in --visual.")],
    sentences: Annotated[
        list[str], typer.Argument(help="Sentences; - reads them from standard input, one a line.")
    ],
    checkpoint: Annotated[
        Path, typer.Option(help="Checkpoint of DRN, or the folder of a training run.")
    ],
    visual: Annotated[Path | None, typer.Option(help="Store of clips that has the video.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Moments of a sentence at most.")] = 5,
    overlap: Annotated[
        float, typer.Option(min=0, help="IoU above which a moment beside a better one is dropped.")
    ] = 0.45,
    iou: Annotated[
        bool, typer.Option(help="Scores include the predicted IoU; a first stage has none.")
    ] = True,
    picture: Annotated[
        Path | None, typer.Option(help="Draw a timeline to this file: svg, png or html.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Videos that --visual was made from, for frames of it; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    every: Annotated[
        int | None, typer.Option(min=1, help="Of a file: take every n-th frame.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Of a file: take so many frames a second.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a file: take so many frames, equally spaced; if nothing is said, as many as "
            "the model reads clips.",
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Of a file: cut it into clips of this length.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Of a file: efficientnet-lite0 (if nothing is said), a file with its weights, or "
            "a folder with a vision model of transformers."
        ),
    ] = None,
    side: Annotated[
        int | None, typer.Option(min=1, help="Of a file: as for graphmatch clips.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Of a file: frames at once.")
    ] = None,
    partial: Annotated[
        bool, typer.Option(help="Take what is there of a damaged or truncated file.")
    ] = False,
    parser: ParserName = "spacy",
    model: ModelName = None,
    force: Force = False,
) -> None:
    """Find the moments of a video that sentences describe.

    Prints start and end in seconds with scores, best first. A sentence that cannot be looked for
    has its reason instead; the exit code is then 3.
    """
    import json

    from graphmatch.canvas import FORMATS, save_canvases
    from graphmatch.checkpoint import load_checkpoint
    from graphmatch.errors import ConfigError, check_choice
    from graphmatch.feature_pictures import find_frames, look_up, spread_frames
    from graphmatch.feature_store import FeatureStore
    from graphmatch.ground_job import FoundQuery, ground_sentences
    from graphmatch.ground_report import ground_lines, ground_values
    from graphmatch.ground_video import clips_of_file
    from graphmatch.moment_timeline import check_count, moment_timeline
    from graphmatch.output import check_output
    from graphmatch.regions.load_backbone import LITE0, load_backbone

    sampling = _sampling(every=every, fps=fps, frames=frames, seconds=seconds)
    if visual is not None and (sampling or backbone or side or batch_size or partial):
        raise ConfigError("expected --visual, or options of a video file (got both)")
    captions = _captions(sentences)
    if picture is not None:
        check_choice("picture format", picture.suffix.lower().lstrip("."), FORMATS)
        check_output(picture, force=force)
        check_count(len(captions))
    network, vocabulary = load_checkpoint(checkpoint, task="ground")
    if visual is not None:
        record, name = look_up(FeatureStore(visual), video), video
        clips = record.clips()
    else:
        name = Path(video).stem
        clips = clips_of_file(
            network,
            video,
            backbone=load_backbone(backbone or LITE0),
            sampling=sampling,
            side=side,
            batch_size=batch_size,
            partial=partial,
        )
    good = [caption for caption in captions if caption.error is None]
    answers = iter(
        ground_sentences(
            network,
            vocabulary,
            clips,
            [caption.text for caption in good],
            top=top,
            overlap=overlap,
            use_iou=iou,
            rows=_parsed(good, parser, model) if network.config.graph_layers else None,
        )
    )
    found = [
        next(answers) if one.error is None else FoundQuery(sentence=one.text, error=one.error)
        for one in captions
    ]
    duration = float(clips.duration)
    if picture is not None:
        shown: tuple[Any, Any] = ((), ())
        if visual is None:
            shown = spread_frames(video, duration)
        elif source:
            shown = find_frames(video, duration, source)
        canvas = moment_timeline(
            found, name=name, duration=duration, frames=shown[0], times=shown[1]
        )
        save_canvases(picture, [canvas], force=force)
    if as_json:
        values = ground_values(found, name=name, duration=duration)
        typer.echo(json.dumps(values, ensure_ascii=False, allow_nan=False))
    else:
        for line in ground_lines(found, name=name, duration=duration):
            typer.echo(line)
        if picture is not None:
            typer.echo(f"{picture}: timeline drawn")
    if any(query.error is not None for query in found):
        raise typer.Exit(3)


def _sampling(
    *, every: int | None, fps: float | None, frames: int | None, seconds: float | None
) -> Sampling | None:
    from graphmatch.clips.sampling import Sampling

    if every is None and fps is None and frames is None and seconds is None:
        return None
    return Sampling(every=every, fps=fps, frames=frames, seconds=seconds)


def _captions(sentences: Sequence[str]) -> list[Caption]:
    """The sentences, those of standard input in the place of `-`."""
    from graphmatch.datasets.captions import Caption, read_captions
    from graphmatch.datasets.text_files import safe_text
    from graphmatch.errors import ConfigError

    captions: list[Caption] = []
    for number, sentence in enumerate(sentences):
        if sentence == "-":
            captions += read_captions("-")
        else:
            captions.append(Caption(id=str(number), text=safe_text(sentence)))
    if not captions:
        raise ConfigError("expected a sentence or more (got none)")
    return captions


def _parsed(captions: Sequence[Caption], parser: str, model: str | None) -> list[CaptionRow]:
    from graphmatch.parse_job import caption_rows
    from graphmatch.parsers import load_parser

    return caption_rows(captions, parser=load_parser(parser, model), graph="dependencies")
