"""Masked regions against loops and closed forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError, GraphError
from graphmatch.masking.regions import mask_regions, pixel_iou, with_neighbours

RULES = ("paper", "released", "plain")


def scene(count, seed, batch=()):
    """Features, boxes that overlap often, and uniform numbers."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*batch, *shape, generator=generator, dtype=torch.float64)

    low = uniform(count, 2) * 60
    return (
        uniform(count, 3) + 1,
        torch.cat([low, low + 30 + uniform(count, 2) * 60], dim=-1),
        uniform(count),
    )


def looped_iou(one, two):
    """Shared area of two boxes of pixels; the far edges are pixels too."""
    shared = 1.0
    for axis in (0, 1):
        low, high = max(one[axis], two[axis]), min(one[axis + 2], two[axis + 2])
        shared *= max(high - low + 1, 0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, two)]
    return shared / (sum(areas) - shared)


def looped(feature, box, uniform, rule):
    share = {"paper": 0.15, "released": 0.1, "plain": 0.15}[rule]
    rows, labels = feature.tolist(), []
    boxes = box.tolist()
    anchors = [i for i, draw in enumerate(uniform.tolist()) if draw < share]
    for i, row in enumerate(feature.tolist()):
        overlaps = [looped_iou(boxes[i], boxes[anchor]) for anchor in anchors]
        if rule == "plain":
            zeroed = i in anchors and uniform[i] < 0.9 * 0.15
        elif rule == "paper":
            zeroed = any(overlap > 0.4 for overlap in overlaps)
        else:
            zeroed = any(overlap >= 0.4 for overlap in overlaps)
        if zeroed:
            rows[i] = [0.0] * len(row)
        scored = {"plain": i in anchors, "paper": zeroed, "released": not any(rows[i])}[rule]
        labels.append(1 if scored else -1)
    return rows, labels


@pytest.mark.parametrize("rule", RULES)
def test_equals_a_loop(rule):
    changed = 0
    for seed in range(60):
        feature, box, uniform = scene(seed % 15 + 1, seed)
        feature[seed % len(feature)] = 0
        masked, label = mask_regions(feature, box, uniform, rule=rule)
        assert (masked.tolist(), label.tolist()) == looped(feature, box, uniform, rule)
        changed += not torch.equal(masked, feature)
    assert changed > 20


def test_only_the_released_rule_scores_a_row_that_was_zero():
    feature, box, uniform = torch.zeros(2, 3), torch.zeros(2, 4), torch.ones(2)
    assert mask_regions(feature, box, uniform, rule="released").label.tolist() == [1, 1]
    assert mask_regions(feature, box, uniform, rule="paper").label.tolist() == [-1, -1]


def test_an_overlap_of_exactly_the_threshold():
    # 4 of 10 pixels shared: 0.4 in both float32 numbers
    box = torch.tensor([[0.0, 0, 9, 0], [0, 0, 3, 0]])
    feature, uniform = torch.ones(2, 1), torch.tensor([0.0, 1.0])
    assert mask_regions(feature, box, uniform, rule="released").label.tolist() == [1, 1]
    assert mask_regions(feature, box, uniform, rule="paper").label.tolist() == [1, -1]


@pytest.mark.parametrize("rule", RULES)
def test_padded_batch_equals_one_by_one(rule):
    counts = (7, 0, 4)
    feature, box, uniform = scene(7, 8, batch=(3,))
    mask = torch.arange(7) < torch.tensor(counts).unsqueeze(1)
    uniform[~mask] = 0  # padding would all be anchors
    uniform[2, 1] = uniform[0, 3] = 0
    masked, label = mask_regions(feature, box, uniform, rule=rule, mask=mask)
    for number, count in enumerate(counts):
        one = mask_regions(
            feature[number, :count], box[number, :count], uniform[number, :count], rule=rule
        )
        assert torch.equal(masked[number, :count], one.feature)
        assert torch.equal(label[number, :count], one.label)
        assert (label[number, count:] == -1).all()
        assert torch.equal(masked[number, count:], feature[number, count:])


