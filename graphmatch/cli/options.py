"""Options that several commands share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graphmatch.feature_report import FeatureReport

UNKNOWN = "graphmatch: the matcher knows no word of the caption, its scores say nothing"
"""Told where someone writes a caption of unknown words; it is no error."""
Graph = Annotated[
    str, typer.Option(help="roles, dependencies or both.", metavar="roles|dependencies|both")
]
"""Which graphs."""
ParserName = Annotated[
    str, typer.Option("--parser", help="What parses.", metavar="spacy|stanza|conllu")
]
"""Which parser."""
ModelName = Annotated[
    str | None,
    typer.Option(help="A spaCy pipeline, a folder of stanza models, or a CoNLL-U file."),
]
"""The parser's model."""
Mode = Annotated[
    str,
    typer.Option(
        help="Role graphs without a usable frame: augmented gives them noun phrases and verbs, "
        "the others leave the event alone.",
        metavar="strict|repaired|augmented",
    ),
]
"""How role graphs are made."""
Force = Annotated[bool, typer.Option(help="Overwrite a file that is there.")]
"""Overwrite."""


def finish_features(
    report: FeatureReport, *, item: str, row: str, out: object, started: float
) -> None:
    """Print the summary of a run that filled a feature store; exit code 3 if items failed.

    Args:
        report: what the run did.
        item: what an item is, such as `image`.
        row: what a row is, such as `region`.
        out: the store or file.
        started: `time.perf_counter()` at the start.

    Raises:
        Exit: items failed.
    """
    from graphmatch.feature_report import report_lines

    taken = time.perf_counter() - started
    for line in report_lines(report, item=item, row=row, out=out, seconds=taken):
        typer.echo(line)
    if report.failed:
        raise typer.Exit(3)
