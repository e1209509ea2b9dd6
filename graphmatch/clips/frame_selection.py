"""HGR's frame selection: at most F frames of each video, zeros where there are fewer.

Source: HGR (CVPR 2020), section 4; official code, `readers/mpdata.py` and `readers/rolegraphs.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.graphs.clip import ClipGraph

Selection = Literal["select", "top"]
"""Frames spread over the whole video, or the first ones."""


def select_frames(count: int, limit: int, mode: Selection = "select") -> NDArray[np.int64]:
    """Which frames of a video are kept: all if they are few enough, else `limit` of them.

    `select` keeps round(k (count - 1) / (limit - 1)), k = 0 ... limit - 1: equally spaced numbers
    from the first frame to the last (the first one alone if `limit` is 1), halves rounded to even,
    in numpy's float64 arithmetic as in the official code. `top` keeps the first ones.

    Args:
        count: frames of the video.
        limit: F, how many to keep at most (20 in the paper).
        mode: which ones.

    Returns:
        [min(count, limit)] ascending frame numbers, without repeats.

    Raises:
        ConfigError: an unknown mode, a negative count, a limit below 1.

    Example:
        >>> select_frames(5, 4).tolist(), select_frames(5, 4, "top").tolist()
        ([0, 1, 3, 4], [0, 1, 2, 3])
    """
    check_choice("frame selection", mode, get_args(Selection))
    if count < 0 or limit < 1:
        raise ConfigError(f"expected a count from 0 and a limit from 1 (got {count} and {limit})")
    if count <= limit or mode == "top":
        return np.arange(min(count, limit))
    return np.round(np.linspace(0, count - 1, limit)).astype(np.int64)


def select_clips(graph: ClipGraph, limit: int, mode: Selection = "select") -> ClipGraph:
    """A video's clip graph with at most `limit` of its clips.

    Args:
        graph: L clips of one video.
        limit: how many to keep at most.
        mode: see `select_frames`.

    Returns:
        A graph of the clips that are kept, with their times.

    Raises:
        ConfigError: as `select_frames`.

    Example:
        >>> time = torch.arange(6.0).unfold(0, 2, 1)
        >>> graph = ClipGraph(x=torch.zeros(5, 2), time=time, duration=torch.tensor([5.0]))
        >>> select_clips(graph, 4).time[:, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    kept = torch.from_numpy(select_frames(graph.size_of("N"), limit, mode)).to(graph.time.device)
    return ClipGraph(x=graph.x[kept], time=graph.time[kept], duration=graph.duration)


def pad_frames(
    features: Sequence[Tensor], limit: int, *, mode: Selection = "select", full: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Frame features of several videos in one tensor.

    Differentiable with respect to the features.

    Args:
        features: B tensors [L_b, D], one a video, at least one.
        limit: F, how many frames of each to keep at most.
        mode: see `select_frames`.
        full: pad to F frames, as the official reader does with each video, not just to the longest
            video of the batch, as it does with batches.

    Returns:
        features [B, M, D] with zeros after a video's frames, M at most F; lengths [B] int64; mask
        [B, M] bool, true on real frames.

    Raises:
        ConfigError: as `select_frames`.
        GraphError: no video, or features that do not fit together.

    Example:
        >>> padded, length, mask = pad_frames([torch.ones(3, 1), torch.ones(1, 1)], 2)
        >>> padded.squeeze(-1).tolist(), length.tolist(), mask[1].tolist()
        ([[1.0, 1.0], [1.0, 0.0]], [2, 1], [True, False])
    """
    shapes = [list(feature.shape) for feature in features]
    if not shapes or any(len(shape) != 2 or shape[1] != shapes[0][-1] for shape in shapes):
        raise GraphError(f"expected features [L, D] of at least one video (got {shapes})")
    kept = []
    for feature in features:
        chosen = torch.from_numpy(select_frames(len(feature), limit, mode))
        kept.append(feature[chosen.to(feature.device)])  # [min(L, F), D]
    length = torch.tensor([len(feature) for feature in kept], device=kept[0].device)  # [B]
    padded = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True)  # [B, longest, D]
    if full:
        padded = torch.nn.functional.pad(padded, (0, 0, 0, limit - padded.size(1)))  # [B, F, D]
    mask = torch.arange(padded.size(1), device=length.device) < length.unsqueeze(1)  # [B, M]
    return padded, length, mask
