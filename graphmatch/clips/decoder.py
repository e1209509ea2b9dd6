"""FFmpeg's decoder (through PyAV), made safe: whatever a file holds, frames or `FormatError`."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import ConfigError, FormatError

# what may be in a file; playlists are not among them: they name other files and addresses
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,nut,mxf,dv,rm,wtv,"
    "yuv4mpegpipe,mjpeg,gif,apng,jpeg_pipe,png_pipe,bmp_pipe,tiff_pipe,webp_pipe"
)
_RESTART = 1.0  # seconds by which a clock that starts again goes back
_MAX_PIXELS = 2**27  # of a frame; 16K video has 1.33e8


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A frame as the decoder gives it.

    Args:
        time: its time stamp in seconds.
        length: seconds that it is on screen, as the file says; 0 if it does not.
        frame: PyAV's frame.
    """

    time: float
    length: float
    frame: Any

    @property
    def _matrix(self) -> tuple[int, int, int, int]:
        """a, b, c, d: what is stored at (x, y) is shown at (a x + c y, b x + d y), y down."""
        stored = self.frame.side_data.get("DISPLAYMATRIX")
        if stored is None:
            return 1, 0, 0, 1
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(stored))
        return a, b, c, d

    @property
    def _turned(self) -> bool:
        """Whether stored rows are shown as columns."""
        a, b, _, _ = self._matrix
        return abs(b) > abs(a)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels when it is upright."""
        width, height = self.frame.width, self.frame.height
        return (height, width) if self._turned else (width, height)

    def pixels(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The frame upright, not mirrored, and resized: [H, W, 3] uint8 RGB.

        Args:
            size: width and height; another one than the frame's own if a video changes its size.

        Raises:
            FormatError: the frame has a format that cannot be converted.
        """
        from av import FFmpegError

        width, height = size[::-1] if self._turned else size
        try:
            stored = self.frame.to_ndarray(format="rgb24", width=width, height=height)
        except (FFmpegError, ValueError) as error:
            raise FormatError(
                f"expected a frame that can be converted to RGB (got {self.frame.format.name}: "
                f"{error})"
            ) from error
        across, b, c, down = self._matrix
        if self._turned:
            stored, across, down = stored.swapaxes(0, 1), c, b
        flips = slice(None, None, -1 if down < 0 else 1), slice(None, None, -1 if across < 0 else 1)
        return np.ascontiguousarray(stored[flips])


@contextmanager
def opened(path: Path, threads: int) -> Iterator[tuple[Any, Any]]:
    """A file's container and its video stream, read through nothing but the file itself.

    Args:
        path: the file.
        threads: of the decoder; 0 is one a core.

    Yields:
        PyAV's container and stream.

    Raises:
        ConfigError: PyAV is missing.
        FormatError: no such file, no video in it, or an error of FFmpeg in the block.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError("videos need PyAV: pip install 'graphmatch[video]'") from error
    if not path.is_file() or not path.stat().st_size:
        got = "a folder" if path.is_dir() else "an empty one" if path.is_file() else "none"
        raise FormatError(f"{path}: expected a video file (got {got})")
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    try:
        with av.open(
            str(path.absolute()), container_options=options, metadata_errors="replace"
        ) as container:
            streams = [
                stream
                for stream in container.streams.video
                if not stream.disposition & av.stream.Disposition.attached_pic
            ]
            if not streams:
                raise FormatError(f"{path}: expected a video (got a file without one)")
            stream = streams[0]
            if stream.codec_context is None or not stream.time_base:
                raise FormatError(f"{path}: expected a video that FFmpeg can decode")
            stream.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}
            stream.codec_context.thread_count = threads
            stream.thread_type = "AUTO"
            yield container, stream
    except av.FFmpegError as error:
        raise FormatError(f"{path}: expected a video ({error.strerror})") from error


def packets(container: Any, *streams: Any) -> Iterator[Any]:
    """Packets until the file ends or cannot be read any further.

    Args:
        container: of `opened`.
        streams: of which streams; none given is all of them.

    Yields:
        PyAV's packets; the last one of a stream is empty, unless reading failed.
    """
    from av import FFmpegError

    with suppress(FFmpegError):
        yield from container.demux(*streams)


def frames_of(packet: Any) -> list[Any]:
    """Frames that a packet completes; none if it is damaged.

    Args:
        packet: of `packets`.

    Returns:
        PyAV's frames in the order in which they are shown.
    """
    from av import FFmpegError

    try:
        return list(packet.decode())
    except FFmpegError:
        return []


def decoded_frames(path: Path, threads: int) -> Iterator[Decoded]:
    """All frames of a file that can be decoded, in the order in which they are shown.

    Args:
        path: the file.
        threads: of the decoder; 0 is one a core.

    Yields:
        The frames, times ascending. A missing time stamp is the end of the frame before. Where
        stamps go back by a second or more the clock has started again, and goes on from there; a
        frame that goes back by less is out of order through damage and is left out.

    Raises:
        FormatError: as `opened`, or most frames are out of order.
    """
    with opened(path, threads) as (container, stream):
        usual = usual_length(stream)
        tick = float(stream.time_base)
        time, following, shift = -np.inf, 0.0, 0.0
        kept = dropped = 0
        for packet in packets(container, stream):
            for frame in frames_of(packet):
                stamp = following if frame.pts is None else frame.pts * tick + shift
                if time - _RESTART < stamp <= time:
                    dropped += 1
                    continue
                if stamp <= time:
                    shift += following - stamp
                    stamp = following
                length = (frame.duration or 0) * tick
                time, following = stamp, stamp + (length or usual)
                kept += 1
                yield Decoded(time, length, frame)
        if dropped > kept:
            raise FormatError(
                f"{path}: expected frames with ascending time stamps (got {dropped:,} of "
                f"{dropped + kept:,} that go back)"
            )


def usual_length(stream: Any) -> float:
    """Seconds that a frame is usually on screen, by the stated frame rate.

    Args:
        stream: of `opened`.

    Returns:
        Seconds; those of 25 frames a second if no rate is stated.
    """
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    return 1 / rate if rate > 0 else 0.04


def stated_duration(container: Any, stream: Any) -> tuple[float | None, bool]:
    """How long a file says that its video is.

    Args:
        container: of `opened`.
        stream: of `opened`.

    Returns:
        Seconds, None if it does not say; and whether that is said of the video alone, not of video
        and sound together.
    """
    if stream.duration is not None:
        return float(stream.duration * stream.time_base), True
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))
    if tag:  # Matroska
        hours, minutes, seconds = map(float, tag.groups())
        return 3600 * hours + 60 * minutes + seconds, True
    if container.duration is not None:
        return container.duration / 1e6, False
    return None, False
