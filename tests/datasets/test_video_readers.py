"""HGR's folders, MSR-VTT."""

from __future__ import annotations

import gzip
import json
import os
import pickle

import numpy as np
import pytest

from graphmatch.datasets.hgr_folder import read_hgr_folder, read_role_graphs
from graphmatch.datasets.msrvtt import read_msrvtt
from graphmatch.datasets.names_file import read_names
from graphmatch.datasets.role_graph_file import role_graph_from_json
from graphmatch.errors import FormatError


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# names


@pytest.mark.parametrize(
    "array",
    [
        np.array(["video0", "vidéo 7"]),
        np.array(["video0", "vidéo 7"], object),
        np.array([b"video0", "vidéo 7".encode()]),
        np.array([b"video0", "vidéo 7".encode()], object),
        np.array(["video0", "vidéo 7"]).astype(">U9"),
    ],
)
def test_names_of_every_kind_of_array(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert read_names(tmp_path / "a.npy") == ["video0", "vidéo 7"]


def test_names_that_python_2_pickled(tmp_path):
    # protocol 2 with str as Python 2 wrote it: SHORT_BINSTRING is bytes of no encoding
    np.save(tmp_path / "new.npy", np.array(["a"], object), allow_pickle=True)
    header = (tmp_path / "new.npy").read_bytes()[:128]
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01\x85cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK?tb\x89]U\x07vid\xc3\xa9o0atb."
    )
    write(tmp_path / "a.npy", header + content)
    assert read_names(tmp_path / "a.npy") == ["vidéo0"]


def test_names_that_are_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.array([7, 10]))
    assert read_names(tmp_path / "a.npy") == ["7", "10"]


class Malice:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_malicious_names_are_refused_and_create_nothing(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Malice(tmp_path / "made")], object), allow_pickle=True)
    pickle.loads((tmp_path / "a.npy").read_bytes()[128:])
    (tmp_path / "made").rmdir()  # so it would work
    with pytest.raises(FormatError, match="it asks for"):
        read_names(tmp_path / "a.npy")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2), "U3"),
        np.array("a"),
        np.array([1.5]),
        np.array([True]),
        np.array([["a"], None], object),
        np.array(["2020-01-01"], "M8[D]"),
        np.array([(1, "a")], [("x", int), ("y", "U3")]),
    ],
)
def test_arrays_that_are_no_names_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(FormatError, match=r"a\.npy: expected"):
        read_names(tmp_path / "a.npy")


def test_damaged_names_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array(["video0", "video7"]))
    whole = (tmp_path / "a.npy").read_bytes()
    for content in (b"", whole[:5], whole[:60], whole[:-1], whole + b"\0"):
        with pytest.raises(FormatError, match=r"a\.npy: "):
            read_names(write(tmp_path / "a.npy", content))
    with pytest.raises(FormatError, match="no such file"):
        read_names(tmp_path / "b.npy")


# HGR's folders


def hgr(folder, captions, **names):
    write(folder / "annotation/RET/ref_captions.json", captions)
    (folder / "public_split").mkdir()
    for split, ids in names.items():
        np.save(folder / f"public_split/{split}_names.npy", np.array(ids))
    return read_hgr_folder(folder, splits=list(names))


def test_hgr_folder(tmp_path):
    captions = {"v2": ["a cat"], "v1": ["a dog runs", "a dog"], "v3": ["x"]}
    data = hgr(tmp_path, captions, trn=["v1"], val=["v2"])
    assert [(v.id, v.kind, v.split, v.error) for v in data.visuals] == [
        ("v1", "video", "trn", None),
        ("v2", "video", "val", None),
        ("v3", "video", None, None),
    ]
    assert [(c.id, c.owner, c.text) for c in data.captions] == [
        ("v2#0", "v2", "a cat"),
        ("v1#0", "v1", "a dog runs"),
        ("v1#1", "v1", "a dog"),
        ("v3#0", "v3", "x"),
    ]
    assert data.splits == {"trn": (1, 2, 0), "val": (1, 1, 0)}


def test_hgr_records_that_cannot_be_used_keep_their_error(tmp_path):
    captions = {"v1": ["a dog", 7, " "], "v2": [], "v4": ["x"]}
    data = hgr(tmp_path, captions, trn=["v1", "v2"], tst=["v3", "v1"])
    assert {record.id: record.error for record in data.errors} == {
        "v3": "no caption in ref_captions.json",
        "v1": "duplicate id 'v1': an earlier video has it",
        "v1#1": "expected text in one of the fields caption, text, sentence, raw",
        "v1#2": "expected a caption (got an empty one)",
        "record-2": "expected a caption (the list is empty)",
    }
    assert [c.id for c in data.usable().captions] == ["v1#0", "v4#0"]


def test_hgr_names_of_other_captions_are_refused(tmp_path):
    with pytest.raises(FormatError, match="expected captions of the videos"):
        hgr(tmp_path, {"v1": ["a dog"]}, trn=["w1"])
    with pytest.raises(FormatError, match=r"val_names\.npy: no such file"):
        read_hgr_folder(tmp_path)


GRAPH = [
    {
        "ROOT": {"role": "ROOT", "spans": [0, 1], "words": ["dogs", "run"]},
        "1": {"role": "V", "spans": [1], "words": ["run"]},
        "2": {"role": "ARG0", "spans": [0], "words": ["dogs"]},
    },
    [["1", "2", "ARG0"]],
]


