"""`graphmatch vocab`: a vocabulary from a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphmatch.cli.options import Force


def vocab(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="JSON file to write; - is standard output.")],
    style: Annotated[
        str, typer.Option(help="Special words and default count.", metavar="hgr|scan")
    ] = "hgr",
    min_count: Annotated[
        int | None, typer.Option(min=1, help="How often a word occurs; 3 for hgr, 4 for scan.")
    ] = None,
    force: Force = False,
) -> None:
    """Build a vocabulary of the captions of a store."""
    from graphmatch.errors import check_choice
    from graphmatch.output import open_output
    from graphmatch.store import GraphStore
    from graphmatch.vocab import HGR_SPECIALS, SCAN_SPECIALS, Vocabulary

    styles = {"hgr": (HGR_SPECIALS, "<UNK>", 3), "scan": (SCAN_SPECIALS, "<unk>", 4)}
    check_choice("style", style, styles)
    specials, unknown, usual = styles[style]
    opened = GraphStore(store)
    count = min_count or usual
    with open_output(out, force=force) as stream:
        vocabulary = Vocabulary.build(
            opened.words(), min_count=count, specials=specials, unknown=unknown
        )
        stream.write(vocabulary.to_json())
    typer.echo(
        f"{out}: {len(vocabulary):,} words that occur {count} times or more in {len(opened):,} "
        f"captions ({opened.manifest['counts']['failed']:,} failed captions have none)",
        err=True,
    )
