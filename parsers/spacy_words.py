"""`WordMemory`: universal tags and lemmas of a spaCy pipeline, looked up once a word.

spaCy's attribute ruler tries all of its patterns on every word and takes a third of the pipeline's
time. Nearly all of them look at one word's form, tag and label alone, so what they and the
lemmatizer say can be remembered; captions use few different words.
"""

from __future__ import annotations

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
        >>> [nlp.vocab.strings[row[3]] for row in memory.read(docs[0])]
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

    def read(self, doc: Any) -> list[list[int]]:
        """Tag, label, universal tag and lemma of each word, as keys of the pipeline's strings.

        Args:
            doc: a doc of the pipeline without the components in `skipped`.

        Returns:
            T rows of four keys.
        """
        from spacy.attrs import DEP, LEMMA, ORTH, POS, TAG

        wanted = [TAG, DEP, POS, LEMMA]
        if not self._components:
            return list(doc.to_array(wanted).tolist())
        keys = [tuple(row) for row in doc.to_array([ORTH, TAG, DEP]).tolist()]
        alone = not self._together(doc)
        if alone:
            rows = [self._known.get(key) for key in keys]
            if None not in rows:
                return rows  # type: ignore[return-value]
        for component in self._components:
            doc = component(doc)
        found: list[list[int]] = doc.to_array(wanted).tolist()
        if alone:
            if len(self._known) > _MOST:
                self._known.clear()
            self._known.update(zip(keys, found, strict=True))
        return found
