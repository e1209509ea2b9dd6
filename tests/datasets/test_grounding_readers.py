"""Charades-STA, ActivityNet Captions, TACoS: sentences with moments."""

from __future__ import annotations

import gzip
import json

import pytest

from graphmatch.datasets.activitynet import read_activitynet
from graphmatch.datasets.charades_sta import read_charades_sta
from graphmatch.datasets.tacos import read_tacos
from graphmatch.errors import FormatError


def write(path, content):
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def summary(records):
    return [(record.id, record.error) for record in records]


# Charades-STA


def charades(folder, lines, durations, **options):
    return read_charades_sta(
        {"train": write(folder / "train.txt", lines)},
        durations=write(folder / "seconds.json", durations),
        **options,
    )


def test_charades_lines_become_captions_with_moments(tmp_path):
    data = charades(
        tmp_path,
        "AB12C 0.0 6.9##a person reads.\nAB12C 3 20.5##they sit # down.\nZZZZZ 1 2##x##y.",
        {"AB12C": 9.5, "ZZZZZ": "4.25", "OTHER": 1.0},
        fps=write(tmp_path / "fps.json", {"AB12C": "29.97"}),
        frames=write(tmp_path / "frames.json", {"AB12C": 285}),
    )
    first, second = data.visuals
    assert (first.id, first.kind, first.split) == ("AB12C", "video", "train")
    assert (first.duration, first.fps, first.frames) == (9.5, 29.97, 285)
    assert (second.duration, second.fps, second.frames) == (4.25, None, None)
    assert [(c.id, c.owner, c.text, c.moment) for c in data.captions] == [
        ("train:1", "AB12C", "a person reads.", (0.0, 6.9)),
        ("train:2", "AB12C", "they sit # down.", (3.0, 9.5)),
        ("train:3", "ZZZZZ", "x##y.", (1.0, 2.0)),
    ]
    assert data.errors == ()


def test_charades_moments_that_end_late_are_errors_if_they_are_not_clipped(tmp_path):
    data = charades(tmp_path, "A 1 20##a.\nA 1 2##b.\n", {"A": 9.5}, clip_moments=False)
    assert "inside 0 to 9.5 s (got 1 to 20 s)" in data.captions[0].error
    assert data.captions[0].moment == (1.0, 20.0)
    assert data.captions[1].error is None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("A 8.0 7.0##broken.", "start <= end"),
        ("A 11 12##broken.", "inside 0 to 9.5 s"),
        ("A -1 2##broken.", "inside 0 to 9.5 s"),
        ("A 1 2##", "empty"),
        ("B 1 2##no seconds.", "no seconds in seconds.json"),
        ("A 1 2 broken.", "expected `VIDEO START END##sentence.`"),
        ("A 1##broken.", "expected `VIDEO START END"),
        ("A 1 2 3##broken.", "expected `VIDEO START END"),
        ("A one 2##broken.", "expected `VIDEO START END"),
        ("A 1 nan##broken.", "expected `VIDEO START END"),
        ("A 1 inf##broken.", "expected `VIDEO START END"),
        ("##broken.", "expected `VIDEO START END"),
        ("", "expected `VIDEO START END"),
        (b"A 1 2##caf\xe9", "invalid UTF-8"),
    ],
)
def test_charades_line_that_cannot_be_used_keeps_its_error(tmp_path, line, error):
    line = line if isinstance(line, bytes) else line.encode()
    data = charades(tmp_path, b"A 1 2##ok.\n" + line + b"\nA 2 3##ok.\n", {"A": 9.5})
    assert [c.text for c in data.usable().captions] == ["ok.", "ok."]
    assert len(data.captions) == 3
    assert len(data.errors) == 1
    assert error in data.errors[0].error


def test_charades_video_in_two_files_has_no_split_of_its_own(tmp_path):
    files = {
        "train": write(tmp_path / "a.txt", "A 1 2##x.\n"),
        "test": write(tmp_path / "b.txt", "A 2 3##y.\nB 1 2##z.\n"),
    }
    data = read_charades_sta(files, durations=write(tmp_path / "s.json", {"A": 9, "B": 9}))
    assert [v.split for v in data.visuals] == [None, "test"]
    assert data.splits == {"train": (1, 1, 0), "test": (2, 2, 0)}


