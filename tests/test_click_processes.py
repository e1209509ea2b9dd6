"""Trainings of MARN in processes of their own: killed ones, two that share their batches."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "tests.click_forks", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


def lines(run):
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in found]


@pytest.mark.parametrize("prefix", ["", "ranks-"])
def test_killed_ones_equal_those_that_were_not(runs, prefix):
    whole, parts = (runs / f"{prefix}{name}" for name in ("whole", "parts"))
    for name in ("best", "last"):
        for file in ("model.safetensors", "config.json", "encoder.json"):
            assert (whole / name / file).read_bytes() == (parts / name / file).read_bytes()
    assert lines(whole) == lines(parts)


def test_two_processes_equal_one(runs, assert_close):
    one, two = (load_file(runs / f"fusion-{k}" / "last" / "model.safetensors") for k in (1, 2))
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert_close(two[name], value, "float32 gradient")
    for left, right in zip(*(lines(runs / f"fusion-{k}") for k in (1, 2)), strict=True):
        assert left.keys() == right.keys()
        for name in ("loss", "ctr", "norm", "auc"):  # halves differ in their number of items
            if name in left:
                assert_close(
                    torch.tensor(right[name]), torch.tensor(left[name]), "float32 gradient"
                )


def test_two_processes_log_means_of_both(runs):
    for line in lines(runs / "ranks-whole"):
        if "loss" in line:
            total = line["ctr"] + line["d0"] + 0.05 * (line["d1"] + line["ds"])
            assert math.isclose(line["loss"], total, rel_tol=1e-4)
