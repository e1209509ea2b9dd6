"""`similarity_row`: do a matcher's scores rank pairs as people do?

Source: Parekh et al., "Crisscrossed Captions", EACL 2021, section on the evaluation of semantic
similarity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import ConfigError, GraphError
from graphmatch.hard_negatives import skipped_lines

_NOTES = {
    "sits": "caption and image: the matcher's score",
    "sts": "two captions: cosine of the matcher's pooled vectors, which it was not trained for",
    "sis": "two images: cosine of the matcher's pooled vectors, which it was not trained for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityRow:
    """Agreement with people on one kind of pairs.

    Args:
        pairs: how many.
        queries: different first halves of them.
        spearman: rank correlation over all pairs, -1 to 1.
        sampled: mean of the rank correlations of samples, as the paper reports it.
        error: their standard deviation.
        low: 2.5 % of the samples are lower.
        high: 2.5 % are higher.
    """

    pairs: int
    queries: int
    spearman: float
    sampled: float
    error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityReport:
    """Agreement with people on all kinds of pairs.

    Args:
        rows: by kind, `"sits"`, `"sts"`, `"sis"`; those that could be scored.
        skipped: how many pairs were left out, by reason.
    """

    rows: Mapping[str, SimilarityRow]
    skipped: Mapping[str, int]

    def content(self) -> dict[str, Any]:
        """The report as plain values, for JSON.

        Returns:
            Rows with a note on what was compared, and what was left out.
        """
        rows = {kind: {**asdict(row), "note": _NOTES[kind]} for kind, row in self.rows.items()}
        return {"rows": rows, "skipped": dict(self.skipped)}

    def to_json(self) -> str:
        """The report as a JSON object.

        Returns:
            Text.
        """
        return json.dumps(self.content(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def __str__(self) -> str:
        lines = [f"{'':6}{'pairs':>7}{'Spearman':>10}{'sampled':>22}"]
        for kind, row in self.rows.items():
            sampled = f"{row.sampled:.3f} [{row.low:.3f}, {row.high:.3f}]"
            lines.append(f"{kind:6}{row.pairs:7,}{row.spearman:10.3f}{sampled:>22}  {_NOTES[kind]}")
        return "\n".join([*lines, *skipped_lines(self.skipped)])


def similarity_row(
    queries: Sequence[str],
    people: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    samples: int = 1000,
    seed: int = 0,
) -> SimilarityRow:
    """Rank correlation of scores with people's ratings, over all pairs and over samples.

    Pairs of one query are not independent, so the paper reports the mean over samples: half of the
    queries, and one pair of each. Of fewer than four queries a sample has all.

    Args:
        queries: first half of each of P pairs.
        people: [P] ratings.
        scores: [P] scores.
        samples: how many.
        seed: of the samples.

    Returns:
        The row.

    Raises:
        GraphError: fewer than two queries, lengths that differ, values that are not finite.
        ConfigError: `samples` below 2.

    Example:
        >>> row = similarity_row(list("abcd"), np.arange(4.0), np.array([1.0, 2.0, 4.0, 3.0]))
        >>> round(row.spearman, 3), row.pairs, row.queries
        (0.8, 4, 4)
    """
    if samples < 2:
        raise ConfigError(f"expected samples from 2 (got {samples})")
    if not len(queries) == len(people) == len(scores):
        got = f"{len(queries)}, {len(people)} and {len(scores)}"
        raise GraphError(f"expected a query, a rating and a score of each pair (got {got})")
    if not (np.isfinite(people).all() and np.isfinite(scores).all()):
        raise GraphError("expected finite ratings and scores")
    names, which, counts = np.unique(np.array(queries), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise GraphError(f"expected pairs of at least two queries (got {len(names)})")
    order = np.argsort(which, kind="stable")
    starts = np.cumsum(counts) - counts
    half = len(names) // 2 if len(names) >= 4 else len(names)
    rng = np.random.default_rng(seed)
    found = np.empty(samples)
    for place in range(samples):
        chosen = rng.choice(len(names), half, replace=False)
        one = order[starts[chosen] + rng.integers(counts[chosen])]
        found[place] = spearman(people[one], scores[one])
    low, high = np.quantile(found, [0.025, 0.975])
    return SimilarityRow(
        pairs=len(queries),
        queries=len(names),
        spearman=spearman(people, scores),
        sampled=float(found.mean()),
        error=float(found.std(ddof=1)),
        low=float(low),
        high=float(high),
    )


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation: Pearson's of the ranks; equal values share their mean rank.

    Args:
        first: [P] values.
        second: [P] values.

    Returns:
        -1 to 1; 0 if one of them has only equal values.

    Example:
        >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
        0.5
    """
    one, other = (rank - rank.mean() for rank in (_mean_ranks(first), _mean_ranks(second)))
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else 0.0


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks
