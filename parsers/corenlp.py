"""JSON of a Stanford CoreNLP server as `Parse`.

Source: CoreNLP 3.9, `JSONOutputter`; the fields read are `sentences`, `tokens` and
`basicDependencies`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from graphmatch.errors import ParseError
from graphmatch.parse import Parse, find_offsets
from graphmatch.parsers.conllu import ForeignParse
from graphmatch.parsers.json_records import json_records
from graphmatch.parsers.penn import universal_pos
from graphmatch.parsers.ud1 import upgrade_labels


def read_corenlp(path: str | Path) -> Iterator[ForeignParse]:
    """Captions of a file with a CoreNLP document a caption.

    Args:
        path: one document, a list of documents, an object of them by name, or one a line.

    Yields:
        One caption each, named by its `docId` or its place from 1; a damaged one with its error.

    Raises:
        FormatError: no such file, not UTF-8.
    """
    for key, document in json_records(path, "sentences"):
        name = str(document.get("docId", key)) if isinstance(document, dict) else key
        try:
            yield ForeignParse(id=name, parse=parse_from_corenlp(document))
        except ParseError as error:
            yield ForeignParse(id=name, error=str(error))


def parse_from_corenlp(document: Any, text: str | None = None) -> Parse:
    """The parse of one CoreNLP document; labels of UD v1 become v2.

    Args:
        document: the decoded JSON.
        text: the caption; the document's `text`, else the words with a space where one was.

    Returns:
        The parse, without frames. Offsets are in characters: CoreNLP counts UTF-16 units.

    Raises:
        ParseError: a missing field, a head outside its sentence, no tree.

    Example:
        >>> document = {"sentences": [{
        ...     "tokens": [{"index": 1, "word": "run", "lemma": "run", "pos": "VB",
        ...                 "characterOffsetBegin": 0, "characterOffsetEnd": 3}],
        ...     "basicDependencies": [{"dep": "ROOT", "governor": 0, "dependent": 1}]}]}
        >>> parse_from_corenlp(document).deprels
        ('root',)
    """
    if isinstance(document, ParseError):
        raise document
    words: list[str] = []
    lemmas: list[str] = []
    tags: list[str] = []
    heads: list[int] = []
    deprels: list[str] = []
    sentences: list[int] = []
    units: list[tuple[int, int]] = []
    try:
        for number, sentence in enumerate(document["sentences"]):
            start, tokens = len(words), sentence["tokens"]
            arcs = {arc["dependent"]: arc for arc in sentence["basicDependencies"]}
            if len(arcs) != len(sentence["basicDependencies"]):
                raise ParseError("expected one governor a word (got a word with two)")
            for place, token in enumerate(tokens, 1):
                head = _integer(arcs[place]["governor"], "governor")
                if not 0 <= head <= len(tokens):
                    raise ParseError(f"expected a governor in [0, {len(tokens)}] (got {head})")
                words.append(str(token.get("originalText") or token["word"]))
                lemmas.append(str(token.get("lemma") or words[-1].lower()))
                tags.append(str(token["pos"]))
                heads.append(start + head - 1 if head else -1)
                deprels.append(str(arcs[place]["dep"]))
                sentences.append(number)
                begin, end = token["characterOffsetBegin"], token["characterOffsetEnd"]
                units.append((_integer(begin, "offset"), _integer(end, "offset")))
    except (KeyError, TypeError, AttributeError) as error:
        raise ParseError(
            "expected a CoreNLP document with sentences, tokens (word, pos, characterOffsetBegin, "
            f"characterOffsetEnd) and basicDependencies ({type(error).__name__}: {error})"
        ) from error
    if text is None:
        text = str(document.get("text") or _spell(words, units))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ParseError("expected Unicode text (got a lone surrogate)")
    heads, deprels = upgrade_labels(tags, heads, deprels)
    return Parse(
        text=text,
        words=tuple(words),
        lemmas=tuple(lemmas),
        pos=tuple(universal_pos(tag, deprel) for tag, deprel in zip(tags, deprels, strict=True)),
        tags=tuple(tags),
        heads=tuple(heads),
        deprels=tuple(deprels),
        offsets=_offsets(text, words, units),
        sentences=tuple(sentences),
    )


def _offsets(
    text: str, words: list[str], units: list[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    """Spans in characters; looked up in the text where the document's do not point at the words."""
    ends = accumulate((2 if character > "\uffff" else 1 for character in text), initial=0)
    place = {unit: position for position, unit in enumerate(ends)}
    spans = tuple((place.get(start, -1), place.get(end, -1)) for start, end in units)
    fits = all(text[start:end] == word for word, (start, end) in zip(words, spans, strict=True))
    if fits:
        return spans
    found = find_offsets(text, words)
    missing = next((n for n, (start, end) in enumerate(found) if start == end), None)
    if missing is not None:
        raise ParseError(f"expected the words of the document in the text (no {words[missing]!r})")
    return found


def _spell(words: list[str], units: list[tuple[int, int]]) -> str:
    """The text of words: a space where their offsets leave one."""
    previous = units[0][0] if units else 0
    pieces = []
    for word, (start, end) in zip(words, units, strict=True):
        pieces.append(f" {word}" if start > previous else word)
        previous = end
    return "".join(pieces)


def _integer(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParseError(f"expected an integer as {what} (got {value!r})")
    return value
