"""Box geometry and the whole-image region against loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.errors import GraphError
from graphmatch.masking.regions import mask_regions
from graphmatch.regions.location import box_location, with_global_region


def boxes(count, seed=1, batch=()):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(*batch, count, 2, 2, generator=generator) * torch.tensor([200.0, 100.0])
    return corners.sort(dim=-2).values.flatten(-2)  # [..., count, 4]


@given(st.integers(0, 9), st.integers(0, 99), st.integers(1, 5000), st.integers(1, 5000))
def test_location_equals_a_loop(count, seed, width, height):
    box = boxes(count, seed)
    location = box_location(box, (width, height))
    assert location.dtype == torch.float32
    expected = [
        [
            x1 / width,
            y1 / height,
            x2 / width,
            y2 / height,
            (x2 - x1) * (y2 - y1) / (width * height),
        ]
        for x1, y1, x2, y2 in box.tolist()
    ]
    torch.testing.assert_close(location, torch.tensor(expected).reshape(count, 5))


def test_whole_image():
    location = box_location(torch.tensor([[0, 0, 640, 480]]), (640, 480))
    assert location.tolist() == [[0, 0, 1, 1, 1]]


def test_location_of_a_batch_equals_one_by_one():
    box = boxes(5, batch=(2, 3))
    size = torch.tensor([[[200, 100], [300, 200], [201, 101]]] * 2)
    mask = torch.arange(5) < torch.tensor([[5, 0, 2], [1, 4, 3]]).unsqueeze(-1)
    box[~mask] = float("nan")
    together = box_location(box, size, mask)
    for i, j in ((i, j) for i in range(2) for j in range(3)):
        count = int(mask[i, j].sum())
        one = box_location(box[i, j, :count], tuple(size[i, j].tolist()))
        assert torch.equal(together[i, j, :count], one)
        assert (together[i, j, count:] == 0).all()


def test_global_region_is_the_mean(assert_close):
    feature = torch.rand(4, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    location = box_location(boxes(4), (200, 100))
    longer, places, mask = with_global_region(feature, location)
    assert_close(longer[0], sum(feature[i] for i in range(4)) / 4, "float64")
    assert torch.equal(longer[1:], feature)
    assert places[0].tolist() == [0, 0, 1, 1, 1]
    assert torch.equal(places[1:], location)
    assert mask.tolist() == [True] * 5


def test_regions_masked_before_count_in_the_denominator():
    feature = torch.tensor([[2.0], [4.0], [12.0]])
    box = torch.tensor([[0.0, 0, 9, 9], [20, 20, 29, 29], [40, 40, 49, 49]])
    location = box_location(box, (100, 100))
    masked = mask_regions(feature, box, torch.tensor([0.9, 0.9, 0.0])).feature
    assert with_global_region(feature, location)[0][0].item() == 6  # fine-tuning
    assert with_global_region(masked, location)[0][0].item() == 2  # pre-training: 6 / 3


def test_global_region_of_a_padded_batch_equals_one_by_one(assert_close):
    feature = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(1))
    location = box_location(boxes(5, batch=(3,)), (200, 100))
    mask = torch.arange(5) < torch.tensor([[5], [0], [2]])
    feature[~mask], location[~mask] = float("nan"), float("nan")
    longer, places, longer_mask = with_global_region(feature, location, mask)
    for number, count in enumerate((5, 0, 2)):
        one = with_global_region(feature[number, :count], location[number, :count])
        assert_close(longer[number, : 1 + count], one[0])
        assert torch.equal(places[number, : 1 + count], one[1])
        assert torch.equal(longer_mask[number, : 1 + count], one[2])
        for rest in (longer, places, longer_mask):
            assert not rest[number, 1 + count :].any()
    assert (longer[1, 0] == 0).all()  # no region: zeros, not a quotient of zeros


def test_order_of_regions_does_not_change_the_global_region(assert_close):
    feature, location = torch.rand(6, 3), box_location(boxes(6), (200, 100))
    order = torch.tensor([5, 2, 0, 1, 4, 3])
    one = with_global_region(feature, location)[0][0]
    assert_close(with_global_region(feature[order], location[order])[0][0], one)


def test_gradients():
    feature = torch.rand(2, 3, 2, dtype=torch.float64, requires_grad=True)
    location = torch.rand(2, 3, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert gradcheck(lambda f, place: with_global_region(f, place, mask)[:2], (feature, location))


def test_inputs_are_left_as_they_are():
    feature, location = torch.ones(2, 3), torch.ones(2, 5)
    with_global_region(feature, location, torch.tensor([True, False]))
    assert (feature == 1).all()
    assert (location == 1).all()


def test_wrong_shapes_are_refused():
    with pytest.raises(GraphError, match="expected shape"):
        box_location(torch.zeros(2, 5), (1, 1))
    with pytest.raises(GraphError, match="from 1 pixel"):
        box_location(torch.zeros(2, 4), (0, 7))
    for feature, location in (((2, 3), (2, 4)), ((2, 3), (3, 5)), ((3,), (5,))):
        with pytest.raises(GraphError, match="expected feature"):
            with_global_region(torch.zeros(feature), torch.zeros(location))


def test_nothing_is_made_on_another_device():
    # tensors without storage refuse to meet others, and to be read by the host
    location = box_location(torch.zeros(2, 3, 4, device="meta"), (200, 100))
    result = with_global_region(torch.zeros(2, 3, 7, device="meta"), location)
    assert {value.device.type for value in result} == {"meta"}
