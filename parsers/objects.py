"""Objects that a caption names: its nouns."""

from __future__ import annotations

from graphmatch.parse import Parse
from graphmatch.parsers.srl.lexicon import word_set

_GROUPS = word_set(
    "array batch bowl box bunch bundle cluster collection couple crowd cup flock glass group "
    "handful herd line lot number pack pair piece pile plate row set slice stack team"
)
_MODIFIERS = frozenset(("compound", "flat", "fixed", "goeswith"))


def caption_objects(parse: Parse) -> tuple[tuple[str, int], ...]:
    """The objects of a caption: nouns that modify no other noun, with the compound words before.

    Of "a group of people" the people are the object. Pronouns are none. Names are lower-case, the
    number is kept. Source: conventions of FACTUAL scene graphs (Li et al., ACL Findings 2023).

    Args:
        parse: a parse.

    Returns:
        (name, position of its noun) of each, in order.

    Example:
        >>> parse = Parse.from_tree(
        ...     ["a", "Tennis", "racquet"], heads=[2, 2, -1], deprels=["det", "compound", "root"],
        ...     pos=["DET", "NOUN", "NOUN"])
        >>> caption_objects(parse)
        (('tennis racquet', 2),)
    """
    parts: dict[int, list[int]] = {}
    for token, head in enumerate(parse.heads):
        if _is_modifier(parse, token):
            while head >= 0 and _is_modifier(parse, head):
                head = parse.heads[head]
            if head >= 0:
                parts.setdefault(head, []).append(token)
    groups = {
        parse.heads[token] for token in range(len(parse))
        if parse.deprels[token] == "nmod" and _is_of(parse, token)
        and parse.heads[token] >= 0 and parse.lemmas[parse.heads[token]].lower() in _GROUPS
    }  # fmt: skip
    objects = []
    for token, pos in enumerate(parse.pos):
        if pos in ("NOUN", "PROPN") and not _is_modifier(parse, token) and token not in groups:
            words = sorted([*parts.get(token, ()), token])
            name = " ".join(parse.words[word].lower() for word in words)
            objects.append((name, token))
    return tuple(objects)


def _is_modifier(parse: Parse, token: int) -> bool:
    return parse.deprels[token] in _MODIFIERS and parse.pos[token] in ("NOUN", "PROPN", "X")


def _is_of(parse: Parse, token: int) -> bool:
    """Whether a word hangs on its head by the preposition "of"."""
    return any(
        parse.heads[other] == token
        and parse.deprels[other] == "case"
        and parse.words[other].lower() == "of"
        for other in range(max(0, token - 8), token)
    )
