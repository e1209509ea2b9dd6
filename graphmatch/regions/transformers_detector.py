"""`TransformersDetector`: object detectors of `transformers`, with their embeddings of regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.regions.base import Photo, Regions, fingerprint
from graphmatch.regions.transformers_folder import (
    folder_fingerprint,
    import_transformers,
    load_image_processor,
    load_pretrained,
    load_tokenizer,
    read_config,
)

_OPEN_VOCABULARY = ("owlv2", "owlvit")


class TransformersDetector:
    """A detector with fixed classes: RT-DETR, D-FINE, DETR, YOLOS; implements `Detector`.

    `load_transformers_detector` makes one from a folder. The feature of a region is the last
    hidden state of the query that found it, so its width is the decoder's.

    Args:
        model: gives `logits` [B, Q, C], `pred_boxes` [B, Q, 4] and `last_hidden_state` [B, T, F],
            whose last Q are those of the queries.
        processor: its image processor: prepares images and turns outputs into boxes.
        labels: names of the classes.
        least_score: regions that do not score more are left out.
        top: regions of a photograph at most.
        name: for the manifest of a store.
        version: of weights and options.

    Raises:
        ConfigError: an impossible option.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        labels: Sequence[str],
        least_score: float = 0.05,
        top: int = 100,
        name: str = "transformers",
        version: str = "",
    ) -> None:
        if not 0 <= least_score <= 1 or top < 1:
            raise ConfigError(
                f"expected least_score in [0, 1] and top of 1 or more (got {least_score} and {top})"
            )
        self.model, self.processor = model, processor
        self.labels = tuple(labels)
        self.name, self.version = name, version
        self._least_score, self._top = least_score, top

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @torch.no_grad()
    def detect(self, photos: Sequence[Photo]) -> list[Regions]:
        """Regions of each photograph with features [R, F], best first, on the CPU.

        Photographs whose prepared images have one size are run as one batch; none is padded to
        the size of another, so the result does not depend on the batch.

        Args:
            photos: any number; all of them are prepared before the first is run.

        Returns:
            Regions of each, boxes in pixels of `Photo.size`.

        Raises:
            GraphError: the network gives NaN, or does not take a photograph of such a shape.
        """
        prepared = [self.prepare(photo) for photo in photos]
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, inputs in enumerate(prepared):
            groups.setdefault(tuple(inputs["pixel_values"].shape), []).append(place)
        found: dict[int, Regions] = {}
        for places in groups.values():
            batch = {
                name: torch.cat([prepared[place][name] for place in places]).to(self.device)
                for name in prepared[places[0]]
            }
            sizes = [photos[place].size for place in places]
            found.update(zip(places, self._regions(batch, sizes), strict=True))
        return [found[place] for place in range(len(photos))]

    def prepare(self, photo: Photo) -> Mapping[str, Tensor]:
        """Inputs of the network for one photograph.

        Args:
            photo: the photograph.

        Returns:
            `pixel_values` [1, 3, H, W] and what else the network takes.

        Raises:
            GraphError: the processor does not take a photograph of this shape.
        """
        from PIL import Image

        # an image, not an array: arrays of 3 rows could have their channels first
        image = Image.fromarray(photo.pixels)
        try:
            return dict(self.processor(images=[image], return_tensors="pt"))
        except ValueError as error:  # a side of it becomes 0 pixels
            raise GraphError(
                f"expected an image that {type(self.processor).__name__} takes "
                f"(got {image.width} x {image.height} pixels: {error})"
            ) from error

    def run(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network.

        Args:
            inputs: what `prepare` gives, of one photograph or several.

        Returns:
            Logits [B, Q, C], boxes [B, Q, 4] as the processor takes them, features [B, Q, F].
        """
        output = self.model(**inputs)
        queries = output.logits.size(1)
        return output.logits, output.pred_boxes, output.last_hidden_state[:, -queries:]

    def _regions(
        self, batch: Mapping[str, Tensor], sizes: Sequence[tuple[int, int]]
    ) -> list[Regions]:
        logits, boxes, features = self.run(batch)
        if logits.isnan().any() or boxes.isnan().any():
            raise GraphError("expected numbers (got NaN); the model or its input is broken")
        # the processor does not tell which query found a region: it gets their numbers as boxes
        number = torch.zeros_like(boxes)
        number[..., 0] = torch.arange(boxes.size(1), device=boxes.device)
        rows = zip(
            sizes,
            features,
            self._decode(logits, boxes, [(height, width) for width, height in sizes]),
            self._decode(logits, number, [(1, 1)] * len(sizes)),
            strict=True,
        )
        return [self._best(*row) for row in rows]

    def _decode(
        self, logits: Tensor, boxes: Tensor, sizes: Sequence[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        decoded: list[dict[str, Tensor]] = self.processor.post_process_object_detection(
            SimpleNamespace(logits=logits, pred_boxes=boxes),
            threshold=self._least_score,
            target_sizes=torch.tensor(sizes, device=boxes.device),
        )
        return decoded

    def _best(
        self,
        size: tuple[int, int],
        features: Tensor,
        found: Mapping[str, Tensor],
        numbers: Mapping[str, Tensor],
    ) -> Regions:
        score = found["scores"]
        order = score.argsort(descending=True, stable=True)[: self._top]  # [R]
        query = numbers["boxes"][order, 0].long()
        box = found["boxes"][order].cpu().float().clamp(min=0)  # [R, 4]
        box = box.minimum(torch.tensor(size, dtype=torch.float32).repeat(2))
        return Regions(
            size=size,
            box=torch.cat([box[:, :2], box[:, 2:].maximum(box[:, :2])], dim=1),
            label=found["labels"][order].cpu(),
            score=score[order].cpu().float(),
            feature=features[query].cpu().float(),
        )


def load_transformers_detector(
    folder: str | Path,
    *,
    phrases: Sequence[str] = (),
    least_score: float = 0.05,
    top: int = 100,
    device: str | torch.device = "cpu",
) -> TransformersDetector:
    """A detector of `transformers` from a local folder.

    Fixed classes: whatever `AutoModelForObjectDetection` loads without timm or torchvision, such
    as RT-DETR, RT-DETR v2, D-FINE, DETR with a ResNet of transformers, and YOLOS. Open vocabulary:
    OWLv2 and OWL-ViT.

    Args:
        folder: `config.json`, weights as `*.safetensors`, `preprocessor_config.json`, and for
            phrases a tokenizer. Nothing is downloaded, no code in the folder is run, no pickle is
            read.
        phrases: what an open-vocabulary detector looks for, such as `"a photo of a dog"`; its
            labels. None for one with fixed classes.
        least_score: regions that do not score more are left out.
        top: regions of a photograph at most.
        device: where the model runs.

    Returns:
        The detector.

    Raises:
        ConfigError: `transformers` is not installed, the folder holds no such model, phrases are
            missing or not wanted, or an option is impossible.
        FormatError: a damaged file.
        CheckpointError: weights are missing.

    Example:
        >>> load_transformers_detector("rtdetr_v2_r18vd")
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: rtdetr_v2_r18vd: expected a folder with config.json and *.safetensors
    """  # noqa: E501
    folder = Path(folder)
    kind = read_config(folder).get("model_type")
    transformers = import_transformers()
    from transformers.models.auto.modeling_auto import MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES

    fixed = [*MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES]
    check_choice(f"model_type of {folder}", str(kind), [*fixed, *_OPEN_VOCABULARY])
    settings = fingerprint(folder_fingerprint(folder), tuple(phrases), float(least_score), top)
    name = f"transformers {kind} {folder.resolve().name}"
    version = f"transformers {transformers.__version__}, {settings}"
    if kind in _OPEN_VOCABULARY:
        from graphmatch.regions.owl_detector import OwlDetector

        return OwlDetector(
            load_pretrained(folder, transformers.AutoModelForZeroShotObjectDetection).to(device),
            load_image_processor(folder),
            load_tokenizer(folder),
            phrases=phrases,
            least_score=least_score,
            top=top,
            name=name,
            version=version,
        )
    if phrases:
        raise ConfigError(f"{folder}: expected no phrases (a {kind} has fixed classes)")
    model = load_pretrained(folder, transformers.AutoModelForObjectDetection).to(device)
    labels = model.config.id2label
    return TransformersDetector(
        model,
        load_image_processor(folder),
        labels=[labels[number] for number in range(len(labels))],
        least_score=least_score,
        top=top,
        name=name,
        version=version,
    )
