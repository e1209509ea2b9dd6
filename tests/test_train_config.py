"""Options of trainings and their schedules."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError
from graphmatch.models.table import MATCHERS
from graphmatch.schedules import rate_factor
from graphmatch.train_config import TRAINING, TrainConfig, training_config
from graphmatch.train_job import split_settings


def factors(schedule, **options):
    options = {"steps": 60, "epoch_steps": 10, **options}
    return [rate_factor(step, schedule=schedule, **options) for step in range(options["steps"])]


def test_steps_decay_by_epochs():
    expected = [0.1 ** (step // 20) for step in range(60)]  # epochs 0 and 1, 2 and 3, 4 and 5
    assert factors("step", decay_epochs=2) == pytest.approx(expected)


def test_cosine_goes_to_nothing_after_the_warm_up():
    found = factors("cosine", warmup_steps=10)
    assert found[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert found[10:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * k / 50) for k in range(50)])


def test_constant_is_constant():
    assert factors("constant") == [1.0] * 60
    assert factors("constant", warmup_steps=4)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]


@given(
    schedule=st.sampled_from(["step", "cosine", "constant"]),
    steps=st.integers(1, 300),
    epoch=st.integers(1, 50),
    warmup=st.integers(0, 400),
)
def test_factors_are_shares(schedule, steps, epoch, warmup):
    found = factors(schedule, steps=steps, epoch_steps=epoch, warmup_steps=warmup)
    assert all(0 <= factor <= 1 for factor in found)
    assert found[warmup:] == sorted(found[warmup:], reverse=True)


def test_every_model_has_the_training_of_its_paper():
    assert TRAINING.keys() == MATCHERS.keys()
    scan, gsmn, hgr = (training_config(name) for name in ("scan", "gsmn", "hgr"))
    assert scan == TrainConfig()
    assert (scan.epochs, scan.batch_size, scan.lr, scan.decay_epochs, scan.clip) == (
        30, 128, 2e-4, 15, 2.0,
    )  # fmt: skip
    assert gsmn.batch_size == 64
    assert (hgr.epochs, hgr.batch_size, hgr.lr, hgr.clip, hgr.schedule) == (
        50, 64, 1e-4, 0.0, "constant",
    )  # fmt: skip
    assert training_config("global-match").batch_size == 128


@pytest.mark.parametrize("name", MATCHERS)
def test_no_field_of_a_model_is_one_of_the_training(name):
    own = {field.name for field in dataclasses.fields(MATCHERS[name].config_class())}
    assert not own & {field.name for field in dataclasses.fields(TrainConfig)}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 1}, "batch_size"),
        ({"lr": 0.0}, "lr"),
        ({"clip": -1.0}, "clip"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"optimizer": "sgd"}, "adam, adamw"),
        ({"precision": "bf-16"}, "did you mean 'bf16'"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"workers": -1}, "workers"),
    ],
)
def test_impossible_values_are_refused(values, problem):
    with pytest.raises(ConfigError, match=problem):
        TrainConfig(**values)


def test_settings_reach_the_model_and_the_training():
    own, ours = split_settings("hgr", ["layers=2", "lr=1e-3", "gather=true", "lr=2"])
    assert (own, ours) == ({"layers": 2}, {"lr": 2.0, "gather": True})


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("epoch=3", "did you mean 'epochs'"),
        ("margins=3", "did you mean 'margin'"),
        ("epochs=many", "epochs: expected a whole number"),
        ("epochs", "field=value"),
        ("feature_size=3", "follows from the data"),
    ],
)
def test_wrong_settings_are_refused(setting, problem):
    with pytest.raises(ConfigError, match=problem):
        split_settings("scan", [setting])
