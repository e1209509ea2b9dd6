"""`CaptionScorer`: scores of named captions and images, whatever graph each matcher reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from graphmatch.caption_set import CaptionSet
from graphmatch.chosen import Chosen
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.feature_store import FeatureStore
from graphmatch.model_scores import DTYPES, Computing, LoadedMatcher
from graphmatch.pair_scores import score_pairs
from graphmatch.rows import CaptionRow

Named = tuple[str, str]
"""Id of a caption and of an image; or of two captions, or of two images."""


class CaptionScorer:
    """Scores pairs by their ids, with the mean of several matchers; nothing that fails is lost.

    Args:
        models: the matchers.
        rows: captions with the graphs that they read.
        visuals: images or videos. Ids of COCO's images are also found by their number:
            `"000000000139"`, `"COCO_val2014_000000000139"` and `"139"` are one image.
        computing: numbers and threads.
    """

    def __init__(
        self,
        models: Sequence[LoadedMatcher],
        rows: Sequence[CaptionRow],
        visuals: FeatureStore,
        computing: Computing,
    ) -> None:
        self.models, self.visuals, self.computing = models, visuals, computing
        self.sets = [CaptionSet.for_matcher(rows, m.vocabulary, m.matcher) for m in models]
        self._texts = [{key: n for n, key in enumerate(found.ids)} for found in self.sets]
        self._failures: dict[str, str] = {}
        for found in self.sets:
            self._failures |= dict(found.failures)
        self._bad = {key for key, _ in visuals.failures}
        numbers = Counter(map(coco_number, visuals.ids))
        self._numbers = {
            coco_number(key): place
            for place, key in enumerate(visuals.ids)
            if numbers[coco_number(key)] == 1
        }

    def caption_problem(self, key: str) -> str | None:
        """Why a caption cannot be scored.

        Args:
            key: its id.

        Returns:
            The reason; None if it can.
        """
        if all(key in texts for texts in self._texts):
            return None
        reason = self._failures.get(key)
        return "the caption is not there" if reason is None else f"caption failed: {reason}"

    def image_problem(self, key: str) -> str | None:
        """Why an image cannot be scored.

        Args:
            key: its id.

        Returns:
            The reason; None if it can.
        """
        place = self._image(key)
        if place is None:
            return "the image is not in the store"
        return "the image failed in the store" if self.visuals.ids[place] in self._bad else None

    def _image(self, key: str) -> int | None:
        if key in self.visuals:
            return self.visuals.position(key)
        return self._numbers.get(coco_number(key))

    def scores(self, pairs: Sequence[Named]) -> NDArray[np.float64]:
        """Scores of captions and images.

        Args:
            pairs: ids of captions and images that have no problem.

        Returns:
            [P] mean of the matchers' scores.

        Raises:
            GraphError: a score that is not finite.
        """
        images = np.array([self._image(image) for _, image in pairs], dtype=np.int64)
        places, row = np.unique(images, return_inverse=True)
        total = np.zeros(len(pairs))
        for model, captions, texts in zip(self.models, self.sets, self._texts, strict=True):
            column = np.array([texts[key] for key, _ in pairs], dtype=np.int64)
            total += score_pairs(
                model.matcher,
                captions,
                Chosen(self.visuals.graph, places.tolist()),
                np.stack((row, column)),
                dtype=DTYPES[self.computing.dtype],
                progress=self.computing.progress,
            )
        return total / len(self.models)

    def cosines(self, pairs: Sequence[Named], *, images: bool) -> NDArray[np.float64] | None:
        """Cosines of pooled vectors of two captions, or of two images.

        Args:
            pairs: ids that have no problem.
            images: whether they are ids of images.

        Returns:
            [P] mean of the matchers' cosines; None if a matcher has no pooled vectors.

        Raises:
            GraphError: a cosine that is not finite.
        """
        total = np.zeros(len(pairs))
        for model, captions, texts in zip(self.models, self.sets, self._texts, strict=True):
            if images:
                ids = [[self._image(key) for key in pair] for pair in pairs]
            else:
                ids = [[texts[key] for key in pair] for pair in pairs]
            places, which = np.unique(np.array(ids, dtype=np.int64), return_inverse=True)
            if images:
                graphs = Chosen(self.visuals.graph, places.tolist())
                encoded = encode_visuals(model.matcher, graphs)
            else:
                encoded = encode_texts(model.matcher, Chosen(captions.__getitem__, places.tolist()))
            vectors = [part.pooled for part in encoded if part.pooled is not None]
            if len(vectors) < len(encoded):
                return None
            units = torch.nn.functional.normalize(torch.cat(vectors).double(), dim=1)
            left, right = units.cpu().numpy()[which.reshape(-1, 2).T]
            total += (left * right).sum(axis=1)
        return total / len(self.models)


def coco_number(key: str) -> str:
    """The number of one of COCO's images.

    Args:
        key: id of an image, or the name of its file without the suffix.

    Returns:
        Its number as text; another id as it is.

    Example:
        >>> coco_number("COCO_val2014_000000000139"), coco_number("000139"), coco_number("a_b")
        ('139', '139', 'a_b')
    """
    last = key.rpartition("/")[2].rpartition("_")[2]
    return str(int(last)) if last.isascii() and last.isdigit() else key
