"""`describe_video`: a video file becomes features of its clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphmatch.clips.sampling import Sampling
from graphmatch.clips.video import Frame, probe_video, read_frames
from graphmatch.errors import ConfigError
from graphmatch.feature_record import FeatureRecord
from graphmatch.prefetch import prefetch
from graphmatch.regions.backbone import Backbone
from graphmatch.regions.resize import stretch

_AHEAD = 4  # batches of frames that wait for the backbone


def describe_video(
    path: str | Path,
    *,
    backbone: Backbone,
    sampling: Sampling,
    id: str | None = None,
    side: int | None = None,
    batch_size: int | None = None,
    partial: bool = False,
) -> FeatureRecord:
    r"""Sample a video and compute a feature of each clip.

    The feature of a frame is the mean over the cells of the backbone's last map; that of a clip is
    the mean over its frames. A frame that several clips look at is computed once. Frames are
    decoded in a thread of their own, `batch_size` of them go through the backbone at once; memory
    holds a few such batches and the features of the clips.

    Args:
        path: the file.
        backbone: the image network.
        sampling: which frames, and what clips.
        id: of the video; the file's name without its suffix if None.
        side: width and height in pixels to which frames are stretched; the backbone's own if None.
        batch_size: frames that the backbone sees at once; None is one on a CPU, where larger
            activations no longer fit its cache, and 16 elsewhere.
        partial: take what is there of a damaged or truncated file, instead of an error.

    Returns:
        A record of kind `clips`: feature [L, C] float32, time [L, 2] and duration in seconds; its
        `clips()` is the `ClipGraph`.

    Raises:
        ConfigError: PyAV is missing, or an impossible number.
        FormatError: no video, a damaged or a truncated one.

    Example:
        >>> import tempfile
        >>> from graphmatch.regions.efficientnet import EfficientNetLite0
        >>> path = Path(tempfile.mkdtemp()) / "grey.y4m"
        >>> _ = path.write_bytes(b"YUV4MPEG2 W2 H1 F10:1 Cmono\n" + 3 * b"FRAME\n\x80\x80")
        >>> record = describe_video(path, backbone=EfficientNetLite0(), side=32,
        ...                         sampling=Sampling(seconds=0.2))
        >>> record.clips()
        ClipGraph(2 clips in 0.3 s; 1280 features)
    """
    side = backbone.side if side is None else side
    if batch_size is None:
        batch_size = 1 if backbone.device.type == "cpu" else 16
    if side < 1 or batch_size < 1:
        raise ConfigError(f"expected side and batch_size from 1 (got {side} and {batch_size})")
    video = probe_video(path, partial=partial)
    plan = sampling.plan(video.times, video.duration)
    numbers, inverse = np.unique(plan.frame, return_inverse=True)  # [U], [K]
    bounds = np.append(np.searchsorted(plan.frame, numbers), len(plan.frame))  # [U + 1]
    clip = torch.from_numpy(plan.clip)
    feature = torch.zeros(len(plan.time), backbone.channels[-1])  # [L, C]
    done = 0
    images = _batches(read_frames(video, numbers, partial=partial), side, batch_size)
    for batch in prefetch(images, _AHEAD):
        pooled = _pooled(backbone, batch)  # [B, C]
        looks = slice(bounds[done], bounds[done + len(batch)])  # at these frames
        feature.index_add_(0, clip[looks], pooled[inverse[looks] - done])
        done += len(batch)
    feature /= torch.bincount(clip).unsqueeze(1)
    columns = {"feature": feature.numpy(), "time": plan.time, "duration": np.array(video.duration)}
    return FeatureRecord(id=Path(path).stem if id is None else id, columns=columns)


def _batches(frames: Iterator[Frame], side: int, size: int) -> Iterator[Tensor]:
    """[B, 3, side, side] uint8 images of frames."""
    images: Iterable[Tensor] = (stretch(frame.pixels, side, side) for frame in frames)
    while batch := list(islice(images, size)):
        yield torch.stack(batch)


@torch.inference_mode()
def _pooled(backbone: Backbone, images: Tensor) -> Tensor:
    """[B, C] float32 on the CPU: the mean over the cells of the last map."""
    last = backbone.maps(images.to(backbone.device))[-1]  # [B, C, h, w]
    return last.float().mean(dim=(2, 3)).cpu()
