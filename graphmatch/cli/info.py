"""`graphmatch info`: what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def info(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    failures: Annotated[bool, typer.Option(help="List every failed caption, image or video.")] = (
        False
    ),
    verify: Annotated[
        bool, typer.Option(help="Read all features and compare their checksums.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count what a store of graphs or features holds: nodes, roles, regions, failures.

    A graph store is read and checked whole. Damage ends in a message that names the file.
    """
    from graphmatch.store_folder import stored_format

    if stored_format(store) == "graphmatch-features":
        _feature_info(store, failures=failures, verify=verify, json=json)
    else:
        _graph_info(store, failures=failures, json=json)


def _feature_info(path: Path, *, failures: bool, verify: bool, json: bool) -> None:
    from json import dumps

    from graphmatch.feature_store import FeatureStore
    from graphmatch.feature_summary import summarise_features

    store = FeatureStore(path)
    if verify:
        store.verify()
    summary = summarise_features(store)
    if json:
        listed = {"failures": store.failures} if failures else {}
        typer.echo(dumps({**summary, **listed}, ensure_ascii=False))
        return
    kind = store.kind
    low, mean, high = summary["rows_per_item"]
    typer.echo(f"{path}: {summary['items']:,} items, {summary['failed']:,} failed")
    job = {key: value for key, value in store.manifest["job"].items() if key != "labels"}
    typer.echo(", ".join(f"{key}: {value}" for key, value in job.items()))
    typer.echo(f"{summary['rows']:,} {kind}, {low} to {high} an item, {mean:.1f} on average")
    typer.echo("columns: " + ", ".join(f"{n} {c}" for n, c in summary["columns"].items()))
    if "hours" in summary:
        typer.echo(f"{summary['hours']:.2f} hours of video")
    if verify:
        typer.echo("every checksum is right")
    for title in ("labels", "failure_reasons"):
        _print_histogram(title.replace("_", " "), summary.get(title, {}))
    if failures:
        for key, error in store.failures:
            typer.echo(f"{key}\t{error}")


def _print_histogram(title: str, histogram: dict[str, int]) -> None:
    if not histogram:
        return
    typer.echo(f"{title}:")
    total = sum(histogram.values())
    for name, count in histogram.items():
        bar = "#" * round(40 * count / max(histogram.values()))
        typer.echo(f"  {name:14} {count:>10,} {100 * count / total:5.1f} %  {bar}")


def _graph_info(store: Path, *, failures: bool, json: bool) -> None:
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
        _print_histogram(title, histogram)
    if failures:
        for row in opened:
            if row.error is not None:
                typer.echo(f"{row.id}\t{row.error}")
