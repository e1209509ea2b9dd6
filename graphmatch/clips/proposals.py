"""DRN's clips: a video cut into equal pieces, each with the maximum of its feature rows.

Feature extractors slide a window over the frames; row r of their output describes the window that
starts at frame r * step. Source: DRN (CVPR 2020); official code, `data/dataset/` and its published
proposal file.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError


def clip_boundaries(frames: int, clips: int = 32) -> NDArray[np.int64]:
    """Frames at which clips start: a_k = floor(1 + k (n - 1) / T), and where the last one ends.

    Frames are counted from 1. As in the official code, T equally spaced float64 numbers from 1, n
    not among them, are cut to integers.

    Args:
        frames: n, frames of the video.
        clips: T.

    Returns:
        [T + 1]: clip k covers the frames a_k to a_(k + 1); the last number is n.

    Raises:
        ConfigError: less than one frame or clip.

    Example:
        >>> clip_boundaries(732)[:5].tolist(), clip_boundaries(732)[-3:].tolist()
        ([1, 23, 46, 69, 92], [686, 709, 732])
    """
    if frames < 1 or clips < 1:
        raise ConfigError(f"expected frames and clips from 1 (got {frames} and {clips})")
    starts = np.linspace(1, frames, clips, endpoint=False).astype(np.int64)
    return np.append(starts, frames)


def clip_positions(frames: int, clips: int = 32) -> Tensor:
    """Where clips lie in the video: (a_k / n, a_(k + 1) / n); the first start is 1 / n.

    Args:
        frames: n, frames of the video.
        clips: T.

    Returns:
        [T, 2] float64 in (0, 1].

    Raises:
        ConfigError: less than one frame or clip.

    Example:
        >>> clip_positions(5, 2).tolist()
        [[0.2, 0.6], [0.6, 1.0]]
    """
    bounds = clip_boundaries(frames, clips) / frames
    return torch.from_numpy(np.stack((bounds[:-1], bounds[1:]), axis=1))


def window_step(window: int, overlap: float) -> int:
    """Frames from one feature row to the next: int(window (1 - overlap)).

    Args:
        window: w, frames that a row describes: 16 for C3D, 64 for I3D, 32 for MFnet.
        overlap: share of a window that the next one repeats: 0.5, 0.875 and 0.75.

    Returns:
        The step in frames.

    Raises:
        ConfigError: the step would be below 1 frame.

    Example:
        >>> window_step(16, 0.5), window_step(64, 0.875), window_step(32, 0.75)
        (8, 8, 8)
    """
    step = int(window * (1 - overlap))
    if step < 1:
        raise ConfigError(
            f"expected a step of 1 frame or more (got window {window}, overlap {overlap}); "
            "use a smaller overlap"
        )
    return step


def pool_clips(
    features: Tensor, frames: int, *, clips: int = 32, window: int = 16, overlap: float = 0.5
) -> Tensor:
    """Features of clips: the element-wise maximum over the feature rows that start in each.

    A clip that is no longer than a window takes the one row floor(a_k / step); a longer one takes
    the rows r = floor(a_k / step), r + 1, ... that start before a_(k + 1). Rows past the end
    count as the last row. Differentiable with respect to the features.

    Args:
        features: [rows, F], see the module.
        frames: n, frames of the video.
        clips: T.
        window: w, frames that a row describes.
        overlap: share of a window that the next one repeats.

    Returns:
        [T, F].

    Raises:
        ConfigError: less than one frame or clip, or a step below 1 frame.
        GraphError: features of another shape, or no row.

    Example:
        >>> pool_clips(torch.arange(8.0).view(8, 1), 65, clips=2).flatten().tolist()
        [4.0, 7.0]
    """
    if features.dim() != 2 or not len(features):
        raise GraphError(f"features: expected [rows, F], a row or more (got {[*features.shape]})")
    step = window_step(window, overlap)
    bounds = clip_boundaries(frames, clips).tolist()
    pooled = []
    for start, end in pairwise(bounds):
        first = min(start // step, len(features) - 1)
        stop = -(-end // step) if end - start > window else first + 1  # rows start before the end
        pooled.append(features[first : max(stop, first + 1)].amax(dim=0))  # [F]
    return torch.stack(pooled)  # [T, F]
