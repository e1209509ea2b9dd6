"""What every parser offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from graphmatch.errors import ConfigError
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


def check_batch_size(batch_size: int) -> None:
    """Raise `ConfigError` for a batch size below 1, which would silently give nothing.

    Args:
        batch_size: captions at a time.

    Raises:
        ConfigError: below 1.
    """
    if batch_size < 1:
        raise ConfigError(f"expected a batch_size from 1 (got {batch_size})")
