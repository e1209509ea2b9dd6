"""Configurations of models as JSON: `config_values`, `config_from_values`, `parse_setting`.

A configuration is a frozen dataclass whose fields are numbers, strings, truth values, tuples of
them, other configurations, or None. Nothing is guessed: an unknown name and a value of another type
are errors.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from graphmatch.errors import ConfigError, check_choice

Config = TypeVar("Config")


def check_counts(config: object, *names: str, least: int = 1) -> None:
    """Raise `ConfigError` for fields of a configuration that are too small.

    Args:
        config: the configuration.
        names: of its fields.
        least: what they must be at least.

    Raises:
        ConfigError: a smaller field.
    """
    for name in names:
        if getattr(config, name) < least:
            got = getattr(config, name)
            raise ConfigError(f"{name}: expected at least {least} (got {got})")


def check_positive(config: object, *names: str, or_zero: bool = False) -> None:
    """Raise `ConfigError` for fields of a configuration that are no positive numbers.

    Args:
        config: the configuration.
        names: of its fields.
        or_zero: whether they may be 0.

    Raises:
        ConfigError: a field that is negative, 0 unless allowed, infinite or not a number.
    """
    for name in names:
        value = getattr(config, name)
        if not (0 < value < math.inf or (or_zero and value == 0)):
            limit = "from" if or_zero else "above"
            raise ConfigError(f"{name}: expected a number {limit} 0 (got {value})")


def config_values(config: Any) -> dict[str, Any]:
    """The fields of a configuration as values of JSON; tuples become lists.

    Args:
        config: a dataclass of numbers, strings, truth values, tuples of them, others like it, or
            None.

    Returns:
        Values by name, in the order of the fields.

    Raises:
        ConfigError: no dataclass, or a field that JSON cannot hold as it is.

    Example:
        >>> from graphmatch.models.scan import SCANConfig
        >>> config_values(SCANConfig(vocabulary=9))["direction"]
        't2i'
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ConfigError(f"expected a configuration, a dataclass (got {type(config).__name__})")
    hints = get_type_hints(type(config))
    return {
        field.name: _to_json(_checked(getattr(config, field.name), hints[field.name], field.name))
        for field in dataclasses.fields(config)
    }


def config_from_values(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration from values of JSON.

    Args:
        kind: class of the configuration.
        values: values by name of a field; fields that are not there have their defaults. A whole
            number stands for a field of real numbers too, a list for a tuple.

    Returns:
        The configuration.

    Raises:
        ConfigError: an unknown or missing name, a value of another type, or one that the class
            itself refuses.

    Example:
        >>> from graphmatch.models.scan import SCANConfig
        >>> config_from_values(SCANConfig, {"vocabulary": 9, "scale": 4}).scale
        4.0
        >>> config_from_values(SCANConfig, {"vocabulary": 9, "scales": 4})
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: unknown field of SCANConfig 'scales': expected one of ...; did you mean 'scale'?
    """  # noqa: E501
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        check_choice(f"field of {kind.__name__}", name, fields)
    missing = [
        name
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{kind.__name__}: expected a value for {', '.join(missing)} (got none)")
    return kind(**{name: _checked(value, hints[name], name) for name, value in values.items()})


def parse_setting(kind: type, setting: str) -> tuple[str, Any]:
    """A field and its value from text, as on a command line.

    Args:
        kind: class of the configuration.
        setting: `name=value`; the value is JSON, or a string without quotes.

    Returns:
        Name and value.

    Raises:
        ConfigError: no `=`, an unknown name, a value of another type.

    Example:
        >>> from graphmatch.models.scan import SCANConfig
        >>> parse_setting(SCANConfig, "scale=4"), parse_setting(SCANConfig, "direction=i2t")
        (('scale', 4.0), ('direction', 'i2t'))
    """
    name, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(f"expected field=value (got {setting!r})")
    name, text = name.strip(), text.strip()
    check_choice(f"field of {kind.__name__}", name, [f.name for f in dataclasses.fields(kind)])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return name, _checked(value, get_type_hints(kind)[name], name)


def _checked(value: Any, hint: Any, name: str) -> Any:
    """The value as its field has it: lists become tuples, whole numbers real ones."""
    fits, value = _fit(value, hint)
    if not fits:
        raise ConfigError(f"{name}: expected {_words(hint)} (got {value!r:.100})")
    return value


def _fit(value: Any, hint: Any) -> tuple[bool, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for choice in arguments:
            fits, fitted = _fit(value, choice)
            if fits:
                return True, fitted
        return False, value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, Mapping):
            return True, config_from_values(hint, value)
        return isinstance(value, hint), value
    if origin is Literal:
        return any(type(value) is type(c) and value == c for c in arguments), value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return False, value
        kinds = arguments if arguments[-1] is not Ellipsis else arguments[:1] * len(value)
        if len(kinds) != len(value):
            return False, value
        fitted = [_fit(item, kind) for item, kind in zip(value, kinds, strict=True)]
        return all(fits for fits, _ in fitted), tuple(item for _, item in fitted)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is float:
        fits = number and abs(value) <= sys.float_info.max  # neither infinite nor NaN
        return fits, float(value) if fits else value
    if hint is int:
        return number and isinstance(value, int), value
    return hint in (str, bool, types.NoneType) and isinstance(value, hint), value


def _words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(choice) for choice in arguments)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list of {_words(arguments[0])}"
        return "a list of " + ", ".join(_words(kind) for kind in arguments)
    plain = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    return plain.get(hint, "nothing" if hint is types.NoneType else str(hint))


def _to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return config_values(value)
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value
