"""`stretch`: a photograph at a network's input size, its aspect not kept."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError

_ONE = 2048  # weights have 11 binary places


def stretch(pixels: NDArray[np.uint8], width: int, height: int) -> Tensor:
    """Bilinear resize to a fixed size, both sides on their own.

    Output pixel i samples the input at `(i + 0.5) * input / output - 0.5` and interpolates between
    the two pixels around it; there is no low-pass filter, so a much larger photograph is sampled,
    not averaged. The arithmetic is that of OpenCV's `INTER_LINEAR` for bytes, with which many
    exported detectors are trained and measured: integers, weights of 11 binary places, two
    truncations, so values are 1/8 below exact ones on average.

    Args:
        pixels: [H, W, 3] uint8; any strides.
        width: of the output in pixels.
        height: of the output in pixels.

    Returns:
        [3, height, width] uint8. Allocates a few times the output, whatever the input's size.

    Raises:
        ConfigError: an output size below 1.
        GraphError: pixels of another shape or type.

    Example:
        >>> edge = np.zeros((1, 2, 3), dtype=np.uint8)
        >>> edge[0, 1] = 100
        >>> stretch(edge, 4, 1)[0].tolist()
        [[0, 25, 75, 100]]
    """
    if width < 1 or height < 1:
        raise ConfigError(f"expected an output of 1 x 1 pixels or more (got {width} x {height})")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape or pixels.dtype != np.uint8:
        raise GraphError(
            f"pixels: expected [H, W, 3] uint8 (got {list(pixels.shape)} {pixels.dtype})"
        )
    left, right, across = _samples(pixels.shape[1], width)
    upper, lower, down = _samples(pixels.shape[0], height)
    rows, place = np.unique(np.concatenate([upper, lower]), return_inverse=True)
    pixels = pixels[rows]  # [K, W, 3], K at most 2 height
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))  # [3, K, W]
    lines = planes.take(left, axis=2) * (_ONE - across)  # [3, K, width] int32
    lines += planes.take(right, axis=2) * across
    lines >>= 4  # 15 bits are left
    down = down[:, None]  # [height, 1]
    output = lines[:, place[:height]] * (_ONE - down)  # [3, height, width]
    output >>= 16
    below = lines[:, place[height:]] * down
    below >>= 16
    output += below
    output += 2  # rounds the two places that are left
    output >>= 2
    return torch.from_numpy(output.astype(np.uint8))


def _samples(size: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """The two pixels around each of `count` samples of `size` pixels, and the second's weight."""
    place = ((np.arange(count) + 0.5) * (size / count) - 0.5).astype(np.float32).clip(0, size - 1)
    first = np.floor(place).astype(np.intp)  # [count]
    weight = np.rint((place - first) * _ONE).astype(np.int32)
    return first, np.minimum(first + 1, size - 1), weight
