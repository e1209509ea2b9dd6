"""Text as a parser should see it, with the way back to the original characters."""

from __future__ import annotations

import re
import unicodedata

_ZERO_WIDTH = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*\Z")


def normalise(text: str) -> tuple[str, tuple[int, ...]]:
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
        origin: tuple[int, ...] = tuple(range(len(text) + 1))
        return (text.lower() if _is_shouted(text) else text), origin
    characters: list[str] = []
    positions: list[int] = []
    for piece, position in _composed(text):
        for character in piece:
            if character in _ZERO_WIDTH:
                continue
            if character.isspace() or unicodedata.category(character) == "Cc":
                if not characters or characters[-1] == " ":
                    continue
                character = " "
            characters.append(character)
            positions.append(position)
    if characters and characters[-1] == " ":
        characters.pop()
        positions.pop()
    clean = "".join(characters)
    if _is_shouted(clean):
        # a letter whose lower case is two characters would shift the positions: it stays
        clean = "".join(c.lower() if len(c.lower()) == 1 else c for c in clean)
    return clean, (*positions, len(text))


def _composed(text: str) -> list[tuple[str, int]]:
    """Pieces of the NFC form with their positions; the text as it is where they do not add up."""
    plain = [(character, position) for position, character in enumerate(text)]
    if unicodedata.is_normalized("NFC", text):
        return plain
    starts = [i for i, c in enumerate(text) if i == 0 or not unicodedata.combining(c)]
    bounds = zip(starts, [*starts[1:], len(text)], strict=True)
    pieces = [(unicodedata.normalize("NFC", text[a:b]), a) for a, b in bounds]
    whole = "".join(piece for piece, _ in pieces)
    # some scripts compose across what looks like a boundary
    return pieces if whole == unicodedata.normalize("NFC", text) else plain


def _is_shouted(text: str) -> bool:
    return text.isupper() and " " in text
