"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

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
