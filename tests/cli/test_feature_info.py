"""`graphmatch info` on stores of features."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_writer import FeatureWriter


@pytest.fixture
def regions(tmp_path):
    job = {"detector": "hand", "labels": ["dog", "cat"]}
    with FeatureWriter(tmp_path / "r", kind="regions", job=job) as writer:
        for key, labels in (("a", [0, 1, 1]), ("b", [1, -1, 5, 0])):
            columns = {"feature": np.zeros((len(labels), 8), np.float32), "label": labels}
            writer.add(FeatureRecord(id=key, columns=columns))
        writer.add(FeatureRecord(id="c", error="truncated image (9 bytes)"))
        writer.add(FeatureRecord(id="d", error="truncated image (7 bytes)"))
    return tmp_path / "r"


def test_info_counts_regions_labels_and_failures(run, regions):
    code, out, err = run("info", regions, "--json", "--failures")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "kind": "regions", "items": 4, "failed": 2, "rows": 7,
        "columns": {"feature": "float32 [8]", "label": "int32 []"},
        "rows_per_item": [3, 3.5, 4],
        "labels": {"cat": 3, "dog": 2, "none": 1, "5": 1},
        "failure_reasons": {"truncated image": 2},
        "failures": [["c", "truncated image (9 bytes)"], ["d", "truncated image (7 bytes)"]],
    }  # fmt: skip


def test_info_is_readable(run, regions):
    code, out, _ = run("info", regions, "--failures", "--verify")
    assert code == 0
    assert "4 items, 2 failed" in out
    assert "7 regions, 3 to 4 an item, 3.5 on average" in out
    assert "every checksum is right" in out
    assert "d\ttruncated image (7 bytes)" in out


def test_info_of_clips_has_hours(run, tmp_path):
    with FeatureWriter(tmp_path / "v", kind="clips", job={}) as writer:
        columns = {"feature": np.ones((2, 4)), "time": [[0, 900], [900, 1800]], "duration": 1800}
        writer.add(FeatureRecord(id="v", columns=columns))
    code, out, _ = run("info", tmp_path / "v")
    assert code == 0
    assert "0.50 hours of video" in out


def test_info_verifies_only_when_asked(run, regions):
    path = regions / "feature.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert run("info", regions)[0] == 0
    code, _, err = run("info", regions, "--verify")
    assert code == 1
    assert "feature is not as it was written" in err


def test_info_of_a_damaged_feature_store_names_the_file(run, regions):
    (regions / "items.jsonl").write_bytes(b"{" * 200)
    code, _, err = run("info", regions)
    assert code == 1
    assert "items.jsonl" in err
