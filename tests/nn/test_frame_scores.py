"""Attention to frames and its scores against loops, and in all the places where it is 0 / 0."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.frame_attention import frame_weights
from graphmatch.nn.frame_scores import frame_scores, prepare_frames, unit_vectors

FUSIONS = pytest.mark.parametrize("fusion", ["embed", "sim"])


def random_frames(counts, size=6, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(len(counts), max(counts), size, generator=generator).to(dtype)
    mask = torch.arange(max(counts)) < torch.tensor(counts).unsqueeze(1)
    return frames, mask


def naive_score(frames, node, scale, fusion):
    """Score of one node [D] and the frames [F, D] of one video: the equations as they stand."""
    cosines = [float(frame @ node / (frame.norm() * node.norm())) for frame in frames]
    positive = [max(cosine, 0) for cosine in cosines]
    length = max(math.sqrt(sum(r * r for r in positive)), 1e-10)
    exponents = [math.exp(scale * r / length) for r in positive]
    phi = [value / sum(exponents) for value in exponents]
    if fusion == "sim":
        return sum(p * cosine for p, cosine in zip(phi, cosines, strict=True)), phi
    mean = sum(p * frame for p, frame in zip(phi, frames, strict=True))
    return float(mean @ node / (mean.norm() * node.norm())), phi


def scores(frames, mask, nodes, *, scale=4.0, fusion="embed"):
    return frame_scores(prepare_frames(frames, mask, fusion=fusion), unit_vectors(nodes)[0], scale)


@FUSIONS
@pytest.mark.parametrize("scale", [0.5, 4.0, 29.0, 31.0, 200.0])
def test_scores_are_those_of_loops(fusion, scale, assert_close):
    frames, mask = random_frames([4, 1, 6])
    frames *= torch.tensor([0.1, 10.0, 3.0]).view(3, 1, 1)  # lengths matter inside a video only
    frames[:, 1] *= 5
    nodes = torch.randn(7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = [
        [naive_score(video[real], node, scale, fusion)[0] for node in nodes]
        for video, real in zip(frames, mask, strict=True)
    ]
    actual = scores(frames, mask, nodes, scale=scale, fusion=fusion)
    assert_close(actual, torch.tensor(expected, dtype=torch.float64), "float64")


def test_weights_are_phi(assert_close):
    frames, mask = random_frames([3, 5], seed=2)
    node = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    cosine = torch.cosine_similarity(frames, node, dim=-1).masked_fill(~mask, 0).unsqueeze(-1)
    prior = torch.zeros_like(mask, dtype=torch.float64).masked_fill(~mask, -torch.inf)
    weights = frame_weights(cosine, prior, 4.0)
    phi = weights / weights.sum(dim=1, keepdim=True)
    for video in range(2):
        expected = naive_score(frames[video, mask[video]], node, 4.0, "sim")[1]
        assert_close(
            phi[video, mask[video], 0], torch.tensor(expected, dtype=torch.float64), "float64"
        )
    assert not phi[~mask].any()


@FUSIONS
def test_padding_changes_nothing(fusion, assert_close):
    frames, mask = random_frames([3, 2])
    nodes = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wide = torch.full((2, 9, 6), 1e3, dtype=torch.float64)
    wide[:, :3] = frames
    more = torch.nn.functional.pad(mask, (0, 6))
    expected = scores(frames, mask, nodes, fusion=fusion)
    assert_close(scores(wide, more, nodes, fusion=fusion), expected, "float64")


@FUSIONS
def test_order_of_frames_and_nodes(fusion, assert_close):
    frames, mask = random_frames([5, 5])
    nodes = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = scores(frames, mask, nodes, fusion=fusion)
    assert_close(scores(frames.flip(1), mask, nodes, fusion=fusion), expected, "float64")
    assert_close(scores(frames, mask, nodes.flip(0), fusion=fusion), expected.flip(1), "float64")


def test_one_frame_is_its_cosine(assert_close):
    frames, mask = random_frames([1, 1])
    nodes = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = torch.cosine_similarity(frames, nodes, dim=-1)
    for fusion in ("embed", "sim"):
        assert_close(scores(frames, mask, nodes, fusion=fusion), expected, "float64")


@FUSIONS
@pytest.mark.parametrize("scale", [4.0, 100.0])
def test_a_node_that_no_frame_resembles_weighs_all_equally(fusion, scale, assert_close):
    frames = -torch.rand(1, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    node = torch.ones(1, 6, dtype=torch.float64)
    real = torch.ones(1, 4, dtype=torch.bool)
    expected = torch.cosine_similarity(frames.mean(dim=1), node)
    if fusion == "sim":
        expected = torch.cosine_similarity(frames, node, dim=-1).mean(dim=1)
    for values in (frames, frames.clone().requires_grad_()):
        actual = scores(values, real, node, scale=scale, fusion=fusion)
        assert_close(actual[0], expected, "float64")
    actual.sum().backward()
    assert values.grad.isfinite().all()


@FUSIONS
@pytest.mark.parametrize("scale", [4.0, 100.0])
def test_zeros_and_videos_without_frames_give_zeros(fusion, scale):
    frames, mask = random_frames([3, 3, 3])
    frames[0] = 0
    mask[1] = False
    nodes = torch.zeros(2, 6, dtype=torch.float64)
    nodes[0] = 1
    frames.requires_grad_()
    nodes.requires_grad_()
    actual = scores(frames, mask, nodes, scale=scale, fusion=fusion)
    assert not actual[:2].any()
    assert not actual[:, 1].any()
    assert actual[2, 0] != 0
    actual.sum().backward()
    assert frames.grad.isfinite().all()
    assert nodes.grad.isfinite().all()
    assert not frames.grad[1].any()


@FUSIONS
def test_gradient(fusion):
    frames, mask = random_frames([4, 1, 3], size=3)
    nodes = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    inputs = frames.requires_grad_(), nodes.requires_grad_()
    assert gradcheck(lambda x, y: scores(x, mask, y, fusion=fusion), inputs)
    assert gradcheck(lambda x, y: scores(x, mask, y, fusion=fusion, scale=31.0), inputs)


@FUSIONS
@torch.no_grad()
def test_without_gradients_nothing_given_is_overwritten(fusion, assert_close):
    frames, mask = random_frames([4, 2])
    nodes = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    prepared, unit = prepare_frames(frames, mask, fusion=fusion), unit_vectors(nodes)[0]
    first = frame_scores(prepared, unit, 4.0)
    assert torch.equal(frame_scores(prepared, unit, 4.0), first)
    with torch.enable_grad():
        again = frame_scores(prepared, unit.clone().requires_grad_(), 4.0)
    assert_close(again.detach(), first, "float64")


@FUSIONS
def test_half_precision_is_near_and_comes_back_as_float32(fusion):
    frames, mask = random_frames([20, 15], size=64, dtype=torch.float32)
    nodes = torch.randn(9, 64, generator=torch.Generator().manual_seed(1))
    exact = scores(frames, mask, nodes, fusion=fusion)
    half = scores(frames.bfloat16(), mask, nodes.bfloat16(), fusion=fusion)
    assert half.dtype == torch.float32
    assert (half - exact).abs().max() < 0.01


@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=5),
    st.floats(0.1, 60),
)
def test_scores_are_cosines(rows, scale):
    frames = torch.tensor([rows], dtype=torch.float32)
    nodes = torch.eye(2)
    for fusion in ("embed", "sim"):
        actual = scores(frames, torch.ones(1, len(rows)) > 0, nodes, scale=scale, fusion=fusion)
        assert actual.isfinite().all()
        assert actual.abs().max() <= 1 + 1e-6


def test_bad_input():
    with pytest.raises(ConfigError, match="unknown fusion 'mean'"):
        prepare_frames(*random_frames([2]), fusion="mean")
    with pytest.raises(GraphError, match=r"cosines \[V, F, N\] and log_prior \[V, F\]"):
        frame_weights(torch.zeros(2, 3, 4), torch.zeros(2, 4), 1.0)
