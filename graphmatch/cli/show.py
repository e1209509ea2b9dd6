"""`graphmatch show`: one caption's graphs as text or as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphmatch.cli.options import Force, Graph, Mode, ModelName, ParserName

if TYPE_CHECKING:
    from graphmatch.rows import CaptionRow


def show(
    caption: Annotated[
        str, typer.Argument(help="A caption, or an id with --store; - reads standard input.")
    ],
    store: Annotated[Path | None, typer.Option(help="Store that holds the id.")] = None,
    graph: Graph = "both",
    parser: ParserName = "spacy",
    model: ModelName = None,
    mode: Mode = "augmented",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw to this file: svg, html or png.")
    ] = None,
    force: Force = False,
) -> None:
    """Show a caption's graphs as trees in the terminal, or draw them to a file.

    An SVG holds one graph: choose it with --graph.
    """
    from typing import get_args

    from graphmatch.errors import ConfigError, choices
    from graphmatch.parse_captions import GraphChoice
    from graphmatch.plot import save_picture
    from graphmatch.tree_text import graph_tree

    if graph not in get_args(GraphChoice):
        raise ConfigError(choices("graph", graph, get_args(GraphChoice)))
    if caption == "-":
        caption = sys.stdin.read().strip()
    if store is None:
        row = _parse(caption, parser=parser, model=model, mode=mode)
    else:
        row = _look_up(store, caption)
    if row.parse is None:
        raise ConfigError(f"caption {row.id!r} failed: {row.error}")
    wanted = {"roles": row.roles, "dependencies": row.dependencies}
    if graph != "both":
        wanted = {graph: wanted[graph]}
    graphs = [found for found in wanted.values() if found is not None]
    if not graphs:
        raise ConfigError(f"{store}: the store has no graph of kind {graph!r}")
    if out is not None:
        save_picture(out, graphs, row.parse, force=force)
        typer.echo(f"{out}: drawn")
        return
    typer.echo("\n\n".join(graph_tree(found, row.parse.words) for found in graphs))


def _parse(text: str, *, parser: str, model: str | None, mode: str) -> CaptionRow:
    from graphmatch.datasets.captions import Caption
    from graphmatch.parse_captions import caption_rows
    from graphmatch.parsers import load_parser
    from graphmatch.parsers.roles import check_mode

    check_mode(mode)
    captions = [Caption(id="caption", text=text)]
    return caption_rows(captions, parser=load_parser(parser, model), mode=mode)[0]  # type: ignore[arg-type]


def _look_up(store: Path, key: str) -> CaptionRow:
    from difflib import get_close_matches

    from graphmatch.errors import ConfigError
    from graphmatch.store import GraphStore

    opened = GraphStore(store)
    if key not in opened:
        near = get_close_matches(key, opened.ids[:10000], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"no caption with id {key!r} in {store}{hint}")
    return opened[key]
