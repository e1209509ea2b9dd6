"""Ranks with equal scores in the order of the official codes, for comparison with their numbers.

Sources: SCAN, `evaluation.py`, i2t and t2i (shared by GSMN and IMRAM); HGR,
`models/evaluation.py`, eval_q2m.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphmatch.errors import check_choice
from graphmatch.score_input import check_finite

_BLOCK = 1 << 20  # scores that are sorted at a time


def official_ranks(scores: Tensor, pairs: Tensor, *, ties: str) -> tuple[Tensor, Tensor]:
    """Ranks by sorting every row and every column.

    `"scan"` sorts a row as `numpy.argsort(row)[::-1]`, `"hgr"` as `numpy.argsort(-row)`, both with
    NumPy's default algorithm, which is not stable: what it does with equal scores depends on the
    machine and the version. Without equal scores both give the ranks of `graphmatch.ranks`.

    Args:
        scores: [n_v, n_t] float32 or float64. The dtype matters: SCAN evaluates in float64, where
            fewer scores are equal; GSMN, IMRAM and HGR in float32.
        pairs: [2, P] right pairs of item and caption.
        ties: `"scan"` or `"hgr"`.

    Returns:
        [n_v] and [n_t] int64 rank of the best-placed right answer, from 1; 0 without any; on the
        CPU. Sorts blocks of about a million scores.

    Raises:
        GraphError: a score that is not finite.
        ConfigError: an unknown rule.

    Example:
        >>> official_ranks(torch.tensor([[0.1, 0.2]]), torch.tensor([[0], [0]]), ties="scan")
        (tensor([2]), tensor([1, 0]))
    """
    check_choice("rule for ties", ties, ("scan", "hgr"))
    step = max(1, _BLOCK // max(1, scores.size(1)))
    positions = torch.arange(max(scores.shape))
    for start in range(0, len(scores), step):
        check_finite(scores[start : start + step], positions[start:], positions)
    array = scores.detach().cpu().numpy()
    item, caption = pairs.cpu().numpy()
    return _one_way(array, item, caption, ties), _one_way(array.T, caption, item, ties)


def _one_way(
    scores: npt.NDArray[np.floating],
    query: npt.NDArray[np.int64],
    answer: npt.NDArray[np.int64],
    ties: str,
) -> Tensor:
    count, gallery = scores.shape
    best = np.full(count, gallery + 1)
    order = np.argsort(query, kind="stable")
    query, answer = query[order], answer[order]
    step = max(1, _BLOCK // max(1, gallery))
    for start in range(0, count, step):
        block = np.ascontiguousarray(scores[start : start + step])
        sorted_ids = np.argsort(block, axis=1)[:, ::-1] if ties == "scan" else np.argsort(-block)
        place = np.empty_like(sorted_ids)
        np.put_along_axis(place, sorted_ids, np.arange(gallery)[None], axis=1)
        first, last = np.searchsorted(query, (start, start + step))
        row = query[first:last]
        np.minimum.at(best, row, place[row - start, answer[first:last]] + 1)
    best[best > gallery] = 0
    return torch.from_numpy(best)
