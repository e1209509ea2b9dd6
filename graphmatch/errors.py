"""Errors of the library: what was expected, what was got, what to do.

All are `ValueError`, so code that catches `ValueError` keeps working.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GraphError(ValueError):
    """A graph breaks an invariant of its type (a span outside the caption, an edge to no node)."""


class ParseError(ValueError):
    """A caption, or a foreign analysis of it, cannot become a `Parse`."""


class FormatError(ValueError):
    """A file is damaged, of another format, or of a newer version of ours."""


class ConfigError(ValueError):
    """An option has an impossible value or an unknown name."""


class CheckpointError(ValueError):
    """Weights do not fit the model: a tensor is missing, unexpected or misshaped."""


def check_choice(what: str, got: str, valid: Iterable[str]) -> None:
    """Raise `ConfigError` for a wrong choice: the valid ones, and the nearest if one is near.

    Args:
        what: what the choice is, for example `"parser"`.
        got: the value that was given.
        valid: the values that are accepted.

    Raises:
        ConfigError: `got` is none of them.

    Example:
        >>> check_choice("parser", "spcy", ["spacy", "stanza"])
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: unknown parser 'spcy': expected one of spacy, stanza; did you mean 'spacy'?
    """  # noqa: E501
    valid = list(valid)
    if got in valid:
        return
    near = get_close_matches(got, valid, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"unknown {what} {got!r}: expected one of {', '.join(valid)}{hint}")
