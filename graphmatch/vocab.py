"""`Vocabulary`: words to ids and back, kept as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphmatch.errors import ConfigError, FormatError
from graphmatch.output import open_output

HGR_SPECIALS = ("<BOS>", "<EOS>", "<UNK>")
"""HGR's first three words; `<EOS>` also pads."""
SCAN_SPECIALS = ("<pad>", "<start>", "<end>", "<unk>")
"""First four words of SCAN, GSMN and IMRAM."""

_FORMAT = "graphmatch-vocabulary"
_VERSION = 1


@dataclass(frozen=True)
class Vocabulary:
    """Words and their ids; the position of a word is its id.

    Args:
        words: V different words, special symbols first.
        unknown: the word that stands for words that are not in the list.

    Raises:
        ConfigError: a word twice, or `unknown` not among the words.

    Example:
        >>> vocabulary = Vocabulary(("<UNK>", "dog"), "<UNK>")
        >>> vocabulary.encode(["Dog", "cat"]), len(vocabulary)
        ([1, 0], 2)
    """

    words: tuple[str, ...]
    unknown: str
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = {word: number for number, word in enumerate(self.words)}
        if len(ids) != len(self.words):
            twice = [word for word, count in Counter(self.words).items() if count > 1]
            raise ConfigError(f"expected different words (got {twice[:5]} twice)")
        if self.unknown not in ids:
            raise ConfigError(f"expected the unknown word {self.unknown!r} among the words")
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def build(
        cls,
        captions: Iterable[Sequence[str]],
        *,
        min_count: int = 3,
        specials: Sequence[str] = HGR_SPECIALS,
        unknown: str = "<UNK>",
    ) -> Vocabulary:
        """A vocabulary of captions: the special symbols, then frequent words in ascending order.

        Words are lower-cased. The defaults are HGR's rule (count of 3 in the training captions);
        SCAN's is `min_count=4, specials=SCAN_SPECIALS, unknown="<unk>"`.

        Args:
            captions: words of each caption.
            min_count: how often a word must occur.
            specials: first words.
            unknown: which of them stands for unknown words.

        Returns:
            The vocabulary; the same captions in any order give the same ids.

        Raises:
            ConfigError: as the class, or a `min_count` below 1.

        Example:
            >>> Vocabulary.build([["a", "dog"], ["A", "cat"]], min_count=2).words
            ('<BOS>', '<EOS>', '<UNK>', 'a')
        """
        if min_count < 1:
            raise ConfigError(f"expected min_count from 1 (got {min_count})")
        counts: Counter[str] = Counter()
        for words in captions:
            counts.update(word.lower() for word in words)
        frequent = sorted(word for word, count in counts.items() if count >= min_count)
        return cls((*specials, *(word for word in frequent if word not in specials)), unknown)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def encode(self, words: Iterable[str]) -> list[int]:
        """Ids of words; a word is looked up as it is, then lower-cased, then taken as unknown.

        Args:
            words: T words.

        Returns:
            T ids.
        """
        unknown = self._ids[self.unknown]
        ids = self._ids
        return [ids.get(word, ids.get(word.lower(), unknown)) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Words of ids.

        Args:
            ids: T ids.

        Returns:
            T words.

        Raises:
            ConfigError: an id outside the vocabulary.
        """
        words = []
        for number in ids:
            if not 0 <= number < len(self.words):
                raise ConfigError(f"expected ids in [0, {len(self.words)}) (got {number})")
            words.append(self.words[number])
        return words

    def count_known(self, ids: Iterable[int]) -> int:
        """How many ids are of words, not of marks, punctuation or the unknown word.

        Args:
            ids: of words of a caption.

        Example:
            >>> Vocabulary(("<start>", "<unk>", "dog", "."), "<unk>").count_known([0, 1, 2, 2, 3])
            2
        """
        special = {*HGR_SPECIALS, *SCAN_SPECIALS, self.unknown}
        words = [word for word in self.decode(ids) if word not in special]
        return sum(any(map(str.isalnum, word)) for word in words)

    def to_json(self) -> str:
        """The vocabulary as JSON, one word a line.

        Returns:
            Text that `load` reads.
        """
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "unknown": self.unknown,
            "words": self.words,
        }
        return json.dumps(content, ensure_ascii=False, indent=0) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON.

        Args:
            path: file to write; one that is there is overwritten.
        """
        with open_output(path, force=True) as stream:
            stream.write(self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read a vocabulary: ours, HGR's `word2int.json`, or SCAN's `*_vocab.json`.

        Args:
            path: JSON file.

        Returns:
            The vocabulary.

        Raises:
            FormatError: no JSON, another format, ids that are not 0 to V - 1, a newer version.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{path}: expected a vocabulary in JSON (got {error})") from error
        try:
            return cls(*_words_of(content))
        except ConfigError as error:
            raise FormatError(f"{path}: {error}") from error
        except (TypeError, KeyError, ValueError) as error:
            if isinstance(error, FormatError):
                raise FormatError(f"{path}: {error}") from error
            raise FormatError(
                f"{path}: expected a vocabulary (ours, HGR's word2int, or SCAN's word2idx)"
            ) from error


def _words_of(content: Any) -> tuple[tuple[str, ...], str]:
    """Words in the order of their ids, and the unknown word, of any of the three formats."""
    if not isinstance(content, dict):
        raise TypeError
    if content.get("format") == _FORMAT:
        version, words = content["version"], content["words"]
        if version > _VERSION:
            raise FormatError(
                f"expected vocabulary version {_VERSION} or older (got {version}); "
                "use a newer graphmatch"
            )
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise FormatError("expected a list of words, all of them strings")
        return tuple(words), content["unknown"]
    ids = content["word2idx"] if isinstance(content.get("word2idx"), dict) else content
    if sorted(ids.values()) != list(range(len(ids))):
        raise FormatError(f"expected the ids 0 to {len(ids) - 1}, each once")
    words = tuple(sorted(ids, key=lambda word: ids[word]))
    unknown = next((word for word in ("<UNK>", "<unk>") if word in ids), None)
    if unknown is None:
        raise FormatError("expected a word <UNK> or <unk>")
    return words, unknown
