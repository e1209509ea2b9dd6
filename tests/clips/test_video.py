from __future__ import annotations

import random
import struct
import tracemalloc

import av
import numpy as np
import pytest

from graphmatch.clips.video import frames_at, probe_video, read_frames
from graphmatch.errors import ConfigError, FormatError
from tests.videos import cut, level, write_sound, write_video

STAMPS = [0, 40, 80, 500, 510, 2000, 2040, 2600]  # milliseconds


def greys(frames):
    return [int(frame.pixels.mean().round()) for frame in frames]


def is_frames(frames, numbers):
    """Whether frames are those of the given numbers: coding changes their grey by a little."""
    difference = np.subtract(greys(frames), [level(number) for number in numbers])
    return len(difference) and np.abs(difference).max() <= 3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"options": {"bf": "3"}}),
        ("a.mp4", {"sound": 4.0}),
        ("a.mkv", {}),
        ("a.mkv", {"container_options": {"live": "1"}}),  # states no duration
        ("a.flv", {"codec": "flv", "sound": 4.0}),  # states the duration of its sound
        ("a.avi", {"codec": "mpeg4", "options": {"bf": "2", "b": "2000000"}}),
        ("a.ts", {"sound": 1.0}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("a.h264", {}),  # has no time stamps
        ("a.gif", {"codec": "gif"}),
        ("a.apng", {"codec": "apng"}),
    ],
)
def test_frames_come_in_order_with_their_times(tmp_path, name, options):
    video = probe_video(write_video(tmp_path / name, **options))
    assert video.size == (64, 48)
    frames = list(read_frames(video))
    # Matroska counts in milliseconds, GIF in hundredths of a second
    tolerance = 1e-9 if name[-3:] in ("mp4", "264", "avi") else 0.0051
    np.testing.assert_allclose(video.times, np.arange(30) / 15, atol=tolerance)
    assert [frame.time for frame in frames] == video.times.tolist()
    assert video.duration == pytest.approx(2.0, abs=2 * tolerance)
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    if name != "a.gif":  # has a palette of few greys
        assert is_frames(frames, range(30))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rate(tmp_path, name):
    path = write_video(tmp_path / name, count=len(STAMPS), stamps=STAMPS)
    video = probe_video(path)
    np.testing.assert_allclose(video.times, np.array(STAMPS) / 1000, atol=1e-9)
    assert is_frames(read_frames(video), range(8))
    assert is_frames(read_frames(video, [2, 3, 3, 6]), [2, 3, 3, 6])


def test_one_frame(tmp_path):
    video = probe_video(write_video(tmp_path / "a.mp4", count=1))
    assert video.times.tolist() == [0.0]
    assert video.duration == pytest.approx(1 / 15)
    assert is_frames(read_frames(video), [0])


