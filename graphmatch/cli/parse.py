"""`graphmatch parse`: captions to a store of graphs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphmatch.cli.options import Graph, Mode, ModelName, ParserName

if TYPE_CHECKING:
    from graphmatch.datasets.captions import Caption
    from graphmatch.parse_job import ParseReport

_SHOWN = 10


Captions = Annotated[
    list[str],
    typer.Argument(
        help="Files: txt (a caption a line), jsonl, csv, tsv, parquet, COCO, Karpathy or "
        "MSR-VTT JSON, Flickr token files, any of them gzipped; - is standard input."
    ),
]
"""Where captions are."""
FormatName = Annotated[
    str | None, typer.Option(help="Format of the files, if the name does not tell.")
]
"""How captions are written."""


def parse(
    captions: Captions,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the store.")],
    format: FormatName = None,
    graph: Graph = "both",
    parser: ParserName = "spacy",
    model: ModelName = None,
    mode: Mode = "augmented",
    processes: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    part_rows: Annotated[int, typer.Option(min=1, help="Captions a part.")] = 2000,
    force: Annotated[bool, typer.Option(help="Throw away another store that is there.")] = False,
) -> None:
    """Turn captions into role and dependency graphs, stored in a folder.

    Interrupted, the same command goes on where it stopped. A caption that cannot be used becomes
    a row with its error; the exit code is then 3.
    """
    from tqdm import tqdm

    from graphmatch.parse_job import parse_captions
    from graphmatch.parsers import load_parser

    started = time.perf_counter()
    with tqdm(unit=" captions", disable=None, smoothing=0.1) as bar:
        report = parse_captions(
            read_all(captions, format),
            out,
            parser=load_parser(parser, model),
            graph=graph,  # type: ignore[arg-type]
            mode=mode,  # type: ignore[arg-type]
            processes=processes,
            part_rows=part_rows,
            force=force,
            progress=bar.update,
        )
    finish_parse(report, out, started)


def read_all(paths: list[str], format: str | None) -> Iterator[Caption]:
    """Captions of all files; with several, ids that are line numbers get the file's name.

    Args:
        paths: the files; `-` is standard input.
        format: of all of them; by their names if None.

    Yields:
        The captions in order.

    Raises:
        FormatError: a file that cannot be read.
    """
    from graphmatch.datasets.captions import read_captions

    for path in paths:
        prefix = f"{Path(path).name.partition('.')[0]}:" if len(paths) > 1 else ""
        yield from read_captions(path, format, prefix=prefix)


def finish_parse(report: ParseReport, out: Path, started: float) -> None:
    """Print the summary of a run; exit code 3 if captions failed.

    Args:
        report: what the run did.
        out: the store.
        started: `time.perf_counter()` at the start.

    Raises:
        Exit: captions failed.
    """
    for line in _summary(report, out, time.perf_counter() - started):
        typer.echo(line)
    if report.failed:
        raise typer.Exit(3)


def _summary(report: ParseReport, out: Path, seconds: float) -> Iterator[str]:
    parsed = report.captions - report.kept
    yield (
        f"{report.captions:,} captions: {report.captions - report.failed:,} became graphs, "
        f"{report.failed:,} failed"
    )
    if report.event_only:
        yield f"{report.event_only:,} role graphs hold the event alone (no verb, no noun)"
    if report.kept:
        yield f"{report.kept:,} captions were kept from an earlier run"
    rate = f", {parsed / seconds:,.0f} captions/s" if parsed else ""
    yield f"{out}: {report.parts} parts, {seconds:.1f} s{rate}"
    if report.failed:
        yield "failed:"
        for key, error in report.failures[:_SHOWN]:
            yield f"  {key}: {error}"
        if report.failed > _SHOWN:
            yield f"  ... see them all with: graphmatch info {out} --failures"
