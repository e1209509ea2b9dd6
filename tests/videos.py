"""Small videos made for tests: frame k is grey, of the level `level(k)`."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np


def level(number):
    return 10 + 8 * (number % 30)


def write_video(
    path,
    *,
    count=30,
    rate=15,
    codec="libx264",
    stamps=None,
    size=(64, 48),
    pixels=None,
    options=None,
    container_options=None,
    rotation=0,
    sound=0.0,
):
    """Write a video and return its path.

    `stamps` are milliseconds of each frame, else `rate` frames a second; `pixels(k)` draws frame k;
    `sound` is a length of silence in seconds; `container_options` go to the muxer.
    """
    base = Fraction(1, rate) if stamps is None else Fraction(1, 1000)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = {"gif": "rgb8", "apng": "rgb24"}.get(codec, "yuv420p")
        if stamps is not None:
            stream.codec_context.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        voice = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        if voice is not None:
            write_silence(container, voice, sound)
        for number in range(count):
            if pixels is None:
                array = np.full((size[1], size[0], 3), level(number), np.uint8)
            else:
                array = pixels(number)
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts = number if stamps is None else stamps[number]
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_silence(container, stream, seconds):
    for start in range(0, int(16000 * seconds), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_sound(path, seconds=1.0):
    with av.open(str(path), "w") as container:
        write_silence(container, container.add_stream("aac", rate=16000, layout="mono"), seconds)
    return path


def cut(source, target, share):
    """A copy of the first part of a file."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target
