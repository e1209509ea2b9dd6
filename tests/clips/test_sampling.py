from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.clips.sampling import Sampling, nearest
from graphmatch.errors import ConfigError, FormatError

gaps = st.lists(st.floats(0.001, 3.0), min_size=0, max_size=60)
choices = st.one_of(
    st.builds(Sampling, every=st.integers(1, 70)),
    st.builds(Sampling, fps=st.floats(0.05, 50)),
    st.builds(Sampling, frames=st.integers(1, 40)),
    st.builds(Sampling, seconds=st.floats(0.05, 50)),
    st.builds(Sampling, seconds=st.floats(0.05, 50), every=st.integers(1, 70)),
    st.builds(Sampling, seconds=st.floats(0.05, 50), fps=st.floats(0.05, 50)),
)


def regular(count, rate):
    return np.arange(count) / rate, count / rate


@given(gaps, st.floats(0.0, 2.0), choices)
def test_plans_cover_the_video_in_order(gaps, last, sampling):
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    duration = times[-1] + last
    plan = sampling.plan(times, duration)
    clips = len(plan.time)
    assert plan.time[0, 0] == 0
    assert plan.time[-1, 1] == duration
    assert (plan.time[1:, 0] == plan.time[:-1, 1]).all()
    assert (plan.time[:, 0] <= plan.time[:, 1]).all()
    assert ((plan.frame >= 0) & (plan.frame < len(times))).all()
    assert (np.diff(plan.frame) >= 0).all()
    assert (np.diff(plan.clip) >= 0).all()
    assert np.unique(plan.clip).tolist() == list(range(clips))
    if sampling.frames is not None:
        assert clips == sampling.frames
    if sampling.every is not None and sampling.seconds is None:
        assert plan.frame.tolist() == list(range(0, len(times), sampling.every))


@given(gaps, st.floats(0.0, 2.0), st.floats(0.05, 50))
def test_clips_hold_the_frames_inside_them_or_the_one_on_screen(gaps, last, seconds):
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    plan = Sampling(seconds=seconds).plan(times, times[-1] + last)
    for number, (start, end) in enumerate(plan.time):
        closing = number == len(plan.time) - 1
        inside = [k for k, t in enumerate(times) if start <= t < end or (closing and t >= start)]
        shown = max(k for k, t in enumerate(times) if t <= start)
        assert plan.frame[plan.clip == number].tolist() == (inside or [shown])


def test_every_frame_stands_for_the_time_to_the_next_one():
    plan = Sampling(every=15).plan(*regular(460, 15))
    assert plan.frame.tolist() == list(range(0, 460, 15))
    np.testing.assert_allclose(plan.time[:, 0], np.arange(31))
    assert plan.time[-1].tolist() == pytest.approx([30, 460 / 15])


def test_rate_takes_the_nearest_frames_of_a_variable_video():
    times = np.array([0.0, 0.1, 0.2, 1.4, 1.45, 1.9, 4.6])
    plan = Sampling(fps=1.0).plan(times, 5.2)
    assert plan.frame.tolist() == [0, 3, 5, 5, 6, 6]
    assert plan.time.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 5.2]]


@given(st.integers(1, 400), st.sampled_from([8.7, 15, 23.976, 29.97, 30, 120]), st.floats(0.1, 60))
def test_rate_is_that_of_a_loop(count, rate, fps):
    times, duration = regular(count, rate)
    plan = Sampling(fps=fps).plan(times, duration)
    grid = [k / fps for k in range(len(plan.time))]
    np.testing.assert_allclose(plan.time[:, 0], grid, rtol=1e-12)
    distance = np.abs(times[plan.frame] - grid)
    best = [min(abs(time - one) for time in times) for one in grid]
    np.testing.assert_allclose(distance, best, atol=1e-9)


def test_same_rate_takes_every_frame():
    plan = Sampling(fps=29.97).plan(*regular(900, 29.97))
    assert plan.frame.tolist() == list(range(900))


def test_equally_spaced_frames_are_in_the_middles_of_equal_parts():
    times, duration = regular(100, 10)
    plan = Sampling(frames=4).plan(times, duration)
    assert times[plan.frame] == pytest.approx([1.2, 3.7, 6.2, 8.7], abs=0.0500001)
    assert plan.time.tolist() == [[0, 2.5], [2.5, 5], [5, 7.5], [7.5, 10]]
    assert Sampling(frames=5).plan(np.zeros(1), 1.0).frame.tolist() == [0] * 5


@pytest.mark.parametrize("rate", [10, 15, 23.976, 25, 29.97, 30])
def test_fixed_clips_of_a_whole_number_of_seconds_leave_no_sliver(rate):
    count = round(rate * 12)
    plan = Sampling(seconds=count / rate / 4).plan(*regular(count, rate))
    assert len(plan.time) == 4
    assert len(Sampling(seconds=5.0).plan(*regular(count, rate)).time) == 3


def test_seconds_group_the_frames_of_the_other_option():
    plan = Sampling(seconds=2.0, fps=2.0).plan(*regular(75, 15))
    assert plan.frame.tolist() == [0, 7, 15, 22, 30, 37, 45, 52, 60, 67]
    assert plan.clip.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    sparse = Sampling(seconds=1.0, every=45).plan(*regular(75, 15))
    assert sparse.frame.tolist() == [0, 15, 30, 45, 60]


@given(st.lists(st.floats(0, 9), min_size=1, max_size=9), st.lists(st.floats(-5, 15), max_size=9))
def test_nearest_is_that_of_a_loop(times, wanted):
    times = np.sort(np.array(times))
    found = nearest(times, np.array(wanted))
    for number, one in zip(found, wanted, strict=True):
        assert abs(times[number] - one) == min(abs(time - one) for time in times)


def test_of_two_frames_as_near_the_earlier_one_is_taken():
    assert nearest(np.array([0.0, 1.0]), np.array([0.5])).tolist() == [0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"every": 1, "fps": 1.0},
        {"frames": 2, "seconds": 1.0},
        {"every": 0},
        {"fps": float("nan")},
        {"fps": -1.0},
        {"seconds": float("inf")},
        {"seconds": 0.0},
    ],
)
def test_impossible_choices_are_refused(options):
    with pytest.raises(ConfigError, match="expected"):
        Sampling(**options)


def test_absurd_duration_is_refused_before_it_fills_the_memory():
    with pytest.raises(FormatError, match="at most 100,000 clips"):
        Sampling(fps=1.0).plan(np.zeros(1), 1e12)
    with pytest.raises(FormatError, match="expected a frame"):
        Sampling(fps=1.0).plan(np.zeros(0), 1.0)
