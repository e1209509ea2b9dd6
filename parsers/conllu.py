"""CoNLL-U: reading, writing, and a parser that looks captions up in a file.

Source: universaldependencies.org/format.html.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from graphmatch.errors import FormatError, ParseError
from graphmatch.parse import Frame, Parse, find_offsets
from graphmatch.parsers.normalise import normalise
from graphmatch.parsers.penn import universal_pos
from graphmatch.parsers.srl.rules import rule_frames


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

    A caption is one sentence, or the sentences in a row that share a `# caption_id`. Ranges of
    multi-word tokens and empty nodes are skipped, so words are syntactic words. The text is the
    `# text` comment, else made of the words and `SpaceAfter=No`; several sentences are joined by a
    space. A missing universal tag comes from the Penn tag.

    Args:
        path: the file, UTF-8.

    Yields:
        One caption each; a damaged one with its error and the line where it starts.

    Raises:
        FormatError: no such file, or not UTF-8.

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
        if pending and (sentence.caption is None or sentence.caption != pending[0].caption):
            yield _caption(pending)
            pending = []
        pending.append(sentence)
    if pending:
        yield _caption(pending)


def to_conllu(parse: Parse, caption_id: str | None = None) -> str:
    """A parse as CoNLL-U, a block of lines for each sentence.

    `read_conllu` gives the same parse back, but for its frames. Offsets come back if the words
    stand in the text one after the other.

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
    lines = []
    count = len(parse)
    starts = [t for t in range(count) if t == 0 or parse.sentences[t] != parse.sentences[t - 1]]
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        if caption_id is not None:
            lines.append(f"# caption_id = {_flat(caption_id)}")
        if start == 0:
            lines.append(f"# text = {_flat(parse.text)}")
        for token in range(start, end):
            head = parse.heads[token]
            lines.append(
                "\t".join(
                    (
                        str(token - start + 1),
                        _cell(parse.words[token]),
                        _cell(parse.lemmas[token]),
                        _cell(parse.pos[token]),
                        _cell(parse.tags[token]),
                        "_",
                        str(head - start + 1 if head >= 0 else 0),
                        _cell(parse.deprels[token]),
                        "_",
                        "_",
                    )
                )
            )
        lines.append("")
    return "".join(line + "\n" for line in lines)


@dataclass
class ConlluParser:
    """Captions looked up in a CoNLL-U file by their text, with frames by rules.

    Args:
        path: the file; read at first use and kept in memory.
        frames: makes the predicate frames of a tree; `rule_frames` by default.

    Raises:
        FormatError: at first use, if there is no such file or it is not UTF-8.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.conllu"
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"],
        ...                         pos=["NOUN", "VERB"])
        >>> _ = path.write_text(to_conllu(parse))
        >>> ConlluParser(path).parse("dogs run").frames[0].verb
        (1,)
    """

    path: str | Path
    frames: Callable[[Parse], tuple[Frame, ...]] = field(default=rule_frames)

    name = "conllu"

    @property
    def version(self) -> str:
        """Digest of the file."""
        path = Path(self.path)
        if not path.is_file():
            raise FormatError(f"{path}: expected a CoNLL-U file (no such file)")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()

    def parse(self, text: str) -> Parse:
        """The parse of a caption that the file holds.

        Args:
            text: the caption; white space and capitals count as `normalise` leaves them.

        Returns:
            Its parse; without words for empty text.

        Raises:
            ParseError: the file does not hold the caption, or only damaged.
        """
        key = normalise(text)[0]
        if not key:
            return Parse.from_tree([], heads=[], deprels=[], text=text)
        found = self._captions.get(key)
        if found is None:
            raise ParseError(f"{self.path}: no caption with this text among {len(self._captions)}")
        found = replace(found, text=text, offsets=find_offsets(text, found.words))
        return found.with_frames(self.frames(found))

    def pipe(self, texts: Iterable[str], batch_size: int = 128) -> Iterator[Parse]:  # noqa: ARG002
        """Parses in the order of the captions, lazily.

        Args:
            texts: captions.
            batch_size: of no effect: nothing is computed.

        Yields:
            One parse a caption.

        Raises:
            ParseError: as `parse`.
        """
        return map(self.parse, texts)

    @cached_property
    def _captions(self) -> dict[str, Parse]:
        captions: dict[str, Parse] = {}
        for caption in read_conllu(self.path):
            if caption.parse is not None:
                captions.setdefault(normalise(caption.parse.text)[0], caption.parse)
        return captions

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "frames": self.frames}