def test_role_graphs_by_caption(tmp_path):
    bad = [{"ROOT": {"role": "ROOT", "spans": [3], "words": ["x"]}}, []]
    content = {"dogs run": GRAPH, "x": bad, "y": None, "z\ud800": GRAPH}
    found = list(read_role_graphs(write(tmp_path / "sent2rolegraph.json", content)))
    assert [(one.text, one.error is None) for one in found] == [
        ("dogs run", True),
        ("x", False),
        ("y", False),
        ("z�", True),
    ]
    assert (found[0].words, found[0].graph) == role_graph_from_json(GRAPH)
    assert "expected [nodes, edges]" in found[2].error
    with pytest.raises(FormatError, match=r"expected \[nodes, edges\] by caption"):
        list(read_role_graphs(write(tmp_path / "a.json", [GRAPH])))


# MSR-VTT


def video(id, **fields):
    return {
        "video_id": id,
        "split": "train",
        "category": 1,
        "start time": 2.5,
        "end time": 9,
    } | fields


def sentence(number, owner, text="a dog runs"):
    return {"sen_id": number, "video_id": owner, "caption": text}


def msrvtt(folder, videos, sentences, **options):
    content = {"info": {}, "videos": videos, "sentences": sentences}
    return read_msrvtt([write(folder / "train.json", content)], **options)


def test_msrvtt_videos_and_sentences_of_several_files(tmp_path):
    first = {"videos": [video("v0"), video("v1", split="validate")], "sentences": []}
    second = {
        "videos": [video("v2", split="test", category=0)],
        "sentences": [sentence(5, "v0"), sentence(3, "v2", "a cat")],
    }
    paths = [
        write(tmp_path / "a.json.gz", gzip.compress(json.dumps(first).encode())),
        write(tmp_path / "b.json", second),
    ]
    names = write(tmp_path / "category.txt", "music\t0\npeople\t1\n")
    data = read_msrvtt(paths, categories=names)
    assert [(v.id, v.split, v.duration, data.labels[v.label]) for v in data.visuals] == [
        ("v0", "train", 6.5, "people"),
        ("v1", "validate", 6.5, "people"),
        ("v2", "test", 6.5, "music"),
    ]
    assert [(c.id, c.owner) for c in data.captions] == [("5", "v0"), ("3", "v2")]
    assert data.errors == ()


def test_msrvtt_records_that_cannot_be_used_keep_their_error(tmp_path):
    videos = [
        video("v0"),
        video("v0"),
        video(None),
        7,
        video("v1", **{"end time": 1.0}),
        video("v2", category="x", **{"start time": None}),
    ]
    sentences = [sentence(1, "v0"), sentence(1, "v0"), sentence(2, "v9"), 7, {"caption": "x"}]
    data = msrvtt(tmp_path, videos, sentences)
    assert [(record.id, record.error) for record in data.errors] == [
        ("v0", "duplicate id 'v0': an earlier video has it"),
        ("train.json:3", "expected an object with a `video_id`"),
        ("train.json:4", "expected an object with a `video_id`"),
        ("v1", "duration: expected a positive number of seconds (got -1.5)"),
        ("1", "duplicate id '1': an earlier caption has it"),
        ("2", "owner 'v9': no such image or video"),
        ("train.json:record-4", "expected an object with a caption"),
        ("train.json:5", "expected the id of an image or video (got none)"),
    ]
    last = data.visual("v2")
    assert (last.duration, last.label) == (None, None)


@pytest.mark.parametrize("content", [{}, {"videos": []}, {"videos": [], "sentences": {}}, [], "{"])
def test_msrvtt_json_of_another_kind_is_refused(tmp_path, content):
    with pytest.raises(FormatError, match=r"a\.json: expected"):
        read_msrvtt([write(tmp_path / "a.json", content)])


def test_msrvtt_category_without_a_name_is_an_error(tmp_path):
    names = write(tmp_path / "c.txt", "music\t0\npeople\t1\n")
    videos = [video("v0"), video("v1", category=2), video("v2", category=None)]
    data = msrvtt(tmp_path, videos, [], categories=names)
    assert [(one.id, one.error) for one in data.errors] == [
        ("v1", "label: expected below 2 (got 2)")
    ]


@pytest.mark.parametrize("lines", ["music\t1\n", "music 0\n", "a\t0\nb\t2\n"])
def test_msrvtt_categories_of_another_kind_are_refused(tmp_path, lines):
    with pytest.raises(FormatError, match="a name, a tab and its number"):
        msrvtt(tmp_path, [video("v")], [], categories=write(tmp_path / "c.txt", lines))


@pytest.mark.slow
def test_msrvtt_counts(data):
    folder = data / "msrvtt"
    paths = [folder / f"{name}_videodatainfo.json.gz" for name in ("train_val", "test")]
    found = read_msrvtt(paths, categories=folder / "category.txt")
    assert found.splits == {
        "train": (6513, 130260, 0),
        "validate": (497, 9940, 0),
        "test": (2990, 59800, 0),
    }
    assert len(found.captions) == 200_000
    assert len(found.labels) == 20
    assert {visual.label for visual in found.visuals} == set(range(20))
    assert all(0 < visual.duration < 60 for visual in found.visuals)
