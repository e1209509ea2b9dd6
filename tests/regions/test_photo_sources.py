"""Where images come from: folders, patterns, lists and COCO files."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
import subprocess
import sys

import pytest

from graphmatch.errors import FormatError
from graphmatch.regions import photo_source
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.photo_sources import read_sources
from tests.regions.odd_images import make_odd_images
from tests.regions.source_files import fill, loaded


def test_a_folder(tmp_path):
    fill(tmp_path, "000000000802.jpg", "train/2.PNG", "train/10.jpeg", "a.jpg", "a.png", "b.jpg")
    fill(
        tmp_path,
        "b.jpg.png",
        "notes.txt",
        ".hidden.jpg",
        "._b.jpg",
        ".trash/old.jpg",
        "x.jpg/y.gif",
    )
    sources = read_sources(tmp_path)
    assert sources.count == 8
    expected = [
        ("000000000802", "000000000802.jpg"),
        ("a.jpg", "a.jpg"),  # they differ in the suffix alone
        ("a.png", "a.png"),
        ("b", "b.jpg"),
        ("b.jpg.png", "b.jpg.png"),  # without its suffix it would be called as another file is
        ("train/10", "train/10.jpeg"),
        ("train/2", "train/2.PNG"),
        ("x.jpg/y", "x.jpg/y.gif"),
    ]
    assert loaded(sources) == expected
    assert loaded(sources) == expected  # as often as you like


def test_links_of_a_folder(tmp_path):
    fill(tmp_path / "real", "1.jpg", "deep/2.jpg")
    root = tmp_path / "root"
    root.mkdir()
    (root / "there").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(root)  # a circle
    (root / "gone.jpg").symlink_to("nowhere.jpg")
    found = dict(loaded(read_sources(root)))
    assert list(found) == ["gone", "there/1", "there/deep/2"]
    assert "no such file" in str(found["gone"])


def test_a_pattern(tmp_path):
    fill(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/c/3.jpg", "b/notes.txt")
    assert [i for i, _ in loaded(read_sources(f"{tmp_path}/*/1.jpg"))] == ["a/1", "b/1"]
    assert [i for i, _ in loaded(read_sources(f"{tmp_path}/b/**"))] == ["1", "c/3"]
    assert [i for i, _ in loaded(read_sources(f"{tmp_path}/a/[12].jpg"))] == ["1", "2"]
    with pytest.raises(FormatError, match="expected images or archives that match"):
        read_sources(f"{tmp_path}/*.png")
    fill(tmp_path, "odd[1].jpg")  # a name that only looks like a pattern
    assert loaded(read_sources(tmp_path / "odd[1].jpg")) == [("odd[1]", "odd[1].jpg")]


def test_a_list(tmp_path, monkeypatch):
    fill(tmp_path, "pictures/1.jpg", "pictures/2.jpg", "pictures/no_suffix", "3.jpg")
    lines = ["pictures/1.jpg", "", "second\tpictures/2.jpg", "missing.jpg", "pictures/no_suffix"]
    lines += [
        "\tpictures/1.jpg",
        "name\t",
        "two\twords\tthere",
        str(tmp_path / "3.jpg"),
        "a\0b.jpg",
    ]
    content = "\r\n".join(["\ufeff" + lines[0], *lines[1:]]).encode() + b"\n\xff.jpg\n"
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    expected = [
        ("pictures/1", "pictures/1.jpg"),
        ("second", "pictures/2.jpg"),
        ("missing", "no such file"),
        ("pictures/no_suffix", "pictures/no_suffix"),
        (f"{file}:6", "expected a path, or an id, a tab and a path"),
        (f"{file}:7", "expected a path, or an id, a tab and a path"),
        ("two", "no such file"),
        (str(tmp_path / "3"), "3.jpg"),
        ("a\0b", "null"),
        ("?", "no such file"),
    ]

    def check(sources, name):
        assert sources.count == len(expected)
        for (id, got), (wanted, word) in zip(loaded(sources), expected, strict=True):
            assert id == wanted.replace(str(file), name)
            assert word == got if isinstance(got, str) else word in str(got)

    check(read_sources(file), str(file))
    elsewhere = tmp_path / "lists" / "list.txt"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(content)
    check(read_sources(elsewhere, images=tmp_path), str(elsewhere))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    check(read_sources("-"), "standard input")


def test_a_name_that_is_no_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.jpg"
    with open(path, "wb") as stream:  # noqa: PTH123
        stream.write(b"here")
    (tmp_path / "list.txt").write_bytes(b"\xff.jpg\n")
    assert loaded(read_sources(tmp_path / "list.txt")) == [("?", "here")]
    assert loaded(read_sources(tmp_path)) == [("?", "here")]


def test_coco(tmp_path):
    fill(tmp_path, "annotations/0.jpg", "val/1.jpg", "val/train/2.jpg")
    records = [
        {"id": 1, "file_name": "1.jpg", "height": 5},
        {"id": "b", "file_name": "train/2.jpg"},
        {"id": 3, "file_name": "missing.jpg"},
        {"id": 4, "file_name": "../annotations/0.jpg"},
        {"id": 5, "file_name": "/etc/hostname"},
        {"id": 6},
        {"file_name": "1.jpg"},
        {"id": True, "file_name": "1.jpg"},
        "1.jpg",
        {"id": 1, "file_name": "1.jpg"},
        {"id": "\ud800", "file_name": "\ud800.jpg"},
    ]
    text = json.dumps({"info": {}, "images": records, "annotations": []})
    for name, content in [("a.json", text.encode()), ("a.json.gz", gzip.compress(text.encode()))]:
        file = tmp_path / "annotations" / name
        file.write_bytes(content)
        sources = read_sources(file, images=tmp_path / "val")
        assert sources.count == len(records)
        ids, found = zip(*loaded(sources), strict=True)
        places = [f"{name}:{place}" for place in (5, 6, 7, 8)]
        assert ids == ("1", "b", "3", "4", "5", *places, "1#2", "?")
        assert found[:2] == ("val/1.jpg", "val/train/2.jpg")
        assert "no such file" in str(found[2])
        assert "stays inside" in str(found[3])
        assert "stays inside" in str(found[4])
        assert all("expected an image with `id` and `file_name`" in str(one) for one in found[5:9])
        assert "an earlier image has the id '1'" in str(found[9])
        assert "cannot be read" in str(found[10])
        known = [source.error for source in sources]  # without reading a file
        assert known == [str(found[n]) if n in (3, 4, 5, 6, 7, 8, 9) else None for n in range(11)]
    fill(tmp_path, "annotations/1.jpg")  # beside the file, if no folder is given
    assert loaded(read_sources(file))[0] == ("1", "annotations/1.jpg")


def test_one_image_and_several_inputs(tmp_path):
    fill(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.jpg", "c/1#2.jpg")
    sources = read_sources([tmp_path / "a/1.jpg", tmp_path / "b", tmp_path / "c", tmp_path / "a"])
    assert sources.count == 5
    ids, found = zip(*loaded(sources), strict=True)
    assert ids == ("1", "1#2", "2", "1#2#2", "1#3")
    assert [isinstance(one, FormatError) for one in found] == [False, True, False, True, True]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("nowhere", None, "no such file or folder"),
        ("nowhere.jpg", None, "no such file or folder"),
        ("x" * 5000, None, "cannot be read"),
        ("empty/notes.md", b"", "expected a folder, a pattern"),
        ("a.zip", b"", "expected a folder, a pattern"),
        ("list.txt", b"\n\n", "the list is empty"),
        ("list.txt", "1.jpg\n".encode("utf-16"), "got UTF-16"),
        ("a.json", b"{", "expected JSON"),
        ("a.json", b"[" * 100_000, "expected JSON"),
        ("a.json", b"\xff", "expected JSON"),
        ("a.json", b"[1]", "expected COCO's JSON"),
        ("a.json", b'{"images": {}}', "expected COCO's JSON"),
        ("a.json", b'{"images": []}', "expected COCO's JSON"),
        ("a.json.gz", gzip.compress(b"{}" * 50, mtime=0)[:-9], "truncated or damaged"),
        ("a.json.gz", b"{}", "expected COCO's JSON"),
        ("a.json.gz", b"\x1f\x8b{}", "truncated or damaged"),
    ],
)
def test_inputs_that_are_none(tmp_path, name, content, error):
    if content is not None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=error):
        read_sources(tmp_path / name)


def test_folders_that_are_none(tmp_path):
    fill(tmp_path, "empty/deeper/notes.txt", "1.jpg")
    with pytest.raises(FormatError, match="expected images in the folder or below"):
        read_sources(tmp_path / "empty")
    with pytest.raises(FormatError, match="expected the folder of the images"):
        read_sources(tmp_path / "1.jpg", images=tmp_path / "nowhere")


def test_odd_images(tmp_path):
    expected = make_odd_images(tmp_path)
    assert len(expected) >= 50
    sources = read_sources(tmp_path)
    assert sources.count == len(expected)
    words = {photo_source.IMAGE.stem(name): word for name, word in expected.items()}
    assert len(words) == len(expected)
    for source in sources:
        word = words.pop(source.id)
        if word == "good":
            decode_photo(source.load(), source.id)
        else:
            with pytest.raises(FormatError, match=word):
                decode_photo(source.load(), source.id)
    assert not words


def test_sources_can_be_sent_to_another_process(tmp_path):
    fill(tmp_path, "1.jpg")
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).load().decode())"
    sent = pickle.dumps(next(iter(read_sources(tmp_path))))
    run = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert run.stdout.decode().strip() == "1.jpg"


def test_real_photographs(data):
    folder = data / "coco_photos"
    with (folder / "photos.tsv").open(newline="") as stream:
        ids = {int(row["image_id"]) for row in csv.DictReader(stream, delimiter="\t")}
    sources = read_sources([folder / "full", folder / "small"])
    assert sources.count == len(ids) == 795
    assert {int(source.id) for source in sources} == ids
    full = folder / "full"
    coco = read_sources(data / "coco_val2017/instances_val2017.json.gz", images=full)
    assert coco.count == 4500
    files = {str(int(path.stem)): path for path in full.iterdir()}
    found = {source.id: source.load() for source in coco if source.id in files}
    assert len(found) == 75
    assert all(files[id].read_bytes() == content for id, content in found.items())
