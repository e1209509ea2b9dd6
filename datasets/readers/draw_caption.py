"""A caption that may belong to another image: the negatives of image-text matching.

Source: InterBERT, official code, `bertmodel/datasets/concept_cap_dataset.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphmatch.errors import ConfigError
from graphmatch.masking.draws import Draws


def draw_caption(
    pieces: Sequence[str],
    image: str,
    draws: Draws,
    *,
    captions: Sequence[Sequence[str]],
    images: Sequence[str],
) -> tuple[Sequence[str], bool]:
    """Keep the caption of an image, or with p = 1/2 take one of another image.

    The released loader does so before it masks anything. There, the id of a pair without its last
    character is the image's id.

    Args:
        pieces: word pieces of the image's own caption.
        image: the image's id.
        draws: the random numbers: a uniform one, then numbers of captions until one fits.
        captions: N captions to choose from, word pieces each.
        images: N ids, the image of each caption.

    Returns:
        Word pieces, and whether they are the image's own caption.

    Raises:
        ConfigError: no caption of another image, or not one image a caption.

    Example:
        >>> from random import Random
        >>> draw_caption(["a", "dog"], "7", Random(1), captions=[["a", "dog"], ["two", "cats"]],
        ...              images=["7", "8"])
        (['two', 'cats'], False)
    """
    if len(captions) != len(images):
        raise ConfigError(
            f"expected the image of each of {len(captions)} captions (got {len(images)})"
        )
    if all(other == image for other in images):
        raise ConfigError(f"expected a caption of another image than {image!r} (got none)")
    if draws.random() > 0.5:
        return pieces, True
    while images[number := draws.randint(0, len(images) - 1)] == image:
        pass
    return captions[number], False
