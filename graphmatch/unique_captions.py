"""`unique_captions`: the captions of HGR's protocol, each text once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphmatch.errors import GraphError
from graphmatch.score_input import Relevant


class UniqueCaptions(NamedTuple):
    """Captions of which each text occurs once.

    Args:
        texts: n_u texts, in order of first appearance.
        first: [n_u] position of the first caption with the text.
        relevant: [2, P] pairs of item and text, each once: a text is right for all its items.
    """

    texts: tuple[str, ...]
    first: Tensor
    relevant: Tensor


def unique_captions(texts: Sequence[str], owner: Relevant) -> UniqueCaptions:
    """Captions as HGR evaluates them: equal texts are one caption that belongs to several videos.

    The official code puts them into a set, whose order changes from run to run; here the first
    appearance decides. Texts are compared exactly.

    Args:
        texts: n_t captions.
        owner: [n_t] item of each caption.

    Returns:
        The captions and what is right; encode `texts` (or the captions at `first`), score them and
        call `evaluate_scores(scores, relevant)`.

    Raises:
        GraphError: lengths that differ.

    Example:
        >>> unique_captions(["a dog", "a cat", "a dog"], [0, 0, 1]).relevant
        tensor([[0, 0, 1],
                [0, 1, 0]])
    """
    items = torch.as_tensor(owner).tolist()
    if len(items) != len(texts):
        raise GraphError(f"expected the item of each of {len(texts)} captions (got {len(items)})")
    places: dict[str, int] = {}
    first = []
    for position, text in enumerate(texts):
        if text not in places:
            places[text] = len(places)
            first.append(position)
    pairs = {(item, places[text]): None for item, text in zip(items, texts, strict=True)}
    relevant = torch.tensor(list(pairs), dtype=torch.int64).reshape(-1, 2).T
    return UniqueCaptions(tuple(places), torch.tensor(first, dtype=torch.int64), relevant)
