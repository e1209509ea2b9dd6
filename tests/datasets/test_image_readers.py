"""SCAN's folders, Flickr8k and Flickr30k."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from graphmatch.datasets.features.scan import read_scan
from graphmatch.datasets.flickr import read_flickr
from graphmatch.datasets.scan_folder import read_scan_folder, read_scan_parses
from graphmatch.errors import ConfigError, FormatError


def write(path, content):
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(records):
    return [(record.id, record.owner, record.text) for record in records]


# SCAN's folders


def scan(folder, captions, ids, split="test", **options):
    write(folder / f"{split}_caps.txt", captions)
    write(folder / f"{split}_ids.txt", ids)
    return read_scan_folder(folder, splits=[split], **options)


def five(*images):
    return "".join(f"{image} {n} .\n" for image in images for n in range(5))


@pytest.mark.parametrize("repeat", [1, 5])
def test_a_row_for_every_image_or_for_every_caption(tmp_path, repeat):
    ids = "139\n" * repeat + "285\n" * repeat
    data = scan(tmp_path, five("A", "B").rstrip("\n"), ids)
    assert [(v.id, v.kind, v.split) for v in data.visuals] == [
        ("139", "image", "test"),
        ("285", "image", "test"),
    ]
    assert [c.owner for c in data.captions] == ["139"] * 5 + ["285"] * 5
    assert rows(data.captions)[5] == ("test:6", "285", "B 0 .")
    assert data.errors == ()


def test_ids_have_one_spelling_and_files_by_name(tmp_path):
    names = write(tmp_path / "id_mapping.json", {"0": "1000092795.jpg", "7": 7})
    data = scan(tmp_path, five("A", "B"), " 000 \r\n7\n\n", file_names=names)
    assert [(v.id, v.file) for v in data.visuals] == [("0", "1000092795.jpg"), ("7", None)]


def test_dev_uses_the_first_captions_if_asked(tmp_path):
    captions, ids = five("A", "B", "C"), "1\n" * 5 + "2\n" * 5 + "3\n" * 5
    assert scan(tmp_path, captions, ids, split="dev").splits == {"dev": (3, 15, 0)}
    first = scan(tmp_path, captions, ids, split="dev", dev_captions=10)
    assert [v.id for v in first.visuals] == ["1", "2"]
    assert first.splits == {"dev": (2, 10, 0)}
    assert scan(tmp_path, captions, ids, dev_captions=10).splits == {"test": (3, 15, 0)}


@pytest.mark.parametrize("repeat", [1, 5])
def test_images_have_the_ids_of_their_features(tmp_path, repeat):
    data = scan(tmp_path, five("A", "B"), "139\n" * repeat + " 0285\n" * repeat)
    features = np.repeat(np.arange(2, dtype=np.float32), repeat)[:, None, None]
    np.save(tmp_path / "test_ims.npy", features + np.zeros((1, 36, 4), np.float32))
    records = list(read_scan(tmp_path / "test_ims.npy"))
    assert [record.id for record in records] == [visual.id for visual in data.visuals]
    assert [record.columns["feature"][0, 0] for record in records] == [0, 1]


@pytest.mark.parametrize("ids", ["1\n", "1\n2\n3\n", "1\n" * 9, "1\n" * 11, "", "\n"])
def test_counts_that_fit_neither_layout_are_refused(tmp_path, ids):
    with pytest.raises(FormatError, match="five times as many"):
        scan(tmp_path, five("A", "B"), ids)


def test_damaged_lines_keep_their_error(tmp_path):
    captions = five("A", "B").encode().replace(b"A 1", b"caf\xe9").replace(b"A 2 .", b"")
    data = scan(tmp_path, captions, "139\nx7\n")
    assert [(v.id, bool(v.error)) for v in data.visuals] == [("139", False), ("test-row-2", True)]
    assert [(c.id, c.error) for c in data.captions if c.error] == [
        ("test:2", "invalid UTF-8: byte 3 of the line"),
        ("test:3", "expected a caption (got an empty one)"),
    ]
    assert [c.id for c in data.usable().captions] == ["test:1", "test:4", "test:5"]


def test_images_of_two_splits_are_errors_of_the_second(tmp_path):
    scan(tmp_path, five("A", "B"), "1\n2\n", split="test")
    scan(tmp_path, five("A", "B", "C"), "1\n2\n3\n", split="testall")
    data = read_scan_folder(tmp_path, splits=["test", "testall"])
    assert data.splits == {"test": (2, 10, 0), "testall": (3, 15, 12)}
    assert [v.id for v in data.usable().visuals] == ["1", "2", "3"]
    assert all(c.split == data.visual(c.owner).split for c in data.usable().captions)


def test_missing_files_of_a_folder_are_named(tmp_path):
    with pytest.raises(FormatError, match=r"train_caps\.txt: no such file"):
        read_scan_folder(tmp_path)
    write(tmp_path / "dev_caps.txt", "a\n")
    with pytest.raises(FormatError, match=r"dev_ids\.txt: no such file"):
        read_scan_folder(tmp_path, splits=["dev"])


def parses(folder, words, pairs):
    write(folder / "dev_precaps_stan.txt", words)
    write(folder / "dev_caps.json", pairs)
    return list(read_scan_parses(folder, "dev"))


def test_parses_have_the_ids_of_their_captions(tmp_path):
    found = parses(tmp_path, "4,7,12\n3\r\n", [[[0, 2], [2, 1]], []])
    assert [(one.id, one.words, one.pairs) for one in found] == [
        ("dev:1", (4, 7, 12), ((0, 2), (2, 1))),
        ("dev:2", (3,), ()),
    ]
    captions = scan(tmp_path, "A dog .\nA cat .\n", "1\n2\n", split="dev").captions
    assert [one.id for one in found] == [caption.id for caption in captions]


@pytest.mark.parametrize("line", ["", "4,", "4,,7", "4 7", "-4", "4.5", "x", "9" * 30, "4,²"])
def test_damaged_word_ids_keep_their_error(tmp_path, line):
    found = parses(tmp_path, f"1\n{line}\n2\n", [[], [], []])
    assert [one.error for one in found] == [
        None,
        "expected word ids with commas between them",
        None,
    ]


@pytest.mark.parametrize(
    "pairs", [None, 7, [7], [[1]], [[1, 2, 3]], [[1, -1]], [[1, True]], ["ab"]]
)
def test_damaged_pairs_keep_their_error(tmp_path, pairs):
    found = parses(tmp_path, "1\n2\n", [pairs, [[0, 1]]])
    assert [one.error for one in found] == ["expected [governor, dependent] pairs", None]


@pytest.mark.parametrize(
    ("pairs", "got"), [([[]], "got 1"), ([], "got 0"), ({"a": []}, "got a dict"), ("{", "JSON")]
)
def test_parses_of_another_length_are_refused(tmp_path, pairs, got):
    with pytest.raises(FormatError, match=rf"dev_caps\.json: expected .*{got}"):
        parses(tmp_path, "1\n2\n", pairs)


# Flickr8k, Flickr30k


def test_flickr_token_file_with_lists(tmp_path):
    tokens = "1.jpg#0\tA dog .\n1.jpg#1\tIt runs .\n2.jpg.1#0\tA cat .\n2.jpg#1\tIt sits .\n"
    data = read_flickr(
        write(tmp_path / "a.token.gz", gzip.compress(f"{tokens}3.jpg#0\tX .\nno tab\n".encode())),
        splits={
            "train": write(tmp_path / "train.txt", "2.jpg\n\n"),
            "dev": write(tmp_path / "dev.txt", "1\r\n9.jpg\n"),
        },
        name="flickr8k",
    )
    assert data.name == "flickr8k"
    assert [(v.id, v.file, v.split) for v in data.visuals] == [
        ("1.jpg", "1.jpg", "dev"),
        ("2.jpg", "2.jpg", "train"),
        ("3.jpg", "3.jpg", None),
        ("9.jpg", None, "dev"),
    ]
    assert [c.id for c in data.captions_of("2.jpg")] == ["2.jpg.1#0", "2.jpg#1"]
    assert [(record.id, record.error.partition(" (")[0]) for record in data.errors] == [
        ("9.jpg", "listed, but no caption file has it"),
        ("line-6", "expected image.jpg#number, a tab, and the caption"),
    ]
    assert data.splits == {"dev": (2, 2, 1), "train": (1, 2, 0)}


RECORD = {"filename": "1.jpg", "split": "val", "captions": ["A dog.", "It runs."]}
KARPATHY = {
    "images": [{"filename": "1.jpg", "split": "val", "sentids": [4, 5], "imgid": 0, "sentences": [
        {"raw": "A dog.", "sentid": 4}, {"raw": "It runs.", "sentid": 5}]}],
    "dataset": "flickr30k",
}  # fmt: skip
INTERBERT = {"img_path": "1.jpg", "id": 1, "split": "val", "sentences": ["A dog.", "It runs."]}


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("a.jsonl", RECORD, ["1.jpg#0", "1.jpg#1"]),
        ("a.json", KARPATHY, ["4", "5"]),
        ("a.jsonl", INTERBERT, ["1#0", "1#1"]),
        ("a.csv", "filename,caption,split\n1.jpg,A dog.,val\n1.jpg,It runs.,val\n", ["1", "2"]),
    ],
)
def test_flickr_records_that_name_their_split(tmp_path, name, content, ids):
    data = read_flickr(write(tmp_path / name, content))
    assert rows(data.captions) == [(ids[0], "1.jpg", "A dog."), (ids[1], "1.jpg", "It runs.")]
    assert data.splits == {"val": (1, 2, 0)}


def test_flickr_lists_go_before_records(tmp_path):
    path = write(tmp_path / "a.jsonl", RECORD)
    data = read_flickr(path, splits={"test": write(tmp_path / "test.txt", "1.jpg")})
    assert data.splits == {"test": (1, 2, 0)}


def test_flickr_damaged_records_keep_their_error(tmp_path):
    lines = [
        json.dumps(RECORD),
        "{",
        '{"filename": "2.jpg", "captions": []}',
        '{"captions": ["x"]}',
    ]
    data = read_flickr(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert len(data.errors) == 3
    assert [c.text for c in data.usable().captions] == ["A dog.", "It runs."]


def test_flickr_files_of_another_kind_are_refused(tmp_path):
    with pytest.raises(FormatError, match="captions that name their image"):
        read_flickr(write(tmp_path / "a.txt", "A dog .\n"))
    with pytest.raises(FormatError, match="captions that name their image"):
        read_flickr(write(tmp_path / "a.token", ""))
    tokens = write(tmp_path / "b.token", "1.jpg#0\tA dog .\n")
    with pytest.raises(FormatError, match=r"list\.txt: expected names of images"):
        read_flickr(tokens, splits={"train": write(tmp_path / "list.txt", "7.jpg\n")})
    with pytest.raises(ConfigError, match="did you mean 'flickr'"):
        read_flickr(tokens, format="flicker")


def test_flickr8k_counts(data):
    folder = data / "flickr8k_captions"
    names = ("train", "dev", "test")
    found = read_flickr(
        folder / "Flickr8k.token.txt.gz",
        splits={name: folder / f"Flickr_8k.{name}Images.txt.gz" for name in names},
        name="flickr8k",
    )
    assert (len(found.visuals), len(found.captions), found.errors) == (8092, 40460, ())
    assert found.splits == {
        "train": (6000, 30000, 0),
        "dev": (1000, 5000, 0),
        "test": (1000, 5000, 0),
    }
    assert {len(found.captions_of(visual.id)) for visual in found.visuals} == {5}


@pytest.mark.slow
def test_flickr30k_counts(data):
    found = read_flickr(data / "flickr30k_captions" / "flickr30k_captions.jsonl.gz")
    assert found.splits == {
        "train": (29000, 145000, 0),
        "val": (1014, 5070, 0),
        "test": (1000, 5000, 0),
    }
    assert len(found.visuals) == 31014
