"""`benchmarks/charades.py`: splits and stores, the whole on made-up data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SECONDS = 12.0


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def world(folder, videos=12):
    """Charades' files: in every video somebody opens a door, then sits."""
    folder.mkdir()
    ids = [f"V{number:03}" for number in range(videos)]
    rows, lines = ["id,actions,length"], []
    for number, id in enumerate(ids):
        start = number % 5
        rows.append(f"{id},c003 {start} {start + 4};c010 {start + 5} {start + 7},12.0")
        lines.append(f"{id} {start} {start + 4}##person opens the door.")
        lines.append(f"{id} {start + 5} {start + 7}##a person sits down.")
    (folder / "Charades_v1_train.csv").write_text("\n".join(rows))
    (folder / "Charades_v1_test.csv").write_text("id,actions,length\n")
    (folder / "Charades_sta_train.txt").write_text("\n".join(lines[:-4]))
    (folder / "Charades_sta_test.txt").write_text("\n".join(lines[-4:]))
    for name, value in (("duration", SECONDS), ("frames_info", 120)):
        (folder / f"Charades_{name}.json").write_text(json.dumps(dict.fromkeys(ids, value)))
    words = ("person", "opens", "the", "door", "a", "sits", "down")
    content = {word: number for number, word in enumerate(words, start=1)}
    (folder / "Charades_word2id.json").write_text(json.dumps(content))
    save_file({"weight": torch.randn(len(words) + 1, 5)}, folder / "glove_300d.safetensors")
    return folder


def test_stores_and_splits(tmp_path):
    from charades_stores import held_out, make_stores

    data, told = world(tmp_path / "data", videos=40), []
    stores = make_stores(data, tmp_path / "out", ["oracle"], tell=told.append)
    owners = {s: {c.owner for c in stores.data_set(s).captions} for s in ("train", "val", "test")}
    assert owners["test"] == {"V038", "V039"}
    assert owners["val"] == {id for id in owners["val"] | owners["train"] if held_out(id)}
    assert owners["val"]
    assert not owners["val"] & owners["train"]
    visuals = FeatureStore(stores.visual("oracle"))
    assert {*visuals.ids} == owners["train"] | owners["val"] | owners["test"]
    graph = visuals.graph(visuals.ids.index("V001"))
    assert graph.x.shape == (32, 157)
    assert float(graph.x[:, 3].sum()) * SECONDS / 32 == pytest.approx(4, abs=0.1)
    make_stores(data, tmp_path / "out", ["oracle"], tell=told.append)
    assert len(told) == 1
    with pytest.raises(ConfigError, match="--limit"):
        make_stores(data, tmp_path / "out", ["oracle"], tell=told.append, limit=3)


def test_agreement_of_points(monkeypatch, assert_close):
    import charades_runs

    from graphmatch.moment_decoding import Moments

    segment = torch.tensor([[[0.0, 0.4], [0.0, 0.5], [0.6, 0.9]]])
    nothing = torch.zeros(1, 3)
    found = Moments(segment=segment, score=nothing, location=nothing, level=nothing, mask=nothing)
    monkeypatch.setattr(charades_runs, "predict_moments", lambda *_, **__: found)
    moments, score = charades_runs.agreed_moments(None, None)
    assert moments is segment
    assert_close(score, torch.tensor([[2 / 3, 2 / 3, 1 / 3]]))


@pytest.mark.slow
def test_the_whole_benchmark(tmp_path):
    data = world(tmp_path / "data", videos=40)
    command = [sys.executable, str(FOLDER / "charades.py"), str(data), "--out", str(tmp_path / "o")]
    command += ["--seeds", "1", "--threads", "1", "--tracks", "oracle", "--extra"]
    extra = ["hidden=8", "pyramid_size=8", "channels=[8, 8, 8]", "batch_size=8"]

    def run(*more):
        return subprocess.run(
            [*command, *extra, *more], capture_output=True, text=True, check=False
        )

    done = run()
    assert done.returncode == 0, done.stderr
    assert "### ORACLE tracks, test: 4 queries" in done.stdout
    assert "stage 3: + IoU, all trained | 1 |" in done.stdout
    assert "location alone, trained without the others | 1 |" in done.stdout
    result = json.loads((tmp_path / "o" / "charades.json").read_text())
    one = result["runs"]["oracle"]["full"][0]
    assert one["test"]["stage-1 match"]["queries"] == 4
    assert one["train"]["command"].startswith("graphmatch train drn --queries")
    again = run()
    assert again.stdout == done.stdout
    assert " s, test " not in again.stderr
    other = run("lr=1e-4")
    assert other.returncode == 1
    assert "made with other settings" in other.stdout
