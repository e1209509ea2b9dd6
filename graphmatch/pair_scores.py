"""`score_pairs`: scores of chosen pairs of captions and images, not of all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.errors import GraphError
from graphmatch.graphs.text import TextGraph
from graphmatch.models.matcher import Matcher

_BLOCK = 64  # images that are encoded together, with their captions
_TILE = 8  # images whose captions are scored together: the rest of such a tile costs little


def score_pairs(
    matcher: Matcher,
    texts: Sequence[TextGraph],
    visuals: Sequence[Any],
    pairs: NDArray[np.int64],
    *,
    dtype: torch.dtype | None = None,
    progress: bool = False,
) -> NDArray[np.float64]:
    """Scores of some pairs, for benchmarks in which each image has captions of its own.

    Images are gone through once, a few dozen at a time with their captions, so memory does not
    grow with their number. A caption of several images is encoded for each block of them.

    Args:
        matcher: scores the pairs, in evaluation mode, on its own device.
        texts: n_t captions, may be made lazily.
        visuals: n_v images or videos, may be read lazily.
        pairs: [2, P] positions of visual and caption.
        dtype: of the large matrix products, as in `score_matrix`.
        progress: show a bar, if the output is a terminal.

    Returns:
        [P] scores, float64; what `score_matrix` has at these places.

    Raises:
        GraphError: positions out of range, a score that is not finite; says of which pair.
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(2, -1)
    for places, items, what in zip(pairs, (visuals, texts), ("images", "captions"), strict=True):
        if len(places) and not 0 <= places.min() <= places.max() < len(items):
            raise GraphError(f"expected positions of {what} from 0 to {len(items) - 1}")
    scores = np.empty(pairs.shape[1])
    order = np.argsort(pairs[0], kind="stable")
    blocks = _groups(pairs[0][order], _BLOCK)
    off = None if progress else True  # None: off unless the output is a terminal
    with tqdm(total=len(order), unit=" pairs", unit_scale=True, disable=off) as bar:
        for start, end in blocks:
            chosen = order[start:end]
            scores[chosen] = _block(matcher, texts, visuals, pairs[:, chosen], dtype)
            bar.update(len(chosen))
    return scores


def _groups(places: NDArray[np.int64], size: int) -> list[tuple[int, int]]:
    """Ranges of ascending places that hold `size` different ones each."""
    fresh = np.concatenate([[True], np.diff(places) > 0]) if len(places) else np.zeros(0, bool)
    starts = [*np.flatnonzero(fresh)[::size].tolist(), len(places)]
    return list(pairwise(starts))


def _block(
    matcher: Matcher,
    texts: Sequence[TextGraph],
    visuals: Sequence[Any],
    pairs: NDArray[np.int64],
    dtype: torch.dtype | None,
) -> NDArray[np.float64]:
    images, row = np.unique(pairs[0], return_inverse=True)
    captions, column = np.unique(pairs[1], return_inverse=True)
    visual = Encoded.cat(encode_visuals(matcher, [visuals[place] for place in images.tolist()]))
    text = Encoded.cat(encode_texts(matcher, [texts[place] for place in captions.tolist()]))
    found = np.empty(len(row))
    training = matcher.training
    matcher.eval()
    try:
        with torch.no_grad():
            for start, end in _groups(row, _TILE):
                right, across = np.unique(column[start:end], return_inverse=True)
                left = slice(int(row[start]), int(row[end - 1]) + 1)
                tile = _score(matcher, visual[left], text[_index(right, text)], dtype)
                found[start:end] = tile[row[start:end] - left.start, across]
    finally:
        matcher.train(training)
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        image, caption = pairs[:, bad[0]].tolist()
        raise GraphError(
            f"expected finite scores (got {found[bad[0]]} for image {image} and caption {caption})"
        )
    return found


def _index(places: NDArray[np.int64], items: Encoded) -> Tensor:
    return torch.from_numpy(places).to(items.nodes.device)


def _score(
    matcher: Matcher, visual: Encoded, text: Encoded, dtype: torch.dtype | None
) -> NDArray[np.float64]:
    left = matcher.prepare_visual(visual.trim().to(dtype=dtype))
    right = matcher.prepare_text(text.trim().to(dtype=dtype))
    scores: NDArray[np.float64] = matcher.score_tile(left, right).double().cpu().numpy()
    return scores