@pytest.mark.parametrize(
    ("rotation", "white"), [(0, "right"), (90, "top"), (180, "left"), (-90, "bottom")]
)
def test_frames_are_upright(tmp_path, rotation, white):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 255
    path = write_video(tmp_path / "a.mp4", count=2, rotation=rotation, pixels=lambda _: picture)
    video = probe_video(path)
    pixels = next(read_frames(video)).pixels
    height, width, _ = pixels.shape
    assert video.size == (width, height) == ((48, 64) if abs(rotation) == 90 else (64, 48))
    part = {
        "right": pixels[:, -width // 3 :],
        "left": pixels[:, : width // 3],
        "top": pixels[: height // 3],
        "bottom": pixels[-height // 3 :],
    }
    assert {side for side, some in part.items() if some.mean() > 250} == {white}
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("matrix", "white"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((-1, 0, 0, 1), (0, -1)),
        ((1, 0, 0, -1), (-1, 0)),
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, 1, 1, 0), (0, 0)),
        ((0, 1, -1, 0), (0, -1)),
        ((0, -1, 1, 0), (-1, 0)),
        ((0, -1, -1, 0), (-1, -1)),
    ],
)
def test_frames_stored_turned_or_mirrored(tmp_path, matrix, white):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255  # stored top left; x' = a x + c y and y' = b x + d y move it
    path = write_video(tmp_path / "a.mp4", count=1, pixels=lambda _: picture)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44  # of the matrix in the track's header
    a, b, c, d = (65536 * number for number in matrix)
    content[place : place + 32] = struct.pack(">8i", a, b, 0, c, d, 0, 0, 0)
    path.write_bytes(content)
    video = probe_video(path)
    pixels = frames_at(path, [0.0])[0]
    assert video.size == pixels.shape[1::-1] == ((64, 48) if matrix[0] else (48, 64))
    bright = {(y, x) for y in (0, -1) for x in (0, -1) if pixels[y, x].mean() > 200}
    assert bright == {white}


def test_clock_that_starts_again_and_size_that_changes(tmp_path):
    small = write_video(tmp_path / "small.ts")
    large = write_video(tmp_path / "large.ts", size=(96, 72))
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    video = probe_video(path)
    assert video.size == (64, 48)
    assert (np.diff(video.times) > 0).all()
    assert video.duration == pytest.approx(4.0, abs=0.2)
    frames = list(read_frames(video))
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert is_frames(frames, [*range(30), *range(30)])


@pytest.fixture
def indexed(tmp_path):
    """An MP4 file whose index comes first, with a key frame every 10 frames."""
    return write_video(
        tmp_path / "whole.mp4",
        count=90,
        options={"g": "10"},
        container_options={"movflags": "faststart"},
    )


@pytest.mark.parametrize("name", ["whole.mp4", "whole.mkv"])
def test_truncated_file_fails_unless_partial_is_wanted(tmp_path, indexed, name):
    path = indexed if name == "whole.mp4" else write_video(tmp_path / name, count=90)
    path = cut(path, tmp_path / f"cut-{name}", 0.7)
    with pytest.raises(FormatError, match=r"expected 6\.0 s \(got .* s\): the file ends too early"):
        probe_video(path)
    video = probe_video(path, partial=True)
    numbers = np.rint(video.times * 15).astype(int)  # a few are missing before the last one
    assert 10 < len(numbers) < 80
    assert video.duration == pytest.approx(video.times[-1] + 1 / 15, abs=0.001)
    frames = list(read_frames(video, partial=True))
    assert is_frames(frames[:-3], numbers[:-3])  # half of the last one is there


@pytest.mark.parametrize(("name", "sound"), [("a.mkv", 0.0), ("a.mkv", 3.0), ("a.mp4", 3.0)])
def test_first_frame_that_is_late(tmp_path, name, sound):
    # Matroska files of FFmpeg state when a video ends, others how long it is
    stamps = [5000 + 100 * number for number in range(60)]
    path = write_video(tmp_path / name, count=60, stamps=stamps, sound=sound, options={"g": "10"})
    video = probe_video(path)
    assert video.times.tolist() == pytest.approx((np.arange(60) / 10).tolist())
    assert video.duration == pytest.approx(6.0, abs=0.1)
    if name == "a.mkv":
        with pytest.raises(FormatError, match=r"expected 6\.0 s \(got .* s\): the file ends too"):
            probe_video(cut(path, tmp_path / "cut.mkv", 0.8))


def test_end_that_is_hardly_missing_is_no_error(tmp_path, indexed):
    video = probe_video(cut(indexed, tmp_path / "cut.mp4", 0.97))
    assert 80 <= len(video.times) < 90
    assert video.duration == pytest.approx(6.0)


def test_damaged_packet_is_replaced_by_the_nearest_frame(indexed):
    with av.open(str(indexed)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        packet = min(packets[40:60], key=lambda packet: packet.size)  # few frames need it
        place, size, lost = packet.pos, packet.size, round(packet.pts * packet.time_base * 15)
    content = bytearray(indexed.read_bytes())
    content[place : place + size] = bytes(size)
    indexed.write_bytes(content)
    video = probe_video(indexed)
    assert len(video.times) == 90
    frames = list(read_frames(video))
    others = [number for number in range(90) if abs(number - lost) > 8]
    assert is_frames([frames[number] for number in others], others)
    stand_in = round(frames[lost].time * 15)
    assert stand_in in (lost - 1, lost + 1)
    assert is_frames([frames[lost]], [stand_in])


def test_hole_of_damaged_frames_is_an_error(indexed):
    content = bytearray(indexed.read_bytes())
    start = content.index(b"mdat") + 8
    content[start : start + (len(content) - start) // 2] = bytes((len(content) - start) // 2)
    indexed.write_bytes(content)
    video = probe_video(indexed)
    with pytest.raises(FormatError, match=r"expected a frame at 0\.00 s .* the file is damaged"):
        list(read_frames(video))
    frames = list(read_frames(video, partial=True))
    assert len(frames) == 90
    assert frames[0].time > 1  # the nearest one stands in, and says when it is


def test_wanted_frames_must_be_there_and_ascend(tmp_path):
    video = probe_video(write_video(tmp_path / "a.mp4"))
    for numbers in ([-1], [30], [3, 2]):
        with pytest.raises(ConfigError, match="expected ascending frame numbers in"):
            list(read_frames(video, numbers))
    assert list(read_frames(video, [])) == []


def test_frames_at_times_in_any_order(tmp_path):
    path = write_video(tmp_path / "a.mp4", count=len(STAMPS), stamps=STAMPS)
    pixels = frames_at(path, [9.0, 0.3, -1.0, 0.29, 1.3, 0.3])
    expected = [level(number) for number in (7, 3, 0, 2, 5, 3)]
    assert np.abs(np.subtract([some.mean() for some in pixels], expected)).max() <= 3
    assert frames_at(path, []) == []


def test_threads_change_nothing(tmp_path):
    path = write_video(tmp_path / "a.mp4", options={"bf": "3"})
    one, more = (
        [
            (frame.time, frame.pixels.tobytes())
            for frame in read_frames(probe_video(path, threads=n), threads=n)
        ]
        for n in (1, 4)
    )
    assert one == more


def test_memory_holds_a_few_frames(tmp_path):
    path = write_video(tmp_path / "a.mp4", count=60, size=(640, 480))
    video = probe_video(path)
    tracemalloc.start()
    assert sum(1 for _ in read_frames(video)) == 60
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 640 * 480 * 3


def write_bad(folder, kind):
    path = folder / "bad.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "sound":
        write_sound(path)
    elif kind == "no index":
        cut(write_video(folder / "whole.mp4"), path, 0.5)
    elif kind == "huge":
        path.write_bytes(b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;")
    elif kind == "playlist":
        write_video(folder / "whole.ts")
        path = folder / "bad.m3u8"
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.ts\n#EXT-X-ENDLIST\n")
    elif kind == "list":
        write_video(folder / "whole.ts")
        path.write_text("ffconcat version 1.0\nfile 'whole.ts'\n")
    elif kind != "missing":
        content = {
            "empty": b"",
            "text": b"no video\n" * 99,
            "noise": random.Random(0).randbytes(9999),
        }
        path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "got none"),
        ("folder", "got a folder"),
        ("empty", "got an empty one"),
        ("text", "Invalid data"),
        ("noise", "Invalid data"),
        ("sound", "got a file without one"),
        ("no index", "Invalid data"),
        ("huge", "got no frame that can be decoded"),
        ("playlist", "expected a video"),  # names another file, which must not be read
        ("list", "expected a video"),
    ],
)
def test_bad_file_is_an_error_with_its_reason(tmp_path, kind, reason):
    path = write_bad(tmp_path, kind)
    with pytest.raises(FormatError, match=reason) as caught:
        probe_video(path, partial=True)
    assert str(path) in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.gif", "a.h264"])
def test_damage_anywhere_is_survived(tmp_path, name):
    codec = {"avi": "mpeg4", "gif": "gif"}.get(name[2:], "libx264")
    content = write_video(tmp_path / name, count=20, codec=codec).read_bytes()
    draw = random.Random(name)
    path = tmp_path / f"bad-{name}"
    outcomes = set()
    for _ in range(60):
        bad = bytearray(content)
        for _ in range(draw.choice((1, 5, 40))):
            bad[draw.randrange(len(bad))] = draw.randrange(256)
        path.write_bytes(bad[: draw.choice((len(bad), draw.randrange(len(bad))))])
        try:
            video = probe_video(path, partial=True)
            assert (np.diff(video.times) > 0).all()
            assert 0 <= video.times[-1] <= video.duration
            assert sum(1 for _ in read_frames(video, partial=True)) == len(video.times)
            outcomes.add("read")
        except FormatError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_real_video(data):
    path = data / "charades" / "example_video.mp4"
    video = probe_video(path)
    assert video.size == (480, 270)
    assert len(video.times) == 460
    assert video.duration == pytest.approx(30.7, abs=0.05)
    assert np.diff(video.times) == pytest.approx(1 / 15, rel=2e-3)
    frames = frames_at(path, [0.0, 10.0, 30.7])
    assert {frame.shape for frame in frames} == {(270, 480, 3)}
    assert all(frame.std() > 20 for frame in frames)
    assert np.abs(frames[0].astype(int) - frames[1]).mean() > 5
