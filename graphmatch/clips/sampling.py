"""`Sampling`: which frames of a video are looked at, and what stretch of it each clip stands for.

Plain arithmetic on times. Frames are on screen from their own time to that of the next one, so
videos with a variable frame rate need no special care.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import ConfigError, FormatError

_MOST_CLIPS = 100_000
_SLIVER = 1e-6  # share of a clip's length below which a rest is no clip of its own


@dataclass(frozen=True, slots=True, eq=False)
class ClipPlan:
    """What to make of a video: L clips from K frames.

    Args:
        frame: [K] int64 frame numbers, ascending; a frame may be there twice.
        clip: [K] int64 the clip that each belongs to, ascending, no clip without a frame.
        time: [L, 2] float64 start and end of each clip in seconds: they lie side by side from 0
            to the end of the video.
    """

    frame: NDArray[np.int64]
    clip: NDArray[np.int64]
    time: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a video is sampled: one of `every`, `fps` and `frames`, or `seconds`, or both.

    `every`, `fps` and `frames` choose frames, and each frame is a clip. `seconds` cuts the video
    into clips of a fixed length: of all frames, or of those that `every` or `fps` choose.

    Args:
        every: every n-th frame, from the first.
        fps: frames a second: those nearest to k / fps. Clip k is [k / fps, (k + 1) / fps].
        frames: this many: those nearest to the middles of as many equal parts of the video.
        seconds: length of a clip; the last one ends with the video.

    Raises:
        ConfigError: nothing, too much, or an impossible number.

    Example:
        >>> plan = Sampling(seconds=2.0).plan(np.arange(10) / 2, 5.0)
        >>> plan.clip.tolist(), plan.time.tolist()
        ([0, 0, 0, 0, 1, 1, 1, 1, 2, 2], [[0.0, 2.0], [2.0, 4.0], [4.0, 5.0]])
    """

    every: int | None = None
    fps: float | None = None
    frames: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        chosen = [name for name in ("every", "fps", "frames") if getattr(self, name) is not None]
        if len(chosen) > 1 or (self.seconds is None and not chosen):
            raise ConfigError(
                "expected one of every, fps and frames, or seconds "
                f"(got {' and '.join(chosen) or 'none of them'})"
            )
        if self.frames is not None and self.seconds is not None:
            raise ConfigError(
                "expected frames or seconds, not both; seconds goes with every or fps"
            )
        for name in ("every", "fps", "frames", "seconds"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name}: expected a number above 0 (got {value})")

    def plan(self, times: NDArray[np.float64], duration: float) -> ClipPlan:
        """The frames and clips of one video.

        Args:
            times: [n] when each frame appears, in seconds, ascending, in [0, duration].
            duration: of the video in seconds.

        Returns:
            The plan.

        Raises:
            FormatError: no frame, or more than 100,000 clips: the duration is probably wrong.
        """
        if not len(times):
            raise FormatError("expected a frame or more (got none)")
        if self.every is not None:
            frame = np.arange(0, len(times), self.every)
            bounds = np.append(times[frame], duration)
            bounds[0] = 0.0
        elif self.fps is not None:
            bounds = _grid(1 / self.fps, duration)
            frame = nearest(times, bounds[:-1])
        elif self.frames is not None:
            bounds = np.linspace(0, duration, self.frames + 1)
            frame = nearest(times, (bounds[:-1] + bounds[1:]) / 2)
        else:
            frame = np.arange(len(times))
            bounds = np.append(times, duration)
        clip = np.arange(len(frame))
        if self.seconds is not None:
            bounds = _grid(self.seconds, duration)
            frame, clip = _grouped(times, frame, bounds)
        return ClipPlan(frame, clip, np.stack((bounds[:-1], bounds[1:]), axis=1))


def nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """The frames whose times are nearest to given ones; of two that are as near, the earlier.

    Args:
        times: [n] seconds, ascending, n > 0.
        wanted: [K] seconds.

    Returns:
        [K] frame numbers.

    Example:
        >>> nearest(np.array([0.0, 1.0, 1.5]), np.array([0.5, 1.4, 9.0])).tolist()
        [0, 2, 2]
    """
    after = np.searchsorted(times, wanted).clip(1, max(len(times) - 1, 1))  # [K]
    if len(times) == 1:
        return np.zeros(len(wanted), np.int64)
    closer = times[after] - wanted < wanted - times[after - 1]
    return np.where(closer, after, after - 1)


def _grid(length: float, duration: float) -> NDArray[np.float64]:
    """Bounds of the parts of a length from 0 to the end of the video: [L + 1], L from 1."""
    if duration / length > _MOST_CLIPS:
        raise FormatError(
            f"expected at most {_MOST_CLIPS:,} clips (got a duration of {duration:g} s in clips of "
            f"{length:g} s); the file may state a wrong duration"
        )
    count = max(1, math.ceil(duration / length - _SLIVER))
    bounds = np.arange(count + 1, dtype=np.float64) * length  # [L + 1]
    bounds[-1] = duration
    return bounds


def _grouped(
    times: NDArray[np.float64], frame: NDArray[np.int64], bounds: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frames by clip; a clip in which none appears gets the one on screen when it starts."""
    clips = len(bounds) - 1
    clip = (np.searchsorted(bounds, times[frame], side="right") - 1).clip(0, clips - 1)
    empty = np.setdiff1d(np.arange(clips), clip)
    shown = (np.searchsorted(times, bounds[empty], side="right") - 1).clip(0)
    frame, clip = np.append(frame, shown), np.append(clip, empty)
    order = np.lexsort((frame, clip))
    return frame[order], clip[order]
