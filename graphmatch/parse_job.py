"""`parse_captions`: a corpus of captions becomes a graph store, part by part, resumable."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from graphmatch.corpus import Engine, map_blocks
from graphmatch.datasets.captions import Caption
from graphmatch.errors import ConfigError, check_choice
from graphmatch.parquet_part import part_name
from graphmatch.parse import Parse
from graphmatch.parsers.base import Parser
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import RoleMode, role_graph
from graphmatch.rows import CaptionRow
from graphmatch.store_folder import MANIFEST
from graphmatch.store_format import (
    FORMAT,
    PartSummary,
    read_summary,
    write_manifest,
    write_part,
)

GraphChoice = Literal["roles", "dependencies", "both"]
"""Which graphs of a caption are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseReport:
    """What a run of `parse_captions` did.

    Args:
        captions: captions in the store, one row each.
        failed: those without a graph; their rows say why.
        event_only: role graphs with the event alone (no verb and no noun was found).
        parts: parts of the store.
        kept: captions in parts that an earlier run had finished.
        failures: (id, error) of the failed captions.
    """

    captions: int
    failed: int
    event_only: int
    parts: int
    kept: int
    failures: Sequence[Sequence[str]] = field(repr=False)


def parse_captions(
    captions: Iterable[Caption],
    folder: str | Path,
    *,
    parser: Parser,
    graph: GraphChoice = "both",
    mode: RoleMode = "augmented",
    processes: int = 1,
    part_rows: int = 2000,
    force: bool = False,
    engine: Engine | None = None,
    progress: Callable[[int], object] | None = None,
) -> ParseReport:
    """Parse captions and write their graphs to a store.

    Captions are read as they are needed, in blocks; each block becomes one part of the store. Run
    again with the same captions and options, the finished parts are kept and the missing ones made:
    the store is the same as after one uninterrupted run, with any number of processes. A caption
    that cannot be used becomes a row with its error. Memory holds a few blocks and 16 bytes an id.

    Args:
        captions: the captions in the order of the store.
        folder: the store: new, empty, or of the same job.
        parser: makes a `Parse` of a text.
        graph: which graphs to keep.
        mode: how role graphs are made, see `role_graph`.
        processes: worker processes; 1 works in this one.
        part_rows: captions a part.
        force: throw away a store of another job or other captions.
        engine: does the parts instead of `processes`, such as `partial(ray_blocks, workers=8)`; the
            store is the same.
        progress: called with the number of captions of each part when it is done.

    Returns:
        Counts and failures.

    Raises:
        ConfigError: an impossible option, a folder that is no store, a store of another job or of
            other captions.
        OSError: the store cannot be written; finished parts stay.

    Example:
        >>> import tempfile
        >>> from graphmatch.parsers import load_parser
        >>> captions = [Caption(id="1", text="A dog runs."), Caption(id="2", text="")]
        >>> parse_captions(captions, tempfile.mkdtemp(), parser=load_parser("spacy"))
        ParseReport(captions=2, failed=1, event_only=0, parts=1, kept=0)
    """
    check_choice("role mode", mode, get_args(RoleMode))
    check_choice("graph", graph, get_args(GraphChoice))
    if part_rows < 1 or processes < 1:
        raise ConfigError(
            f"expected part_rows and processes from 1 (got {part_rows} and {processes})"
        )
    job = {
        "parser": parser.name,
        "parser_version": parser.version,
        "graph": graph,
        "mode": mode,
        "part_rows": part_rows,
    }
    folder = Path(folder)
    FORMAT.prepare_folder(folder, job, force=force)
    if not (folder / MANIFEST).exists():
        write_manifest(folder, job, parts=[], complete=False)

    work = _PartMaker(folder, parser, graph, mode)
    parts: list[PartSummary] = []
    kept = 0
    engine = engine or partial(map_blocks, processes=processes)
    for part, is_kept in engine(work, _blocks(captions, part_rows)):
        parts.append(part)
        kept += part.rows if is_kept else 0
        if progress is not None:
            progress(part.rows)
    if (folder / part_name(len(parts))).exists():
        raise _other_captions(folder / part_name(len(parts)))
    write_manifest(folder, job, parts=parts, complete=True)
    FORMAT.clear_leftovers(folder)  # of workers that were killed
    return ParseReport(
        captions=sum(part.rows for part in parts),
        failed=sum(part.failed for part in parts),
        event_only=sum(part.bare for part in parts),
        parts=len(parts),
        kept=kept,
        failures=[failure for part in parts for failure in part.failures],
    )


