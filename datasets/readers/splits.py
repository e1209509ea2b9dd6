"""Which split an image or video is in: by its captions, or by lists of ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from graphmatch.datasets.captions import Caption
from graphmatch.datasets.dataset import Visual


def owner_splits(captions: Iterable[Caption]) -> dict[str, str | None]:
    """Splits of images or videos of which only captions tell.

    Args:
        captions: captions with owner and split.

    Returns:
        Split by owner, in the order of their first captions; None for one in several splits.

    Example:
        >>> owner_splits([Caption(id="1", owner="v", text="A dog.", split="train")])
        {'v': 'train'}
    """
    splits: dict[str, set[str | None]] = {}
    for caption in captions:
        if caption.owner is not None:
            splits.setdefault(caption.owner, set()).add(caption.split)
    return {id: next(iter(own)) if len(own) == 1 else None for id, own in splits.items()}


def assign_splits(visuals: Sequence[Visual], lists: Mapping[str, Iterable[str]]) -> list[Visual]:
    """Visuals with the splits in whose lists they are.

    Args:
        visuals: images, at least one.
        lists: ids by split.

    Returns:
        The visuals, without a split if they are in no list and with an error if they are in
        several; then the listed ids that are none of them, with an error.

    Example:
        >>> [v.split for v in assign_splits([Visual(id="7", kind="image")], {"test": ["7"]})]
        ['test']
    """
    found: dict[str, list[str]] = {}
    for split, ids in lists.items():
        for id in dict.fromkeys(ids):
            found.setdefault(id, []).append(split)
    assigned = []
    for visual in visuals:
        own = found.pop(visual.id, [])
        error = f"expected it in one list (got {', '.join(own)})" if len(own) > 1 else None
        first = own[0] if own else None
        assigned.append(replace(visual, split=first, error=visual.error or error))
    kind = visuals[0].kind
    missing = "listed, but no caption file has it"
    return assigned + [
        Visual(id=id, kind=kind, split=own[0], error=missing) for id, own in found.items()
    ]
