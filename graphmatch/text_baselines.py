"""Scores of captions that never see an image: what a benchmark gives away by its texts alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from graphmatch.errors import ConfigError


def shortness(words: Sequence[str]) -> float:
    """Score of a caption by its length: the shorter one is preferred.

    The rule is fixed beforehand: who makes a wrong caption of a true one mostly adds something.

    Args:
        words: of the caption.

    Returns:
        Minus the number of those that have a letter or digit: a full stop is no length.

    Example:
        >>> shortness(["a", "dog", "."])
        -2.0
    """
    return -float(sum(any(sign.isalnum() for sign in word) for word in words))


class Unigram:
    """A bag-of-words language model: how common the words of a caption are.

        log p(caption) = mean over its words w of log (n(w) + 1) / (N + V + 1)

    n(w) of N words of the captions it is fitted on, V of them different; one more stands for all
    unknown words. The mean, not the sum, which would be another measure of length.

    Args:
        captions: words of each caption; letters of both cases count as one.

    Raises:
        ConfigError: no word at all.

    Example:
        >>> model = Unigram([["A", "dog"], ["a", "cat"]])
        >>> model.score(["a", "dog"]) > model.score(["a", "zebra"])
        True
    """

    def __init__(self, captions: Iterable[Sequence[str]]) -> None:
        self.counts = Counter(word.lower() for words in captions for word in words)
        if not self.counts:
            raise ConfigError("expected captions with words for the language baseline (got none)")
        self._total = self.counts.total() + len(self.counts) + 1

    def score(self, words: Sequence[str]) -> float:
        """Mean log probability of a caption's words.

        Args:
            words: of the caption.

        Returns:
            At most 0; of no word, that of an unknown one.
        """
        found = [self.counts[word.lower()] + 1 for word in words] or [1]
        return sum(math.log(count / self._total) for count in found) / len(found)
