"""Configurations as JSON: round trips, and nothing that is not asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.config import config_from_values, config_values, parse_setting
from graphmatch.errors import ConfigError
from graphmatch.models.scan import SCANConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    size: int
    scale: float = 9.0
    name: str = "a"
    fast: bool = False
    mode: Literal["one", "two"] = "one"
    weights: tuple[float, ...] | None = None
    pair: tuple[int, str] = (1, "x")
    nested: tuple[tuple[int, ...], ...] = ()


samples = st.builds(
    Sample,
    size=st.integers(),
    scale=st.floats(allow_nan=False, allow_infinity=False),
    name=st.text(),
    fast=st.booleans(),
    mode=st.sampled_from(["one", "two"]),
    weights=st.none()
    | st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
    pair=st.tuples(st.integers(), st.text()),
    nested=st.lists(st.lists(st.integers(), max_size=2).map(tuple), max_size=2).map(tuple),
)


@given(samples)
def test_values_come_back_from_json(config):
    text = json.dumps(config_values(config), allow_nan=False)
    assert config_from_values(Sample, json.loads(text)) == config


def test_a_whole_number_is_a_real_one_too():
    assert repr(config_from_values(Sample, {"size": 1, "scale": 4}).scale) == "4.0"
    assert config_values(Sample(size=1, weights=(1, 2)))["weights"] == [1.0, 2.0]


def test_numbers_of_numpy_that_are_numbers_of_python():
    assert config_values(Sample(size=1, scale=np.float64(2)))["scale"] == 2.0


def test_defaults_fill_what_is_not_there():
    assert config_from_values(Sample, {"size": 3}) == Sample(size=3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "expected a value for size"),
        ({"size": 1, "scal": 2}, "unknown field of Sample 'scal': .*did you mean 'scale'"),
        ({"size": 1.0}, r"size: expected a whole number \(got 1.0\)"),
        ({"size": True}, "size: expected a whole number"),
        ({"size": None}, "size: expected a whole number"),
        ({"size": 1, "scale": "9"}, "scale: expected a number"),
        ({"size": 1, "scale": False}, "scale: expected a number"),
        ({"size": 1, "scale": float("nan")}, "scale: expected a number"),
        ({"size": 1, "scale": 10**400}, "scale: expected a number"),
        ({"size": 1, "name": 1}, "name: expected a string"),
        ({"size": 1, "fast": 1}, "fast: expected true or false"),
        ({"size": 1, "mode": "three"}, "mode: expected one of 'one', 'two'"),
        ({"size": 1, "weights": 1.0}, "weights: expected a list of a number or nothing"),
        ({"size": 1, "weights": ["a"]}, "weights: expected a list"),
        ({"size": 1, "pair": [1]}, "pair: expected a list of a whole number, a string"),
        ({"size": 1, "pair": [1, 2]}, "pair: expected a list"),
        ({"size": 1, "nested": [1]}, "nested: expected a list"),
    ],
)
def test_what_does_not_fit_is_an_error(values, message):
    with pytest.raises(ConfigError, match=message):
        config_from_values(Sample, values)


def test_the_class_checks_its_values():
    with pytest.raises(ConfigError, match="vocabulary: expected at least 1"):
        config_from_values(SCANConfig, {"vocabulary": 0})


def test_only_configurations_have_values():
    for wrong in (3, Sample, {"size": 1}):
        with pytest.raises(ConfigError, match="expected a configuration"):
            config_values(wrong)
    with pytest.raises(ConfigError, match="size: expected a whole number"):
        config_values(Sample(size=np.int64(3)))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("size=3", ("size", 3)),
        ("scale = 2", ("scale", 2.0)),
        ("fast=true", ("fast", True)),
        ("mode=two", ("mode", "two")),
        ('name="two words"', ("name", "two words")),
        ("name=a=b", ("name", "a=b")),
        ("weights=[1, 2.5]", ("weights", (1.0, 2.5))),
        ("weights=null", ("weights", None)),
    ],
)
def test_settings(setting, expected):
    assert parse_setting(Sample, setting) == expected


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("size", "expected field=value"),
        ("sise=3", "did you mean 'size'"),
        ("size=three", r"size: expected a whole number \(got 'three'\)"),
        ("fast=yes", "fast: expected true or false"),
        ("nested=" + "[" * 100_000, "nested: expected a list"),
    ],
)
def test_bad_settings(setting, message):
    with pytest.raises(ConfigError, match=message):
        parse_setting(Sample, setting)
