"""`StanzaParser`: captions to `Parse` with models of stanza from a local folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from graphmatch.errors import ConfigError, ParseError
from graphmatch.parse import Frame, Parse, find_offsets
from graphmatch.parsers.base import Parser, check_batch_size
from graphmatch.parsers.normalise import is_shouted, normalise, original_span
from graphmatch.parsers.spacy import SpacyParser
from graphmatch.parsers.srl.rules import rule_frames


@dataclass
class StanzaParser:
    """Universal Dependencies trees from a stanza pipeline. Nothing is downloaded.

    The folder is one of two kinds. With a `resources.json` and models for tokenize, pos, lemma and
    depparse (what `stanza.download` leaves) stanza does everything. With one model of the parser
    alone (`*.pt`) another parser splits and tags the captions and stanza makes the trees.

    Args:
        folder: the models.
        lang: stanza's code of the language.
        tagger: splits and tags where the folder holds a parser alone; `SpacyParser()` if None.
        frames: makes the predicate frames of a tree; `rule_frames` by default.
        device: where stanza's networks run.

    Raises:
        ConfigError: at first use, if stanza or the models are missing.

    Example:
        >>> StanzaParser("models").name
        'stanza'
    """

    folder: str | Path
    lang: str = "en"
    tagger: Parser | None = None
    frames: Callable[[Parse], tuple[Frame, ...]] = field(default=rule_frames)
    device: str = "cpu"
    _nlp: Any = field(default=None, init=False, repr=False, compare=False)

    name = "stanza"

    @property
    def version(self) -> str:
        """Versions of stanza and of the tagger, and a digest of the models."""
        import_stanza()
        from importlib.metadata import version

        model = self._lone_model()
        files = sorted(Path(self.folder).rglob("*.pt")) if model is None else [model]
        digest = hashlib.blake2b(digest_size=8)
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "blake2b").digest())
        names = "models" if model is None else model.name
        tagger = "" if model is None else f", {self._tagger.version}"
        return f"stanza {version('stanza')}, {self.lang} {names} {digest.hexdigest()}{tagger}"

    def parse(self, text: str) -> Parse:
        """The parse of one caption.

        Args:
            text: the caption.

        Returns:
            Its parse; without words for empty text.

        Raises:
            ParseError: the caption cannot be parsed.
        """
        return next(self.pipe([text]))

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
        whole = self._lone_model() is None
        check_batch_size(batch_size)
        texts = iter(texts)
        while batch := list(islice(texts, batch_size)):
            parses = self._run(nlp, batch) if whole else self._reparse(nlp, batch)
            for parse in parses:
                yield parse.with_frames(self.frames(parse))

    def _run(self, nlp: Any, texts: Sequence[str]) -> Iterator[Parse]:
        """Everything by stanza."""
        cleaned = [normalise(text) for text in texts]
        documents = iter(nlp.bulk_process([clean for clean, _ in cleaned if clean]))
        for text, (clean, origin) in zip(texts, cleaned, strict=True):
            if not clean:
                yield Parse.from_tree([], heads=[], deprels=[], text=text)
                continue
            parse = parse_from_stanza(next(documents), clean)
            spans = tuple(
                original_span(text, origin, start, end) if end > start else (origin[start],) * 2
                for start, end in parse.offsets
            )
            words = parse.words
            if text.isupper():  # lower-cased for the models: show what was written
                pairs = zip(spans, words, strict=True)
                words = tuple(normalise(text[start:end])[0] or word for (start, end), word in pairs)
            yield replace(parse, text=text, offsets=spans, words=words)

    def _reparse(self, nlp: Any, texts: Sequence[str]) -> Iterator[Parse]:
        """Words and tags by the tagger, trees by stanza."""
        from stanza.models.common.doc import Document

        tagged = list(self._tagger.pipe(texts))
        rows = [row for parse in tagged for row in _sentence_rows(parse)]
        trees = iter(nlp(Document(rows)).sentences if rows else [])
        for parse in tagged:
            heads: list[int] = []
            deprels: list[str] = []
            while len(heads) < len(parse):
                start = len(heads)
                for word in next(trees).words:
                    heads.append(start + word.head - 1 if word.head else -1)
                    deprels.append(word.deprel)
            yield replace(parse, heads=tuple(heads), deprels=tuple(deprels), frames=())

    @property
    def _tagger(self) -> Parser:
        if self.tagger is None:
            self.tagger = SpacyParser()
        return self.tagger

    def _lone_model(self) -> Path | None:
        """The parser's model if the folder holds nothing else."""
        folder = Path(self.folder)
        if not folder.is_dir():
            raise ConfigError(f"{folder}: expected a folder of stanza models (no such folder)")
        if (folder / self.lang / "tokenize").is_dir():
            return None
        models = [*folder.glob("*.pt"), *folder.glob(f"{self.lang}/depparse/*.pt")]
        if len(models) != 1:
            raise ConfigError(
                f"{folder}: expected stanza models ({self.lang}/tokenize and so on) or one model "
                f"of its parser (*.pt) (got {len(models)} of these)"
            )
        return models[0]

    def _pipeline(self) -> Any:
        if self._nlp is None:
            self._nlp = self._load()
        return self._nlp

    def _load(self) -> Any:
        stanza = import_stanza()
        model = self._lone_model()
        shared = {"download_method": None, "verbose": False, "device": self.device}
        try:
            if model is None:
                names = "tokenize,mwt,pos,lemma,depparse"
                if not (Path(self.folder) / self.lang / "mwt").is_dir():
                    names = names.replace("mwt,", "")
                return stanza.Pipeline(self.lang, dir=str(self.folder), processors=names, **shared)
            with tempfile.TemporaryDirectory() as folder:
                # stanza wants to know of a language before it reads a model
                resources: dict[str, Any] = {self.lang: {"default_processors": {}, "packages": {}}}
                (Path(folder) / "resources.json").write_text(json.dumps(resources))
                return stanza.Pipeline(
                    self.lang,
                    dir=folder,
                    processors={"tokenize": "default", "depparse": "default"},
                    package=None,
                    tokenize_pretokenized=True,
                    depparse_model_path=str(model),
                    depparse_pretagged=True,
                    **shared,
                )
        except Exception as error:  # stanza raises many kinds for a missing or damaged model
            raise ConfigError(
                f"{self.folder}: stanza cannot load the models ({type(error).__name__}: {error})"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_nlp": None}


def parse_from_stanza(document: Any, text: str) -> Parse:
    """The parse of a stanza document.

    Args:
        document: a `stanza.Document` with trees.
        text: the text that was parsed.

    Returns:
        The parse, syntactic words (not tokens) as words, without frames.

    Raises:
        ParseError: a document without trees.
    """
    words: list[Any] = []
    sentences: list[int] = []
    heads: list[int] = []
    spans: list[tuple[int, int]] = []
    for number, sentence in enumerate(document.sentences):
        start = len(words)
        for word in sentence.words:
            if word.head is None or word.deprel is None:
                raise ParseError("expected a document with trees (got a word without a head)")
            words.append(word)
            sentences.append(number)
            heads.append(start + word.head - 1 if word.head else -1)
            spans.append((word.start_char, word.end_char))
    forms = [word.text for word in words]
    known = all(
        start is not None and text[start:end] == form
        for (start, end), form in zip(spans, forms, strict=True)
    )
    return Parse(
        text=text,
        words=tuple(forms),
        lemmas=tuple(word.lemma or word.text.lower() for word in words),
        pos=tuple(word.upos or "X" for word in words),
        tags=tuple(word.xpos or "" for word in words),
        heads=tuple(heads),
        deprels=tuple(word.deprel for word in words),
        offsets=tuple(spans) if known else find_offsets(text, forms),
        sentences=tuple(sentences),
    )


def import_stanza() -> Any:
    """The `stanza` package.

    Returns:
        The module.

    Raises:
        ConfigError: it is not installed; with the command that installs it.
    """
    try:
        import stanza
    except ImportError as error:
        raise ConfigError(
            "the stanza parser needs stanza: pip install 'graphmatch[stanza]'"
        ) from error
    return stanza


def _sentence_rows(parse: Parse) -> list[list[dict[str, Any]]]:
    """A tagged caption as stanza's rows, one list a sentence."""
    lower = is_shouted(parse.text)
    sentences: list[list[dict[str, Any]]] = []
    for token, word in enumerate(parse.words):
        if token == 0 or parse.sentences[token] != parse.sentences[token - 1]:
            sentences.append([])
        row = {
            "id": (len(sentences[-1]) + 1,),
            "text": word.lower() if lower else word,
            "lemma": parse.lemmas[token],
            "upos": parse.pos[token],
            "xpos": parse.tags[token],
        }
        sentences[-1].append(row)
    return sentences