@pytest.mark.parametrize(
    ("lines", "durations", "message"),
    [
        ("", {}, "expected lines `VIDEO"),
        ("a person reads.\nand more.\n", {}, "expected lines `VIDEO"),
        ("A 1 2##x.", [1], "expected seconds by video"),
        ("A 1 2##x.", "{", "expected JSON"),
        (b"\xff\xfeA\0", {}, "UTF-16"),
        (gzip.compress(b"A 1 2##x.\n" * 90, mtime=0)[:-9], {}, "gzip file is truncated"),
    ],
)
def test_charades_file_of_another_kind_is_refused(tmp_path, lines, durations, message):
    with pytest.raises(FormatError, match=message):
        charades(tmp_path, lines, durations)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_charades_sta(tmp_path / "a.txt", durations=tmp_path / "b.json")
    with pytest.raises(FormatError, match="got a folder"):
        read_activitynet(tmp_path)


def test_charades_counts(data):
    folder = data / "charades_sta"
    files = {split: folder / f"Charades_sta_{split}.txt" for split in ("train", "test")}
    found = read_charades_sta(
        files,
        durations=folder / "Charades_duration.json",
        fps=folder / "Charades_fps_dict.json",
        frames=folder / "Charades_frames_info.json",
    )
    assert found.splits == {"train": (5338, 12408, 4), "test": (934, 2605, 0)}
    assert [c.owner for c in found.errors] == ["LEOL6", "IOL8Q", "AKKWU", "AKKWU"]
    assert all(v.fps and v.frames and v.duration for v in found.visuals)
    strict = read_charades_sta(
        files, durations=folder / "Charades_duration.json", clip_moments=False
    )
    # 1,768 training lines end late, one of which has its start after its end too
    assert strict.splits["train"].errors == 1768 + 4 - 1
    longest = max(
        (c.moment[1] - c.moment[0]) / found.visual(c.owner).duration
        for c in found.usable().captions
    )
    assert longest <= 0.5


# ActivityNet Captions and TACoS


def activity(times, sentences, duration=9.5):
    return {"duration": duration, "timestamps": times, "sentences": sentences}


def cooking(times, sentences, fps=20, frames=400):
    return {"fps": fps, "num_frames": frames, "timestamps": times, "sentences": sentences}


def test_activitynet_videos_of_two_annotations_are_there_once(tmp_path):
    first = {"v_a": activity([[0, 4], [3, 9.6]], ["A.", " B."]), "v_b": activity([[1, 2]], ["C."])}
    second = {"v_a": activity([[0, 5]], ["D."])}
    data = read_activitynet(
        {
            "val_1": write(tmp_path / "1.json", first),
            "val_2": write(tmp_path / "2.json.gz", gzip.compress(json.dumps(second).encode())),
        }
    )
    assert [(v.id, v.split, v.duration) for v in data.visuals] == [
        ("v_a", None, 9.5),
        ("v_b", "val_1", 9.5),
    ]
    assert [(c.id, c.owner, c.text, c.moment) for c in data.captions] == [
        ("val_1:v_a#0", "v_a", "A.", (0, 4)),
        ("val_1:v_a#1", "v_a", " B.", (3, 9.5)),
        ("val_1:v_b#0", "v_b", "C.", (1, 2)),
        ("val_2:v_a#0", "v_a", "D.", (0, 5)),
    ]
    assert data.splits == {"val_1": (2, 3, 0), "val_2": (1, 1, 0)}
    assert [c.text for c in data.split("val_2").captions_of("v_a")] == ["D."]


def test_one_file_needs_no_split(tmp_path):
    data = read_activitynet(write(tmp_path / "a.json", {"v": activity([[1, 2]], ["A."])}))
    assert (data.captions[0].id, data.splits) == ("v#0", {})


