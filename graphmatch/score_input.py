"""What ranks and metrics are given: scores, and which pairs are right; checked and made tensors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphmatch.errors import GraphError

Scores = Tensor | npt.NDArray[np.floating[Any]]
Relevant = Tensor | npt.NDArray[np.integer[Any]] | Sequence[int]


def as_scores(scores: Scores) -> Tensor:
    """A score matrix as a tensor that shares its memory.

    Args:
        scores: [n_v, n_t] tensor or array of float32 or float64.

    Returns:
        The tensor, without gradients.

    Raises:
        GraphError: another dtype or number of axes.

    Example:
        >>> as_scores(np.zeros((1, 2), dtype=np.float32))
        tensor([[0., 0.]])
    """
    if not isinstance(scores, Tensor):
        with warnings.catch_warnings():  # torch warns of arrays that are read-only, as maps are
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            scores = torch.as_tensor(np.asarray(scores))
    if scores.dim() != 2:
        raise GraphError(f"expected scores [n_v, n_t] (got shape {tuple(scores.shape)})")
    if scores.dtype not in (torch.float32, torch.float64):
        raise GraphError(
            f"expected scores of float32 or float64 (got {scores.dtype}): compute them in float32, "
            "or convert them if coarse scores with many ties are meant"
        )
    return scores.detach()


def relevant_pairs(relevant: Relevant, *, shape: tuple[int, int]) -> Tensor:
    """What is right, as pairs.

    Args:
        relevant: item of each caption [n_t], or pairs [2, P] of item and caption.
        shape: n_v and n_t.

    Returns:
        [2, P] int64 on the CPU.

    Raises:
        GraphError: another shape, no integers, a position out of range.

    Example:
        >>> relevant_pairs([1, 1, 0], shape=(2, 3))
        tensor([[1, 1, 0],
                [0, 1, 2]])
    """
    pairs = torch.as_tensor(relevant, device="cpu")
    if (pairs.is_floating_point() and pairs.numel()) or pairs.dtype == torch.bool:
        raise GraphError(f"expected positions of items as integers (got {pairs.dtype})")
    pairs = pairs.long()
    if pairs.shape == (shape[1],):
        pairs = torch.stack((pairs, torch.arange(shape[1])))  # [2, n_t]
    elif pairs.dim() != 2 or len(pairs) != 2:
        got = f"shape {tuple(pairs.shape)}"
        raise GraphError(
            f"expected the item of each of {shape[1]} captions or pairs [2, P] ({got})"
        )
    for positions, count, what in zip(pairs, shape, ("items", "captions"), strict=True):
        outside = positions[(positions < 0) | (positions >= count)]
        if len(outside):
            span = f"from 0 to {count - 1}" if count else "of none"
            raise GraphError(f"expected positions of {what} {span} (got {int(outside[0])})")
    return pairs


def check_finite(scores: Tensor, rows: Tensor, columns: Tensor) -> None:
    """Raise for a score that is NaN or infinite.

    Args:
        scores: [r, c] part of a score matrix. The check synchronises a device.
        rows: [r] positions of the items.
        columns: [c] positions of the captions.

    Raises:
        GraphError: says which pair.

    Example:
        >>> check_finite(torch.ones(1, 1), torch.tensor([0]), torch.tensor([0]))
    """
    if bool(scores.sum().isfinite()):  # cheap; a sum may overflow, so it proves only this
        return
    bad = (~scores.isfinite()).nonzero()
    if len(bad):
        row, column = bad[0].tolist()
        pair = f"item {int(rows[row])} and caption {int(columns[column])}"
        value = float(scores[row, column])
        raise GraphError(
            f"expected finite scores (got {value} for {pair}; {len(bad)} in this part)"
        )
