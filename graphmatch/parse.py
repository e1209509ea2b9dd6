"""`Parse`: the linguistic analysis of one caption. Plain frozen data, no torch.

Positions are 0-based, spans half-open. The dependency tree is Universal Dependencies v2 (basic
dependencies, content words as heads), whichever parser made it; see `graphmatch.parsers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graphmatch.errors import ParseError

ROLES = (
    "V",
    "ARG1",
    "ARG0",
    "ARG2",
    "ARG3",
    "ARG4",
    "ARGM-LOC",
    "ARGM-MNR",
    "ARGM-TMP",
    "ARGM-DIR",
    "ARGM-ADV",
    "ARGM-PRP",
    "ARGM-PRD",
    "ARGM-COM",
    "ARGM-MOD",
    "NOUN",
)
"""The 16 semantic roles of HGR in the order of its embedding table (`readers/rolegraphs.py`)."""

_ROLE_IDS = {role: number for number, role in enumerate(ROLES)}


def role_id(label: str) -> int:
    """Row of a role label in HGR's table: `C-X` and `R-X` share X's row, unknown labels are NOUN.

    Source: HGR official code, `readers/rolegraphs.py`.

    Args:
        label: a PropBank label such as `"ARG0"`, `"R-ARG1"`, `"ARGM-GOL"`.

    Returns:
        0 to 15.

    Example:
        >>> role_id("ARG0"), role_id("C-V"), role_id("R-ARG1"), role_id("ARGM-GOL")
        (2, 0, 1, 15)
    """
    if label[:2] in ("C-", "R-"):
        label = label[2:]
    return _ROLE_IDS.get(label, _ROLE_IDS["NOUN"])


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a predicate.

    Args:
        role: the full PropBank label (`"ARG0"`, `"ARGM-LOC"`, `"R-ARG1"`, `"C-V"`).
        words: ascending word positions, usually one contiguous run.
    """

    role: str
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A predicate with its arguments.

    Args:
        verb: word positions of the predicate, contiguous; two for verb + particle (`puts on`).
        arguments: the arguments in order of their first word.
    """

    verb: tuple[int, ...]
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parse:
    """A caption's tokens, dependency tree and semantic role frames.

    Args:
        text: the caption as it was given.
        words: T surface forms.
        lemmas: T base forms.
        pos: T universal part-of-speech tags (`NOUN`, `VERB`, ...).
        tags: T Penn Treebank tags (`NN`, `VBZ`, ...); `""` where the source has none.
        heads: T positions of the heads, -1 for a root.
        deprels: T Universal Dependencies v2 labels.
        offsets: T pairs (start, end) in characters of `text`.
        sentences: T sentence numbers from 0, ascending; heads never cross a sentence border.
        frames: the predicates in order of their first word.

    Raises:
        ParseError: columns of different length, sentence numbers that do not ascend, a head
            outside the caption, in another sentence or on a cycle, a span outside the caption.

    Example:
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"])
        >>> parse.offsets, len(parse)
        (((0, 4), (5, 8)), 2)
    """

    text: str
    words: tuple[str, ...]
    lemmas: tuple[str, ...]
    pos: tuple[str, ...]
    tags: tuple[str, ...]
    heads: tuple[int, ...]
    deprels: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    sentences: tuple[int, ...]
    frames: tuple[Frame, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.words)
        for name in ("lemmas", "pos", "tags", "heads", "deprels", "offsets", "sentences"):
            if len(getattr(self, name)) != count:
                raise ParseError(
                    f"expected {count} {name}, one a word (got {len(getattr(self, name))})"
                )
        if any(b < a for a, b in pairwise((0, *self.sentences))):
            raise ParseError(f"expected ascending sentence numbers from 0 (got {self.sentences})")
        _check_forest(self.heads, self.sentences)
        previous = 0
        for start, end in self.offsets:
            if not previous <= start <= end <= len(self.text):
                raise ParseError(
                    f"expected ascending offsets inside the {len(self.text)} characters of the "
                    f"text (got {(start, end)} after {previous})"
                )
            previous = start
        for frame in self.frames:
            check_frame(frame, count)

    def __len__(self) -> int:
        return len(self.words)

    def with_frames(self, frames: Iterable[Frame]) -> Parse:
        """The same parse with other frames (a new object).

        Args:
            frames: predicates in order of their first word.

        Returns:
            A copy of the parse.

        Raises:
            ParseError: a frame's span lies outside the caption.
        """
        frames = tuple(frames)
        for frame in frames:
            check_frame(frame, len(self))
        copy = object.__new__(Parse)  # the tree is the same one, and was checked
        for name in self.__slots__:
            object.__setattr__(copy, name, getattr(self, name))
        object.__setattr__(copy, "frames", frames)
        return copy

    @classmethod
    def from_tree(
        cls,
        words: Sequence[str],
        *,
        heads: Sequence[int],
        deprels: Sequence[str],
        pos: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        lemmas: Sequence[str] | None = None,
        text: str | None = None,
        sentences: Sequence[int] | None = None,
        frames: Iterable[Frame] = (),
    ) -> Parse:
        """A parse from the columns a foreign tool gives; what is missing is filled in.

        Args:
            words: T surface forms.
            heads: T positions of the heads, -1 for a root.
            deprels: T Universal Dependencies v2 labels.
            pos: T universal tags; `X` where missing.
            tags: T Penn tags; empty where missing.
            lemmas: T base forms; the lower-cased words where missing.
            text: the caption; the words joined by spaces where missing. Words are looked up in
                it from left to right, and a word that is not found gets an empty span.
            sentences: T sentence numbers; one sentence where missing.
            frames: predicates.

        Returns:
            The parse.

        Raises:
            ParseError: as the class.
        """
        if text is None:
            text = " ".join(words)
        count = len(words)
        return cls(
            text=text,
            words=tuple(words),
            lemmas=tuple(lemmas) if lemmas is not None else tuple(word.lower() for word in words),
            pos=tuple(pos) if pos is not None else ("X",) * count,
            tags=tuple(tags) if tags is not None else ("",) * count,
            heads=tuple(heads),
            deprels=tuple(deprels),
            offsets=find_offsets(text, words),
            sentences=tuple(sentences) if sentences is not None else (0,) * count,
            frames=tuple(frames),
        )


def find_offsets(text: str, words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Character spans of words in a text, looked up from left to right.

    Args:
        text: the text.
        words: T words in order.

    Returns:
        T pairs (start, end) in characters; a word that is not found gets an empty span where the
        one before it ended.

    Example:
        >>> find_offsets("a dog's toy", ["a", "dog", "'s", "toy"])
        ((0, 1), (2, 5), (5, 7), (8, 11))
    """
    spans = []
    end = 0
    for word in words:
        start = text.find(word, end) if word else -1
        start, end = (end, end) if start < 0 else (start, start + len(word))
        spans.append((start, end))
    return tuple(spans)


