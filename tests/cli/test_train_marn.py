"""`graphmatch train marn`, `evaluate --clicks`, `export-items`: the commands, on files."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from graphmatch.checkpoint import load_checkpoint
from graphmatch.click_scorer import ClickScorer
from tests.click_training_world import EVENTS, SCHEMA, item_table, log_table

SIZES = ("dim=16", "hidden=16", "units=[16]", "product=true", "embedding_std=0.3", "history=8",
         "item_width=8", "word_width=4", "channels=4", "batch_size=64", "lr=0.01",
         "epochs=1")  # fmt: skip
SETS = [part for one in SIZES for part in ("--set", one)]


def write_log(folder):
    """Files with rows of every kind of trouble."""
    rows = log_table().to_pylist()
    for number in range(EVENTS):  # events of one second do not see each other
        rows[number]["time"] = 50.0
    rows[EVENTS - 1] = {**rows[EVENTS - 1], "item": "no one knows"}
    rows[EVENTS + 3] = {**rows[EVENTS + 3], "phone": None, "action": None, "age": None}
    rows.append({**rows[20], "time": 9e9})  # in the far future
    rows.append({**rows[20], "label": 7})  # no label
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows), folder / "log.csv")
    pyarrow.parquet.write_table(item_table(), folder / "items.parquet")
    (folder / "schema.json").write_text(SCHEMA.to_json())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_log(folder)
    return folder


@pytest.fixture
def store(run, world):
    out = world / "clicks"
    code, text, err = run("clicks", world / "log.csv", "--items", world / "items.parquet",
                          "--schema", world / "schema.json", "--out", out)  # fmt: skip
    assert code == 3, err
    assert "1 rows left out" in text
    return out


def train(run, store, out, *options):
    return run("train", "marn", "--clicks", store, "--out", out, *SETS, *options)


def test_from_a_log_to_scores(run, world, store, tmp_path):
    out = tmp_path / "run"
    code, text, err = train(run, store, out)
    assert (code, err) == (0, "")
    assert "dim=16" in text
    assert "batch_size=64" in text
    assert "samples of 25 items; 1 epochs" in text
    assert "best: AUC 0." in text
    assert "adversary in the last" in text
    code, text, _ = train(run, store, out)
    assert code == 0
    assert "nothing to do" in text

    report, predictions = tmp_path / "report.json", tmp_path / "p.csv"
    base = ("evaluate", "--clicks", store, "--checkpoint", out, "--bootstrap", 20)
    options = ("--out", report, "--predictions", predictions)
    code, text, err = run(*base, *options)
    assert (code, err) == (0, "")
    assert "means of user and item" in text
    content = json.loads(report.read_text())["clicks"]
    assert content["samples"] == 120
    assert content["empty"] == 2  # of the user whose events are all of one second
    assert content["new_items"] == 1
    table = pyarrow.csv.read_csv(predictions).to_pylist()
    assert len(table) == 120
    row = next(one for one in table if one["item"] == "no one knows")
    assert 0 < row["probability"] < 1
    far = next(one for one in table if one["row"] == 60 * EVENTS)
    assert 0 < far["probability"] < 1
    code, _, err = run(*base, *options)
    assert code == 1
    assert "--force" in err
    code, text, _ = run(*base, *options, "--force", "--split", "valid", "--dtype", "bf16")
    assert code == 0
    assert "(valid)" in text

    items = tmp_path / "items"
    code, text, err = run("export-items", "--checkpoint", out, "--clicks", store, "--out", items)
    assert (code, err) == (0, "")
    assert "25 items, 16 numbers each" in text
    code, text, _ = run("export-items", "--checkpoint", out, "--clicks", store, "--out", items)
    assert "kept from an earlier run" in text
    scores = ClickScorer(items, out).score(
        ["no one knows"], time=50.0, request={"age": row_age(), "phone": row_phone()}
    )
    assert scores.known.all()
    assert scores.probability[0] == pytest.approx(row["probability"], abs=1e-6)


def row_age():
    return log_table().to_pylist()[EVENTS - 1]["age"]


def row_phone():
    return log_table().to_pylist()[EVENTS - 1]["phone"]


@pytest.mark.slow
def test_a_checkpoint_to_begin_with(run, store, tmp_path):
    code, _, err = train(run, store, tmp_path / "a")
    assert code == 0, err
    code, text, err = train(run, store, tmp_path / "b", "--init", tmp_path / "a")
    assert code == 1
    assert "the checkpoint decides what is read" in err
    options = ("--set", "lr=1e-9", "--set", "batch_size=64", "--set", "epochs=1")
    code, text, err = run("train", "marn", "--clicks", store, "--out", tmp_path / "b",
                          "--init", tmp_path / "a", *options)  # fmt: skip
    assert (code, err) == (0, "")
    one, _ = load_checkpoint(tmp_path / "a", task="click")
    two, _ = load_checkpoint(tmp_path / "b", task="click")
    assert one.config == two.config
    assert "dim=16" in text
    assert (one.head.out.weight - two.head.out.weight).abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("always::graphmatch.collapse.CollapseWarning")
def test_a_collapse_is_a_line(run, store, tmp_path):
    options = ("--set", "w_normalize=false", "--set", "eta=0", "--set", "epochs=5",
               "--set", "save_steps=0", "--set", "batch_size=16")  # fmt: skip
    code, text, err = train(run, store, tmp_path / "run", *options)
    assert code == 0
    lines = err.splitlines()
    assert any(line.startswith("graphmatch: fused invariant features have") for line in lines)
    assert len({*lines}) == len(lines)
    assert "since step" in text


def test_a_column_that_is_missing_is_named(run, world, tmp_path):
    values = json.loads(SCHEMA.to_json())
    values["context"][0]["column"] = "agee"
    (tmp_path / "schema.json").write_text(json.dumps(values))
    code, _, err = run("clicks", world / "log.csv", "--items", world / "items.parquet",
                       "--schema", tmp_path / "schema.json", "--out", tmp_path / "b")  # fmt: skip
    assert code == 1
    assert "agee" in err
    assert "age" in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--set", "epoch=3"), "did you mean 'epochs'"),
        (("--set", "modalities=[\"idz\"]"), "did you mean 'ids'"),
        (("--set", "modalities=[\"ids\"]"), "expected at least 2 with item='marn'"),
        (("--set", "modalities=[\"ids\",\"ids\"]"), "each modality once"),
        (("--set", "properties=[\"typ\"]"), "did you mean 'type'"),
        (("--set", "vocabulary=3"), "follows from the data"),
        (("--set", "normalise=[\"title\"]"), "modality of vectors"),
        (("--set", "dim"), "expected field=value"),
        (("--set", "choose=acc"), "choose"),
        (("--set", "time_buckets=1"), "time_buckets"),
        (("--visual", "x"), "--visual: not for marn"),
        (("--captions", "x"), "--captions: not for marn"),
        (("--val-share", 0.5), "--val-share: not for marn"),
        (("--init", "nowhere"), "expected a checkpoint"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(run, store, tmp_path, options, problem):
    code, _, err = train(run, store, tmp_path / "run", *options)
    assert code == 1
    assert problem in err
    assert err.count("\n") == 1


def test_options_that_belong_together(run, world, store, tmp_path):
    code, _, err = run("train", "marn", "--out", tmp_path / "run")
    assert (code, err) == (1, "graphmatch: expected --clicks for marn (got none)\n")
    code, _, err = run("train", "scan", "--out", tmp_path / "run", "--clicks", store)
    assert (code, err) == (1, "graphmatch: --clicks: not for scan\n")
    code, _, err = run("train", "scan", "--out", tmp_path / "run", "--captions", "x")
    assert (code, err) == (1, "graphmatch: expected --visual for scan (got none)\n")
    code, _, err = train(run, world, tmp_path / "run")
    assert code == 1
    assert "expected a store of clicks" in err
    code, _, err = run("evaluate", "--checkpoint", "x")
    assert (code, err) == (1, "graphmatch: expected --visual, or --clicks for marn (got neither)\n")
    code, _, err = run("evaluate", "--visual", "x", "--predictions", "p.csv")
    assert code == 1
    assert "expected --clicks with them" in err
    code, _, err = run("evaluate", "--clicks", store, "--queries", "x", "--checkpoint", "x")
    assert (code, err) == (1, "graphmatch: --clicks: expected no --queries with it\n")
    code, _, err = run("evaluate", "--clicks", store)
    assert (code, err) == (1, "graphmatch: --clicks: expected one --checkpoint (got 0)\n")
    code, _, err = run("evaluate", "--clicks", store, "--checkpoint", "x", "--predictions", "p.txt")
    assert code == 1
    assert ".parquet or .csv" in err
