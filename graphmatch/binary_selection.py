"""HGR's fine-grained binary selection: is the true caption preferred to one with a small change?

Source: HGR (CVPR 2020), the section on fine-grained binary selection; no code of it was released.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from graphmatch.errors import GraphError
from graphmatch.score_input import Scores


class Selection(NamedTuple):
    """Result of one category.

    Args:
        accuracy: percent.
        correct: how often the true caption had the higher score.
        ties: how often both scores were equal; these count as wrong.
        total: number of pairs.
    """

    accuracy: float
    correct: int
    ties: int
    total: int


def binary_selection(
    true: Scores, changed: Scores, category: Sequence[str]
) -> dict[str, Selection]:
    """Accuracy of choosing between a true caption and a changed one, for each kind of change.

    A choice is right if the score of the true caption is higher. Equal scores are wrong: a model
    that does not see the change has not chosen.

    Args:
        true: [P] scores of videos with their true captions.
        changed: [P] scores of the same videos with the changed captions.
        category: P names of the kind of change, for example `"switch roles"`.

    Returns:
        Results by category, in order of first appearance.

    Raises:
        GraphError: lengths that differ, no pairs, a score that is not finite.

    Example:
        >>> binary_selection(torch.tensor([0.5, 0.2, 0.7]), torch.tensor([0.1, 0.2, 0.3]),
        ...                  ["action", "action", "scene"])["action"]
        Selection(accuracy=50.0, correct=1, ties=1, total=2)
    """
    true, changed = torch.as_tensor(true), torch.as_tensor(changed)
    lengths = (tuple(true.shape), tuple(changed.shape), (len(category),))
    if len(set(lengths)) > 1 or not len(category):
        raise GraphError(f"expected P scores, P scores and P categories (got {lengths})")
    if not bool(true.isfinite().all() and changed.isfinite().all()):
        raise GraphError("expected finite scores (got NaN or infinity)")
    better, equal = (true > changed).tolist(), (true == changed).tolist()
    results = {}
    for name in dict.fromkeys(category):
        places = [place for place, other in enumerate(category) if other == name]
        correct, ties = sum(better[p] for p in places), sum(equal[p] for p in places)
        accuracy = 100 * correct / len(places)
        results[name] = Selection(accuracy, correct, ties, len(places))
    return results
