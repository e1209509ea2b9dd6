"""`graphmatch clicks`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from graphmatch.click_schema import ClickSchema
from graphmatch.click_store import ClickStore
from tests.click_world import item_table, log_table, schema


@pytest.fixture
def files(tmp_path):
    pa.parquet.write_table(log_table(), tmp_path / "log.parquet")
    pa.parquet.write_table(item_table(), tmp_path / "items.parquet")
    (tmp_path / "schema.json").write_text(schema().to_json())
    return [tmp_path / "log.parquet", "--items", tmp_path / "items.parquet"]


def test_a_log_becomes_a_store(run, files, tmp_path):
    options = ("--schema", tmp_path / "schema.json", "--out", tmp_path / "s")
    code, out, err = run("clicks", *files, *options)
    assert code == 0, err
    assert "80 samples: 61 train" in out
    assert "title: words" in out
    assert len(ClickStore(tmp_path / "s")) == 80
    code, out, _ = run("clicks", *files, *options)
    assert code == 0
    assert "kept from an earlier run" in out
    code, _, err = run("clicks", *files, *options, "--dtype", "float16")
    assert code == 1
    assert "--force" in err
    code, _, _ = run("clicks", *files, *options, "--dtype", "float16", "--force")
    assert code == 0
    other = ("--encoder", tmp_path / "s", "--out", tmp_path / "t")
    assert run("clicks", *files, *other)[0] == 0
    one, two = ClickStore(tmp_path / "s").encoder, ClickStore(tmp_path / "t").encoder
    assert one.to_json() == two.to_json()


def test_rows_left_out_give_exit_code_3(run, files, tmp_path):
    table = log_table().set_column(3, "label", pa.array([5, *[1] * 79]))
    pa.parquet.write_table(table, tmp_path / "log.parquet")
    options = ("--schema", tmp_path / "schema.json", "--out", tmp_path / "s")
    code, out, _ = run("clicks", *files, *options)
    assert code == 3
    assert "1 rows left out (counted from 0):" in out
    assert "1 row: label is neither 0 nor 1 (row 0)" in out


def test_vectors(run, files, tmp_path):
    np.save(tmp_path / "v.npy", np.ones((8, 5), np.float32))
    options = ("--schema", tmp_path / "schema.json", "--out", tmp_path / "s")
    code, _, err = run("clicks", *files, *options, "--vectors", f"image={tmp_path / 'v.npy'}")
    assert code == 0, err
    assert ClickStore(tmp_path / "s").item("image").shape == (8, 5)
    code, _, err = run("clicks", *files, *options, "--force", "--vectors", "image")
    assert code == 1
    assert "FEATURE=FILE" in err


def test_files_by_split(run, files, tmp_path):
    text = schema().to_json().replace('"by": "user"', '"by": "file"')
    (tmp_path / "schema.json").write_text(text)
    pa.csv.write_csv(log_table(seed=3), tmp_path / "test.csv")
    options = ("--schema", tmp_path / "schema.json", "--out", tmp_path / "s")
    source = (f"train={files[0]}", f"test={tmp_path / 'test.csv'}", *files[1:])
    code, out, err = run("clicks", *source, *options)
    assert code == 0, err
    assert "160 samples: 80 train, 0 valid, 80 test" in out
    code, _, err = run("clicks", f"train={files[0]}", tmp_path / "test.csv", *files[1:], *options)
    assert code == 1
    assert "for all files or for none" in err
    code, _, err = run("clicks", *files, *options, "--force")
    assert code == 1
    assert "expected files by split" in err


def test_wrong_options(run, files, tmp_path):
    code, _, err = run("clicks", files[0], "--out", tmp_path / "s")
    assert code == 1
    assert "expected --schema" in err
    code, _, err = run("clicks", tmp_path, "--out", tmp_path / "s", "--dataset", "movilens")
    assert code == 1
    assert "did you mean 'movielens'" in err
    code, _, err = run("clicks", *files, "--schema", tmp_path / "schema.json")
    assert code == 1
    assert "expected --out" in err
    code, _, err = run("clicks", tmp_path / "a.txt", "--schema", tmp_path / "schema.json")
    assert code == 1
    assert "expected a name that ends with .parquet" in err
    assert not (tmp_path / "s").exists()


def test_movielens(run, data, tmp_path):
    folder = data / "ml-latest-small"
    code, out, _ = run("clicks", folder, "--dataset", "movielens", "--print-schema")
    assert code == 0
    assert ClickSchema.from_json(out).label_from == 4
