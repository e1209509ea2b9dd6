"""Videos: when their frames appear, and the pixels of those that are wanted.

Times come from the file's time stamps, so a variable frame rate needs no special care. They count
from the first frame. A few frames are in memory at a time, however long the video is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graphmatch.clips.decoder import (
    Decoded,
    decoded_frames,
    frames_of,
    opened,
    packets,
    stated_duration,
    usual_length,
)
from graphmatch.clips.sampling import nearest
from graphmatch.errors import ConfigError, FormatError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Video:
    """What a file says of its video, without the pixels.

    Args:
        path: the file.
        size: width and height in pixels of upright frames.
        times: [n] float64 seconds at which frames appear, ascending, the first at 0.
        duration: seconds until the last frame goes.
        start: the first frame's time stamp in seconds.
    """

    path: Path
    size: tuple[int, int]
    times: NDArray[np.float64]
    duration: float
    start: float


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame of a video.

    Args:
        time: when it appears, seconds.
        pixels: [H, W, 3] uint8 RGB, upright.
    """

    time: float
    pixels: NDArray[np.uint8] = field(repr=False)


def probe_video(path: str | Path, *, partial: bool = False, threads: int = 1) -> Video:
    r"""Times of a video's frames, its size and its duration.

    Reads the whole file but decodes only its first frame, except where time stamps are missing or
    run backwards: there frames are counted by decoding them. The duration is the one that the file
    states for its video, or where the last frame ends if it states none.

    Args:
        path: a video, an animated GIF or PNG, or a still picture (a video of one frame).
        partial: take a file that ends too early for what is there.
        threads: of the decoder; 0 is one a core.

    Returns:
        The video.

    Raises:
        ConfigError: PyAV is missing.
        FormatError: no such file, no video in it, nothing can be decoded, or the frames end clearly
            before the stated duration: by a second, or by a tenth of a video under 10 s.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "grey.y4m"
        >>> _ = path.write_bytes(b"YUV4MPEG2 W2 H1 F10:1 Cmono\n" + 3 * b"FRAME\n\x80\x80")
        >>> probe_video(path).times.tolist(), probe_video(path).duration
        ([0.0, 0.1, 0.2], 0.3)
    """
    path = Path(path)
    scan = _scan(path, threads)
    spans = scan.spans or [(one.time, one.length) for one in decoded_frames(path, threads)]
    if scan.first is None or not spans:
        raise FormatError(f"{path}: expected a video (got no frame that can be decoded)")
    times = np.array([time for time, _ in spans])  # [n]
    start = float(times[0])
    times -= start
    end = float(times[-1]) + (spans[-1][1] or scan.usual)
    duration, stated = end, scan.stated
    if stated is not None:
        reached, origin = (end, start) if scan.alone else (scan.reached, scan.origin)
        if scan.from_zero and abs(stated - origin - reached) < abs(stated - reached):
            stated -= origin
        missing = stated - reached
        if missing > _hole(stated) and not partial:
            raise FormatError(
                f"{path}: expected {stated:.1f} s (got {stated - missing:.1f} s): the file ends "
                "too early; the option partial takes what is there"
            )
        if missing <= _hole(stated) and scan.alone and stated >= times[-1]:
            duration = stated
    return Video(path=path, size=scan.first.size, times=times, duration=duration, start=start)


@dataclass(slots=True)
class _Scan:
    """What a file says without being decoded; seconds."""

    stated: float | None  # duration, of the video alone or of everything
    alone: bool
    usual: float  # length of a frame
    from_zero: bool  # the duration may count from time 0, not from the first frame: Matroska
    origin: float  # where everything that is there starts
    first: Decoded | None = None
    reached: float = 0.0  # and where it ends, from there on
    spans: list[tuple[float, float]] | None = None  # time and length of frames; None if unreliable


