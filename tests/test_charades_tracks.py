"""Label tracks of the benchmark `charades.py` against loops."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from graphmatch.errors import ConfigError

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
TIME = np.array([[0.0, 2.0], [2.0, 4.0], [4.0, 4.0], [4.0, 8.0]])
ACTIONS = [(3, 1.0, 5.0), (3, 0.0, 0.5), (156, 3.0, 9.0)]
SECONDS = 12.0


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def test_actions_of_a_cell():
    from charades_tracks import parse_actions

    text = "c092 11.90 21.20;c147 0.00 12.60;c157 0 1;c001 5 5;c002 7 x;;c003 1"
    assert list(parse_actions(text)) == [(92, 11.9, 21.2), (147, 0.0, 12.6)]
    assert list(parse_actions("")) == []


def test_oracle_track_is_the_share_of_the_clip(assert_close):
    from charades_tracks import oracle_track

    found = oracle_track(ACTIONS, TIME)
    expected = np.zeros((4, 157), np.float32)
    expected[:, 3] = [0.5, 1.0, 0.0, 0.25]
    expected[:, 156] = [0.0, 0.5, 0.0, 1.0]
    assert_close(found, expected)
    assert not oracle_track([], TIME).any()


def test_detector_without_errors_has_soft_edges(assert_close):
    from charades_tracks import Detector

    exact = Detector(missed=0.0, shift=0.0, false_alarms=0, noise=0.0, slope=2.0)
    found = exact.track("v", ACTIONS, TIME, SECONDS)
    expected = np.zeros((4, 157), np.float32)
    for label, start, end in ACTIONS:
        for clip, (first, last) in enumerate(TIME):
            middle = (first + last) / 2
            left, right = (1 / (1 + math.exp(-2 * x)) for x in (middle - start, end - middle))
            expected[clip, label] = max(expected[clip, label], left * right)
    assert_close(found, expected)


def test_detector_makes_the_errors_it_says():
    from charades_tracks import Detector

    silent = Detector(missed=1.0, false_alarms=0, noise=0.0)
    assert not silent.track("v", ACTIONS, TIME, SECONDS).any()
    alarms = Detector(missed=1.0, false_alarms=50, noise=0.0, slope=50.0)
    time = np.stack((np.arange(20.0), np.arange(20.0) + 1), axis=1)
    track = alarms.track("v", [], time, 20.0)
    assert track.max() == pytest.approx(0.8)
    assert 20 < track.any(axis=0).sum() <= 50
    noise = Detector(missed=1.0, false_alarms=0).track("v", [], time, 20.0)
    assert (noise == 0).mean() == pytest.approx(0.5, abs=0.05)
    assert np.sqrt((noise[noise > 0] ** 2).mean()) == pytest.approx(0.15, abs=0.01)
    lengths, seen = [], 0
    for number in range(400):
        some = Detector(false_alarms=0, noise=0.0, slope=50.0)
        track = some.track(str(number), [(7, 8.0, 12.0)], time, 20.0)
        seen += bool(track.any())
        lengths.append(float(track[:, 7].sum()))
    assert seen == pytest.approx(280, abs=35)
    assert 0.5 < np.std([length for length in lengths if length]) < 3


def test_a_track_depends_on_seed_and_video_alone():
    from charades_tracks import Detector

    one = Detector().track("v", ACTIONS, TIME, SECONDS)
    assert (one == Detector().track("v", ACTIONS, TIME, SECONDS)).all()
    assert (one != Detector().track("w", ACTIONS, TIME, SECONDS)).any()
    assert (one != Detector(seed=1).track("v", ACTIONS, TIME, SECONDS)).any()
    assert one.min() >= 0
    assert one.max() <= 1


def test_a_video_that_the_files_do_not_know(tmp_path):
    from charades_tracks import track_records

    for name in ("duration", "frames_info"):
        (tmp_path / f"Charades_{name}.json").write_text("{}")
    with pytest.raises(ConfigError, match="V999"):
        list(track_records(["V999"], {"V999": []}, tmp_path, detector=None))
