"""`graphmatch info`: what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def info(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    failures: Annotated[bool, typer.Option(help="List every failed caption.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count captions, nodes, edges, roles and failures of a store, reading and checking all of it.

    Damage anywhere in the store ends in a message that names the file.
    """
    from json import dumps

    from graphmatch.store import GraphStore
    from graphmatch.store_summary import summarise_store

    opened = GraphStore(store)
    summary = summarise_store(opened)
    if json:
        if failures:
            listed = [[row.id, row.error] for row in opened if row.error is not None]
            typer.echo(dumps({**summary, "failures": listed}, ensure_ascii=False))
        else:
            typer.echo(dumps(summary, ensure_ascii=False))
        return
    typer.echo(f"{store}: {summary['captions']:,} captions, {summary['failed']:,} failed")
    typer.echo(", ".join(f"{key}: {value}" for key, value in opened.manifest["job"].items()))
    for name in ("words", "sentences", "owners"):
        typer.echo(f"{name:14}{summary[name]:>12,}")
    for kind in ("roles", "dependencies"):
        counts = summary[kind]
        if counts["graphs"]:
            typer.echo(f"{kind}: " + ", ".join(f"{n:,} {name}" for name, n in counts.items()))
    for title, histogram in (
        ("entity roles", summary["entity_roles"]),
        ("relations", summary["relations"]),
        ("failures", summary["failure_reasons"]),
    ):
        if histogram:
            typer.echo(f"{title}:")
            total = sum(histogram.values())
            for name, count in histogram.items():
                bar = "#" * round(40 * count / max(histogram.values()))
                typer.echo(f"  {name:14} {count:>10,} {100 * count / total:5.1f} %  {bar}")
    if failures:
        for row in opened:
            if row.error is not None:
                typer.echo(f"{row.id}\t{row.error}")