def _scan(path: Path, threads: int) -> _Scan:
    stamps: dict[int, int] = {}  # time and length of frames in ticks
    reliable, decoding = True, -np.inf
    with opened(path, threads) as (container, stream):
        stated, alone = stated_duration(container, stream)
        scan = _Scan(
            stated,
            alone,
            usual_length(stream),
            from_zero="matroska" in container.format.name,
            origin=(container.start_time or 0) / 1e6,
        )
        for packet in packets(container):
            length = packet.duration or 0
            if packet.pts is not None and packet.time_base:
                end = float((packet.pts + length) * packet.time_base) - scan.origin
                scan.reached = max(scan.reached, end)
            if packet.stream is not stream:
                continue
            if scan.first is None:
                scan.first = next((Decoded(0.0, 0.0, frame) for frame in frames_of(packet)), None)
            if packet.size == 0 or packet.is_discard:
                continue
            order = decoding if packet.dts is None else packet.dts
            reliable &= packet.pts is not None and packet.pts not in stamps and order >= decoding
            decoding = order
            if reliable:
                stamps[packet.pts] = length
        if reliable:
            tick = float(stream.time_base)
            scan.spans = [(stamp * tick, stamps[stamp] * tick) for stamp in sorted(stamps)]
    return scan


def read_frames(
    video: Video,
    numbers: Sequence[int] | NDArray[np.int64] | None = None,
    *,
    partial: bool = False,
    threads: int = 1,
) -> Iterator[Frame]:
    r"""Decode a video; only the frames that are wanted become pixels.

    In place of a frame that cannot be decoded comes the nearest one that can.

    Args:
        video: of `probe_video`.
        numbers: of the wanted frames, ascending, repeats allowed; None is every frame.
        partial: let the nearest frame stand in however far away it is.
        threads: of the decoder; 0 is one a core.

    Yields:
        The frames, all of `video.size`.

    Raises:
        ConfigError: numbers that do not ascend, or that the video has not.
        FormatError: nothing can be decoded near a wanted frame: for a second, or for a tenth of a
            video under 10 s.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "grey.y4m"
        >>> _ = path.write_bytes(b"YUV4MPEG2 W2 H1 F10:1 Cmono\n" + 3 * b"FRAME\n\x80\x80")
        >>> [frame.time for frame in read_frames(probe_video(path), [0, 2])]
        [0.0, 0.2]
    """
    wanted = video.times if numbers is None else video.times[_checked(numbers, len(video.times))]
    frames = decoded_frames(video.path, threads)
    shown = next(frames, None)
    following = next(frames, None)
    given: tuple[Decoded, Frame] | None = None
    for time in wanted + video.start:
        while shown and following and following.time - time < time - shown.time:
            shown, following = following, next(frames, None)
        if shown is None or (abs(shown.time - time) > _hole(video.duration) and not partial):
            got = f"the nearest is at {shown.time - video.start:.2f} s" if shown else "none"
            raise FormatError(
                f"{video.path}: expected a frame at {time - video.start:.2f} s that can be decoded "
                f"({got}): the file is damaged; the option partial takes what is there"
            )
        if given is None or given[0] is not shown:
            frame = Frame(shown.time - video.start, shown.pixels(video.size))
            given = shown, frame
        yield given[1]


def frames_at(
    path: str | Path, times: Sequence[float], *, partial: bool = False
) -> list[NDArray[np.uint8]]:
    r"""The frames nearest to given times.

    Args:
        path: a video.
        times: seconds, in any order; one outside the video gives its first or last frame.
        partial: see `probe_video`.

    Returns:
        [H, W, 3] uint8 RGB each, upright, all of one size, in the order of `times`.

    Raises:
        ConfigError: PyAV is missing.
        FormatError: as `probe_video` and `read_frames`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "grey.y4m"
        >>> _ = path.write_bytes(b"YUV4MPEG2 W2 H1 F10:1 Cmono\n" + 3 * b"FRAME\n\x80\x80")
        >>> frames_at(path, [0.25])[0].tolist()
        [[[128, 128, 128], [128, 128, 128]]]
    """
    video = probe_video(path, partial=partial)
    numbers = nearest(video.times, np.asarray(times, np.float64))
    frames = read_frames(video, np.unique(numbers), partial=partial)
    found = dict(zip(np.unique(numbers).tolist(), frames, strict=True))
    return [found[number].pixels for number in numbers.tolist()]


def _checked(numbers: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.int64]:
    chosen = np.asarray(numbers, np.int64)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= count or (np.diff(chosen) < 0).any()):
        raise ConfigError(f"expected ascending frame numbers in [0, {count}) (got {chosen})")
    return chosen


def _hole(duration: float) -> float:
    """Seconds without a frame that are clearly missing."""
    return min(1.0, duration / 10)
