"""`milvus_filter`: conditions in SQL as Milvus writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from graphmatch.errors import ConfigError

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|<>|!=|==|[=<>()+\-*/%,]))"
)
_SIGNS = {"=": "==", "<>": "!="}
_WORDS = {"and": "and", "or": "or", "not": "not", "in": "in", "like": "like", "is": "is"}
_WORDS |= {"null": "null", "true": "true", "false": "false"}


class _Token(NamedTuple):
    kind: str
    text: str


def milvus_filter(where: str, columns: Iterable[str]) -> str:
    r"""A condition for Milvus.

    Comparisons, arithmetic, AND, OR, NOT, IN, BETWEEN, LIKE and IS NULL, on columns and constants;
    functions, casts and dates are not translated.

    Args:
        where: condition in SQL.
        columns: names that it may use.

    Returns:
        The same condition in Milvus's language.

    Raises:
        ConfigError: something else, with its place.

    Example:
        >>> milvus_filter("year BETWEEN 2 AND 4 AND place = 'St. John''s'", ["year", "place"])
        '( year >= 2 and year <= 4 ) and place == "St. John\'s"'
    """
    known = set(columns)
    out: list[str] = []
    tokens = _tokens(where)
    place = 0
    while place < len(tokens):
        kind, text = tokens[place]
        low = text.lower()
        if kind == "text":
            out.append(json.dumps(text[1:-1].replace("''", "'"), ensure_ascii=False))
        elif kind == "word" and low == "between":
            negated = out[-1:] == ["not"]
            if negated:
                out.pop()
            place, condition = _between(where, tokens, place, out, known)
            out.append(f"not {condition}" if negated else condition)
            continue
        elif kind == "word" and low in _WORDS:
            out.append(_WORDS[low])
        elif kind == "word":
            out.append(_column(where, text, known))
        elif text == "(" and out[-1:] == ["in"]:
            out.append("[")
            tokens[_closing(where, tokens, place)] = _Token("end", "]")
        else:
            out.append(_SIGNS.get(text, text))
        place += 1
    return " ".join(out)


def _between(
    where: str, tokens: list[_Token], place: int, out: list[str], known: set[str]
) -> tuple[int, str]:
    """Place after `BETWEEN a AND b`, and the condition; takes the column off `out`."""
    part = tokens[place : place + 4]
    simple = [token.kind in ("text", "number") for token in part[1::2]]
    if not out or out[-1] not in known or simple != [True, True] or part[2].text.lower() != "and":
        raise _refuse(where, "BETWEEN other than: column BETWEEN constant AND constant")
    column = out.pop()
    low, high = (milvus_filter(token.text, ()) for token in part[1::2])
    return place + 4, f"( {column} >= {low} and {column} <= {high} )"


def _closing(where: str, tokens: list[_Token], place: int) -> int:
    for end in range(place + 1, len(tokens)):
        if tokens[end].text == ")":
            return end
    raise _refuse(where, "an open bracket")


def _column(where: str, name: str, known: set[str]) -> str:
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise _refuse(where, f"{name!r}; columns that Milvus has: {names}")
    return name


def _tokens(where: str) -> list[_Token]:
    found, place = [], 0
    while where[place:].strip():
        match = _TOKEN.match(where, place)
        if match is None:
            raise _refuse(where, repr(where[place:].strip()[:20]))
        found.append(_Token(str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return found


def _refuse(where: str, got: str) -> ConfigError:
    return ConfigError(
        f"where {where!r}: expected a condition that Milvus can evaluate: comparisons, AND, OR, "
        f"NOT, IN, BETWEEN, LIKE, IS NULL of columns and constants (got {got})"
    )
