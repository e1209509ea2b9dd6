"""`WordMemory`: universal tags and lemmas of a spaCy pipeline, looked up once a word.

spaCy's attribute ruler tries all of its patterns on every word and takes a third of the pipeline's
time. Nearly all of them look at one word's form, tag and label alone, so what they and the
lemmatizer say can be remembered; captions use few different words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LAST = ("attribute_ruler", "lemmatizer")
# what a pattern may ask of a word so that form, tag and label give the answer
_KNOWN = frozenset(("ORTH", "TEXT", "LOWER", "TAG", "DEP", "IS_SPACE", "SHAPE", "LENGTH"))
_MOST = 200_000


class WordMemory:
    """Runs a pipeline's attribute ruler and lemmatizer, or remembers what they said.

    Captions in which a pattern of several words matches are always run; so is everything if a
    pattern asks for more than a word's form, tag and label, or the lemmatizer is no rule-based one.

    Args:
        nlp: the pipeline.

    Example:
        >>> from graphmatch.parsers.spacy import load_pipeline
        >>> nlp = load_pipeline("en_core_web_sm")
        >>> memory = WordMemory(nlp)
        >>> docs = list(nlp.pipe(["Two dogs ran"], disable=memory.skipped))
        >>> [nlp.vocab.strings[row[3]] for row in memory.read(docs)[0]]
        ['two', 'dog', 'run']
    """

    def __init__(self, nlp: Any) -> None:
        from spacy.matcher import Matcher

        self.skipped: list[str] = []
        """Names of components that the pipeline must leave out."""
        self._components: list[Any] = []
        self._together = Matcher(nlp.vocab)
        self._known: dict[tuple[int, ...], list[int]] = {}
        if tuple(nlp.pipe_names[-2:]) != _LAST or nlp.get_pipe("lemmatizer").mode != "rule":
            return
        for number, rule in enumerate(nlp.get_pipe("attribute_ruler").patterns):
            for pattern in rule["patterns"]:
                if any(not _KNOWN.issuperset(token) for token in pattern):
                    return
                if len(pattern) > 1:
                    self._together.add(str(number), [pattern])
        self.skipped = list(_LAST)
        self._components = [nlp.get_pipe(name) for name in _LAST]

    def read(self, docs: Sequence[Any]) -> list[list[list[int]]]:
        """Tag, label, universal tag and lemma of each word, as keys of the pipeline's strings.

        Args:
            docs: docs of the pipeline without the components in `skipped`.

        Returns:
            T rows of four keys for each doc.
        """
        from spacy.attrs import DEP, ORTH, TAG

        if not self._components:
            return [_rows(doc) for doc in docs]
        if len(self._known) > _MOST:
            self._known.clear()
        keys = [
            None if self._together(doc) else [*map(tuple, doc.to_array([ORTH, TAG, DEP]).tolist())]
            for doc in docs
        ]
        # new words of all docs at once: asking costs more a doc than a word
        new = {
            key: None for own in keys if own is not None for key in own if key not in self._known
        }
        if new:
            self._learn(docs[0].vocab, list(new))
        return [
            self._ask(doc) if own is None else [self._known[key] for key in own]
            for doc, own in zip(docs, keys, strict=True)
        ]

    def _learn(self, vocab: Any, keys: list[tuple[int, ...]]) -> None:
        """Ask about new words in a doc of their own, with a comma between any two."""
        from spacy.tokens import Doc

        rows = [[vocab.strings[part] for part in key] for key in keys]
        apart = [part for row in rows for part in (row, [",", ",", "punct"])]
        words, tags, deps = (list(column) for column in zip(*apart, strict=True))
        doc = Doc(vocab, words=words, tags=tags, deps=deps, heads=list(range(len(words))))
        if len(keys) > 1 and self._together(doc):  # a pattern that commas satisfy
            for key in keys:
                self._learn(vocab, [key])
        else:
            self._known.update(zip(keys, self._ask(doc)[::2], strict=True))

    def _ask(self, doc: Any) -> list[list[int]]:
        for component in self._components:
            doc = component(doc)
        return _rows(doc)


def _rows(doc: Any) -> list[list[int]]:
    from spacy.attrs import DEP, LEMMA, POS, TAG

    rows: list[list[int]] = doc.to_array([TAG, DEP, POS, LEMMA]).tolist()
    return rows
