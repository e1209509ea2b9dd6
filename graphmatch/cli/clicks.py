"""`graphmatch clicks`: a click log to a store that click models train on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def clicks(
    source: Annotated[
        list[Path],
        typer.Argument(
            help="Files of a log, .parquet, .csv, .tsv or .npz, or the folder of a data set. Files "
            "of one split: train=FILE."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The store to write.")] = None,
    schema: Annotated[
        Path | None, typer.Option(help="JSON file that says what the columns are.")
    ] = None,
    items: Annotated[Path | None, typer.Option(help="File with a table of items.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Which data set it is, instead of a schema.",
            metavar="movielens|amazon|fuxictr|alimama",
        ),
    ] = None,
    vectors: Annotated[
        list[str] | None,
        typer.Option(help="FEATURE=FILE.npy: vectors in the order of the table of items."),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="Encode as this store was, instead of fitting anew.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Of vectors in the store.", metavar="float32|float16")
    ] = "float32",
    seed: Annotated[int, typer.Option(help="amazon: of the items that were not bought.")] = 0,
    print_schema: Annotated[
        bool, typer.Option("--print-schema", help="Print the schema as JSON and write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option(help="Throw away a store of another job that is there.")
    ] = False,
) -> None:
    """Encode a click log: vocabularies and buckets from training rows, histories, statistics.

    Rows that cannot be used are left out and counted with their reason; the exit code is then 3.
    """
    from graphmatch.click_job import encode_clicks
    from graphmatch.click_report import click_lines
    from graphmatch.click_sources import open_clicks, parse_pairs
    from graphmatch.errors import ConfigError

    started = time.perf_counter()
    log, fitted = open_clicks(
        source, schema=schema, items=items, dataset=dataset, encoder=encoder, seed=seed
    )
    if print_schema:
        typer.echo(log.schema.to_json(), nl=False)
        return
    if out is None:
        raise ConfigError("expected --out FOLDER, the store to write (got none)")
    report = encode_clicks(
        log,
        out,
        encoder=fitted,
        vectors=parse_pairs(vectors or [], "--vectors"),
        dtype=dtype,  # type: ignore[arg-type]  # checked there
        force=force,
    )
    for line in click_lines(report, out=out, seconds=time.perf_counter() - started):
        typer.echo(line)
    if report.left_out:
        raise typer.Exit(3)
