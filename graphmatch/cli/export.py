"""`graphmatch export`: graphs of a store in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphmatch.cli.options import Force


def export(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="File to write; - is standard output.")],
    format: Annotated[
        str, typer.Option(help="What to write.", metavar="jsonl|graphml|hgr|gsmn|tokens|conllu")
    ] = "jsonl",
    id: Annotated[list[str] | None, typer.Option(help="Only this caption; repeatable.")] = None,
    numbering: Annotated[
        str,
        typer.Option(
            help="Words in gsmn: through the caption, or anew in every sentence as the official "
            "files do.",
            metavar="caption|sentence",
        ),
    ] = "caption",
    force: Force = False,
) -> None:
    """Write graphs as JSON lines, GraphML, HGR's role graphs, GSMN's dependencies, CoNLL-U.

    Captions that failed are counted in the summary on standard error.
    """
    from graphmatch.errors import ConfigError
    from graphmatch.export import export_store
    from graphmatch.output import open_output
    from graphmatch.store import GraphStore

    opened = GraphStore(store)
    for key in id or ():
        if key not in opened:
            raise ConfigError(f"no caption with id {key!r} in {store}")
    rows = opened if id is None else [opened[key] for key in id]
    with open_output(out, force=force) as stream:
        report = export_store(rows, stream, format, numbering=numbering)  # type: ignore[arg-type]
    typer.echo(
        f"{out}: {report.written:,} captions as {format}, {report.failed:,} failed captions "
        f"without a graph, {report.repeated:,} of a text that came before",
        err=True,
    )
