"""The arithmetic of MARN: floating-point operations (2 a multiply-add) of its products.

Element-wise work, and the attention over behaviours and modalities' tables, which are small, are
not counted.
"""

from __future__ import annotations

from graphmatch.models.marn_config import MARNConfig


def item_operations(config: MARNConfig, words: int) -> int:
    """Operations of encoding an item: title, alignment, both projections, fusion, D0.

    Args:
        config: with `item="marn"` and two discriminators.
        words: of a title, padding included.

    Returns:
        The number.
    """
    dim, modalities = config.dim, len(config.names)
    multiply_adds = modalities * (3 * dim * dim + (dim + modalities) * config.disc_hidden)
    for modality in config.modalities:
        multiply_adds += modality.size * dim
        if modality.kind == "words":
            length = max(words, *modality.kernels)
            multiply_adds += sum(
                (length - kernel + 1) * kernel * modality.widths[0] * modality.channels
                for kernel in modality.kernels
            )
    return 2 * multiply_adds


def recurrent_operations(config: MARNConfig, *, items: float, behaviours: float) -> float:
    """Operations of APGRU: W x once a distinct item, P p and U h once a behaviour.

    Args:
        config: with `recurrent="apgru"`.
        items: distinct ones.
        behaviours: real ones.

    Returns:
        The number; training takes three times as many, as each product has two derivatives.
    """
    hidden = config.hidden
    each = 2 * hidden * config.property_size + 3 * hidden * hidden
    return 2 * (items * 3 * hidden * config.dim + behaviours * each)
