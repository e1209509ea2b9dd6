"""Word ids of a caption as SCAN, GSMN and IMRAM read it.

Source: SCAN official code, `data.py` and `vocab.py`.
"""

from __future__ import annotations

from graphmatch.datasets.treebank import treebank_words
from graphmatch.errors import ConfigError
from graphmatch.vocab import Vocabulary


def caption_ids(text: str, vocabulary: Vocabulary) -> list[int]:
    """Ids of the start mark, the words of a caption, and the end mark.

    The caption is lower-cased and split by `treebank_words`; punctuation counts as words. The
    official code splits it into sentences first, which matters for captions of several sentences
    whose full stops stand right after a word; in the published files they stand alone. A vocabulary
    for it is `Vocabulary.build` of such words of the training and dev captions, with
    `min_count=4, specials=SCAN_SPECIALS, unknown="<unk>"`, or an official file by
    `Vocabulary.load`.

    Args:
        text: a caption.
        vocabulary: words, with the marks <start> and <end>.

    Returns:
        Ids of T words and two marks; `graphmatch.graphs.words.word_graph` makes a graph of them.

    Raises:
        ConfigError: a vocabulary without the marks.

    Example:
        >>> from graphmatch.vocab import SCAN_SPECIALS
        >>> vocabulary = Vocabulary((*SCAN_SPECIALS, "a", "dog"), "<unk>")
        >>> caption_ids("A dog barks", vocabulary)
        [1, 4, 5, 3, 2]
    """
    start, end = mark_ids(vocabulary)
    return [start, *vocabulary.encode(treebank_words(text.strip().lower())), end]


def mark_ids(vocabulary: Vocabulary) -> tuple[int, int]:
    """Ids of the marks that SCAN, GSMN and IMRAM put around every caption.

    Args:
        vocabulary: words.

    Returns:
        Ids of <start> and <end>.

    Raises:
        ConfigError: a vocabulary without them.
    """
    for mark in ("<start>", "<end>"):
        if mark not in vocabulary:
            raise ConfigError(
                f"expected a vocabulary with {mark} (got {vocabulary.words[:4]}, ...); "
                "build it with specials=SCAN_SPECIALS"
            )
    start, end = vocabulary.encode(["<start>", "<end>"])
    return start, end
