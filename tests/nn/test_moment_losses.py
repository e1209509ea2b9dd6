"""Losses of moments against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.nn.moment_losses import focal_loss, hull_iou, log_iou_loss, masked_mean


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, dtype=torch.float64, generator=generator)


def test_focal_loss_equals_its_formula(assert_close):
    logits, positive = 12 * random(40) - 6, random(40, seed=1) < 0.5
    losses = focal_loss(logits, positive, alpha=0.3, gamma=1.5)
    for logit, label, loss in zip(logits.tolist(), positive.tolist(), losses, strict=True):
        p = 1 / (1 + math.exp(-logit))
        expected = -0.3 * (1 - p) ** 1.5 * math.log(p)
        if not label:
            expected = -0.7 * p**1.5 * math.log(1 - p)
        assert_close(loss, torch.tensor(expected, dtype=torch.float64), "float64")


def test_focal_loss_without_focus_is_half_the_cross_entropy(assert_close):
    logits, positive = 8 * random(20) - 4, random(20, seed=1) < 0.5
    losses = focal_loss(logits, positive, alpha=0.5, gamma=0.0)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, positive.double(), reduction="none"
    )
    assert_close(losses, expected / 2, "float64")


def test_focal_loss_of_sure_answers_is_finite():
    logits = torch.tensor([200.0, -200.0, 200.0, -200.0], requires_grad=True)
    losses = focal_loss(logits, torch.tensor([True, True, False, False]))
    assert losses.tolist() == [0.0, 50.0, 150.0, 0.0]
    losses.sum().backward()
    assert logits.grad.isfinite().all()


def test_location_loss_is_the_log_of_the_iou(assert_close):
    distance, target = 9 * random(30, 2), 9 * random(30, 2, seed=1)
    losses = log_iou_loss(distance, target)
    for a, b, loss in zip(distance.tolist(), target.tolist(), losses, strict=True):
        inter = min(a[0], b[0]) + min(a[1], b[1])
        iou = inter / (sum(a) + sum(b) - inter)
        assert_close(loss, torch.tensor(-math.log(iou), dtype=torch.float64), "float64 looped")


def test_location_loss_is_zero_for_perfect_distances_and_symmetric_in_time():
    distance, target = 9 * random(30, 2), 9 * random(30, 2, seed=1)
    assert log_iou_loss(target, target).abs().max() < 1e-6
    assert torch.equal(
        log_iou_loss(distance, target), log_iou_loss(distance.flip(1), target.flip(1))
    )


@pytest.mark.parametrize(
    ("segment", "expected"),
    [((1, 3), 1.0), ((0, 4), 0.5), ((1, 2), 0.5), ((5, 6), 0.0), ((2, 2), 0.0), ((3, 5), 0.0)],
)
def test_hull_iou(segment, expected):
    found = hull_iou(torch.tensor(segment).double(), torch.tensor([1.0, 3.0]).double())
    assert abs(float(found) - expected) < 1e-6


def test_two_segments_without_length_are_no_division_by_zero():
    segment = torch.full((1, 2), 0.5, requires_grad=True)
    iou = hull_iou(segment, torch.full((2,), 0.5))
    iou.sum().backward()
    assert iou.tolist() == [0.0]
    assert segment.grad.isfinite().all()


def test_gradients():
    logits = (6 * random(8) - 3).requires_grad_()
    positive = random(8, seed=1) < 0.5
    assert gradcheck(lambda x: focal_loss(x, positive), logits)
    distance = (5 * random(6, 2) + 0.1).requires_grad_()
    target = (5 * random(6, 2, seed=2) + 0.1).requires_grad_()
    assert gradcheck(log_iou_loss, (distance, target))
    segment = random(6, 2).sort(dim=1).values.requires_grad_()
    moment = random(6, 2, seed=3).sort(dim=1).values.requires_grad_()
    assert gradcheck(hull_iou, (segment, moment))


def test_mean_over_nothing_is_zero_with_gradients_of_zero():
    values = torch.ones(3, requires_grad=True)
    mean = masked_mean(values, torch.zeros(3, dtype=torch.bool))
    mean.backward()
    assert mean == 0
    assert values.grad.tolist() == [0, 0, 0]
