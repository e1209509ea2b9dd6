"""`extract_clips`: videos become a feature store of clips, resumable."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from graphmatch.clips.describe import describe_video
from graphmatch.clips.sampling import Sampling
from graphmatch.clips.video_sources import VideoSource
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_report import FeatureReport
from graphmatch.feature_writer import FeatureWriter
from graphmatch.regions.backbone import Backbone


def extract_clips(
    sources: Iterable[VideoSource],
    folder: str | Path,
    *,
    backbone: Backbone,
    sampling: Sampling,
    side: int | None = None,
    batch_size: int | None = None,
    partial: bool = False,
    dtype: str = "float32",
    force: bool = False,
    progress: Callable[[int], object] | None = None,
) -> FeatureReport:
    """Compute the features of the clips of videos and write them to a feature store.

    Run again with the same videos and options, videos that are in the store are kept and the rest
    is done. A video that cannot be used becomes a failed item with its error. Memory holds the
    clips of one video and a few batches of frames.

    Args:
        sources: the videos.
        folder: the store: new, empty, or of the same job.
        backbone: the image network.
        sampling: which frames, and what clips.
        side: width and height in pixels to which frames are stretched; the backbone's own if None.
        batch_size: frames that the backbone sees at once, see `describe_video`.
        partial: take what is there of damaged and truncated files, instead of failing them.
        dtype: of the stored features, `float32` or `float16`.
        force: throw away a store of another job.
        progress: called with 1 when a video is stored.

    Returns:
        Counts and failures.

    Raises:
        ConfigError: an impossible option, PyAV is missing, a folder that is no store, or a store of
            another job.
        OSError: the store cannot be written; what was committed stays.
    """
    side = backbone.side if side is None else side
    job = {
        "backbone": backbone.name,
        "backbone_version": backbone.version,
        "side": side,
        "sampling": asdict(sampling),
        "partial": partial,
    }
    describe = functools.partial(
        describe_video,
        backbone=backbone,
        sampling=sampling,
        side=side,
        batch_size=batch_size,
        partial=partial,
    )
    kept = added = 0
    failures = []
    with FeatureWriter(folder, kind="clips", job=job, dtype=dtype, force=force) as writer:
        for source in sources:
            if source.id in writer:
                kept += 1
                continue
            error = writer.add(_record(source, describe))
            added += 1
            writer.commit()  # a video is seconds of work
            if error is not None:
                failures.append((source.id, error))
            if progress is not None:
                progress(1)
        counts = writer.counts
    return FeatureReport(**counts, kept=kept, added=added, failures=failures)


def _record(source: VideoSource, describe: Callable[..., FeatureRecord]) -> FeatureRecord:
    if source.error is not None:
        return FeatureRecord(id=source.id, error=source.error)
    try:
        return describe(source.path, id=source.id)
    except (ConfigError, MemoryError):
        raise
    except (FormatError, OSError) as error:
        return FeatureRecord(id=source.id, error=str(error))
    except Exception as error:  # whatever a foreign backbone raises, it is one video's fault
        return FeatureRecord(id=source.id, error=f"{type(error).__name__}: {error}")
