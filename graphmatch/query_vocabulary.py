"""Vocabularies of queries for moments: word 0 is padding, the others in order of appearance.

Source: DRN (CVPR 2020); official code, `utils/preprocess_lang.py` and `Charades_word2id.json`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from graphmatch.clips.moments import query_words
from graphmatch.datasets.text_files import read_json
from graphmatch.errors import ConfigError, FormatError
from graphmatch.vocab import Vocabulary

PADDING = "<pad>"
"""Word 0 of these vocabularies: padding, and all unknown words."""


def query_vocabulary(sentences: Iterable[str]) -> Vocabulary:
    """Words of queries, numbered from 1 in the order in which they first appear.

    The sentences of Charades-STA's training file and then its test file, whole and in order, give
    DRN's official ids. Honest work numbers those of the training part alone.

    Args:
        sentences: the queries.

    Returns:
        The vocabulary; an unknown word has id 0, as padding has.

    Raises:
        ConfigError: no word.

    Example:
        >>> words = query_vocabulary(["person opens the door.", "the person laughs."])
        >>> words.words, words.encode(["door", "cat"])
        (('<pad>', 'person', 'opens', 'the', 'door', 'laughs'), [4, 0])
    """
    words = dict.fromkeys(word for sentence in sentences for word in query_words(sentence))
    words.pop(PADDING, None)
    if not words:
        raise ConfigError("expected sentences with words (got none)")
    return Vocabulary((PADDING, *words), PADDING)


def read_query_vocabulary(path: str | Path) -> Vocabulary:
    """DRN's `Charades_word2id.json`, ids by word from 1; or such a vocabulary that we wrote.

    Args:
        path: the file.

    Returns:
        The vocabulary; an unknown word has id 0, as padding has.

    Raises:
        FormatError: no such file, no JSON object, ids that are not 1 to V; a vocabulary of ours
            whose word 0 does not stand for unknown words.
    """
    ids = read_json(path, "ids from 1 by word")
    if isinstance(ids.get("format"), str):
        found = Vocabulary.load(path)
        if found.words[0] != found.unknown:
            raise FormatError(f"{path}: expected word 0 for unknown words (got {found.words[0]!r})")
        return found
    words = sorted(ids, key=lambda word: ids[word] if type(ids[word]) is int else 0)
    if not words or [ids[word] for word in words] != [*range(1, len(words) + 1)]:
        raise FormatError(f"{path}: expected the ids 1 to {len(words)} by word, each once")
    if PADDING in ids:
        raise FormatError(f"{path}: expected no word {PADDING!r}, it stands for padding")
    return Vocabulary((PADDING, *words), PADDING)
