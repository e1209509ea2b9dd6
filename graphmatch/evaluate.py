"""Evaluation protocols of image-text and video-text retrieval, from score matrices.

| protocol | call |
|---|---|
| all at once (Flickr30K, COCO 5K, MSR-VTT) | `evaluate_scores(scores, owner)` |
| COCO 1K as published: five folds | `evaluate_folds(scores, owner, folds=5)` |
| the first 1,000 images of COCO | `evaluate_scores(scores[:1000, :5000], owner[:5000])` |
| HGR: every caption text once | `evaluate_unique(scores, texts, owner)` |
| an ensemble | `evaluate_scores(average_scores([first, second]), owner)` |
| more scores than fit into memory | `evaluate_tiles(tiles, owner, shape=...)` |

Numbers of different protocols do not compare: a smaller gallery, or captions of equal text counted
once, give other recalls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError
from graphmatch.ranks import Tile, ranks, ranks_from_tiles
from graphmatch.retrieval_report import RetrievalReport
from graphmatch.score_input import Relevant, Scores, as_scores, relevant_pairs
from graphmatch.unique_captions import unique_captions


def evaluate_scores(
    scores: Scores, relevant: Relevant, *, ties: str = "first", median: str = "exact"
) -> RetrievalReport:
    """All items against all captions.

    An item counts by the best-placed of its captions, a caption by the best-placed of its items.
    Items without captions (and captions without items) stay in the gallery as wrong answers, are
    left out as queries, and are counted in the report as skipped.

    Args:
        scores: [n_v, n_t] of float32 or float64, larger is better.
        relevant: the item of each caption [n_t], or right pairs [2, P] of item and caption.
        ties: see `graphmatch.ranks.ranks`.
        median: `"exact"`, or `"floor"` as SCAN, GSMN and IMRAM print it.

    Returns:
        The report.

    Raises:
        GraphError: as `ranks`; no query of a direction has a right answer.
        ConfigError: an unknown choice.

    Example:
        >>> evaluate_scores(torch.eye(3), [0, 1, 2]).rsum
        600.0
    """
    return RetrievalReport.from_ranks(ranks(scores, relevant, ties=ties), ties=ties, median=median)


def evaluate_tiles(
    tiles: Callable[[], Iterable[Tile]],
    relevant: Relevant,
    *,
    shape: tuple[int, int],
    own: Tensor | None = None,
    median: str = "exact",
) -> RetrievalReport:
    """The same without the score matrix; see `graphmatch.ranks.ranks_from_tiles`.

    Args:
        tiles: called for an iterable of (positions of items, positions of captions, scores).
        relevant: as in `evaluate_scores`.
        shape: n_v and n_t.
        own: [P] scores of the right pairs, if known; else the tiles are asked for twice.
        median: as in `evaluate_scores`.

    Returns:
        The report.

    Raises:
        GraphError: as `evaluate_scores`; tiles that do not cover every pair once.

    Example:
        >>> everything = torch.arange(3), torch.arange(3), torch.eye(3)
        >>> evaluate_tiles(lambda: [everything], [0, 1, 2], shape=(3, 3)).rsum
        600.0
    """
    found = ranks_from_tiles(tiles, relevant, shape=shape, own=own)
    return RetrievalReport.from_ranks(found, median=median)


class Fold(NamedTuple):
    """A part of a test set that is evaluated alone.

    Args:
        items: [f] positions of its items.
        captions: [c] positions of their captions, ascending.
        owner: [c] item of each of these captions, counted within the fold.
    """

    items: Tensor
    captions: Tensor
    owner: Tensor


def split_folds(owner: Relevant, *, visual: int, folds: int = 5) -> list[Fold]:
    """Consecutive parts of a test set, each with as many items.

    With five captions an item in order, fold f of COCO's `testall` is images 1000 f and captions
    5000 f onwards, as in the official code. Score only these parts to save four fifths of the work.

    Args:
        owner: [n_t] item of each caption.
        visual: number of items n_v, a multiple of `folds`.
        folds: how many parts.

    Returns:
        The folds.

    Raises:
        ConfigError: `folds` does not divide `visual`.
        GraphError: an owner out of range.

    Example:
        >>> [fold.captions.tolist() for fold in split_folds([0, 0, 1, 1], visual=2, folds=2)]
        [[0, 1], [2, 3]]
    """
    if folds < 1 or visual % folds:
        raise ConfigError(f"expected folds that divide {visual} items (got {folds})")
    owner = torch.as_tensor(owner, device="cpu")
    if owner.dim() != 1:
        raise GraphError(f"expected the item of each caption (got shape {tuple(owner.shape)})")
    items, captions = relevant_pairs(owner, shape=(visual, len(owner)))
    parts = []
    for part in torch.arange(visual).chunk(folds):
        start, count = int(part[0]), len(part)
        inside = captions[(items >= start) & (items < start + count)]
        parts.append(Fold(part, inside, items[inside] - start))
    return parts


def evaluate_folds(
    scores: Scores,
    owner: Relevant,
    *,
    folds: int = 5,
    ties: str = "first",
    median: str = "exact",
) -> RetrievalReport:
    """Each fold alone, then the mean: COCO 1K as published (five folds of 1,000 images).

    Recalls, median and mean ranks are averaged over the folds, and rsum is the sum of the averaged
    recalls. The summary that the code of SCAN, GSMN and IMRAM prints has wrong labels: its "rsum"
    is six times the mean recall of image to text, its "Average i2t Recall" is that of text to
    image, its "Average t2i Recall" is rsum. The recalls, which are published, are printed rightly.
    IMRAM's function returns the rsum of the last fold.

    Args:
        scores: [n_v, n_t], of which the blocks on the diagonal are read.
        owner: [n_t] item of each caption.
        folds: how many; divides n_v.
        ties: as in `evaluate_scores`.
        median: as in `evaluate_scores`; rounding down is done in each fold.

    Returns:
        The report. For folds scored one by one use `split_folds`, `evaluate_scores` and
        `RetrievalReport.mean`.

    Raises:
        GraphError: as `evaluate_scores`.
        ConfigError: `folds` does not divide n_v; an unknown choice.

    Example:
        >>> evaluate_folds(torch.eye(4), [0, 1, 2, 3], folds=2).folds
        2
    """
    scores = as_scores(scores)
    relevant_pairs(owner, shape=(scores.size(0), scores.size(1)))
    reports = []
    for fold in split_folds(owner, visual=len(scores), folds=folds):
        rows = scores[int(fold.items[0]) : int(fold.items[-1]) + 1]
        block = rows[:, fold.captions.to(scores.device)]  # [f, c], a copy
        reports.append(evaluate_scores(block, fold.owner, ties=ties, median=median))
    return RetrievalReport.mean(reports)


def evaluate_unique(
    scores: Scores,
    texts: Sequence[str],
    owner: Relevant,
    *,
    ties: str = "first",
    median: str = "exact",
) -> RetrievalReport:
    """HGR's protocol from scores of all captions, of which the first of each text is used.

    Args:
        scores: [n_v, n_t]; the columns that are used are copied.
        texts: n_t captions.
        owner: [n_t] item of each caption.
        ties: as in `evaluate_scores`.
        median: as in `evaluate_scores`.

    Returns:
        The report; `text` counts the unique captions.

    Raises:
        GraphError: as `evaluate_scores`.
        ConfigError: an unknown choice.

    Example:
        >>> scores = torch.tensor([[0.9, 0.9], [0.1, 0.1]])
        >>> evaluate_unique(scores, ["a dog", "a dog"], [0, 1]).text
        1
    """
    scores = as_scores(scores)
    unique = unique_captions(texts, owner)
    if len(texts) != scores.size(1):
        raise GraphError(f"expected scores of {len(texts)} captions (got {scores.size(1)})")
    columns = scores[:, unique.first.to(scores.device)]  # [n_v, n_u]
    return evaluate_scores(columns, unique.relevant, ties=ties, median=median)


def average_scores(matrices: Sequence[Scores]) -> Tensor:
    """The mean of several score matrices, as in the ensembles of SCAN and GSMN.

    Args:
        matrices: [n_v, n_t] scores of each model, in the same order of items and captions.

    Returns:
        [n_v, n_t] of the widest dtype, a new matrix.

    Raises:
        GraphError: no matrix, shapes that differ.

    Example:
        >>> average_scores([torch.zeros(1, 2), torch.ones(1, 2)])
        tensor([[0.5000, 0.5000]])
    """
    tensors = [as_scores(matrix) for matrix in matrices]
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) != 1:
        raise GraphError(f"expected score matrices of one shape (got {sorted(shapes) or 'none'})")
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        if tensor.dtype == torch.float64:
            total = total.double()
        total += tensor
    return total / len(tensors)
