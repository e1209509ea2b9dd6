"""Text as a parser should see it, with the way back to the original characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ZERO_WIDTH = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*\Z")


def normalise(text: str) -> tuple[str, Sequence[int]]:
    r"""Clean text for parsing and where each of its characters came from.

    Unicode NFC; zero-width characters dropped; control characters, tabs, line breaks and
    no-break spaces become spaces; runs of spaces collapse; ends are stripped; a text of at
    least two words written wholly in capitals is lower-cased. Nothing else is changed.

    Args:
        text: a caption.

    Returns:
        The clean text, and for each of its characters the position of the original one; one
        more entry at the end holds the length of the original text.

    Example:
        >>> clean, origin = normalise(" A\tDOG\u200b RUNS ")
        >>> clean, origin[2]
        ('a dog runs', 3)
    """
    if _PLAIN.match(text):
        origin: Sequence[int] = range(len(text) + 1)
        return (text.lower() if is_shouted(text) else text), origin
    positions: list[int] = []
    characters: list[str] = []
    for position, character in enumerate(text):
        if character in _ZERO_WIDTH:
            continue
        if _is_blank(character):
            if not characters or characters[-1] == " ":
                continue
            character = " "
        characters.append(character)
        positions.append(position)
    if characters and characters[-1] == " ":
        characters.pop()
        positions.pop()
    # composed last: a letter and its mark may have had a zero-width character between them
    clean, positions = _composed("".join(characters), positions)
    if is_shouted(clean):
        # a letter whose lower case is two characters would shift the positions: it stays
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in clean)
        clean, positions = _composed(lower, positions)
    return clean, (*positions, len(text))


def original_span(text: str, origin: Sequence[int], start: int, end: int) -> tuple[int, int]:
    r"""Where a span of clean text lies in the original one.

    A letter that was composed of several is covered whole; what `normalise` dropped at the end of
    the span is not.

    Args:
        text: the original text.
        origin: what `normalise` gave.
        start: first character of the span in the clean text.
        end: end of the span in the clean text, past `start`.

    Returns:
        Its start and end in the original text.

    Example:
        >>> text = "cafe\u0301\u200b bar"
        >>> clean, origin = normalise(text)
        >>> original_span(text, origin, 0, 4)
        (0, 5)
    """
    last = origin[end - 1] + 1
    after = origin[end]
    while after > last and _is_blank(text[after - 1]):
        after -= 1
    return origin[start], max(after, last)


def _is_blank(character: str) -> bool:
    """Whether a character is dropped or becomes a space."""
    return (
        character.isspace() or character in _ZERO_WIDTH or unicodedata.category(character) == "Cc"
    )


def _composed(text: str, positions: list[int]) -> tuple[str, list[int]]:
    """The NFC form, and where its characters come from."""
    if unicodedata.is_normalized("NFC", text):
        return text, positions
    starts = [i for i, c in enumerate(text) if i == 0 or not _is_mark(c)]
    clean: list[str] = []
    places: list[int] = []
    raw = composed = ""
    first = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = text[start:end]
        alone = unicodedata.normalize("NFC", piece)
        together = unicodedata.normalize("NFC", raw + piece)
        if raw and together != composed + alone:  # Hangul and some vowel signs join letters
            raw, composed = raw + piece, together
            continue
        clean.append(composed)
        places += _places(raw, composed, positions[first:start])
        raw, composed, first = piece, alone, start
    clean.append(composed)
    places += _places(raw, composed, positions[first:])
    return "".join(clean), places


def _is_mark(character: str) -> bool:
    """Whether a character joins the letter before it, as it is or when it is taken apart."""
    return unicodedata.combining(unicodedata.normalize("NFD", character)[0]) > 0


def _places(raw: str, composed: str, positions: list[int]) -> list[int]:
    """Positions of a composed letter's characters: what did not change at its end keeps its own."""
    same = 0
    while same < min(len(raw), len(composed)) and raw[-1 - same] == composed[-1 - same]:
        same += 1
    return positions[:1] * (len(composed) - same) + positions[len(raw) - same :]


def is_shouted(text: str) -> bool:
    """Whether a text of at least two words is written wholly in capitals.

    Args:
        text: a caption.

    Returns:
        Whether it is.

    Example:
        >>> is_shouted("A DOG"), is_shouted("DOG"), is_shouted("A dog")
        (True, False, False)
    """
    return text.isupper() and " " in text
