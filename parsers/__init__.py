"""Captions to `Parse`, and `Parse` to the columns of a graph."""

from __future__ import annotations

from importlib import import_module

from graphmatch.errors import check_choice
from graphmatch.parsers.base import Parser

PARSERS = {
    "spacy": "graphmatch.parsers.spacy:SpacyParser",
    "stanza": "graphmatch.parsers.stanza:StanzaParser",
    "conllu": "graphmatch.parsers.conllu_parser:ConlluParser",
}
"""Parsers by name, as import strings."""


def load_parser(name: str, model: str | None = None) -> Parser:
    """A parser by name.

    Args:
        name: a key of `PARSERS`.
        model: the parser's model: a spaCy pipeline, a folder of stanza models, a CoNLL-U file;
            the parser's default if None.

    Returns:
        The parser; its model loads at first use.

    Raises:
        ConfigError: an unknown name.

    Example:
        >>> load_parser("spacy").name
        'spacy'
    """
    check_choice("parser", name, PARSERS)
    module, _, attribute = PARSERS[name].partition(":")
    parser: Parser = getattr(import_module(module), attribute)(*([] if model is None else [model]))
    return parser