@dataclass
class _Sentence:
    line: int
    caption: str | None
    text: str | None
    rows: list[list[str]]
    error: str | None = None


def _sentences(path: str | Path) -> Iterator[_Sentence]:
    file = Path(path)
    if not file.is_file():
        raise FormatError(f"{path}: expected a CoNLL-U file (no such file)")
    current: _Sentence | None = None
    try:
        with file.open(encoding="utf-8-sig", newline=None) as stream:
            for number, raw in enumerate(stream, 1):
                line = raw.rstrip("\n")
                if not line.strip():
                    if current is not None and (current.rows or current.error):
                        yield current
                    current = None
                    continue
                if current is None:
                    current = _Sentence(number, None, None, [])
                _read_line(current, line, number)
        if current is not None and (current.rows or current.error):
            yield current
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: expected UTF-8 ({error}); convert the file first") from error


_COMMENT = re.compile(r"#\s*(caption_id|text)\s*=\s?(.*)")


def _read_line(sentence: _Sentence, line: str, number: int) -> None:
    if line.startswith("#"):
        match = _COMMENT.match(line)
        if match and match[1] == "text":
            sentence.text = match[2]
        elif match:
            sentence.caption = match[2]
        return
    cells = line.split("\t")
    if len(cells) != 10:
        sentence.error = sentence.error or (
            f"line {number}: expected 10 columns with tabs (got {len(cells)})"
        )
    elif re.fullmatch(r"\d+[-.]\d+", cells[0]) is None:
        sentence.rows.append(cells)


def _caption(sentences: list[_Sentence]) -> ForeignParse:
    first = sentences[0]
    name = first.caption if first.caption is not None else f"line-{first.line}"
    try:
        return ForeignParse(id=name, parse=_parse(sentences))
    except ParseError as error:
        return ForeignParse(id=name, error=f"sentence at line {first.line}: {error}")


def _parse(sentences: list[_Sentence]) -> Parse:
    words: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in ("lemma", "pos", "tag", "head", "deprel")}
    numbers = []
    texts = []
    for number, sentence in enumerate(sentences):
        if sentence.error is not None:
            raise ParseError(sentence.error)
        start = len(words)
        for place, cells in enumerate(sentence.rows, 1):
            if cells[0] != str(place):
                raise ParseError(f"expected word number {place} (got {cells[0]!r})")
            if not cells[6].isascii() or not cells[6].isdigit() or len(cells[6]) > 9:
                raise ParseError(f"expected the number of a head (got {cells[6]!r})")
            head = int(cells[6])
            if head > len(sentence.rows):
                raise ParseError(f"expected a head in [0, {len(sentence.rows)}] (got {head})")
            form, tag = cells[1], _value(cells[4])
            deprel = _value(cells[7]) or "dep"
            words.append(form)
            columns["lemma"].append(_value(cells[2]) or (form if form == "_" else form.lower()))
            columns["pos"].append(_value(cells[3]) or universal_pos(tag, deprel))
            columns["tag"].append(tag)
            columns["head"].append(start + head - 1 if head else -1)
            columns["deprel"].append(deprel)
            numbers.append(number)
        if sentence.text is not None:
            texts.append(sentence.text)
        elif number == 0 or sentences[0].text is None:
            texts.append(_spell(sentence.rows))
    return Parse.from_tree(
        words, heads=columns["head"], deprels=columns["deprel"], pos=columns["pos"],
        tags=columns["tag"], lemmas=columns["lemma"], text=" ".join(texts), sentences=numbers,
    )  # fmt: skip


def _spell(rows: list[list[str]]) -> str:
    """The text of words whose MISC column may say that no space follows."""
    pieces = []
    for cells in rows:
        no_space = "SpaceAfter=No" in cells[9].split("|")
        pieces.append(cells[1] + ("" if no_space else " "))
    return "".join(pieces).strip()


def _value(cell: str) -> str:
    return "" if cell == "_" else cell


def _cell(text: str) -> str:
    """A cell's text; tabs and line ends would break the table."""
    return _flat(text) or "_"


def _flat(text: str) -> str:
    return re.sub(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", " ", text)