def check_frame(frame: Frame, count: int) -> None:
    """Raise `ParseError` if a frame does not fit a caption of `count` words.

    Args:
        frame: the predicate and its arguments.
        count: number of words of the caption.

    Raises:
        ParseError: an empty verb, a position outside the caption, positions that do not ascend,
            a verb in two pieces.
    """
    for what, words in (("verb", frame.verb), *((a.role, a.words) for a in frame.arguments)):
        if not words:
            raise ParseError(f"expected at least one word in {what} (got none)")
        if words[0] < 0 or words[-1] >= count or list(words) != sorted(set(words)):
            raise ParseError(
                f"expected ascending positions in [0, {count}) for {what} (got {words})"
            )
    if frame.verb[-1] - frame.verb[0] >= len(frame.verb):
        raise ParseError(f"expected a verb in one piece (got positions {frame.verb})")


def _check_forest(heads: tuple[int, ...], sentences: tuple[int, ...]) -> None:
    count = len(heads)
    state = bytearray(count)  # 0 unseen, 1 on the path being walked, 2 reaches a root
    for start in range(count):
        path = []
        node = start
        while node >= 0 and state[node] == 0:
            state[node] = 1
            path.append(node)
            head = heads[node]
            if not -1 <= head < count:
                raise ParseError(
                    f"expected a head in [-1, {count}) (got {head} for word {node}); -1 is a root"
                )
            if head >= 0 and sentences[head] != sentences[node]:
                raise ParseError(
                    f"expected heads inside a sentence (word {node} of sentence "
                    f"{sentences[node]} has its head in sentence {sentences[head]})"
                )
            node = head
        if node >= 0 and state[node] == 1:
            raise ParseError(f"expected a forest (got a cycle through word {node})")
        for seen in path:
            state[seen] = 2
