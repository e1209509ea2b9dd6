"""`RegionDescriber`: a feature of each region, pooled from the maps of a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.backbone import Backbone
from graphmatch.regions.base import Photo, Regions, fingerprint
from graphmatch.regions.efficientnet import load_efficientnet_lite0
from graphmatch.regions.projection import Projection, load_projection
from graphmatch.regions.resize import stretch
from graphmatch.regions.roi_pool import roi_pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How the part of a feature that comes from one map is scaled before parts are joined.

    Args:
        root: take the signed square root of each number first (power normalisation).
        length: the part's length afterwards; None leaves it as it is. Zero stays zero.

    Example:
        >>> Scaling(root=True, length=5.0)(torch.tensor([[9.0, -16.0]])).tolist()
        [[3.0, -4.0]]
    """

    root: bool = False
    length: float | None = None

    def __call__(self, part: Tensor) -> Tensor:
        """[N, C] to [N, C]; the root is not differentiable at zero."""
        if self.root:
            part = part.sign() * part.abs().sqrt()
        return part if self.length is None else F.normalize(part, dim=1) * self.length


LITE0_SCALING = (Scaling(length=0.5), Scaling(root=True, length=1.0))
"""For the maps of EfficientNet-Lite0: half the weight for the shallow one."""


def with_whole_image(regions: Regions) -> Regions:
    """Regions and the whole image as one more, the last: score 1, label -1.

    Args:
        regions: R regions of an image.

    Returns:
        R + 1 regions. If they have features or class distributions, the whole image has their mean
        (as the image feature of ViLBERT, Lu et al., 2019, section 3.1), zero if there are none.

    Example:
        >>> none = Regions(size=(640, 480), box=torch.zeros(0, 4),
        ...                label=torch.zeros(0, dtype=torch.int64), score=torch.zeros(0))
        >>> with_whole_image(none).box.tolist()
        [[0.0, 0.0, 640.0, 480.0]]
    """

    def with_mean(value: Tensor | None) -> Tensor | None:
        if value is None:
            return None
        return torch.cat([value, value.sum(dim=0, keepdim=True) / max(len(regions), 1)])

    return Regions(
        size=regions.size,
        box=torch.cat([regions.box, regions.box.new_tensor([[0, 0, *regions.size]])]),
        label=torch.cat([regions.label, regions.label.new_tensor([-1])]),
        score=torch.cat([regions.score, regions.score.new_ones(1)]),
        feature=with_mean(regions.feature),
        probability=with_mean(regions.probability),
    )


def pool_regions(
    maps: Sequence[Tensor],
    box: Tensor,
    image: Tensor,
    *,
    samples: int = 3,
    scaling: Sequence[Scaling] | None = None,
) -> Tensor:
    """Features of regions from the feature maps of their images.

    Args:
        maps: [B, C, h, w] a map; maps may differ in all sizes but B.
        box: [N, 4] float32 x1 y1 x2 y2 in [0, 1] of the image's width and height.
        image: [N] int64 in [0, B), the image of each box.
        samples: bilinear samples along each side of a box, see `roi_pool`.
        scaling: of each map's part; None joins the parts as they are.

    Returns:
        [N, sum of C] float32, the parts side by side in the order of the maps. Differentiable in
        the maps.

    Raises:
        ConfigError: not as many scalings as maps.
        GraphError: as `roi_pool`.
    """
    scaling = [Scaling()] * len(maps) if scaling is None else scaling
    if len(scaling) != len(maps):
        raise ConfigError(f"expected {len(maps)} scalings, one a map (got {len(scaling)})")
    return torch.cat(
        [
            scale(roi_pool(one.float(), box, image, samples))  # [N, C]
            for scale, one in zip(scaling, maps, strict=True)
        ],
        dim=1,
    )


