"""`graphmatch`: the command line. Each command is in a file of its own and imports late."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from graphmatch.cli.clicks import clicks
from graphmatch.cli.clips import clips
from graphmatch.cli.convert import convert
from graphmatch.cli.corpus import corpus
from graphmatch.cli.evaluate import evaluate
from graphmatch.cli.explain import explain
from graphmatch.cli.export import export
from graphmatch.cli.export_items import export_items
from graphmatch.cli.ground import ground
from graphmatch.cli.import_checkpoint import import_checkpoint
from graphmatch.cli.index import index
from graphmatch.cli.info import info
from graphmatch.cli.parse import parse
from graphmatch.cli.regions import regions
from graphmatch.cli.search import search
from graphmatch.cli.show import show
from graphmatch.cli.train import train
from graphmatch.cli.vocab import vocab

app = typer.Typer(
    name="graphmatch",
    help="Captions, images and videos become graphs: roles and words, regions, clips.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _command in (
    parse,
    regions,
    clips,
    clicks,
    convert,
    show,
    train,
    evaluate,
    search,
    explain,
    ground,
    export,
    export_items,
    info,
    vocab,
    import_checkpoint,
):
    app.command()(_command)
app.add_typer(corpus, name="corpus")
app.add_typer(index, name="index")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"graphmatch {version('graphmatch')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; errors that a user can mend are one line, without a traceback.

    Exit codes: 0 success; 1 stopped, with the reason; 2 wrong options; 3 finished, but captions,
    images or videos failed; 130 interrupted.
    """
    try:
        app()
    except KeyboardInterrupt:
        _stop(_INTERRUPTED, 130)
    except SystemExit as stop:
        if stop.code == 130:  # typer makes this of an interrupt, without a word
            _stop(_INTERRUPTED, 130)
        raise
    except (ValueError, OSError, RuntimeError) as error:
        _stop(str(error), 1)


_INTERRUPTED = "interrupted; what is finished is kept, run the same command again to go on"


def _stop(message: str, code: int) -> None:
    typer.echo(f"graphmatch: {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
