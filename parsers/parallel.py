"""`pipe_parallel`: a parser's `pipe` in several processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from graphmatch.corpus import map_blocks
from graphmatch.errors import ConfigError
from graphmatch.parse import Parse
from graphmatch.parsers.base import Parser, check_batch_size


def pipe_parallel(
    parser: Parser, texts: Iterable[str], *, batch_size: int = 128, processes: int = 2
) -> Iterator[Parse]:
    """Parses in the order of the captions, lazily, at most two batches a process ahead.

    A process takes seconds to load its model and every parse travels between processes, so this
    pays for many thousands of captions. `parse_captions` stores graphs without that traffic.

    Args:
        parser: the parser; it is sent to every process once, as its configuration.
        texts: captions.
        batch_size: captions sent to a process at a time.
        processes: worker processes; 1 works in this one.

    Yields:
        One parse a caption, the same as from `parser.pipe`.

    Raises:
        ConfigError: a batch size or a number of processes below 1.
        ParseError: as `parser.pipe`.
        RuntimeError: a worker was killed.

    Example:
        >>> from graphmatch.parsers import load_parser
        >>> parses = pipe_parallel(load_parser("spacy"), ["A dog", "Two cats"], processes=1)
        >>> [len(parse) for parse in parses]
        [2, 2]
    """
    check_batch_size(batch_size)
    if processes < 1:
        raise ConfigError(f"expected processes from 1 (got {processes})")
    for parses in map_blocks(_ParseBatch(parser), _batches(texts, batch_size), processes=processes):
        yield from parses


@dataclass(frozen=True, slots=True)
class _ParseBatch:
    parser: Parser

    def __call__(self, texts: list[str]) -> list[Parse]:
        return list(self.parser.pipe(texts, len(texts)))


def _batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    texts = iter(texts)
    while batch := list(islice(texts, size)):
        yield batch