class RegionDescriber:
    """Features of regions by a backbone, RoI pooling, and perhaps a projection.

    Each photograph is stretched to the backbone's square input, once for all its regions. The
    results do not require gradients, and can be inputs of what does.

    Args:
        backbone: gives the maps, on the device of its weights.
        samples: bilinear samples along each side of a box.
        scaling: of the part of each map; None joins the parts as they are.
        projection: applied to the joined parts.
        batch_size: photographs in one call of the network; None is one on a CPU, where larger
            activations no longer fit its cache, and all that are given elsewhere.

    Raises:
        ConfigError: not as many scalings as maps, a projection of another width, an impossible
            number.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        samples: int = 3,
        scaling: Sequence[Scaling] | None = None,
        projection: Projection | None = None,
        batch_size: int | None = None,
    ) -> None:
        if samples < 1 or (batch_size is not None and batch_size < 1):
            raise ConfigError(
                f"expected samples and batch_size from 1 (got {samples} and {batch_size})"
            )
        if scaling is not None and len(scaling) != len(backbone.channels):
            raise ConfigError(
                f"{backbone.name} has {len(backbone.channels)} maps: expected as many scalings "
                f"(got {len(scaling)})"
            )
        joined = sum(backbone.channels)
        if projection is not None and projection.mean.size(0) != joined:
            raise ConfigError(
                f"{backbone.name} gives {joined} numbers a region: expected a projection of as "
                f"many (got one of {projection.mean.size(0)})"
            )
        self.name = backbone.name
        self.width = joined if projection is None else projection.width
        self.version = fingerprint(
            backbone.version,
            backbone.side,
            samples,
            scaling if scaling is None else tuple(scaling),
            projection if projection is None else projection.version,
        )
        self._backbone = backbone
        self._samples = samples
        self._scaling = scaling
        self._projection = projection
        self._batch_size = batch_size

    def describe(self, photos: Sequence[Photo], regions: Sequence[Regions]) -> list[Tensor]:
        """Features of the regions of photographs.

        Args:
            photos: B photographs.
            regions: of each photograph, boxes in pixels of `Photo.size`.

        Returns:
            [R, width] float32 a photograph, on the device of its boxes. Synchronises the device.

        Raises:
            GraphError: not as many of the one as of the other, regions of an image of another size,
                boxes that are not finite.
        """
        if len(photos) != len(regions):
            raise GraphError(
                f"expected the regions of each photograph "
                f"(got {len(photos)} photographs and regions of {len(regions)})"
            )
        for photo, one in zip(photos, regions, strict=True):
            if photo.size != one.size:
                raise GraphError(
                    f"{photo.id!r}: expected regions of an image of {photo.size} pixels "
                    f"(got {one.size})"
                )
        step = self._batch_size
        if step is None:
            step = 1 if self._backbone.device.type == "cpu" else max(len(photos), 1)
        features = []
        for start in range(0, len(photos), step):
            batch = slice(start, start + step)
            features += self._describe(photos[batch], regions[batch])
        return features

    @torch.no_grad()  # not inference mode, whose results no layer could be trained on
    def _describe(self, photos: Sequence[Photo], regions: Sequence[Regions]) -> list[Tensor]:
        side, device = self._backbone.side, self._backbone.device
        images = torch.stack([stretch(photo.pixels, side, side) for photo in photos])
        maps = self._backbone.maps(images.to(device))  # [B, C, h, w] a map
        counts = [len(one) for one in regions]
        box = torch.cat([one.box / one.box.new_tensor([one.size * 2]) for one in regions])  # [N, 4]
        image = torch.repeat_interleave(torch.tensor(counts))  # [N]
        feature = pool_regions(
            maps,
            box.to(device),
            image.to(device),
            samples=self._samples,
            scaling=self._scaling,
        )
        if self._projection is not None:
            feature = self._projection(feature)  # [N, K]
        return [
            part.to(one.box.device)
            for part, one in zip(torch.split(feature, counts), regions, strict=True)
        ]


def load_lite0_describer(
    weights: str | Path, projection: str | Path | None = None
) -> RegionDescriber:
    """Features from EfficientNet-Lite0.

    Of each region the 112 channels at stride 16, with length 0.5, and the square roots of the 1,280
    at stride 32, with length 1; if there is a projection, its components of these 1,392 numbers.

    Args:
        weights: a file for `load_efficientnet_lite0`, for example `packaged_weights()`.
        projection: a file for `load_projection`.

    Returns:
        The describer, on the CPU.

    Raises:
        FormatError: a file cannot be read.
        CheckpointError: the weights do not fit.
        ConfigError: the projection does not fit.

    Example:
        >>> from graphmatch.regions.efficientnet import packaged_weights
        >>> load_lite0_describer(packaged_weights()).width
        1392
    """
    return RegionDescriber(
        load_efficientnet_lite0(weights),
        scaling=LITE0_SCALING,
        projection=None if projection is None else load_projection(projection),
    )
