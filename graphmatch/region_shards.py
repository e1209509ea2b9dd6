"""`extract_region_shards`: regions of images found by several workers, in one feature store.

A worker makes a small store of each shard of images with `extract_regions`, in a folder beside the
store (`STORE.shards`); finished ones are added to the store in order, and removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from graphmatch.corpus import Engine, map_blocks
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_report import FeatureReport
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.region_job import RegionChoice, extract_regions, region_job
from graphmatch.regions.base import Describer, Detector
from graphmatch.regions.photo_sources import PhotoSource

Models = Callable[[], tuple[Detector, Describer | None]]
"""Loads a detector and a describer; can be pickled, so that every worker loads its own."""
_SHARD = re.compile(r"shard-\d{5,}-[0-9a-f]{32}(?:\.\d+\.tmp)?")


def extract_region_shards(
    sources: Iterable[PhotoSource],
    folder: str | Path,
    *,
    models: Models,
    choice: RegionChoice | None = None,
    dtype: str = "float32",
    batch_size: int = 8,
    shard_size: int = 256,
    force: bool = False,
    engine: Engine = map_blocks,
    progress: Callable[[int], object] | None = None,
) -> FeatureReport:
    """Find and describe the regions of images, a shard of images a worker at a time.

    The store is the one that `extract_regions` writes, file by file, if `batch_size` divides
    `shard_size`. Run again with the same images and options, images in the store and finished
    shards are kept.

    Args:
        sources: the images.
        folder: the store: new, empty, or of the same job.
        models: loads detector and describer, once a worker and once here.
        choice: which regions are kept; None is `RegionChoice()`.
        dtype: of the stored features, `float32` or `float16`.
        batch_size: images that detector and describer see at once.
        shard_size: images that a worker does at a time; lost if it is killed.
        force: throw away a store of another job.
        engine: does the shards, see `map_blocks` and `ray_blocks`.
        progress: called with the number of images in each shard when it is stored.

    Returns:
        Counts and failures.

    Raises:
        ConfigError: an impossible option, a folder that is no store, a store of another job, or one
            that another run is writing.
        OSError: the store cannot be written; what was committed stays.
    """
    if batch_size < 1 or shard_size < 1:
        raise ConfigError(
            f"expected batch_size and shard_size from 1 (got {batch_size} and {shard_size})"
        )
    folder = Path(folder)
    shards = folder.with_name(f"{folder.name}.shards")
    choice = choice or RegionChoice()
    job = region_job(*models(), choice)
    work = _ShardMaker(shards, models, choice, dtype, batch_size, job)
    kept = added = 0
    failures: list[tuple[str, str]] = []
    with FeatureWriter(folder, kind="regions", job=job, dtype=dtype, force=force) as writer:
        shards.mkdir(exist_ok=True)

        def missing() -> Iterator[_Shard]:
            nonlocal kept
            for number, shard in enumerate(_split(sources, shard_size)):
                new = [source for source in shard if source.id not in writer]
                kept += len(shard) - len(new)
                if new:
                    yield number, new

        told = 0
        for path, known in engine(work, missing()):
            for record in FeatureStore(path):
                error = writer.add(record)
                if error is not None:
                    failures.append((record.id, error))
                added += 1
            kept += known
            added -= known
            writer.commit()
            shutil.rmtree(path)
            if progress is not None:
                told += (now := kept + added - told)
                progress(now)
        if progress is not None and kept + added > told:
            progress(kept + added - told)
        counts = writer.counts
        _remove(shards)
    return FeatureReport(**counts, kept=kept, added=added, failures=failures)


_Shard = tuple[int, list[PhotoSource]]


@dataclass(frozen=True)
class _ShardMaker:
    """A shard of images becomes a store, unless an earlier run has made it."""

    folder: Path
    models: Models
    choice: RegionChoice
    dtype: str
    batch_size: int
    job: Mapping[str, Any]

    @cached_property
    def _loaded(self) -> tuple[Detector, Describer | None]:
        return self.models()

    def __call__(self, shard: _Shard) -> tuple[Path, int]:
        """The shard's store, and how many of its images an earlier run has done."""
        number, sources = shard
        made = [self.job, self.dtype, self.batch_size, [source.id for source in sources]]
        digest = hashlib.blake2b(json.dumps(made).encode(), digest_size=16).hexdigest()
        path = self.folder / f"shard-{number:05d}-{digest}"
        if path.exists() and _is_whole(path):
            return path, len(sources)
        detector, describer = self._loaded
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)
        try:
            extract_regions(
                sources,
                temporary,
                detector=detector,
                describer=describer,
                choice=self.choice,
                dtype=self.dtype,
                batch_size=self.batch_size,
            )
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return path, 0


def _is_whole(path: Path) -> bool:
    try:
        FeatureStore(path).verify()
    except FormatError:
        return False
    return True


def _split(sources: Iterable[PhotoSource], size: int) -> Iterator[list[PhotoSource]]:
    remaining = iter(sources)
    while shard := list(islice(remaining, size)):
        yield shard


def _remove(shards: Path) -> None:
    """Remove what killed workers and runs of other options left, and nothing else."""
    for entry in shards.iterdir():
        if _SHARD.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
    if not any(shards.iterdir()):
        shards.rmdir()
