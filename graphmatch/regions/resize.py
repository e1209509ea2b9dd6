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
        [3, height, width] uint8. Allocates a few times the output, and twice the rows of the input
        that are sampled, 2 height at most.

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
    rows, place = np.unique(np.concatenate([upper, lower]), return_inverse=True)  # K rows
    planes = np.ascontiguousarray(pixels[rows].transpose(2, 0, 1))  # [3, K, W]
    down = down[:, None]  # [height, 1]
    output = np.empty((3, height, width), np.uint8)
    # one channel at a time in the same arrays: memory that is new to the process costs most
    line, other = np.empty((2, len(rows), width), np.int32)
    top, bottom = np.empty((2, height, width), np.int32)
    for plane, result in zip(planes, output, strict=True):
        np.multiply(plane.take(left, axis=1), _ONE - across, out=line)
        line += np.multiply(plane.take(right, axis=1), across, out=other)
        line >>= 4  # 15 bits are left
        np.take(line, place[:height], axis=0, out=top, mode="clip")
        np.take(line, place[height:], axis=0, out=bottom, mode="clip")
        top *= _ONE - down
        bottom *= down
        top >>= 16
        bottom >>= 16
        top += bottom
        top += 2  # rounds the two places that are left
        top >>= 2
        result[:] = top
    return torch.from_numpy(output)


def _samples(size: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """The two pixels around each of `count` samples of `size` pixels, and the second's weight."""
    place = ((np.arange(count) + 0.5) * (size / count) - 0.5).astype(np.float32).clip(0, size - 1)
    first = np.floor(place).astype(np.intp)  # [count]
    weight = np.rint((place - first) * _ONE).astype(np.int32)
    return first, np.minimum(first + 1, size - 1), weight
