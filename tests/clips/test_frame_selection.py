from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.clips.frame_selection import pad_frames, select_clips, select_frames
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.clip import ClipGraph


@given(st.integers(0, 3000), st.integers(1, 60))
def test_selection_ascends_from_the_first_frame_to_the_last(count, limit):
    kept = select_frames(count, limit)
    assert len(kept) == min(count, limit)
    assert (np.diff(kept) > 0).all()
    if count and limit > 1:
        assert (kept[0], kept[-1]) == (0, count - 1)
    # exact arithmetic, wherever it is no half
    for place, number in enumerate(kept):
        if count > limit > 1:
            numerator, denominator = place * (count - 1), limit - 1
            if 2 * numerator % (2 * denominator) != denominator:
                assert number == (2 * numerator + denominator) // (2 * denominator)
            else:
                assert number in (numerator // denominator, numerator // denominator + 1)


def test_halves_are_rounded_to_even():
    assert [select_frames(count, 3)[1] for count in (4, 6, 8, 10)] == [2, 2, 4, 4]
    assert select_frames(7, 1).tolist() == [0]


@given(st.integers(0, 99), st.integers(1, 60))
def test_top_is_the_first_frames(count, limit):
    assert select_frames(count, limit, "top").tolist() == list(range(count))[:limit]


def test_bad_choices_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'select'"):
        select_frames(3, 2, "selct")
    for count, limit in ((-1, 2), (3, 0)):
        with pytest.raises(ConfigError, match="expected a count from 0 and a limit from 1"):
            select_frames(count, limit)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(1, 9), st.booleans())
def test_padding_equals_one_video_at_a_time(lengths, limit, full):
    features = [torch.randn(length, 3) for length in lengths]
    padded, length, mask = pad_frames(features, limit, full=full)
    assert length.tolist() == [min(one, limit) for one in lengths]
    assert padded.size(1) == (limit if full else max(length))
    for row, feature in enumerate(features):
        count = int(length[row])
        assert torch.equal(padded[row, :count], feature[select_frames(len(feature), limit)])
        assert not padded[row, count:].any()
        assert mask[row].tolist() == [True] * count + [False] * (padded.size(1) - count)


def test_gradients_reach_the_features_that_are_kept():
    features = [torch.randn(n, 2, dtype=torch.float64, requires_grad=True) for n in (5, 1)]
    assert torch.autograd.gradcheck(lambda *given: pad_frames(given, 3)[0], features)


@pytest.mark.parametrize("features", [[], [torch.zeros(2)], [torch.zeros(1, 2), torch.zeros(1, 3)]])
def test_features_that_do_not_fit_are_refused(features):
    with pytest.raises(GraphError, match=r"expected features \[L, D\]"):
        pad_frames(features, 3)


def test_selected_clips_keep_their_times():
    time = torch.arange(48, dtype=torch.float64).unfold(0, 2, 1)
    graph = ClipGraph(x=torch.randn(47, 4), time=time, duration=torch.tensor([50.0]).double())
    kept = select_clips(graph, 20)
    assert kept.validate()
    numbers = select_frames(47, 20)
    assert kept.time[:, 0].tolist() == numbers.tolist()
    assert torch.equal(kept.x, graph.x[torch.from_numpy(numbers)])
    assert select_clips(graph, 60).equals(graph)
