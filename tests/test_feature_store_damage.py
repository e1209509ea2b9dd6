"""Feature stores with damaged and malicious files."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import pytest

from graphmatch.errors import FormatError
from graphmatch.feature_store import FeatureStore
from graphmatch.store_folder import MANIFEST, stored_format
from tests.features import record, write


@pytest.mark.parametrize("name", ["feature.npy", "box.npy", "items.jsonl", "offset.npy"])
def test_verify_finds_one_changed_byte(tmp_path, name):
    write(tmp_path / "s", [record("a", 5), record("b", 5)])
    path = tmp_path / "s" / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FormatError, match=f"{name.split('.')[0]}"):
        FeatureStore(tmp_path / "s").verify()


def damage(name, change):
    def apply(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def edit(**changes):
    def change(content):
        return json.dumps({**json.loads(content), **changes}).encode()

    return damage("manifest.json", change)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    "spoil",
    [
        damage("feature.npy", lambda content: content[:-1]),
        damage("feature.npy", lambda content: content[:40]),
        damage("feature.npy", lambda content: b"\x93NUMPX" + content[6:]),
        damage("feature.npy", lambda _: b""),
        damage("offset.npy", lambda content: content[:-8]),
        damage("box.npy", lambda content: content.replace(b"<f4", b"<f8")),
        damage("items.jsonl", lambda content: content[:-1]),
        damage("manifest.json", lambda content: content[:-20]),
        damage("manifest.json", lambda _: b"[" * 100_000),
        lambda folder: (folder / "label.npy").unlink(),
        edit(kind="images"),
        edit(counts={"items": 2}),
        edit(counts={"items": -1, "rows": 4, "failed": 0, "bytes": 44}),
        edit(counts={"items": 2, "rows": 1, "failed": 0, "bytes": 10}),
        edit(counts={"items": "2", "rows": 1, "failed": 0, "bytes": 0}),
        edit(columns={"feature": {"dtype": "<f4", "shape": [3]}}),
        edit(columns={"../secret": {"dtype": "<f4", "shape": [3]}}),
        edit(columns={"feature": {"dtype": "O", "shape": [3]}}),
        edit(columns=[]),
        edit(version=99),
        edit(format="other"),
    ],
    ids=range(21),
)
def test_damage_is_named_when_the_store_is_opened(tmp_path, spoil):
    write(tmp_path / "good", [record("a"), record("b")])
    shutil.copytree(tmp_path / "good", tmp_path / "s")
    spoil(tmp_path / "s")
    with pytest.raises(FormatError):
        FeatureStore(tmp_path / "s")


@pytest.mark.parametrize(
    "lines", [b"{}\n{}\n", b'{"id": 3, "rows": 2}\n' * 2, b"[[[\n\n", b"\xff\xfe\n\n"]
)
def test_damaged_items_are_an_error(tmp_path, lines):
    write(tmp_path / "s", [record("a"), record("b")])
    content = (tmp_path / "s" / "items.jsonl").read_bytes()
    (tmp_path / "s" / "items.jsonl").write_bytes(lines.ljust(len(content), b" "))
    with pytest.raises(FormatError, match=r"items\.jsonl"):
        _ = FeatureStore(tmp_path / "s").ids


def test_a_pickle_in_a_column_is_never_run(tmp_path):
    write(tmp_path / "s", [record("a")])
    victim = tmp_path / "created"
    array = np.empty(1, object)
    array[0] = Malicious(victim)
    with (tmp_path / "s" / "feature.npy").open("wb") as stream:
        np.lib.format.write_array(stream, array, allow_pickle=True)
    assert b"open" in pickle.dumps(array[0])
    with pytest.raises(FormatError, match="numbers"):
        FeatureStore(tmp_path / "s")
    assert not victim.exists()


def test_negative_offsets_are_found(tmp_path):
    write(tmp_path / "s", [record("a", 3), record("b", 3)])
    path = tmp_path / "s" / "offset.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-16] + np.array([9, 6], "<i8").tobytes())
    with pytest.raises(FormatError, match="ascending"):
        FeatureStore(tmp_path / "s").verify()


def test_labels_that_are_no_list_are_an_error(tmp_path):
    write(tmp_path / "s", [record("a")])
    edit(job={"labels": 5})(tmp_path / "s")
    with pytest.raises(FormatError, match="labels is 5"):
        _ = FeatureStore(tmp_path / "s").labels


def test_a_pipe_for_a_manifest_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / MANIFEST)
    assert stored_format(tmp_path) is None
