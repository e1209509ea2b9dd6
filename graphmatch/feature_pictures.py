"""Items of a feature store as drawings and as text: regions on photographs, clips under frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from graphmatch.canvas import Canvas
from graphmatch.clip_picture import clip_picture
from graphmatch.clips.video import frames_at
from graphmatch.clips.video_sources import find_videos
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.region_picture import region_picture, whole_image
from graphmatch.regions.base import Photo, Regions
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.photo_sources import read_sources

_FRAMES = 5  # of a video that are drawn


def feature_canvases(
    store: FeatureStore,
    ids: Sequence[str],
    *,
    sources: Sequence[str | Path],
    top: int = 12,
    edges: int = 10,
) -> list[Canvas]:
    """Drawings of items of a store.

    Args:
        store: regions or clips.
        ids: which items.
        sources: the images or videos that the store was made from, as its command took them.
        top: regions that are drawn on a photograph, those with the best scores.
        edges: strongest polar edges between them that are drawn.

    Returns:
        One drawing an item, in the order of the ids.

    Raises:
        ConfigError: an unknown id, or an image or video that the sources do not have.
        FormatError: a failed item, a store without boxes or times, a damaged image or video.
        GraphError: a photograph of another size than the stored one.
    """
    records = [look_up(store, key) for key in ids]
    if not sources:
        what = "images" if store.kind == "regions" else "videos"
        raise ConfigError(f"expected the {what} to draw on (--source, as the store's command)")
    if store.kind == "clips":
        return [_clip_canvas(record, sources) for record in records]
    regions = {record.id: _best(record.regions(), top) for record in records}
    photos = find_photos(set(regions), sources)
    return [
        region_picture(photos[record.id], regions[record.id], labels=store.labels, edges=edges)
        for record in records
    ]


def _best(regions: Regions, top: int) -> Regions:
    """The regions with the best scores in their order, and the one that is the whole image."""
    whole = whole_image(regions)
    order = torch.argsort(regions.score.masked_fill(whole, -1), descending=True, stable=True)
    kept = whole.clone()
    kept[order[:top]] = True
    return regions.select(kept)


def find_photos(ids: set[str], sources: Sequence[str | Path]) -> dict[str, Photo]:
    """Photographs by id, decoded.

    Args:
        ids: which.
        sources: images, folders or archives that have them.

    Returns:
        All of them.

    Raises:
        ConfigError: one that the sources do not have.
        FormatError: a damaged one.
    """
    photos: dict[str, Photo] = {}
    for source in read_sources(sources):
        if source.id in ids:
            try:
                photos[source.id] = decode_photo(source.load(), source.id)
            except FormatError as error:
                raise FormatError(f"{source.id!r} cannot be drawn on: {error}") from error
            if len(photos) == len(ids):
                return photos
    raise _absent(min(ids - photos.keys()), sources)


def _clip_canvas(record: FeatureRecord, sources: Sequence[str | Path]) -> Canvas:
    graph = record.clips()
    frames, times = find_frames(record.id, float(graph.duration), sources)
    return clip_picture(record.id, frames, times=times, graph=graph)


def find_frames(
    key: str, seconds: float, sources: Sequence[str | Path]
) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Five frames of a video, in the middles of its fifths.

    Args:
        key: the video's id.
        seconds: its length.
        sources: videos or folders that have it.

    Returns:
        [H, W, 3] uint8 each, and their times in seconds.

    Raises:
        ConfigError: the sources do not have it.
        FormatError: a damaged video.
    """
    path = next((source.path for source in find_videos(sources) if source.id == key), None)
    if path is None:
        raise _absent(key, sources)
    return spread_frames(path, seconds)


def spread_frames(path: str | Path, seconds: float) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Five frames of a video file, in the middles of its fifths.

    Args:
        path: the file.
        seconds: its length.

    Returns:
        [H, W, 3] uint8 each, and their times in seconds.

    Raises:
        FormatError: a damaged video.
    """
    times = [seconds * (number + 0.5) / _FRAMES for number in range(_FRAMES)]
    return frames_at(path, times, partial=True), times


def feature_text(record: FeatureRecord, labels: Sequence[str] = ()) -> Iterator[str]:
    """An item as lines of text.

    Args:
        record: of regions or clips.
        labels: names of the classes.

    Yields:
        A line for the item, and one for each region (label, score, box in pixels) or clip (start
        and end in seconds).

    Raises:
        FormatError: a failed item, or one without boxes and times.

    Example:
        >>> import numpy as np
        >>> columns = {"feature": np.zeros((1, 4)), "time": np.array([[0, 2.5]]), "duration": 9.0}
        >>> list(feature_text(FeatureRecord(id="v", columns=columns)))
        ['v: 1 clips of 4 numbers, 9.00 s', '  0  0.00 to 2.50 s']
    """
    if "time" in record.columns:
        graph = record.clips()
        shape = f"{len(record)} clips of {graph.x.size(1)} numbers"
        yield f"{record.id}: {shape}, {float(graph.duration):.2f} s"
        for number, (start, end) in enumerate(graph.time.tolist()):
            yield f"{number:>3}  {start:.2f} to {end:.2f} s"
        return
    regions = record.regions()
    width = 0 if regions.feature is None else regions.feature.size(1)
    shape = f"{regions.size[0]} x {regions.size[1]} pixels"
    yield f"{record.id}: {len(record)} regions of {width} numbers, {shape}"
    for number, box in enumerate(regions.box.tolist()):
        label, score = int(regions.label[number]), float(regions.score[number])
        name = labels[label] if 0 <= label < len(labels) else ("-" if label < 0 else str(label))
        corners = " ".join(f"{edge:.1f}" for edge in box)
        yield f"{number:>3}  {name:<16} {score:.2f}  {corners}"


def look_up(store: FeatureStore, key: str) -> FeatureRecord:
    """An item that did not fail.

    Args:
        store: the store.
        key: the item's id.

    Returns:
        Its record.

    Raises:
        ConfigError: no such id; with the nearest one.
        FormatError: the item failed.
    """
    try:
        record = store[key]
    except KeyError as error:
        raise ConfigError(str(error.args[0])) from error
    if record.error is not None:
        raise FormatError(f"{key!r} failed: {record.error}")
    return record


def _absent(key: str, sources: Sequence[str | Path]) -> ConfigError:
    given = ", ".join(map(str, sources))
    return ConfigError(f"expected {key!r} among the sources (got {given}); give them as --source")
