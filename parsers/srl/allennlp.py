"""Output of AllenNLP's semantic role labeller as frames.

Source: AllenNLP 0.9 and 2.x, `SemanticRoleLabelerPredictor`; HGR official code,
`miscs/parse_sent_to_role_graph.ipynb`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphmatch.errors import ParseError
from graphmatch.parse import Frame, Parse
from graphmatch.parsers.json_records import json_records
from graphmatch.parsers.srl.bio import frame_from_tags


@dataclass(frozen=True, slots=True, kw_only=True)
class SrlRecord:
    """What a labeller said of one caption.

    Args:
        id: key of the record in its file, or its place from 1.
        words: T words as the labeller split them.
        frames: its predicates; a tag sequence without exactly one V gives none.
        error: why the record cannot be used; None if it can.
    """

    id: str
    words: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    error: str | None = None


def read_srl(path: str | Path) -> Iterator[SrlRecord]:
    """Records of a file of `{"words": [...], "verbs": [{"tags": [...]}]}`.

    Args:
        path: an object of records by key, a list of records, or a record a line.

    Yields:
        One record each; a damaged one with its error.

    Raises:
        FormatError: no such file, not UTF-8.
    """
    for key, record in json_records(path, "words"):
        try:
            yield srl_record(record, key)
        except ParseError as error:
            yield SrlRecord(id=key, error=str(error))


def srl_record(record: Any, key: str = "") -> SrlRecord:
    """One decoded record.

    Args:
        record: `{"words": [...], "verbs": [{"tags": [...]}]}`.
        key: its name.

    Returns:
        Words and frames.

    Raises:
        ParseError: missing fields, malformed tags, another number of tags than words.

    Example:
        >>> record = {"words": ["dogs", "run"], "verbs": [{"tags": ["B-ARG0", "B-V"]}]}
        >>> srl_record(record).frames[0].verb
        (1,)
    """
    if isinstance(record, ParseError):
        raise record
    try:
        words = tuple(_strings(record["words"]))
        sequences = [_strings(verb["tags"]) for verb in record["verbs"]]
    except (KeyError, TypeError) as error:
        raise ParseError(
            "expected a record with words and verbs, each with tags "
            f"({type(error).__name__}: {error})"
        ) from error
    frames = []
    for tags in sequences:
        if len(tags) != len(words):
            raise ParseError(f"expected {len(words)} tags, one a word (got {len(tags)})")
        frame = frame_from_tags(tags)
        if frame is not None:
            frames.append(frame)
    return SrlRecord(id=key, words=words, frames=tuple(frames))


def attach_frames(parse: Parse, record: SrlRecord) -> Parse:
    """A parse with a labeller's frames in place of its own.

    Args:
        parse: a parse of the same words.
        record: the labeller's record.

    Returns:
        A copy of the parse.

    Raises:
        ParseError: a failed record, or words that differ: parse the labeller's words with
            `SpacyParser.parse_words`.
    """
    if record.error is not None:
        raise ParseError(f"SRL record {record.id!r} has no frames: {record.error}")
    if parse.words != record.words:
        pairs = zip(parse.words, record.words, strict=False)
        place = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
        where = min(len(parse), len(record.words)) if place is None else place
        raise ParseError(
            f"expected the words of the parse ({len(parse)}) in the SRL record "
            f"({len(record.words)}): they differ from word {where} on; "
            "parse the record's words with SpacyParser.parse_words"
        )
    return parse.with_frames(record.frames)


def flat_parse(record: SrlRecord) -> Parse:
    """A parse of a record without a tree: every word is a root of its own.

    Enough for role graphs; augmented ones want tags, so parse the words where that matters.

    Args:
        record: a labeller's record.

    Returns:
        The parse with the record's frames.

    Raises:
        ParseError: a failed record.

    Example:
        >>> flat_parse(SrlRecord(id="1", words=("dogs", "run"))).heads
        (-1, -1)
    """
    if record.error is not None:
        raise ParseError(f"SRL record {record.id!r} has no frames: {record.error}")
    count = len(record.words)
    heads, deprels = [-1] * count, ["root"] * count
    return Parse.from_tree(record.words, heads=heads, deprels=deprels, frames=record.frames)


def _strings(values: object) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"expected a list of strings, got {values!r:.80}")
    return values
