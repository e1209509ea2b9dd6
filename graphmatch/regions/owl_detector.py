"""`OwlDetector`: OWLv2 and OWL-ViT, which find what phrases say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import ConfigError
from graphmatch.regions.base import Photo
from graphmatch.regions.transformers_detector import TransformersDetector


class OwlDetector(TransformersDetector):
    """A detector with an open vocabulary (Minderer et al., 2022 and 2023); implements `Detector`.

    `load_transformers_detector` makes one from a folder. Each patch of the image has a box, and
    the phrase it fits best is its label. The feature of a region is the patch's embedding, which
    the phrases are compared with; its length is 1. Phrases are embedded once.

    Args:
        model: `Owlv2ForObjectDetection` or `OwlViTForObjectDetection`.
        processor: its image processor.
        tokenizer: its tokenizer.
        phrases: what to look for; the labels.
        least_score: regions that do not score more are left out.
        top: regions of a photograph at most.
        name: for the manifest of a store.
        version: of weights and options.

    Raises:
        ConfigError: no phrases, one twice, empty or too long for the model; an impossible option;
            an image processor with other steps than the published one.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        tokenizer: Any,
        *,
        phrases: Sequence[str],
        least_score: float = 0.05,
        top: int = 100,
        name: str = "transformers",
        version: str = "",
    ) -> None:
        _check_phrases(phrases)
        super().__init__(
            model,
            processor,
            labels=phrases,
            least_score=least_score,
            top=top,
            name=name,
            version=version,
        )
        self._query = self._embed(tokenizer)  # [P, F]
        steps = ("do_rescale", "do_pad", "do_resize", "do_normalize")
        self._square = model.config.model_type == "owlv2"
        if self._square and not all(getattr(processor, step) for step in steps):
            raise ConfigError(f"expected an image processor with {', '.join(steps)}")

    @torch.no_grad()
    def _embed(self, tokenizer: Any) -> Tensor:
        limit = self.model.config.text_config.max_position_embeddings
        for phrase, ids in zip(self.labels, tokenizer([*self.labels])["input_ids"], strict=True):
            if len(ids) > limit:
                raise ConfigError(
                    f"expected phrases of at most {limit} word pieces (got {len(ids)}: {phrase!r})"
                )
        tokens = tokenizer(
            [*self.labels], padding="max_length", max_length=limit, return_tensors="pt"
        )
        towers = getattr(self.model, self.model.config.model_type)
        embedded = towers.get_text_features(
            input_ids=tokens["input_ids"].to(self.device),
            attention_mask=tokens["attention_mask"].to(self.device),
        )
        return torch.nn.functional.normalize(embedded.pooler_output, dim=1)

    def prepare(self, photo: Photo) -> Mapping[str, Tensor]:
        """Inputs of the network for one photograph.

        Args:
            photo: the photograph.

        Returns:
            `pixel_values` [1, 3, S, S]; OWLv2's are those of `square_pixels`.
        """
        if not self._square:
            return super().prepare(photo)
        processor = self.processor
        pixels = square_pixels(photo.pixels, processor.size["height"]) * processor.rescale_factor
        mean, std = (
            np.array(numbers, np.float32)[:, None, None]
            for numbers in (processor.image_mean, processor.image_std)
        )
        return {"pixel_values": torch.from_numpy((pixels - mean) / std).float()[None]}

    def run(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network.

        Args:
            inputs: what `prepare` gives, of one photograph or several.

        Returns:
            Logits [B, Q, C] of Q patches and C phrases, boxes [B, Q, 4], features [B, Q, F].
        """
        patches = self.model.image_embedder(inputs["pixel_values"])[0]  # [B, h, w, D]
        flat = patches.flatten(1, 2)  # [B, Q, D]
        query = self._query.expand(len(flat), -1, -1)  # [B, P, F]
        logits, features = self.model.class_predictor(flat, query)
        return logits, self.model.box_predictor(flat, patches), features


def square_pixels(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """OWLv2's resize: black below or right of the photograph makes it square, then it is scaled.

    Where it becomes smaller, it is blurred first by a Gaussian with a deviation of half of
    (reduction - 1) pixels, cut at 4 deviations. Samples are bilinear between pixel centres. Both
    mirror the square at its outermost pixel centres, as `scipy.ndimage` does in mode "mirror".

    Args:
        pixels: [H, W, 3] uint8.
        side: of the output in pixels.

    Returns:
        [3, side, side] from 0 to 255. The square itself is never allocated.

    Example:
        >>> square_pixels(np.full((1, 2, 3), 80, np.uint8), 2)[0].tolist()
        [[80.0, 80.0], [0.0, 0.0]]
    """
    height, width = pixels.shape[:2]
    weights = _resampling(max(height, width), side)  # [S, max(H, W)]; what is padded adds nothing
    down, across = weights[:, :height], weights[:, :width].T
    planes = pixels.transpose(2, 0, 1)  # [3, H, W]
    return np.stack([down @ plane.astype(np.float32) @ across for plane in planes])


def _resampling(size: int, count: int) -> NDArray[np.float32]:
    """[count, size] weight of each pixel of a line in each sample of it."""
    place = (np.arange(count) + 0.5) * (size / count) - 0.5
    first = np.floor(place).astype(np.intp)
    deviation = max(0.0, (size / count - 1) / 2)
    reach = int(4 * deviation + 0.5)
    offset = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offset / (deviation or 1.0)) ** 2)
    kernel /= kernel.sum()
    weights = np.zeros((count, size), np.float32)
    rows = np.arange(count)[:, None]
    for pixel, share in ((first, first + 1 - place), (first + 1, place - first)):
        blurred = _mirror(_mirror(pixel, size)[:, None] + offset, size)
        np.add.at(weights, (rows, blurred), share[:, None] * kernel)
    return weights


def _mirror(place: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Places outside of 0 to size - 1 mirrored at both ends."""
    period = max(1, 2 * (size - 1))
    place = np.abs(place) % period
    return np.minimum(place, period - place)


def _check_phrases(phrases: Sequence[str]) -> None:
    if isinstance(phrases, str) or not phrases:
        raise ConfigError(
            f"expected phrases to look for, a list of text (got {phrases!r}); this detector has "
            "no classes of its own"
        )
    for phrase in phrases:
        if not isinstance(phrase, str) or not phrase.strip():
            raise ConfigError(f"expected phrases that are text (got {phrase!r})")
    if len(set(phrases)) < len(phrases):
        twice = next(phrase for phrase in phrases if list(phrases).count(phrase) > 1)
        raise ConfigError(f"expected different phrases (got {twice!r} twice)")
