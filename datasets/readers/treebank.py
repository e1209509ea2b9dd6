"""Words of a caption by the rules of the Penn Treebank: SCAN's and DRN's vocabularies count them.

Source: the Treebank's tokenisation rules (R. MacIntyre, 1995), with the marks of Unicode; meant to
give the words of NLTK's `word_tokenize(text, preserve_line=True)`.
"""

from __future__ import annotations

import re

# in this order: a rule sees what those before it left
_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"`+|[«“‘„]", r" \g<0> "),
        # a quotation mark opens at the start, after a space and after a bracket
        (r"^\"", " `` "),
        (r"(?<=[ (\[{<])(?:\"|'')", " `` "),
        # a quoted letter, unless it is an ending such as 's
        (r"(?i)'(?=(?![mtsdn])\w\b)", "' "),
        # a full stop is a word at the very end only: it may be part of an abbreviation elsewhere
        (r"(?<=[^.])\.(?=[\])}>\"'»”’\s]*$)", " . "),
        (r"\.{2,}|--", r" \g<0> "),
        (r"[:,](?!\d)", r" \g<0> "),  # not inside 1,000 and 10:30
        (r"[;@#$%&?!]", r" \g<0> "),
        (r"(?<=[^'])'(?= )", " '"),  # before endings: men's' has two
        (r"[][(){}<>*]", r" \g<0> "),
        (r"[»”’]", r" \g<0> "),
        (r"''|\"", " '' "),
        (r"(?<=[^'\s])'(?:[sSmMdD]|ll|LL|re|RE|ve|VE|)(?!\S)", r" \g<0>"),
        (r"(?<=[^'\s])(?:n't|N'T)(?!\S)", r" \g<0>"),
        (r"(?i)\b(can)(not)\b", r" \1 \2 "),
        (r"(?i)\b(gim|lem)(me)\b", r" \1 \2 "),
        (r"(?i)\b(gon)(na)\b", r" \1 \2 "),
        (r"(?i)\b(wan)(na)(?!\S)", r" \1 \2 "),
        (r"(?i)\b(got)(ta)\b", r" \1 \2 "),
        (r"(?i)\b(d)('ye)\b", r" \1 \2 "),
        (r"(?i)\b(more)('n)\b", r" \1 \2 "),
        (r"(?i)(?<!\S)('t)(is|was)\b", r" \1 \2 "),
    )
)


def treebank_words(text: str) -> list[str]:
    r"""Split a text into words as the Penn Treebank does.

    Punctuation becomes words, except what is inside numbers and all full stops but the last;
    quotation marks become two back-ticks or two apostrophes; endings such as `'s` and `n't`, and
    both halves of `cannot` and its like, become words. Letters keep their case. The whole text
    counts as one sentence: `A dog runs. It barks.` has the word `runs.`.

    Args:
        text: a caption.

    Returns:
        Its words.

    Example:
        >>> treebank_words('A dog can\'t "fly", (it has 1,000 fleas).')
        ['A', 'dog', 'ca', "n't", '``', 'fly', "''", ',', '(', 'it', 'has', '1,000', 'fleas', ')', '.']
    """  # noqa: E501
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.split()
