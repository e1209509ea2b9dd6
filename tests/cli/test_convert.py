"""`graphmatch convert`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graphmatch.feature_store import FeatureStore


@pytest.fixture
def features(tmp_path):
    """SCAN's files of 6 images."""
    numbers = np.random.default_rng(0)
    np.save(tmp_path / "dev_ims.npy", numbers.random((6, 3, 4), np.float32))
    boxes = np.tile(np.array([0, 0, 50.5, 40], "f4"), (6, 3, 1))
    np.save(tmp_path / "dev_ims_bbx.npy", boxes)
    sizes = np.array([{"image_w": 60, "image_h": 50}] * 6, object)
    np.save(tmp_path / "dev_ims_size.npy", sizes, allow_pickle=True)
    (tmp_path / "dev_ids.txt").write_text("".join(f"{n}\n" for n in range(10, 16)))
    return tmp_path / "dev_ims.npy"


def test_to_a_store_and_back(run, features, tmp_path):
    code, out, err = run("convert", features, "--out", tmp_path / "s")
    assert code == 0, err
    assert "6 items" in out
    assert "18 rows" in out
    assert FeatureStore(tmp_path / "s").ids == [str(n) for n in range(10, 16)]
    code, out, _ = run("convert", features, "--from", "scan", "--to", "store", "-o", tmp_path / "s")
    assert code == 0
    assert "6 items were kept from an earlier run" in out
    code, _, err = run("convert", tmp_path / "s", "--out", tmp_path / "new_ims.npy", "--repeat", 5)
    assert code == 0, err
    assert np.load(tmp_path / "new_ims.npy").shape == (30, 3, 4)
    code, _, err = run("convert", tmp_path / "s", "--out", tmp_path / "new_ims.npy")
    assert code == 1
    assert "--force" in err
    assert run("convert", tmp_path / "s", "--out", tmp_path / "new_ims.npy", "--force")[0] == 0
    assert np.load(tmp_path / "new_ims.npy").shape == (6, 3, 4)


def test_failed_items_give_exit_code_3(run, features, tmp_path):
    array = np.load(features)
    array[2] = np.nan
    np.save(features, array)
    code, out, _ = run("convert", features, "--out", tmp_path / "s", "--dtype", "float16")
    assert code == 3
    assert "1 failed" in out
    assert "  12: '12': column 'feature': expected finite numbers" in out
    assert FeatureStore(tmp_path / "s").failures[0][0] == "12"


def test_options_of_formats(run, tmp_path):
    np.save(tmp_path / "val_ft.npy", np.eye(3, dtype="f4"))
    np.save(tmp_path / "n.npy", np.array(["a", "b", "c"]))
    arguments = ("convert", tmp_path / "val_ft.npy", tmp_path / "val_ft.npy")
    code, _, err = run(*arguments, "--out", tmp_path / "s")
    assert code == 1
    assert "expected the option seconds_per_step" in err
    options = ("--names", tmp_path / "n.npy", "--seconds-per-step", "12.5")
    assert run(*arguments, "--out", tmp_path / "s", *options)[0] == 0
    record = FeatureStore(tmp_path / "s")["b"]
    assert record.columns["feature"].tolist() == [[0, 1, 0, 0, 1, 0]]
    assert record.columns["duration"] == 12.5
    assert run("convert", tmp_path / "s", "--to", "drn", "--out", tmp_path / "pt")[0] == 0
    (tmp_path / "fps.json").write_text(json.dumps({"a": "2", "b": 2, "c": 2}))
    options = ("--window", 4, "--step", 2, "--fps", tmp_path / "fps.json")
    assert run("convert", tmp_path / "pt", "--out", tmp_path / "t", *options)[0] == 0
    assert FeatureStore(tmp_path / "t")["a"].columns["time"].tolist() == [[0, 2]]


def test_detections(run, tmp_path):
    found = [{"image_id": 7, "category_id": 90, "bbox": [1, 2, 3, 4], "score": 0.5}]
    (tmp_path / "results.json").write_text(json.dumps(found))
    truth = {"images": [{"id": 7, "width": 50, "height": 40, "file_name": "7.jpg"}]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    options = ("--annotations", tmp_path / "truth.json", "--labels", "position")
    arguments = ("convert", tmp_path / "results.json", "--out", tmp_path / "s", *options)
    code, _, err = run(*arguments)
    assert code == 0, err
    assert FeatureStore(tmp_path / "s")["7"].columns["label"].tolist() == [79]
    assert run("convert", tmp_path / "s", "--out", tmp_path / "back.json", *options)[0] == 0
    assert json.loads((tmp_path / "back.json").read_text()) == found


def test_wrong_use(run, features, tmp_path):
    code, _, err = run("convert", features, "--out", tmp_path / "s", "--from", "scann")
    assert code == 1
    assert "did you mean 'scan'" in err
    assert run("convert", features)[0] == 2
    features.write_bytes(features.read_bytes()[:-9])
    code, _, err = run("convert", features, "--out", tmp_path / "s")
    assert code == 1
    assert "truncated" in err
    assert "Traceback" not in err
