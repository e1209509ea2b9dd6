"""nDCG and mean average precision: metrics that look at every right answer, not the best alone.

Source of the forms used in video retrieval (EPIC-KITCHENS-100 multi-instance retrieval, and the
works that report HGR there): M. Wray, D. Larlus, G. Csurka, D. Damen, Fine-grained action retrieval
through multiple parts-of-speech embeddings (ICCV 2019), official code of evaluation; D. Damen et
al., Rescaling egocentric vision (IJCV 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError
from graphmatch.score_input import Scores, as_scores, check_finite

Gain = Tensor | Callable[[slice], Tensor]

_BLOCK = 1 << 20  # scores that are sorted at a time


def ndcg(scores: Scores, gain: Gain, *, depth: int | None = None) -> float:
    """Normalised discounted cumulative gain, with graded relevance.

        DCG = sum over ranks r = 1..depth of gain(answer at rank r) / log2(r + 1)
        nDCG = DCG / DCG of the best possible order, mean over queries

    The published form takes as depth of a query the number of its answers with a gain above 0.

    Args:
        scores: [n_q, n_a] of queries and answers; transpose for the other direction (published
            numbers are the mean of both).
        gain: [n_q, n_a] relevance, 0 or more, or a function of a slice of queries that gives those
            rows, for a matrix that is too large to keep.
        depth: how many answers are looked at; None for the published form. May exceed n_a.

    Returns:
        From 0 to 1. Queries without any gain are left out. Equal scores by position, smaller
        first. Sorts blocks of about a million scores.

    Raises:
        GraphError: scores or gains that are not finite, negative gains, no gain at all, shapes.
        ConfigError: `depth` below 1.

    Example:
        >>> scores = torch.tensor([[0.9, 0.5, 0.1]])
        >>> round(ndcg(scores, torch.tensor([[0.0, 1.0, 0.5]])), 4)  # 0.6309 / 1.3155
        0.4796
    """
    if depth is not None and depth < 1:
        raise ConfigError(f"expected a depth of at least 1 (got {depth})")
    values = []
    for found in _ranked(scores, gain):
        ideal = found.sort(dim=1, descending=True).values  # [q, n_a]
        places = torch.arange(found.size(1), device=found.device)
        depths = (found > 0).sum(dim=1, keepdim=True) if depth is None else depth
        weight = (places < depths) / torch.log2(places + 2.0).double()
        best = (ideal * weight).sum(dim=1)  # [q]
        values.append(((found * weight).sum(dim=1) / best)[best > 0])
    return _mean(values)


def mean_average_precision(scores: Scores, gain: Gain) -> float:
    """Mean over queries of the mean precision at the places of the right answers.

        AP = mean over ranks r with gain 1 of (sum of gains at ranks 1..r) / r

    With gains of 0 and 1 this is the usual average precision. With graded gains it is what the
    published code computes: only answers of gain 1 are right, lower ones help the precision.

    Args:
        scores: [n_q, n_a] of queries and answers; transpose for the other direction.
        gain: as in `ndcg`.

    Returns:
        From 0 to 1. Queries without an answer of gain 1 are left out; ties and memory as in
        `ndcg`.

    Raises:
        GraphError: as `ndcg`.

    Example:
        >>> scores = torch.tensor([[0.9, 0.5, 0.1]])
        >>> mean_average_precision(scores, torch.tensor([[1.0, 0.0, 0.0]]))
        1.0
    """
    values = []
    for found in _ranked(scores, gain):
        right = found == 1  # [q, n_a]
        places = torch.arange(1, found.size(1) + 1, device=found.device)
        precision = (found.cumsum(dim=1) / places).masked_fill(~right, 0)
        count = right.sum(dim=1)  # [q]
        values.append((precision.sum(dim=1) / count)[count > 0])
    return _mean(values)


def _ranked(scores: Scores, gain: Gain) -> Iterator[Tensor]:
    """Gains [q, n_a] of blocks of queries, float64, best-placed answer first."""
    scores = as_scores(scores)
    queries, answers = scores.shape
    if isinstance(gain, Tensor) and gain.shape != scores.shape:
        raise GraphError(f"expected gains {tuple(scores.shape)} (got {tuple(gain.shape)})")
    step = max(1, _BLOCK // max(1, answers))
    positions = torch.arange(max(queries, answers))
    for start in range(0, queries, step):
        part = slice(start, min(start + step, queries))
        block = scores[part]
        check_finite(block, positions[part], positions)
        gains = gain[part] if isinstance(gain, Tensor) else gain(part)
        if gains.shape != block.shape:
            raise GraphError(f"expected gains {tuple(block.shape)} (got {tuple(gains.shape)})")
        gains = gains.to(block.device, torch.float64)
        if not bool(((gains >= 0) & gains.isfinite()).all()):
            raise GraphError("expected gains that are finite and not negative")
        yield gains.gather(1, block.sort(dim=1, descending=True, stable=True).indices)


def _mean(values: list[Tensor]) -> float:
    counted = torch.cat(values) if values else torch.zeros(0)
    if not len(counted):
        raise GraphError("expected queries with a right answer (got none)")
    return float(counted.mean())
