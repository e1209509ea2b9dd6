"""RoI pooling against loops, `grid_sample`, closed forms and numeric gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn.functional import grid_sample

from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.roi_pool import roi_grid, roi_pool

BOXES = [
    [0.1, 0.2, 0.7, 0.9],
    [0.0, 0.0, 1.0, 1.0],
    [0.0, 0.9, 0.05, 1.0],  # in a corner, smaller than a cell
    [0.3, 0.3, 0.3, 0.3],  # without area
    [0.6, 0.1, 0.2, 0.9],  # x1 > x2: the same samples mirrored
    [-0.4, 0.5, 1.3, 0.6],  # over the border
]


@pytest.fixture
def maps():
    return torch.randn(3, 4, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def box():
    return torch.tensor(BOXES, dtype=torch.float64)


IMAGE = torch.tensor([2, 0, 1, 1, 0, 2])


def sample(one, x, y):
    """One bilinear sample of [C, h, w] at cell coordinates, the border repeated."""
    height, width = one.shape[1:]
    total = torch.zeros(one.size(0), dtype=one.dtype)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            inside = one[:, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
            total += weight * inside
    return total


@pytest.mark.parametrize("samples", [1, 2, 3, 7])
def test_equals_a_loop_over_points(maps, box, samples, assert_close):
    expected = torch.zeros(len(box), 4, samples, samples, dtype=torch.float64)
    for n, (x1, y1, x2, y2) in enumerate(box.tolist()):
        for i in range(samples):
            for j in range(samples):
                x = (x1 + (j + 0.5) / samples * (x2 - x1)) * 7 - 0.5
                y = (y1 + (i + 0.5) / samples * (y2 - y1)) * 5 - 0.5
                expected[n, :, i, j] = sample(maps[IMAGE[n]], x, y)
    assert_close(roi_grid(maps, box, IMAGE, samples), expected, "float64")
    assert_close(roi_pool(maps, box, IMAGE, samples), expected.mean(dim=(2, 3)), "float64")


def test_equals_grid_sample(maps, box, assert_close):
    centre = (torch.arange(3, dtype=torch.float64) + 0.5) / 3
    x = box[:, :1] + centre * (box[:, 2:3] - box[:, :1])  # [N, 3]
    y = box[:, 1:2] + centre * (box[:, 3:] - box[:, 1:2])
    points = torch.stack([x[:, None].expand(-1, 3, 3), y[:, :, None].expand(-1, 3, 3)], dim=-1)
    expected = grid_sample(maps[IMAGE], points * 2 - 1, padding_mode="border", align_corners=False)
    assert_close(roi_grid(maps, box, IMAGE, 3), expected, "float64")


def test_constant_map_gives_the_constant(box, assert_close):
    maps = torch.full((3, 2, 5, 7), 4.5, dtype=torch.float64)
    assert_close(
        roi_pool(maps, box, IMAGE), torch.full((6, 2), 4.5, dtype=torch.float64), "float64"
    )


def test_linear_map_gives_its_value_at_the_centre_of_the_box(assert_close):
    height, width = 20, 30
    row = torch.arange(height, dtype=torch.float64)[:, None]
    column = torch.arange(width, dtype=torch.float64)
    maps = (2 * column - 3 * row + 1)[None, None]
    box = torch.tensor([[0.1, 0.2, 0.7, 0.9], [0.5, 0.5, 0.6, 0.55]], dtype=torch.float64)
    x = (box[:, 0] + box[:, 2]) / 2 * width - 0.5
    y = (box[:, 1] + box[:, 3]) / 2 * height - 0.5
    result = roi_pool(maps, box, torch.zeros(2, dtype=torch.int64))
    assert_close(result[:, 0], 2 * x - 3 * y + 1, "float64")


@given(
    st.lists(st.floats(-0.5, 1.5), min_size=4, max_size=4),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_a_mean_of_samples_lies_between_the_extremes(numbers, samples, height, width):
    maps = torch.randn(1, 2, height, width, dtype=torch.float64)
    box = torch.tensor([numbers], dtype=torch.float64)
    result = roi_pool(maps, box, torch.tensor([0]), samples)[0]
    assert (result >= maps.amin(dim=(0, 2, 3)) - 1e-9).all()
    assert (result <= maps.amax(dim=(0, 2, 3)) + 1e-9).all()


def test_gradients(maps):
    # no sample at the centre of a cell or on the border, where the slope along the box has a step
    box = torch.tensor([[0.11, 0.22, 0.73, 0.88], [0.4, 0.85, 0.35, 0.2]], dtype=torch.float64)
    maps, box, image = maps.requires_grad_(), box.requires_grad_(), torch.tensor([2, 0])
    assert gradcheck(lambda m, b: roi_pool(m, b, image), (maps, box))
    assert gradcheck(lambda m, b: roi_grid(m, b, image, 2), (maps, box))


def test_batch_equals_one_by_one_in_either_memory_format(maps, box):
    batch = roi_pool(maps, box, IMAGE)
    last = roi_pool(maps.contiguous(memory_format=torch.channels_last), box, IMAGE)
    assert torch.equal(batch, last)
    for n in range(len(box)):
        one = roi_pool(maps[IMAGE[n]][None], box[n : n + 1], torch.tensor([0]))
        assert torch.equal(one[0], batch[n])
    order = torch.randperm(len(box), generator=torch.Generator().manual_seed(2))
    assert torch.equal(roi_pool(maps, box[order], IMAGE[order]), batch[order])


def test_no_boxes(maps, box):
    none = torch.zeros(0, dtype=torch.int64)
    assert roi_pool(maps, box[:0], none).shape == (0, 4)
    assert roi_grid(maps, box[:0], none, 2).shape == (0, 4, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": torch.zeros(4, 5, 7)}, "maps: expected shape"),
        ({"maps": torch.zeros(3, 4, 5, 7)}, "the type of maps"),
        ({"box": torch.zeros(6, 3, dtype=torch.float64)}, "expected box"),
        ({"image": torch.zeros(5, dtype=torch.int64)}, "expected box"),
        ({"image": IMAGE + 1}, "images 0 to 2.*of image 3"),
        ({"image": IMAGE - 1}, "of image -1"),
        ({"box": torch.full((6, 4), float("nan"), dtype=torch.float64)}, "finite boxes"),
    ],
)
def test_bad_input(maps, box, change, message):
    with pytest.raises(GraphError, match=message):
        roi_pool(**{"maps": maps, "box": box, "image": IMAGE} | change)


def test_no_samples(maps, box):
    with pytest.raises(ConfigError, match="expected 1 or more"):
        roi_pool(maps, box, IMAGE, 0)