@given(st.sampled_from(RULES), st.integers(0, 12), st.integers(0, 999))
def test_order_does_not_matter_and_inputs_stay(rule, count, seed):
    feature, box, uniform = scene(count, seed)
    copies = [value.clone() for value in (feature, box, uniform)]
    masked, label = mask_regions(feature, box, uniform, rule=rule)
    for value, copy in zip((feature, box, uniform), copies, strict=True):
        assert torch.equal(value, copy)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    moved = mask_regions(feature[order], box[order], uniform[order], rule=rule)
    assert torch.equal(moved.feature, masked[order])
    assert torch.equal(moved.label, label[order])
    kept = label == -1
    assert torch.equal(masked[kept], feature[kept])
    assert set(label.tolist()) <= {1, -1}


def test_shares_of_regions_that_do_not_overlap():
    count = 40000
    corner = torch.arange(100.0).repeat(400, 1, 1).mT * torch.tensor([10.0, 0.0])  # [400, 100, 2]
    box = torch.cat([corner, corner + 5], dim=-1)
    uniform = torch.rand(400, 100, generator=torch.Generator().manual_seed(2))
    for rule, scored, zeroed in (
        ("paper", 0.15, 0.15),
        ("released", 0.1, 0.1),
        ("plain", 0.15, 0.135),
    ):
        masked, label = mask_regions(torch.ones(400, 100, 1), box, uniform, rule=rule)
        tolerance = 3 * (0.1275 / count) ** 0.5
        assert (label == 1).float().mean().item() == pytest.approx(scored, abs=tolerance)
        assert (masked == 0).float().mean().item() == pytest.approx(zeroed, abs=tolerance)


def test_gradients_pass_where_the_feature_stays():
    feature, box, uniform = scene(4, 3)
    uniform[1] = 0
    leaf = feature.requires_grad_()
    assert gradcheck(lambda value: mask_regions(value, box, uniform).feature, leaf)


def test_iou_equals_a_loop(assert_close):
    _, box, _ = scene(9, 4)
    expected = [[looped_iou(one, two) for two in box.tolist()] for one in box.tolist()]
    assert_close(pixel_iou(box), torch.tensor(expected, dtype=torch.float64), "float64")


def test_iou_of_whole_pixels():
    box = torch.tensor([[0, 0, 9, 9], [0, 0, 9, 4]])
    assert pixel_iou(box).tolist() == [[1, 0.5], [0.5, 1]]


def test_iou_of_normalised_boxes_with_a_pixel_added(assert_close):
    _, box, _ = scene(6, 5)
    width, height = 640.0, 480.0
    x1, y1, x2, y2 = (box / torch.tensor([width, height, width, height])).unbind(-1)
    area = (x2 - x1 + 1 / width) * (y2 - y1 + 1 / height)
    across = torch.minimum(x2[:, None], x2) - torch.maximum(x1[:, None], x1) + 1 / width
    down = torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1) + 1 / height
    shared = across.clamp(min=0) * down.clamp(min=0)
    assert_close(pixel_iou(box), shared / (area[:, None] + area - shared), "float64")


def test_neighbours_of_neighbours_stay():
    overlap = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, 0.6], [0.0, 0.6, 1.0]])
    anchor = torch.tensor([True, False, False])
    assert with_neighbours(anchor, overlap).tolist() == [True, True, False]


def test_wrong_arguments_are_refused():
    feature, box, uniform = scene(3, 1)
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        mask_regions(feature, box, uniform, rule="papers")
    for wrong in (
        (feature[0], box, uniform),
        (feature, box[:2], uniform),
        (feature, box, uniform[:2]),
    ):
        with pytest.raises(GraphError, match="expected feature"):
            mask_regions(*wrong)
    with pytest.raises(GraphError, match="expected shape"):
        pixel_iou(box[:, :3])


@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_made_on_another_device(rule):
    # tensors without storage refuse to meet others, and to be read by the host
    feature, box, uniform = (value.to("meta") for value in scene(3, 1))
    result = mask_regions(feature, box, uniform, rule=rule)
    assert {value.device.type for value in result} == {"meta"}
