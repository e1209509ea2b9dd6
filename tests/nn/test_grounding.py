"""The three losses of a batch against a loop over its points."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from graphmatch.nn.grounding import Grounding, grounding_losses, true_iou
from graphmatch.nn.moment_heads import Predictions
from graphmatch.nn.moment_targets import level_points, moment_targets

RANGES = ((-1.0, 6.0), (5.6, 11.0), (11.0, 1e8))
MOMENTS = torch.tensor([[0.1, 0.35], [0.4, 0.95], [0.5, 0.5]], dtype=torch.float64)


def grounding(seed=0, clips=32, mask=None):
    """Predictions near the truth, so that some have an IoU above 0.9."""
    generator = torch.Generator().manual_seed(seed)
    points = level_points(clips, dtype=torch.float64)
    scale = torch.full((3,), float(clips), dtype=torch.float64)
    distance = moment_targets(MOMENTS, points, RANGES, scale).distance.clamp(min=0.2)
    shape = distance.shape[:2]
    noise = torch.randn(*distance.shape, dtype=torch.float64, generator=generator)
    found = Predictions(
        match=torch.randn(shape, dtype=torch.float64, generator=generator),
        distance=distance * (0.1 * noise).exp(),
        iou=torch.randn(shape, dtype=torch.float64, generator=generator),
    )
    leaves = Predictions(*(part.clone().requires_grad_() for part in found))
    return Grounding(found=leaves, points=points, mask=mask, scale=scale)


def looped(given, *, mask=None, clamp="first", iou_positive=0.9, divisor=True):
    """Sums over points, one by one, as in the specification of the official code."""
    given = replace(given, found=Predictions(*(part.detach() for part in given.found)))
    targets = moment_targets(MOMENTS, given.points, RANGES, given.scale)
    focal, location, error, positives, selected = 0.0, 0.0, 0.0, 0, 0
    for item in range(3):
        for point, x in enumerate(given.points.location.tolist()):
            if mask is not None and not mask[item, point]:
                continue
            p = 1 / (1 + math.exp(-float(given.found.match[item, point])))
            left, right = given.found.distance[item, point].tolist()
            true_left, true_right = targets.distance[item, point].tolist()
            if targets.positive[item, point]:
                positives += 1
                focal -= 0.25 * (1 - p) ** 2 * math.log(p)
                inter = min(left, true_left) + min(right, true_right)
                union = left + right + true_left + true_right - inter
                location -= math.log((inter + 1e-8) / (union + 1e-8))
            else:
                focal -= 0.75 * p**2 * math.log(1 - p)
            scale = float(given.scale[item])
            start, end = (x - left) / scale, (x + right) / scale
            if clamp == "all" or (clamp == "first" and point == 0):
                start, end = min(max(start, 0), 1), min(max(end, 0), 1)
            true_start, true_end = MOMENTS[item].tolist()
            inter = max(0, min(end, true_end) - max(start, true_start))
            u = inter / (max(0, max(end, true_end) - min(start, true_start)) + 1e-6)
            if u > iou_positive:
                selected += 1
                error += 0.5 * (1 / (1 + math.exp(-float(given.found.iou[item, point]))) - u) ** 2
    focal /= positives + 3 if divisor else max(1, positives)
    return focal, location / max(1, positives), error / max(1, selected), positives, selected


@pytest.mark.parametrize("clamp", ["first", "none", "all"])
@pytest.mark.parametrize("iou_positive", [0.9, -1.0])
def test_losses_equal_a_loop(clamp, iou_positive, assert_close):
    given = grounding()
    losses = grounding_losses(given, MOMENTS, ranges=RANGES, clamp=clamp, iou_positive=iou_positive)
    *expected, positives, selected = looped(given, clamp=clamp, iou_positive=iou_positive)
    assert (int(losses.positives), int(losses.selected)) == (positives, selected)
    assert min(positives, selected) > 0
    found = torch.stack(losses[:3])
    assert_close(found, torch.tensor(expected, dtype=torch.float64), "float64")


def test_masked_points_do_not_count(assert_close):
    mask = torch.rand(3, 56, generator=torch.Generator().manual_seed(4)) < 0.6
    given = grounding(mask=mask)
    losses = grounding_losses(given, MOMENTS, ranges=RANGES)
    *expected, positives, selected = looped(given, mask=mask)
    assert (int(losses.positives), int(losses.selected)) == (positives, selected)
    found = torch.stack(losses[:3])
    assert_close(found, torch.tensor(expected, dtype=torch.float64), "float64")


def test_the_paper_divides_by_the_positive_points_alone(assert_close):
    given = grounding()
    losses = grounding_losses(given, MOMENTS, ranges=RANGES, divisor="positives")
    expected = torch.tensor(looped(given, divisor=False)[0], dtype=torch.float64)
    assert_close(losses.match, expected, "float64")


def test_the_iou_moves_the_moments_unless_it_is_detached():
    for detach in (False, True):
        given = grounding()
        grounding_losses(given, MOMENTS, ranges=RANGES, detach_iou=detach).iou.backward()
        gradient = given.found.distance.grad
        assert (gradient is None or not gradient.any()) == detach
        assert given.found.iou.grad.any()


def test_without_positive_points_losses_are_zero_with_finite_gradients():
    given = grounding()
    nowhere = torch.tensor([[0.9, 0.1]] * 3)
    losses = grounding_losses(given, nowhere, ranges=RANGES)
    assert losses.location == losses.iou == losses.positives == losses.selected == 0
    (losses.match + losses.location + losses.iou).backward()
    assert all(part.grad.isfinite().all() for part in given.found)
    assert not given.found.distance.grad.any()


def test_infinite_distances_elsewhere_do_not_break_the_gradients():
    given = grounding()
    wild = given.found.distance.detach().clone()
    negative = ~moment_targets(MOMENTS, given.points, RANGES, given.scale).positive
    wild[negative] = math.inf
    wild.requires_grad_()
    broken = replace(given, found=given.found._replace(distance=wild))
    losses = grounding_losses(broken, MOMENTS, ranges=RANGES)
    (losses.match + losses.location + losses.iou).backward()
    assert wild.grad.isfinite().all()


def test_points_lie_inside_what_they_predict():
    segments = grounding().segments()
    location = grounding().points.location / 32
    assert (segments[..., 0] < location).all()
    assert (location < segments[..., 1]).all()


def test_only_the_first_point_is_cut_to_the_video():
    given = grounding()
    far = torch.full_like(given.found.distance, 40.0)
    given = replace(given, found=given.found._replace(distance=far))
    whole = torch.tensor([[0.0, 1.0]] * 3)
    iou = true_iou(given, whole)
    assert (iou[:, 0] > 0.99).all()
    assert (iou[:, 1:] < 0.5).all()
    assert (true_iou(given, whole, clamp="all") > 0.99).all()
    assert (true_iou(given, whole, clamp="none") < 0.5).all()
