"""Which word pieces of a caption are masked, and what stands in their place.

Source: InterBERT (arXiv 2003.13198), masked segment modelling; official code,
`bertmodel/datasets/concept_cap_dataset.py`. The paper and the code differ:

| rule | chosen word pieces of n | share |
|---|---|---|
| `paper` | each is an anchor with p = 0.10; from it on, 1 to 5 pieces (3 on average) | 23 to 25 % |
| `released` | one span from randint(0, n), of randint(1, n) pieces; none if n <= 3 | 34 to 35 % |
| `plain` | each with p = 0.15: the code without `--span_mask` | 15 % |

A chosen piece becomes [MASK] with p = 0.8, a random entry of the vocabulary with p = 0.1, and
stays as it is otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphmatch.errors import GraphError, check_choice
from graphmatch.masking.draws import Draws

TokenRule = Literal["paper", "released", "plain"]
"""How word pieces are chosen."""
NOT_SCORED = -1
"""The label of what the model need not guess."""

_ANCHOR = 0.10
_LENGTHS = (1, 5)  # only the mean, 3, is known: uniform, as the released ones are
_PLAIN = 0.15
_MASKED, _REPLACED = 0.8, 0.9  # upper ends of the two shares


class MaskedTokens(NamedTuple):
    """A caption after masking.

    Args:
        ids: n ids, those that the model sees.
        label: n ids: the original one where it is to be guessed, else -1.
    """

    ids: list[int]
    label: list[int]


def mask_tokens(
    ids: Sequence[int],
    draws: Draws,
    *,
    mask_id: int,
    vocabulary: Sequence[int],
    rule: TokenRule = "paper",
) -> MaskedTokens:
    """Mask word pieces of one caption.

    The draws are, in this order: `paper`: a uniform number a piece, and after that of an anchor
    its length; `released`: start and length. Then a uniform number a chosen piece (`plain`: the
    only one, a piece), and after it the entry of the vocabulary where one is needed.

    Args:
        ids: n ids of the caption's own pieces: special symbols around them are added later and so
            are never masked.
        draws: the random numbers.
        mask_id: id of [MASK].
        vocabulary: ids of which a random one replaces a piece; `range(V)` as in the official code.
        rule: how pieces are chosen.

    Returns:
        The ids and the labels; `ids` is left as it is.

    Raises:
        ConfigError: an unknown rule.

    Example:
        >>> from random import Random
        >>> mask_tokens([7, 8, 9, 10, 11], Random(7), mask_id=4, vocabulary=range(30))
        MaskedTokens(ids=[7, 8, 9, 4, 4], label=[-1, -1, -1, 10, 11])
    """
    check_choice("token rule", rule, get_args(TokenRule))
    share = _PLAIN if rule == "plain" else 1.0
    masked, label = list(ids), [NOT_SCORED] * len(ids)
    for position in _candidates(len(ids), draws, rule):
        level = draws.random() / share
        if level >= 1:
            continue
        label[position] = ids[position]
        if level < _MASKED:
            masked[position] = mask_id
        elif level < _REPLACED:
            masked[position] = draws.choice(vocabulary)
    return MaskedTokens(masked, label)


def _candidates(count: int, draws: Draws, rule: TokenRule) -> Iterable[int]:
    if rule == "plain":
        return range(count)
    if rule == "released":
        if int(0.3 * count) == 0:
            return ()
        start = draws.randint(0, count)  # `count` itself masks nothing
        return range(start, min(start + draws.randint(1, count), count))
    lengths = [draws.randint(*_LENGTHS) if draws.random() < _ANCHOR else 0 for _ in range(count)]
    return segment_mask(torch.tensor(lengths, dtype=torch.int64)).nonzero().flatten().tolist()


def segment_mask(length: Tensor) -> Tensor:
    """Word pieces that segments cover: piece j if some i <= j has j < i + length_i.

    Args:
        length: [..., n] integers: how many pieces a segment covers from its anchor on, the anchor
            included; 0 where there is no anchor.

    Returns:
        [..., n] bool, the union of the segments, cut at the end.

    Raises:
        GraphError: no dimension, or lengths that are no integers.

    Example:
        >>> segment_mask(torch.tensor([0, 2, 0, 0, 3])).int().tolist()
        [0, 1, 1, 0, 1]
    """
    if length.dim() < 1 or length.is_floating_point() or length.dtype == torch.bool:
        kind = f"{length.dtype} {list(length.shape)}"
        raise GraphError(f"length: expected integers of shape [..., n] (got {kind})")
    position = torch.arange(length.size(-1), device=length.device)
    if not length.numel():
        return length > 0
    reach = (position + length).cummax(dim=-1).values  # [..., n] first piece that is not covered
    return position < reach
