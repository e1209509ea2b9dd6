"""What every parser offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from graphmatch.parse import Parse


class Parser(Protocol):
    """Captions to `Parse`. Construction is cheap; the model loads at first use.

    A parser pickles as its configuration alone, so it can be sent to worker processes.
    """

    @property
    def name(self) -> str:
        """Short name, `"spacy"`."""

    @property
    def version(self) -> str:
        """Versions of the tool and its model; part of the key under which parses are kept."""

    def parse(self, text: str) -> Parse:
        """The parse of one caption.

        Raises:
            ParseError: the caption cannot be parsed.
        """

    def pipe(self, texts: Iterable[str], batch_size: int = 128) -> Iterator[Parse]:
        """Parses in the order of the captions, lazily, `batch_size` at a time."""
