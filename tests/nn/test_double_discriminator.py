"""Weights, losses and fusions of the two discriminators; reversed gradients; attention fusion."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError
from graphmatch.nn.attention_fusion import AttentionFusion
from graphmatch.nn.double_discriminator import (
    Discriminator,
    fuse_invariant,
    modality_weights,
    own_loss,
    weighted_mean,
)
from graphmatch.nn.gradient_reversal import reverse_gradient
from graphmatch.nn.reversal_strength import reversal_strength

PRESENT = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]]).bool()


def features(seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 5, generator=g, dtype=torch.float64)


def test_small_weights_are_exact(assert_close):
    logits = torch.zeros(1, 2, 2)
    logits[0, 0, 0] = logits[0, 1, 1] = 60.0
    expected = torch.full((1, 2), math.exp(-60))
    assert_close(modality_weights(logits) / expected, torch.ones(1, 2))
    assert not modality_weights(logits.requires_grad_()).requires_grad


@given(st.integers(2, 6), st.integers(0, 99))
def test_weights_are_what_the_own_modality_leaves(assert_close, count, seed):
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(4, count, count, generator=g, dtype=torch.float64)
    own = logits.softmax(-1).diagonal(dim1=1, dim2=2)
    assert_close(modality_weights(logits), 1 - own, "float64")
    assert_close(own_loss(logits), -own.log(), "float64")


@pytest.mark.parametrize("how", ["max", "mean", "sum"])
@pytest.mark.parametrize("weighted", ["", "weighted_"])
def test_fusions_leave_absent_modalities_out(how, weighted, assert_close):
    c, weight = features(), features(1)[..., 0].sigmoid()
    c[~PRESENT] = 1e9
    found = fuse_invariant(c, weight, PRESENT, weighted + how)
    for item in range(4):
        rows = c[item][PRESENT[item]]
        if weighted:
            rows = rows * weight[item][PRESENT[item]].unsqueeze(1)
        expected = torch.zeros(5, dtype=torch.float64)
        if len(rows):
            expected = {"max": rows.amax, "mean": rows.mean, "sum": rows.sum}[how](0)
        assert_close(found[item], expected, "float64")


def test_gradients_of_items_without_modalities_are_finite():
    c = features().requires_grad_()
    fuse_invariant(c, c[..., 0].detach(), PRESENT, "weighted_max").sum().backward()
    assert c.grad.isfinite().all()
    assert not c.grad[~PRESENT].any()


def test_a_frozen_discriminator_gets_no_gradient(assert_close):
    part, x = Discriminator(5, hidden=4, modalities=3).double(), features().requires_grad_()
    one, two = part.loss(x), part.loss(x, frozen=True)
    assert_close(one, two, "float64")
    gradient = torch.autograd.grad(one.sum(), x)[0]
    assert_close(torch.autograd.grad(two.sum(), x, retain_graph=True)[0], gradient, "float64")
    found = torch.autograd.grad(two.sum(), list(part.parameters()), allow_unused=True)
    assert all(value is None for value in found)


def test_means_count_what_occurs(assert_close):
    values, weight = torch.tensor([[1.0, 5.0], [7.0, 9.0]]), torch.tensor([[2, 0], [1, 0]])
    assert_close(weighted_mean(values, weight), torch.tensor(3.0))
    assert weighted_mean(values, torch.zeros(2, 2)) == 0


def test_attention_fusion_is_its_equation(assert_close):
    fusion, x = AttentionFusion(3, 5).double(), features()
    found = fusion(x, PRESENT)
    for item in range(4):
        expected = torch.zeros(5, dtype=torch.float64)
        for place, layer in enumerate(fusion):
            if PRESENT[item, place]:
                own = x[item, place]
                expected += torch.tanh(layer.weight @ own + layer.bias) * own
        assert_close(found[item], expected, "float64")


@given(st.floats(0, 10))
def test_reversed_gradients(assert_close, eta):
    x = features().requires_grad_()
    (reverse_gradient(x, eta) ** 2).sum().backward()
    assert_close(x.grad, -eta * 2 * x.detach(), "float64")


def test_strengths_over_time():
    for schedule, end in (("constant", 0.3), ("iwan", 0.3 * 0.46212), ("dann", 0.99991)):
        found = [
            reversal_strength(k, schedule=schedule, eta=0.3, steps=100) for k in (0, 50, 100, 999)
        ]
        assert found == sorted(found)
        assert found[2] == found[3] == pytest.approx(end, abs=1e-5)
        assert found[0] == (0.3 if schedule == "constant" else 0)
    with pytest.raises(ConfigError, match="did you mean 'dann'"):
        reversal_strength(0, schedule="dan")
    with pytest.raises(ConfigError, match="weighted_max"):
        fuse_invariant(features(), features()[..., 0], PRESENT, "weightedmax")
