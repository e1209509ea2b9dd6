"""`graphmatch explain`: which word matched which region, as text, JSON or a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphmatch.cli.options import UNKNOWN, Force, Mode, ModelName, ParserName

if TYPE_CHECKING:
    from graphmatch.rows import CaptionRow


def explain(
    checkpoint: Annotated[
        Path, typer.Option(help="Checkpoint of the matcher, or the folder of a training run.")
    ],
    visual: Annotated[Path, typer.Option(help="Store of regions or clips.")],
    text: Annotated[
        str | None, typer.Argument(help="A caption; - reads it from standard input.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", "--video", help="Id in it; a stored caption's own if left out."),
    ] = None,
    captions: Annotated[Path | None, typer.Option(help="Store of captions, for --caption.")] = None,
    caption: Annotated[str | None, typer.Option(help="Id of a caption in --captions.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Images or videos that the store was made from, to draw on; repeatable."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Words that are shown, those that give the most; in a table all, on a picture 5.",
        ),
    ] = None,
    word: Annotated[
        str | None, typer.Option(help="Draw this word or phrase alone, with its best regions.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw to this file: svg, png or html.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
    parser: ParserName = "spacy",
    model: ModelName = None,
    mode: Mode = "augmented",
    force: Force = False,
) -> None:
    """Explain the score of a caption and an image or video.

    For every word or phrase: the region or clip that it matched, with which attention, how similar
    they are, and what it gives to the score. The numbers add up to the score.
    """
    import json

    from graphmatch.canvas import FORMATS
    from graphmatch.checkpoint import load_checkpoint
    from graphmatch.errors import ConfigError, check_choice
    from graphmatch.explain_job import explain_stored, find_node, save_explanation
    from graphmatch.explanation_report import explanation_lines, explanation_values
    from graphmatch.feature_store import FeatureStore
    from graphmatch.output import check_output

    if out is not None:
        check_choice("picture format", out.suffix.lower().lstrip("."), FORMATS)
        check_output(out, force=force)
    matcher, vocabulary = load_checkpoint(checkpoint, task="match")
    store = FeatureStore(visual)
    if caption is not None:
        if captions is None or text is not None:
            raise ConfigError("expected --captions with --caption, and no other caption")
        row = _look_up(captions, caption)
    elif text is not None:
        text = sys.stdin.read().strip() if text == "-" else text
        row = _parse(text, matcher, parser=parser, model=model, mode=mode)
    else:
        raise ConfigError("expected a caption, or --captions and --caption")
    key = image if image is not None else row.owner
    if key is None:
        raise ConfigError("expected the id of an image or video (--image)")
    words = () if row.parse is None else row.parse.words
    if not vocabulary.count_known(vocabulary.encode(words)):
        typer.echo(UNKNOWN, err=True)
    found = explain_stored(matcher, vocabulary, row, visuals=store, key=key)
    node = None if word is None else find_node(found, word)
    if out is not None:
        sources = source or []
        save_explanation(out, found, key=key, sources=sources, top=top or 5, node=node, force=force)
    if as_json:
        values = {"image": key, "caption": row.text, **explanation_values(found)}
        typer.echo(json.dumps(values, ensure_ascii=False))
    elif out is not None:
        typer.echo(f"{out}: {key} and its caption drawn, score {found.score:.4f}")
    else:
        for line in explanation_lines(found, top=top):
            typer.echo(line)


def _parse(text: str, matcher: Any, *, parser: str, model: str | None, mode: str) -> CaptionRow:
    from typing import get_args

    from graphmatch.datasets.captions import Caption
    from graphmatch.errors import ConfigError, check_choice
    from graphmatch.parse_job import caption_rows
    from graphmatch.parsers import load_parser
    from graphmatch.parsers.roles import RoleMode

    check_choice("role mode", mode, get_args(RoleMode))
    (row,) = caption_rows(
        [Caption(id="1", text=text)],
        parser=load_parser(parser, model),
        graph=matcher.caption_graph,
        mode=mode,  # type: ignore[arg-type]
    )
    if row.error is not None:
        raise ConfigError(f"the caption failed: {row.error}")
    return row


def _look_up(store: Path, key: str) -> CaptionRow:
    from graphmatch.cli.show import look_up_captions
    from graphmatch.errors import ConfigError

    (row,) = look_up_captions(store, [key])
    if row.error is not None:
        raise ConfigError(f"caption {key!r} failed: {row.error}")
    return row
