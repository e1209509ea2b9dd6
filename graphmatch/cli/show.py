"""`graphmatch show`: graphs of captions, images and videos as text or as pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphmatch.cli.options import Force, Graph, Mode, ModelName, ParserName

if TYPE_CHECKING:
    from graphmatch.rows import CaptionRow


def show(
    captions: Annotated[
        list[str],
        typer.Argument(
            help="Captions, or with --store ids of captions, images or videos; - reads one from "
            "standard input."
        ),
    ],
    store: Annotated[Path | None, typer.Option(help="Store that holds the ids.")] = None,
    graph: Graph = "both",
    parser: ParserName = "spacy",
    model: ModelName = None,
    mode: Mode = "augmented",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw to this file: svg, html or png.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Images or videos that the store was made from, to draw on; repeatable."),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Regions drawn on a photograph, the best.")] = 12,
    edges: Annotated[int, typer.Option(min=0, help="Strongest polar edges on a photograph.")] = 10,
    force: Force = False,
) -> None:
    """Show graphs in the terminal, or draw them to a file.

    Captions become trees; ids of a store of regions or clips become lists, or drawings on the
    photographs and frames that --source has. An SVG holds one graph: choose it with --graph.
    """
    from typing import get_args

    from graphmatch.errors import ConfigError, check_choice
    from graphmatch.output import check_output
    from graphmatch.parse_job import GraphChoice
    from graphmatch.plot import save_pictures
    from graphmatch.store_folder import stored_format
    from graphmatch.tree_text import graph_tree

    check_choice("graph", graph, get_args(GraphChoice))
    if out is not None:
        check_output(out, force=force)
    if store is not None and stored_format(store) == "graphmatch-features":
        _show_features(store, captions, out, source=source or [], top=top, edges=edges, force=force)
        return
    captions = [sys.stdin.read().strip() if text == "-" else text for text in captions]
    if store is None:
        rows = _parse(captions, parser=parser, model=model, mode=mode)
    else:
        rows = look_up_captions(store, captions)
    pictured = []
    for row in rows:
        if row.parse is None:
            raise ConfigError(f"caption {row.id!r} failed: {row.error}")
        found = {"roles": row.roles, "dependencies": row.dependencies}
        chosen = found.values() if graph == "both" else [found[graph]]
        graphs = [one for one in chosen if one is not None]
        if not graphs:
            raise ConfigError(f"{store}: the store has no graph of kind {graph!r}")
        pictured.append((row.parse, graphs))
    if out is not None:
        save_pictures(out, pictured, force=force)
        typer.echo(
            f"{out}: {len(pictured)} {'caption' if len(pictured) == 1 else 'captions'} drawn"
        )
        return
    trees = [graph_tree(one, parse.words) for parse, graphs in pictured for one in graphs]
    typer.echo("\n\n".join(trees))


def _show_features(
    path: Path,
    ids: list[str],
    out: Path | None,
    *,
    source: list[str],
    top: int,
    edges: int,
    force: bool,
) -> None:
    from graphmatch.feature_pictures import feature_canvases, feature_text, look_up
    from graphmatch.feature_store import FeatureStore

    store = FeatureStore(path)
    if out is None:
        for key in ids:
            typer.echo("\n".join(feature_text(look_up(store, key), store.labels)))
        return
    from graphmatch.canvas import save_canvases

    canvases = feature_canvases(store, ids, sources=source, top=top, edges=edges)
    save_canvases(out, canvases, force=force)
    typer.echo(f"{out}: {len(canvases)} {'item' if len(canvases) == 1 else 'items'} drawn")


def _parse(texts: list[str], *, parser: str, model: str | None, mode: str) -> list[CaptionRow]:
    from typing import get_args

    from graphmatch.datasets.captions import Caption
    from graphmatch.errors import check_choice
    from graphmatch.parse_job import caption_rows
    from graphmatch.parsers import load_parser
    from graphmatch.parsers.roles import RoleMode

    check_choice("role mode", mode, get_args(RoleMode))
    captions = [Caption(id=str(number), text=text) for number, text in enumerate(texts, 1)]
    return caption_rows(captions, parser=load_parser(parser, model), mode=mode)  # type: ignore[arg-type]


def look_up_captions(store: Path, keys: list[str]) -> list[CaptionRow]:
    """Captions of a store.

    Args:
        store: its folder.
        keys: ids.

    Returns:
        Their rows, in the order of the ids.

    Raises:
        ConfigError: an unknown id; with the nearest one.
    """
    from difflib import get_close_matches

    from graphmatch.errors import ConfigError
    from graphmatch.store import GraphStore

    opened = GraphStore(store)
    for key in keys:
        if key not in opened:
            near = get_close_matches(key, opened.ids[:10000], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"no caption with id {key!r} in {store}{hint}")
    return [opened[key] for key in keys]
