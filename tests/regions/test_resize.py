"""The resize: a per-pixel loop in exact fractions, torch's float one, and pixels it must keep."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.resize import stretch


def exact(pixels, width, height):
    """Bilinear interpolation in fractions, unrounded, one output pixel after another."""

    def samples(size, count):
        for i in range(count):
            place = min(max((Fraction(2 * i + 1, 2) * size) / count - Fraction(1, 2), 0), size - 1)
            yield floor(place), min(floor(place) + 1, size - 1), place - floor(place)

    output = np.zeros((3, height, width))
    for y, (upper, lower, down) in enumerate(samples(pixels.shape[0], height)):
        for x, (left, right, across) in enumerate(samples(pixels.shape[1], width)):
            for c in range(3):
                value = lambda row, column, c=c: int(pixels[row, column, c])  # noqa: E731
                top = value(upper, left) * (1 - across) + value(upper, right) * across
                bottom = value(lower, left) * (1 - across) + value(lower, right) * across
                output[c, y, x] = float(top * (1 - down) + bottom * down)
    return output


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(*[st.integers(1, 14)] * 4)
def test_exact_interpolation(height, width, new_width, new_height):
    pixels = noise(height, width)
    output = stretch(pixels, new_width, new_height)
    assert output.shape == (3, new_height, new_width)
    assert output.dtype == torch.uint8
    # rounding loses up to 1/2, the two truncations up to 1/4 each
    assert np.abs(output.numpy() - exact(pixels, new_width, new_height)).max() <= 1


@pytest.mark.parametrize("size", [(480, 640), (640, 427), (90, 100), (1300, 900)])
def test_torch_float_resize(size):
    pixels = noise(*size)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(planes, (416, 416), mode="bilinear")[0]
    difference = stretch(pixels, 416, 416) - expected
    assert difference.abs().max() < 1
    # two truncations to quarters lose 1/4 on average, rounding half up gives back 1/8
    assert abs(difference.mean() + 0.125) < 0.01


def test_two_by_hand():
    # 10 * 3/4 + 20 * 1/4 = 12.5: two places of the sum round half up
    pixels = np.array([[[10] * 3, [20] * 3]], dtype=np.uint8)
    assert stretch(pixels, 4, 2)[0].tolist() == [[10, 13, 18, 20]] * 2
    assert stretch(pixels, 1, 1)[0].tolist() == [[15]]


@given(st.integers(1, 40), st.integers(1, 40))
def test_same_size_is_the_same_photograph(height, width):
    pixels = noise(height, width)
    assert (stretch(pixels, width, height).permute(1, 2, 0).numpy() == pixels).all()


@given(st.integers(0, 255), st.integers(1, 50), st.integers(1, 50))
def test_one_colour_stays(value, height, width):
    pixels = np.full((height, width, 3), value, dtype=np.uint8)
    assert (stretch(pixels, 13, 29) == value).all()


def test_mirrored_and_transposed():
    pixels = noise(31, 47)
    output = stretch(pixels, 20, 24)
    mirrored = stretch(pixels[:, ::-1], 20, 24)  # negative strides
    assert (mirrored.flip(2).int() - output.int()).abs().max() <= 1
    transposed = stretch(pixels.transpose(1, 0, 2), 24, 20)
    assert (transposed.transpose(1, 2).int() - output.int()).abs().max() <= 1


def test_read_only_pixels_are_not_written():
    pixels = noise(8, 8)
    pixels.setflags(write=False)
    before = pixels.copy()
    stretch(pixels, 5, 5)
    assert (pixels == before).all()


def test_wrong_input():
    with pytest.raises(ConfigError, match=r"1 x 1 pixels or more \(got 0 x 3\)"):
        stretch(noise(2, 2), 0, 3)
    for pixels in (noise(2, 2)[..., 0], noise(2, 2)[..., :2], noise(0, 2), noise(2, 2) / 255):
        with pytest.raises(GraphError, match=r"expected \[H, W, 3\] uint8"):
            stretch(pixels, 4, 4)
