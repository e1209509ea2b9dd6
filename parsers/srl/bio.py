"""BIO tags to frames and back, by HGR's rules.

Source: HGR official code, `miscs/parse_sent_to_role_graph.ipynb`.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphmatch.errors import ParseError
from graphmatch.parse import Argument, Frame


def frame_from_tags(tags: Sequence[str], *, strict: bool = False) -> Frame | None:
    """The frame of one predicate from its BIO tags.

    An I- tag whose type differs from that of the tag before it starts a new argument. An argument
    is contiguous; two arguments of one type are two arguments.

    Args:
        tags: T tags `O`, `B-TYPE` or `I-TYPE`; the predicate's type is `V`.
        strict: raise on an I- tag on the first word, as the official code does; it is read as B-
            otherwise.

    Returns:
        The frame, arguments in order; None if there is not exactly one `V` argument.

    Raises:
        ParseError: a tag of another form, or (strict) an I- tag on the first word.

    Example:
        >>> frame_from_tags(["B-ARG0", "I-ARG0", "B-V"])
        Frame(verb=(2,), arguments=(Argument(role='ARG0', words=(0, 1)),))
    """
    spans: list[tuple[str, list[int]]] = []
    previous = ""
    for position, tag in enumerate(tags):
        if tag == "O":
            previous = ""
            continue
        label = tag[2:]
        if tag[:2] not in ("B-", "I-") or not label:
            raise ParseError(f"expected a tag O, B-ROLE or I-ROLE (got {tag!r} on word {position})")
        if strict and position == 0 and tag[0] == "I":
            raise ParseError(
                f"expected O or B- on the first word (got {tag!r}); mode 'repaired' reads it as B-"
            )
        if tag[0] == "B" or label != previous:
            spans.append((label, [position]))
        else:
            spans[-1][1].append(position)
        previous = label
    verbs = [words for label, words in spans if label == "V"]
    if len(verbs) != 1:
        return None
    arguments = tuple(Argument(label, tuple(words)) for label, words in spans if label != "V")
    return Frame(tuple(verbs[0]), arguments)


def tags_from_frame(frame: Frame, count: int) -> list[str]:
    """BIO tags of a frame, the inverse of `frame_from_tags`.

    Args:
        frame: a frame whose arguments are contiguous and do not overlap.
        count: T, number of words.

    Returns:
        T tags.

    Raises:
        ParseError: an argument in pieces, two arguments on one word, a word past the last one.

    Example:
        >>> tags_from_frame(Frame((2,), (Argument("ARG0", (0, 1)),)), 4)
        ['B-ARG0', 'I-ARG0', 'B-V', 'O']
    """
    tags = ["O"] * count
    for role, words in (("V", frame.verb), *((a.role, a.words) for a in frame.arguments)):
        if words[-1] - words[0] >= len(words) or words[-1] >= count:
            raise ParseError(f"expected {role} in one piece inside {count} words (got {words})")
        for word in words:
            if tags[word] != "O":
                raise ParseError(f"expected no overlap (word {word} is in {tags[word]} and {role})")
            tags[word] = f"I-{role}"
        tags[words[0]] = f"B-{role}"
    return tags
