"""`extract_regions`: images become a feature store of regions, resumable.

Reading and decoding, detection, and description each run in a thread of their own: with two cores
or more, the slowest of them sets the pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_report import FeatureReport
from graphmatch.feature_writer import FeatureWriter
from graphmatch.prefetch import prefetch
from graphmatch.regions.base import Describer, Detector, Photo, Regions
from graphmatch.regions.describe import with_whole_image
from graphmatch.regions.nms import drop_overlapping
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.photo_sources import PhotoSource

_AHEAD = 1  # finished batches that wait between two stages
_PIXELS = 2**24  # of a batch, so that large photographs do not add up


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionChoice:
    """Which of a detector's regions are kept.

    Args:
        top: the best so many; None keeps all.
        overlap: drop a region that overlaps a better one of any class by more than this
            intersection over union, and regions thinner than 2 pixels; None drops none.
        whole_image: add the whole image as the last region, with score 1 and label -1.
    """

    top: int | None = 20
    overlap: float | None = 0.7
    whole_image: bool = True

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 0:
            raise ConfigError(f"expected top from 0 (got {self.top})")
        if self.overlap is not None and not 0 <= self.overlap <= 1:
            raise ConfigError(f"expected an overlap in [0, 1] (got {self.overlap})")

    def __call__(self, regions: Regions) -> Regions:
        """The regions that are kept, best first."""
        if self.overlap is not None:
            kept = drop_overlapping(regions.box, regions.score, threshold=self.overlap)
        else:
            kept = torch.argsort(regions.score, descending=True, stable=True)
        regions = regions.select(kept[: self.top])
        return with_whole_image(regions) if self.whole_image else regions


def extract_regions(
    sources: Iterable[PhotoSource],
    folder: str | Path,
    *,
    detector: Detector,
    describer: Describer | None = None,
    choice: RegionChoice = RegionChoice(),  # frozen
    dtype: str = "float32",
    batch_size: int = 8,
    force: bool = False,
    progress: Callable[[int], object] | None = None,
) -> FeatureReport:
    """Find and describe the regions of images and write them to a feature store.

    Run again with the same images and options, images that are in the store are kept and the rest
    is done. An image that cannot be read, decoded or described becomes a failed item with its
    error. Memory holds a few batches, whatever the number of images.

    Args:
        sources: the images.
        folder: the store: new, empty, or of the same job.
        detector: finds regions.
        describer: computes the features of regions; None keeps the detector's own, or none.
        choice: which regions are kept.
        dtype: of the stored features, `float32` or `float16`.
        batch_size: images that detector and describer see at once.
        force: throw away a store of another job.
        progress: called, when a batch is stored, with the number of images that are in the store
            since the last call, kept ones included.

    Returns:
        Counts and failures.

    Raises:
        ConfigError: an impossible option, a folder that is no store, a store of another job, or one
            that another run is writing.
        OSError: the store cannot be written; what was committed stays.
    """
    if batch_size < 1:
        raise ConfigError(f"expected a batch_size from 1 (got {batch_size})")
    job = region_job(detector, describer, choice)
    kept = added = told = 0
    failures = []
    with FeatureWriter(folder, kind="regions", job=job, dtype=dtype, force=force) as writer:

        def new() -> Iterator[PhotoSource]:
            nonlocal kept
            for source in sources:
                if source.id in writer:
                    kept += 1
                else:
                    yield source

        decoded = prefetch(_decode(new(), batch_size), _AHEAD)
        found = prefetch((_detect(batch, detector, choice) for batch in decoded), _AHEAD)
        for batch in found:
            for item in _describe(batch, describer):
                error = writer.add(_record(item))
                if error is not None:
                    failures.append((item.id, error))
            added += len(batch)
            if progress is not None:
                told += (now := kept + added - told)
                progress(now)
        if progress is not None and kept + added > told:
            progress(kept + added - told)
        counts = writer.counts
    return FeatureReport(**counts, kept=kept, added=added, failures=failures)


def region_job(
    detector: Detector, describer: Describer | None, choice: RegionChoice
) -> Mapping[str, Any]:
    """What makes a store of regions: values of its manifest.

    Args:
        detector: finds regions.
        describer: computes their features.
        choice: which regions are kept.

    Returns:
        Plain values of JSON by name.
    """
    return {
        "detector": detector.name,
        "detector_version": detector.version,
        "labels": list(detector.labels),
        "features": describer.name if describer else None,
        "features_version": describer.version if describer else None,
        "top": choice.top,
        "overlap": choice.overlap,
        "whole_image": choice.whole_image,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """An image on its way: its pixels, then its regions, or what went wrong."""

    id: str
    photo: Photo | None = None
    regions: Regions | None = None
    error: str | None = None


def _decode(sources: Iterator[PhotoSource], size: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    pixels = 0
    for source in sources:
        item = _decode_one(source)
        batch.append(item)
        pixels += 0 if item.photo is None else item.photo.pixels.size // 3
        if len(batch) == size or pixels >= _PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _decode_one(source: PhotoSource) -> _Item:
    if source.error is not None:
        return _Item(id=source.id, error=source.error)
    try:
        return _Item(id=source.id, photo=decode_photo(source.load(), source.id))
    except (FormatError, OSError) as error:
        return _Item(id=source.id, error=str(error))


def _detect(batch: list[_Item], detector: Detector, choice: RegionChoice) -> list[_Item]:
    def work(items: Sequence[_Item]) -> list[_Item]:
        photos = [item.photo for item in items if item.photo is not None]
        found = detector.detect(photos)
        return [
            replace(item, regions=choice(regions))
            for item, regions in zip(items, found, strict=True)
        ]

    return _each(work, batch)


def _describe(batch: list[_Item], describer: Describer | None) -> list[_Item]:
    if describer is None:
        return batch

    def work(items: Sequence[_Item]) -> list[_Item]:
        photos = [item.photo for item in items if item.photo is not None]
        regions = [item.regions for item in items if item.regions is not None]
        features = describer.describe(photos, regions)
        return [
            replace(item, regions=replace(one, feature=feature))
            for item, one, feature in zip(items, regions, features, strict=True)
        ]

    return _each(work, batch)


def _each(work: Callable[[Sequence[_Item]], list[_Item]], batch: list[_Item]) -> list[_Item]:
    """The work on all good items at once; one by one where that fails."""
    good = [item for item in batch if item.error is None]
    try:
        done = work(good) if good else []
    except (ConfigError, MemoryError):
        raise
    except Exception:  # whatever a foreign detector raises, it is one image's fault
        done = [_one(work, item) for item in good]
    results = iter(done)
    return [item if item.error is not None else next(results) for item in batch]


def _one(work: Callable[[Sequence[_Item]], list[_Item]], item: _Item) -> _Item:
    try:
        return work([item])[0]
    except (ConfigError, MemoryError):
        raise
    except Exception as error:
        return _Item(id=item.id, error=f"{type(error).__name__}: {error}")


def _record(item: _Item) -> FeatureRecord:
    regions = item.regions
    if regions is None:
        return FeatureRecord(id=item.id, error=item.error or "no regions")
    feature = regions.box.new_zeros(len(regions), 0) if regions.feature is None else regions.feature
    columns = {
        "feature": feature.numpy(force=True),  # of whatever device, with a graph or not
        "box": regions.box.numpy(force=True),
        "score": regions.score.numpy(force=True),
        "label": regions.label.numpy(force=True),
        "size": np.array(regions.size, np.int32),
    }
    if regions.probability is not None:
        columns["probability"] = regions.probability.numpy(force=True)
    return FeatureRecord(id=item.id, columns=columns)