def test_tacos_frames_become_seconds(tmp_path):
    path = write(tmp_path / "a.json", {"s1.avi": cooking([[30, 90], [0, 405]], ["A.", "B."])})
    data = read_tacos({"train": path})
    video = data.visuals[0]
    assert (video.duration, video.fps, video.frames) == (20.0, 20.0, 400)
    assert [c.moment for c in data.captions] == [(1.5, 4.5), (0.0, 20.0)]
    strict = read_tacos({"train": path}, clip_moments=False)
    assert [c.moment for c in strict.captions] == [(1.5, 4.5), (0.0, 20.25)]
    assert "inside 0 to 20 s" in strict.errors[0].error


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (activity([[5, 4]], ["A."]), "start <= end"),
        (activity([[1]], ["A."]), "[start, end] in numbers"),
        (activity([[1, None]], ["A."]), "[start, end] in numbers"),
        (activity([None], ["A."]), "[start, end] in numbers"),
        (activity([["1", "x"]], ["A."]), "[start, end] in numbers"),
        (activity([[1, 2]], [7]), "expected text"),
        (activity([[1, 2]], ["caf\ud800"]), "invalid UTF-8"),
        (activity([[1, 2]], [" "]), "empty"),
        (activity([[1, 2]], ["A.", "B."]), "a time for each sentence"),
        (activity([[1, 2], [2, 3]], ["A."]), "a time for each sentence"),
        (activity([[1, 2]], ["A."], duration=None), "tell its duration"),
        (activity([[1, 2]], ["A."], duration=10**400), "tell its duration"),
        (activity([[1, 2]], ["A."], duration=0), "duration: expected a positive"),
        (activity([[1, 2]], "A."), "lists `timestamps`"),
        (activity(None, ["A."]), "lists `timestamps`"),
        ([], "lists `timestamps`"),
        (None, "lists `timestamps`"),
    ],
)
def test_activitynet_video_that_cannot_be_used_keeps_its_error(tmp_path, record, error):
    good = activity([[1, 2]], ["Good."])
    data = read_activitynet({"val": write(tmp_path / "a.json", {"v_a": record, "v_b": good})})
    assert [v.id for v in data.visuals] == ["v_a", "v_b"]
    assert [c.text for c in data.usable().captions] == ["Good."]
    assert error in data.errors[0].error
    wanted = record["sentences"] if isinstance(record, dict) else []
    if isinstance(wanted, list) and record and isinstance(record["timestamps"], list):
        assert len(data.captions) == len(wanted) + 1


@pytest.mark.parametrize("change", [{"fps": 0}, {"fps": "x"}, {"frames": None}])
def test_tacos_video_without_a_clock_keeps_its_error(tmp_path, change):
    content = {"a": cooking([[1, 2]], ["A."], **change), "b": cooking([[1, 2]], ["B."])}
    data = read_tacos(write(tmp_path / "a.json", content))
    assert summary(data.errors) == [
        ("a", "expected numbers that tell its duration"),
        ("a#0", "expected numbers that tell its duration"),
    ]
    assert [c.text for c in data.usable().captions] == ["B."]


@pytest.mark.parametrize("content", [{}, [1], {"v": 1}, {"videos": []}, "", "{"])
@pytest.mark.parametrize("reader", [read_activitynet, read_tacos])
def test_json_of_another_kind_is_refused(tmp_path, reader, content):
    with pytest.raises(FormatError, match=r"a\.json: expected"):
        reader(write(tmp_path / "a.json", content))


@pytest.mark.slow
def test_activitynet_counts(data):
    names = ("train", "val_1", "val_2")
    files = {name: data / "activitynet_captions" / f"{name}.json" for name in names}
    found = read_activitynet(files)
    assert found.splits == {
        "train": (10009, 37421, 2),
        "val_1": (4917, 17505, 0),
        "val_2": (4885, 17031, 0),
    }
    assert len(found.visuals) == 10009 + 4917
    assert sum(v.split is None for v in found.visuals) == 4885
    assert read_activitynet(files, clip_moments=False).splits["val_2"].errors == 111


def test_tacos_counts(data):
    files = {name: data / "tacos" / f"{name}.json" for name in ("train", "val", "test")}
    found = read_tacos(files)
    assert found.splits == {"train": (75, 9790, 0), "val": (27, 4436, 0), "test": (25, 4001, 0)}
    assert {v.fps for v in found.visuals} == {29.4}
    assert len(read_tacos(files, clip_moments=False).errors) == 43 + 5
