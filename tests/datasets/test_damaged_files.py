"""Whatever is in a file: a data set with every record accounted for, or a FormatError."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.datasets.activitynet import read_activitynet
from graphmatch.datasets.charades_sta import read_charades_sta
from graphmatch.datasets.coco import read_coco
from graphmatch.datasets.flickr import read_flickr
from graphmatch.datasets.hgr_folder import read_hgr_folder, read_role_graphs
from graphmatch.datasets.msrvtt import read_msrvtt
from graphmatch.datasets.scan_folder import read_scan_folder, read_scan_parses
from graphmatch.datasets.tacos import read_tacos
from graphmatch.errors import FormatError


def npy(*names):
    stream = io.BytesIO()
    np.save(stream, np.array(names))
    return stream.getvalue()


TIMES = {"timestamps": [[0.5, 2], [1, 3]], "sentences": ["A dog runs.", "It sits."]}
NODES = {
    "ROOT": {"role": "ROOT", "spans": [0], "words": ["run"]},
    "1": {"role": "V", "spans": [0], "words": ["run"]},
}
IMAGES = [{"id": 1, "width": 9, "height": 9}, {"id": 2, "width": 9, "height": 9}]
CASES = {
    "coco": (
        {
            "c": {
                "images": IMAGES,
                "annotations": [{"id": 1, "image_id": 1, "caption": "A dog."}],
            },
            "i": {
                "images": IMAGES,
                "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
                "categories": [{"id": 1, "name": "dog"}],
            },
            "s": {"train": [1], "val": [2]},
        },
        lambda f: read_coco(f / "c", instances=f / "i", splits=f / "s"),
    ),
    "charades": (
        {"a": b"A 1 2##it runs.\nB 0 1##it sits.\n", "d": {"A": 9.5, "B": "3"}},
        lambda f: read_charades_sta({"x": f / "a"}, durations=f / "d", fps=f / "d", frames=f / "d"),
    ),
    "activitynet": (
        {"a": {"v": TIMES | {"duration": 9.5}}, "b": {"v": TIMES | {"duration": 2.5}}},
        lambda f: read_activitynet({"x": f / "a", "y": f / "b"}),
    ),
    "tacos": (
        {"a": {"v": TIMES | {"fps": 2.5, "num_frames": 40}}},
        lambda f: read_tacos(f / "a", clip_moments=False),
    ),
    "flickr": (
        {"a.token": b"1.jpg#0\tA dog .\n2.jpg#0\tA cat .\n", "t": b"1.jpg\n", "d": b"2\n"},
        lambda f: read_flickr(f / "a.token", splits={"train": f / "t", "dev": f / "d"}),
    ),
    "msrvtt": (
        {
            "a": {
                "videos": [{"video_id": "v", "start time": 1.5, "end time": 3, "category": 0}],
                "sentences": [{"sen_id": 0, "video_id": "v", "caption": "a dog"}],
            },
            "c": b"music\t0\n",
        },
        lambda f: read_msrvtt(f / "a", categories=f / "c"),
    ),
    "scan": (
        {"dev_caps.txt": b"A dog .\n" * 10, "dev_ids.txt": b"139\n285\n"},
        lambda f: read_scan_folder(f, splits=["dev"], dev_captions=7),
    ),
    "scan parses": (
        {"dev_precaps_stan.txt": b"1,2\n3\n", "dev_caps.json": [[[0, 1], [1, 2]], []]},
        lambda f: list(read_scan_parses(f, "dev")),
    ),
    "hgr": (
        {
            "annotation/RET/ref_captions.json": {"v": ["a dog", "a cat"], "w": ["x"]},
            "public_split/trn_names.npy": npy("v"),
            "public_split/val_names.npy": npy("w", "v"),
        },
        lambda f: read_hgr_folder(f, splits=["trn", "val"]),
    ),
    "role graphs": (
        {"a": {"run": [NODES, []], "go": [NODES, [["1", "1", "ARG0"]]]}},
        lambda f: list(read_role_graphs(f / "a")),
    ),
}
JSON = [b"null", b"[]", b"{}", b"1e999", b"NaN", b"true", b"\\ud800", b'"', b"[", b"}", b","]
BYTES = [
    b"",
    b"\n",
    b"\t",
    b"##",
    b"-",
    b"0",
    b"9" * 30,
    b"\x00",
    b"\xff",
    b"\x1f\x8b",
    b"\xff\xfe",
]
PIECES = st.sampled_from(JSON + BYTES)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=3)


def damage(content, edits):
    for place, length, piece in edits:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + length :]
    return content


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("case", CASES)
def test_damage_of_any_file_ends_in_records_or_a_format_error(tmp_path_factory, case):
    files, read = CASES[case]
    files = {n: c if isinstance(c, bytes) else json.dumps(c).encode() for n, c in files.items()}
    folder = tmp_path_factory.mktemp("damaged")
    write(folder, files)
    whole = read(folder)
    assert not [one for one in getattr(whole, "captions", whole) if one.error]

    # headers of arrays are read by graphmatch.npy, which has its own tests
    @given(st.sampled_from(sorted(name for name in files if not name.endswith(".npy"))), EDITS)
    @settings(max_examples=60)
    def check(name, edits):
        write(folder, files | {name: damage(files[name], edits)})
        try:
            found = read(folder)
        except FormatError:
            return
        if not isinstance(found, list):
            good = found.usable()
            assert good.check().errors == ()
            assert len(good.captions) <= len(found.captions)
            str(found).encode()
            for record in (*found.visuals, *found.captions):
                record.id.encode()
                assert record.error is None or record.error.encode()

    check()
