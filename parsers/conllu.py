"""CoNLL-U: captions read from files, and written.

Source: universaldependencies.org/format.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphmatch.errors import FormatError, ParseError
from graphmatch.parse import Parse, find_offsets
from graphmatch.parsers.penn import universal_pos


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignParse:
    """A caption of a file of analyses.

    Args:
        id: its id, or the number of its line or place in the file.
        parse: the analysis, without frames; None if it is damaged.
        error: what is wrong with it.
    """

    id: str
    parse: Parse | None = None
    error: str | None = None


def read_conllu(path: str | Path) -> Iterator[ForeignParse]:
    """Captions of a CoNLL-U file, in order.

    A caption is one sentence, or the sentences in a row that share a `# caption_id` or are
    numbered by `# caption_sentence`. Words are syntactic words: ranges of multi-word tokens only
    say where their words stand, empty nodes are skipped. The text is the `# text` comment, else
    made of the tokens and `SpaceAfter=No`; several sentences are joined by a space. A missing
    universal tag comes from the Penn tag.

    Args:
        path: the file, UTF-8.

    Yields:
        One caption each; a damaged one with its error and the line where it starts.

    Raises:
        FormatError: no such file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.conllu"
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"])
        >>> _ = path.write_text(to_conllu(parse, "7"))
        >>> [(caption.id, caption.parse == parse) for caption in read_conllu(path)]
        [('7', True)]
    """
    pending: list[_Sentence] = []
    for sentence in _sentences(path):
        if pending and not _continues(sentence, pending[0]):
            yield _caption(pending)
            pending = []
        pending.append(sentence)
    if pending:
        yield _caption(pending)


def to_conllu(parse: Parse, caption_id: str | None = None) -> str:
    """A parse as CoNLL-U, a block of lines for each sentence.

    `read_conllu` gives the same parse back, but for its frames. What the format has no place for
    goes into comments (`caption_sentence`, `text_json`) and the last column (`Span=start:end`).

    Args:
        parse: the parse.
        caption_id: written as a `# caption_id` comment, so that sentences stay together.

    Returns:
        The text, with an empty line after every sentence.

    Example:
        >>> parse = Parse.from_tree(["run"], heads=[-1], deprels=["root"])
        >>> to_conllu(parse).splitlines()[1].split()
        ['1', 'run', 'run', 'X', '_', '_', '0', 'root', '_', '_']
    """
    count = len(parse)
    starts = [t for t in range(count) if t == 0 or parse.sentences[t] != parse.sentences[t - 1]]
    spans = parse.offsets if find_offsets(parse.text, parse.words) != parse.offsets else None
    lines = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], count], strict=True), 1):
        if caption_id is not None:
            lines.append(f"# caption_id = {_flat(caption_id)}")
        if len(starts) > 1:
            lines.append(f"# caption_sentence = {number}")
        if number == 1:
            lines.append(f"# text = {_flat(parse.text)}")
            if _flat(parse.text) != parse.text:
                lines.append(f"# text_json = {json.dumps(parse.text)}")
        for token in range(start, end):
            head = parse.heads[token]
            cells = (
                str(token - start + 1),
                _cell(parse.words[token]),
                _cell(parse.lemmas[token]),
                _cell(parse.pos[token]),
                _cell(parse.tags[token]),
                "_",
                str(head - start + 1 if head >= 0 else 0),
                _cell(parse.deprels[token]),
                "_",
                "Span={}:{}".format(*spans[token]) if spans else "_",
            )
            lines.append("\t".join(cells))
        lines.append("")
    return "".join(line + "\n" for line in lines)


@dataclass
class _Sentence:
    line: int
    rows: list[list[str]] = field(default_factory=list)
    ranges: dict[int, list[str]] = field(default_factory=dict)  # first word -> its row
    comments: dict[str, str] = field(default_factory=dict)
    error: str | None = None


def _sentences(path: str | Path) -> Iterator[_Sentence]:
    file = Path(path)
    if not file.is_file():
        raise FormatError(f"{path}: expected a CoNLL-U file (no such file)")
    current = _Sentence(1)
    with file.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                current.error = current.error or f"line {number}: expected UTF-8 ({error})"
                continue
            if line.strip():
                _read_line(current, line, number)
                continue
            if current.rows or current.error:
                yield current
            current = _Sentence(number + 1)
    if current.rows or current.error:
        yield current


_COMMENT = re.compile(r"#\s*(caption_id|caption_sentence|text_json|text)\s*=\s?(.*)")


def _read_line(sentence: _Sentence, line: str, number: int) -> None:
    if line.startswith("#"):
        match = _COMMENT.match(line)
        if match:
            sentence.comments[match[1]] = match[2]
        return
    cells = line.split("\t")
    if len(cells) != 10:
        sentence.error = sentence.error or (
            f"line {number}: expected 10 columns with tabs (got {len(cells)})"
        )
    elif match := re.fullmatch(r"(\d{1,9})-(\d{1,9})", cells[0]):
        sentence.ranges[int(match[1])] = cells
    elif re.fullmatch(r"\d+\.\d+", cells[0]) is None:
        sentence.rows.append(cells)


def _continues(sentence: _Sentence, first: _Sentence) -> bool:
    """Whether a sentence belongs to the caption that `first` begins."""
    if "caption_sentence" in sentence.comments:
        return sentence.comments["caption_sentence"] != "1"
    name = sentence.comments.get("caption_id")
    return name is not None and name == first.comments.get("caption_id")


def _caption(sentences: list[_Sentence]) -> ForeignParse:
    first = sentences[0]
    name = first.comments.get("caption_id", f"line-{first.line}")
    try:
        return ForeignParse(id=name, parse=_parse(sentences))
    except ParseError as error:
        return ForeignParse(id=name, error=f"sentence at line {first.line}: {error}")


def _parse(sentences: list[_Sentence]) -> Parse:
    columns: list[list[Any]] = [[], [], [], [], [], []]
    numbers: list[int] = []
    tokens: list[tuple[str, int]] = []  # surface form and number of words
    texts = []
    misc = []
    for number, sentence in enumerate(sentences):
        if sentence.error is not None:
            raise ParseError(sentence.error)
        start = len(numbers)
        for place, cells in enumerate(sentence.rows, 1):
            for column, value in zip(columns, _read_cells(cells, place, sentence), strict=True):
                column.append(value)
            columns[4][-1] += start if columns[4][-1] >= 0 else 0
            numbers.append(number)
            misc.append(cells[9])
        own, spelt = _tokens(sentence)
        tokens += own
        # `to_conllu` writes the text of the whole caption at its first sentence
        if "text" in sentence.comments:
            texts.append(sentence.comments["text"])
        elif number == 0 or "text" not in sentences[0].comments:
            texts.append(spelt)
    text = _whole_text(sentences[0], " ".join(texts))
    words, lemmas, pos, tags, heads, deprels = map(tuple, columns)
    offsets = _read_spans(misc) or _find_tokens(text, tokens, words)
    return Parse(
        text=text, words=words, lemmas=lemmas, pos=pos, tags=tags, heads=heads, deprels=deprels,
        offsets=offsets, sentences=tuple(numbers),
    )  # fmt: skip


def _read_cells(
    cells: list[str], place: int, sentence: _Sentence
) -> tuple[str, str, str, str, int, str]:
    """Form, lemma, universal tag, Penn tag, head from 0 in the sentence, label of a word."""
    if cells[0] != str(place):
        raise ParseError(f"expected word number {place} (got {cells[0]!r})")
    if not cells[1]:
        raise ParseError(f"expected the form of word {place} (got an empty column)")
    if not cells[6].isascii() or not cells[6].isdigit() or len(cells[6]) > 9:
        raise ParseError(f"expected the number of a head (got {cells[6]!r})")
    head = int(cells[6])
    if head > len(sentence.rows):
        raise ParseError(f"expected a head in [0, {len(sentence.rows)}] (got {head})")
    form, tag, deprel = cells[1], _value(cells[4]), _value(cells[7]) or "dep"
    lemma = _value(cells[2]) or form.lower()
    return form, lemma, _value(cells[3]) or universal_pos(tag, deprel), tag, head - 1, deprel


def _tokens(sentence: _Sentence) -> tuple[list[tuple[str, int]], str]:
    """Surface tokens with their number of words, and the text that they spell."""
    tokens = []
    pieces = []
    place = 1
    while place <= len(sentence.rows):
        cells, end = sentence.rows[place - 1], place
        if place in sentence.ranges:
            cells = sentence.ranges[place]
            end = int(cells[0].partition("-")[2])
            if not place < end <= len(sentence.rows):
                raise ParseError(f"expected a range of words inside the sentence (got {cells[0]})")
        tokens.append((cells[1], end - place + 1))
        pieces.append(cells[1] + ("" if "SpaceAfter=No" in cells[9].split("|") else " "))
        place = end + 1
    return tokens, "".join(pieces).strip()


def _find_tokens(
    text: str, tokens: list[tuple[str, int]], words: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    """Spans of words: tokens are looked up in the text, words inside their token."""
    spans: list[tuple[int, int]] = []
    for (start, end), (_, count) in zip(
        find_offsets(text, [surface for surface, _ in tokens]), tokens, strict=True
    ):
        if count == 1:
            spans.append((start, end))
            continue
        own = words[len(spans) : len(spans) + count]
        spans += [(start + a, start + b) for a, b in find_offsets(text[start:end], own)]
    return tuple(spans)


def _read_spans(misc: list[str]) -> tuple[tuple[int, int], ...] | None:
    matches = [re.search(r"(?:^|\|)Span=(\d{1,9}):(\d{1,9})(?:\||$)", cell) for cell in misc]
    if not all(matches):
        return None
    return tuple((int(match[1]), int(match[2])) for match in matches if match)


def _whole_text(first: _Sentence, text: str) -> str:
    """The text, exactly as it was where a comment could not hold it."""
    if "text_json" not in first.comments:
        return text
    try:
        exact = json.loads(first.comments["text_json"])
    except (ValueError, RecursionError) as error:
        raise ParseError(f"expected JSON in the text_json comment ({error})") from error
    if not isinstance(exact, str) or any("\ud800" <= c <= "\udfff" for c in exact):
        raise ParseError("expected a Unicode string in the text_json comment")
    return exact


def _value(cell: str) -> str:
    return "" if cell == "_" else cell


def _cell(text: str) -> str:
    """A cell's text; tabs and line ends would break the table."""
    return _flat(text) or "_"


def _flat(text: str) -> str:
    return re.sub(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", " ", text)
