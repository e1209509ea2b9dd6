"""Trainings in processes of their own: killed ones, several that share their batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train_forks import CASES

pytestmark = pytest.mark.slow
# what these get is rounding noise, which Adam makes steps of: softmax does not see them
NO_GRADIENT = ("event.linear.bias", "key.bias")
ROOT = Path(__file__).resolve().parent.parent


def run_forks(folder, kills, *more):
    command = [sys.executable, "-m", "tests.train_forks", str(folder), str(kills), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All trainings of `tests.train_forks`, in processes that are forked from one."""
    return run_forks(tmp_path_factory.mktemp("runs"), 3, "together")


def lines(run):
    """The log without times."""
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in found]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_with_gathered_negatives_equal_one(runs, case, assert_close):
    one, two = (load_file(runs / f"{case}-{n}" / "last" / "model.safetensors") for n in (1, 2))
    assert one.keys() == two.keys()
    for name, value in one.items():
        if not name.endswith(NO_GRADIENT):
            assert_close(two[name], value)
    for left, right in zip(lines(runs / f"{case}-1"), lines(runs / f"{case}-2"), strict=True):
        assert left.keys() == right.keys()
        for name in ("loss", "norm", "lr", "step"):
            if name in left:
                assert_close(torch.tensor(right[name]), torch.tensor(left[name]))


def test_two_processes_killed_and_started_again_equal_two_that_were_not(runs):
    check_same(runs / "ranks-whole", runs / "ranks-parts")


def check_same(whole, parts):
    for name in ("best", "last"):
        for file in ("model.safetensors", "config.json", "vocab.json"):
            assert (whole / name / file).read_bytes() == (parts / name / file).read_bytes()
    assert lines(whole) == lines(parts)


def check_killed(runs, kills):
    check_same(runs / "whole", runs / "parts")
    moments = json.loads((runs / "moments.json").read_text())
    assert len(moments) == kills
    assert len(set(moments)) > kills // 2


def test_killed_at_random_moments_equals_uninterrupted(runs):
    check_killed(runs, 3)


def test_killed_ten_times_at_random_moments_equals_uninterrupted(tmp_path):
    check_killed(run_forks(tmp_path, 10), 10)
