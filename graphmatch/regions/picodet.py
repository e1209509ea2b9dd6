"""`picodet`: PicoDet, a small detector of the 80 COCO classes, exported to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import FormatError
from graphmatch.regions.coco_classes import COCO_CLASSES
from graphmatch.regions.onnx_detector import OnnxDetector, OnnxInput

_STRIDES = (8, 16, 32, 64)  # pixels a cell of the four grids, finest first
_BINS = 8  # of the distribution of each side's length


def picodet(
    path: str | Path,
    *,
    size: int = 416,
    least_score: float = 0.05,
    overlap: float = 0.6,
    top: int = 100,
    threads: int = 0,
    provider: str = "CPUExecutionProvider",
) -> OnnxDetector:
    """PicoDet (Yu et al., "PP-PicoDet", 2021) as exported by PaddleDetection without suppression.

    The photograph is stretched to a square, in RGB, with ImageNet's mean and deviation.

    Args:
        path: the ONNX file, such as `picodet_s_416_coco.onnx`, with outputs as `decode_picodet`
            expects them.
        size: width and height of the network's input in pixels.
        least_score: regions that do not score more are left out.
        overlap: IoU that regions of one class may have.
        top: regions of a photograph at most.
        threads: that onnxruntime uses; 0 for as many as there are cores.
        provider: onnxruntime's execution provider.

    Returns:
        The detector; its labels are the 80 classes of `COCO_CLASSES` in their order.

    Raises:
        ConfigError: onnxruntime is missing or lacks the provider; a network of another size.
        FormatError: no such file, or none that onnxruntime can load.

    Example:
        >>> detector = picodet("picodet_s_416_coco.onnx", threads=1)
        Traceback (most recent call last):
        graphmatch.errors.FormatError: picodet_s_416_coco.onnx: no such file
    """
    expected = OnnxInput(
        width=size, height=size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    return OnnxDetector(
        path,
        expected,
        decode_picodet,
        labels=tuple(COCO_CLASSES.values()),
        least_score=least_score,
        overlap=overlap,
        top=top,
        threads=threads,
        provider=provider,
    )


def decode_picodet(outputs: Sequence[NDArray[Any]], least_score: float) -> tuple[Tensor, Tensor]:
    """Boxes and scores from the eight outputs of PicoDet.

    The cell in row i and column j of a grid with stride s predicts a box around the point
    ((j + 0.5) s, (i + 0.5) s). The distance of each side is the expectation of a distribution over
    0, s, ..., 7 s pixels (Li et al., "Generalized Focal Loss", 2020, equation 5).

    Args:
        outputs: for each grid of n x n cells scores [1, n n, C], already probabilities, and
            logits [1, n n, 32] of the left, top, right and bottom side; in any order. The finest
            grid has stride 8, the next ones 16, 32 and 64.
        least_score: cells none of whose scores is above it are left out.

    Returns:
        Boxes [N, 4] x1 y1 x2 y2 in pixels of the network's input, not cut at its border, and
        scores [N, C].

    Raises:
        FormatError: other outputs.

    Example:
        >>> grids = [np.zeros((1, n * n, width), np.float32) for width in (2, 32) for n in (4, 3, 2, 1)]
        >>> grids[3][0, 0, 1] = 0.9
        >>> decode_picodet(grids, 0.5)  # equal logits: 3.5 strides to each side
        (tensor([[-192., -192.,  256.,  256.]]), tensor([[0.0000, 0.9000]]))
    """  # noqa: E501
    box, score = [], []
    for stride, (scores, logits) in zip(_STRIDES, _grids(outputs), strict=True):
        cell = np.flatnonzero(scores.max(1) > least_score)  # [N]
        row, column = np.divmod(cell, isqrt(len(scores)))
        centre = (np.stack([column, row], axis=1) + np.float32(0.5)) * stride  # [N, 2]
        picked = logits[cell].reshape(-1, 4, _BINS)
        weight = np.exp(picked - picked.max(2, keepdims=True))
        side = weight @ np.arange(_BINS, dtype=np.float32) / weight.sum(2) * stride  # [N, 4]
        box.append(np.concatenate([centre - side[:, :2], centre + side[:, 2:]], axis=1))
        score.append(scores[cell])
    boxes = np.concatenate(box).astype(np.float32)
    return torch.from_numpy(boxes), torch.from_numpy(np.concatenate(score))


def _grids(outputs: Sequence[NDArray[Any]]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Scores [n n, C] and logits [n n, 32] of each grid, finest first."""
    width = 4 * _BINS
    scores = {o.shape[1]: o[0] for o in outputs if o.ndim == 3 and o.shape[2] != width}
    logits = {o.shape[1]: o[0] for o in outputs if o.ndim == 3 and o.shape[2] == width}
    cells = sorted(scores, reverse=True)
    square = all(isqrt(count) ** 2 == count for count in cells)
    if len(outputs) != 8 or len(cells) != 4 or scores.keys() != logits.keys() or not square:
        raise FormatError(
            f"expected scores [1, n n, C] and logits [1, n n, {width}] of four grids "
            f"(got {', '.join(str(list(o.shape)) for o in outputs)}); export the model without "
            "suppression"
        )
    return [(scores[count], logits[count]) for count in cells]