_Block = tuple[int, list[Caption]]


@dataclass(frozen=True, slots=True)
class _PartMaker:
    """A block of captions becomes a part, unless an earlier run has made it."""

    folder: Path
    parser: Parser
    graph: GraphChoice
    mode: RoleMode

    def __call__(self, block: _Block) -> tuple[PartSummary, bool]:
        number, captions = block
        digest = _digest(captions)
        path = self.folder / part_name(number)
        if path.exists():
            found = read_summary(path, verify=True)
            if found is not None and found.digest != digest:
                raise _other_captions(path)
            if found is not None:
                return found, True
        with _no_collection():
            rows = caption_rows(captions, parser=self.parser, graph=self.graph, mode=self.mode)
            return write_part(self.folder, number, rows=rows, digest=digest), False


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: rows hold no cycles, and each one would walk the parser's model."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def caption_rows(
    captions: Sequence[Caption],
    *,
    parser: Parser,
    graph: GraphChoice = "both",
    mode: RoleMode = "augmented",
) -> list[CaptionRow]:
    """Rows of a few captions: parses, graphs, or what went wrong.

    Args:
        captions: the captions.
        parser: makes a `Parse` of a text.
        graph: which graphs to make.
        mode: how role graphs are made.

    Returns:
        One row a caption, in order.

    Raises:
        ConfigError: the parser cannot work at all (its model is missing).
    """
    good = [caption.text for caption in captions if caption.error is None]
    results = iter(_parse_all(parser, good))
    rows = []
    for caption in captions:
        result: Parse | str = caption.error if caption.error is not None else next(results)
        if not isinstance(result, str) and not len(result):
            result = "empty caption: no word is left of it"
        elif not isinstance(result, str) and result.text != caption.text:
            result = f"{parser.name} parser: expected a parse of this text (got {result.text!r})"
        error = result if isinstance(result, str) else None
        parse = None if isinstance(result, str) else result
        rows.append(
            CaptionRow(
                id=caption.id,
                owner=caption.owner,
                text=caption.text,
                error=error,
                parse=parse,
                roles=role_graph(parse, mode=mode) if parse and graph != "dependencies" else None,
                dependencies=dependency_graph(parse) if parse and graph != "roles" else None,
            )
        )
    return rows


def _parse_all(parser: Parser, texts: Sequence[str]) -> list[Parse | str]:
    """A parse or an error for each text; one by one where the batch fails."""
    try:
        return list(parser.pipe(texts))
    except (ConfigError, MemoryError):
        raise
    except Exception:  # whatever a foreign parser raises, it is one caption's fault
        return [_parse_one(parser, text) for text in texts]


def _parse_one(parser: Parser, text: str) -> Parse | str:
    try:
        return parser.parse(text)
    except (ConfigError, MemoryError):
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _blocks(captions: Iterable[Caption], size: int) -> Iterator[_Block]:
    checked = _checked(captions)
    number = 0
    while block := list(islice(checked, size)):
        yield number, block
        number += 1


def _checked(captions: Iterable[Caption]) -> Iterator[Caption]:
    """The captions; those that cannot be used with their error."""
    seen: set[bytes] = set()
    for caption in captions:
        clean = Caption(
            id=_storable(caption.id),
            owner=None if caption.owner is None else _storable(caption.owner),
            text=_storable(caption.text),
            error=caption.error or _problem(caption.text),
        )
        key = hashlib.blake2b(clean.id.encode(), digest_size=16).digest()
        if key in seen:
            clean = replace(clean, error=f"duplicate id {clean.id!r}: an earlier caption has it")
        seen.add(key)
        yield clean


def _problem(text: str) -> str | None:
    if not text or text.isspace():
        return "empty caption"
    if "\0" in text:
        return "NUL byte in the caption"
    if text != _storable(text):
        return "invalid UTF-8 (a lone surrogate) in the caption"
    return None


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _digest(captions: Sequence[Caption]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for caption in captions:
        record = [caption.id, caption.owner, caption.text, caption.error]
        digest.update(json.dumps(record).encode() + b"\n")
    return digest.hexdigest()


def _other_captions(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: the store was made from other captions; choose another folder, or --force to "
        "throw it away"
    )
