"""A parser whose trees have the right shape and the wrong words: what is structure worth?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from graphmatch.parse import Parse
from graphmatch.parsers.base import Parser


@dataclass(frozen=True, slots=True)
class ShuffledParser:
    """The trees of another parser with the words of each sentence put elsewhere in its tree.

    Words and their order stay, and so does the tree with its relations: depth, number of edges and
    of neighbours. Only which word stands where in it is drawn at random, from the caption's text,
    so that a caption is shuffled alike wherever it is parsed.

    Args:
        parser: makes the trees. Its frames are kept.
    """

    parser: Parser

    @property
    def name(self) -> str:
        """That of the other parser, marked."""
        return f"{self.parser.name}-shuffled"

    @property
    def version(self) -> str:
        """That of the other parser."""
        return self.parser.version

    def parse(self, text: str) -> Parse:
        """A caption with a wrong tree."""
        return shuffle_tree(self.parser.parse(text))

    def pipe(self, texts: Iterable[str], batch_size: int = 128) -> Iterator[Parse]:
        """Captions with wrong trees, in order."""
        return map(shuffle_tree, self.parser.pipe(texts, batch_size))


def shuffle_tree(parse: Parse) -> Parse:
    """A caption with the words of each sentence moved to random places of its tree.

    Args:
        parse: the caption.

    Returns:
        The same words with other heads. A sentence of one word stays as it is.
    """
    seed = hashlib.blake2b(parse.text.encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(seed, "little"))
    sentence = np.array(parse.sentences)
    place = np.arange(len(parse))  # [T] the word that takes the place of each one
    for number in np.unique(sentence):
        inside = np.flatnonzero(sentence == number)
        place[inside] = rng.permutation(inside)
    heads, deprels = [-1] * len(parse), [""] * len(parse)
    for word, (head, relation) in enumerate(zip(parse.heads, parse.deprels, strict=True)):
        heads[place[word]] = int(place[head]) if head >= 0 else -1
        deprels[place[word]] = relation
    return replace(parse, heads=tuple(heads), deprels=tuple(deprels))
