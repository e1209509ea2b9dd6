"""`compare_runs`: the difference of two recipes over several seeds, with a paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphmatch.pair_set import PairSet
from graphmatch.ranks import ranks
from graphmatch.score_file import open_scores

_KS = (1, 5, 10)
_RESAMPLES = 2000


def compare_runs(
    first: Sequence[Path], second: Sequence[Path], pairs: PairSet, *, seed: int = 0
) -> dict[str, Any]:
    """How much higher the rsum of one recipe is than that of another.

    The bootstrap draws images with all of their captions, the same ones for all seeds of both
    recipes, and looks at the difference of the two means over seeds. Only queries are drawn.

    Args:
        first: files of scores of one recipe, a seed each.
        second: of the other, the same seeds.
        pairs: the captions and images of the scores.
        seed: of the draws.

    Returns:
        `value`, the mean difference first - second; `low` and `high` of its 95 % interval; `seeds`,
        the difference for each seed; `better`, the share of resamples above 0.
    """
    counts = [[_counts(path, pairs) for path in paths] for paths in (first, second)]
    images = len(pairs.gallery)
    everything = np.ones((1, images))
    seeds = [
        float((_rsum(everything @ one) - _rsum(everything @ other))[0])
        for one, other in zip(*counts, strict=True)
    ]
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(images, np.full(images, 1 / images), _RESAMPLES)  # [B, n]
    means = [np.mean(some, axis=0) for some in counts]  # [n, 8] each
    difference = _rsum(weights @ means[0]) - _rsum(weights @ means[1])  # [B]
    low, high = np.quantile(difference, [0.025, 0.975])
    return {
        "value": float(np.mean(seeds)),
        "low": float(low),
        "high": float(high),
        "seeds": seeds,
        "better": float(((difference > 0) + 0.5 * (difference == 0)).mean()),
    }


def _counts(path: Path, pairs: PairSet) -> NDArray[np.float64]:
    """[n, 8] hits at 1, 5, 10 and queries of each image, then of its captions."""
    found = ranks(torch.from_numpy(np.array(open_scores(path, pairs)[0])), pairs.owner)
    owner, images = pairs.owner.numpy(), len(pairs.gallery)
    columns = [(found.visual <= k).numpy() for k in _KS] + [np.ones(images)]
    hits = [(found.text <= k).numpy() for k in _KS] + [np.ones(len(owner))]
    columns += [np.bincount(owner, hit, images) for hit in hits]
    return np.stack(columns, axis=1).astype(np.float64)


def _rsum(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """[B] sum of the six recalls in percent, of counts [B, 8]."""
    image, text = counts[:, :3] / counts[:, 3:4], counts[:, 4:7] / counts[:, 7:]
    total: NDArray[np.float64] = 100 * (image.sum(axis=1) + text.sum(axis=1))
    return total
