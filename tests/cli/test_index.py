"""`graphmatch index`, `graphmatch search`: the whole path on a tiny gallery."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from graphmatch.checkpoint import save_checkpoint
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_writer import FeatureWriter
from graphmatch.lance_table import LanceTable
from graphmatch.models.scan import SCAN, SCANConfig
from graphmatch.store import GraphStore
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

BUILD = ["index", "--out", "{index}", "--checkpoint", "{world}/checkpoint"]
BUILD += ["--visual", "{world}/regions"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Regions of 6 images, one of which failed; a checkpoint."""
    folder = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(3)
    with FeatureWriter(folder / "regions", kind="regions", job={}) as writer:
        for number in range(5):
            box = np.sort(random.random((2, 2, 2)) * 90, axis=1).reshape(2, 4)
            columns = {
                "box": box.astype(np.float32),
                "feature": random.standard_normal((2, 5)).astype(np.float32),
                "size": np.array([100, 100], dtype=np.int32),
            }
            writer.add(FeatureRecord(id=f"photo{number}", columns=columns))
        writer.add(FeatureRecord(id="broken", error="no such file"))
    vocabulary = Vocabulary((*SCAN_SPECIALS, "a", "dog", "horse", "park", "the"), "<unk>")
    config = SCANConfig(vocabulary=len(vocabulary), feature_size=5, word_size=3, embed_size=4)
    save_checkpoint(folder / "checkpoint", SCAN(config), vocabulary)
    (folder / "years.csv").write_text("id,year\nphoto0,2000\nphoto1,2001\nphoto2,2002\n")
    return folder


@pytest.fixture
def index(run, world, tmp_path):
    out = tmp_path / "index"
    arguments = ["--checkpoint", world / "checkpoint", "--visual", world / "regions"]
    code, text, err = run("index", *arguments, "--metadata", world / "years.csv", "--out", out)
    assert code == 3, err  # one image failed
    assert "5 items added, 0 replaced, 0 kept, 1 failed" in text
    assert "broken: no such file" in text
    return out


def test_search_prints_hits_and_the_recall(run, index, world, store):
    code, out, err = run("search", index, "A dog in the park", "--top-k", 3)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["rank", "score", "prefilter", "item"]
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2", "3"]
    assert "recall of the prefilter not measured" in lines[4]
    code, out, _ = run("index", "recall", index, "--captions", store, "--prefilter", 3)
    assert code == 0
    assert "prefilter of 3 (exact scan)" in out
    assert "of 5 items, 3 queries" in out
    code, out, _ = run("search", index, "-", "--json", "--where", "year > 2000", stdin=b"A dog")
    found = json.loads(out)
    years = {hit["id"]: hit["metadata"]["year"] for hit in found["hits"]}
    assert years == {"photo1": 2001, "photo2": 2002}
    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert found["recall"]["queries"] == 3
    assert run("index", "delete", index, "photo4")[0] == 0
    assert "the index changed since" in run("search", index, "A dog")[1]
    assert "year int64" in run("index", "info", index)[1]


def test_a_rerun_keeps_and_changes_are_shown(run, index, world):
    arguments = ["index", "--checkpoint", world / "checkpoint", "--visual", world / "regions"]
    code, out, _ = run(*arguments, "--metadata", world / "years.csv", "--out", index)
    assert "0 items added, 0 replaced, 5 kept, 1 failed" in out
    code, out, _ = run("index", "delete", index, "--where", "year = 2001")
    assert (code, out) == (0, f"{index}: 1 items deleted; 4 items, vectors are scanned\n")
    code, out, _ = run("index", "compact", index, "--keep-hours", 0)
    assert (code, out) == (0, f"{index}: 4 items, vectors are scanned\n")
    code, out, _ = run(*arguments, "--out", index, "--replace")
    assert "1 items added, 4 replaced" in out
    code, out, _ = run("search", index, "A dog", "--where", "year IS NULL")
    assert len(out.splitlines()) == 7


def test_captions_are_a_gallery_too(run, world, store, tmp_path):
    out = tmp_path / "texts"
    arguments = ["--checkpoint", world / "checkpoint", "--captions", store, "--out", out]
    code, text, err = run("index", *arguments, "--dtype", "float32")
    assert (code, err) == (0, "")
    assert "3 items added" in text
    code, text, _ = run("search", out, "--image", "photo1", "--visual", world / "regions", "--json")
    hits = json.loads(text)["hits"]
    rows = {row.id: row.text for row in GraphStore(store)}
    assert {hit["id"]: hit["metadata"]["caption"] for hit in hits} == rows
    assert run("index", "recall", out, "--visual", world / "regions")[0] == 0
    code, _, err = run("search", out, "A dog")
    assert code == 1
    assert "--image and --visual" in err
    code, _, err = run("search", out, "A dog", "--image", "photo1", "--visual", world / "regions")
    assert code == 1
    assert "--image and --visual alone" in err


def test_a_caption_of_unknown_words_is_found_out(run, index):
    code, out, err = run("search", index, "Zebras graze", "--json")
    assert (code, len(json.loads(out)["hits"])) == (0, 5)
    assert "the matcher knows no word of the caption" in err


def test_any_metadata_becomes_json(run, world, tmp_path):
    (tmp_path / "odd.csv").write_text("id,far,on\nphoto1,inf,2020-01-02\nphoto2,1.5,\n")
    arguments = [one.format(index=tmp_path / "index", world=world) for one in BUILD]
    assert run(*arguments, "--metadata", tmp_path / "odd.csv")[0] == 3
    code, text, _ = run("search", tmp_path / "index", "A dog", "--where", "far > 0", "--json")
    assert code == 0
    found = {hit["id"]: hit["metadata"] for hit in json.loads(text)["hits"]}
    assert found["photo1"] == {"far": "inf", "on": "2020-01-02"}
    assert found["photo2"] == {"far": 1.5, "on": None}


def test_metadata_may_have_the_names_of_a_hit_and_any_text(run, world, tmp_path):
    rows = [{"id": "photo1", "score": 7, "rank": "a\nb\x1b[0m"}, {"id": "9", "score": 8}]
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    arguments = [one.format(index=tmp_path / "index", world=world) for one in BUILD]
    code, text, _ = run(*arguments, "--metadata", tmp_path / "more.jsonl")
    assert code == 3
    assert "4 items have no row in the metadata" in text
    search = ("search", tmp_path / "index", "A dog", "--where", "score = 7")
    (hit,) = json.loads(run(*search, "--json")[1])["hits"]
    assert (hit["rank"], hit["metadata"]) == (1, {"score": 7, "rank": rows[0]["rank"]})
    assert hit["score"] < 5
    assert "score=7  rank=a b [0m" in run(*search)[1].splitlines()[1]
    assert "nothing found that meets the condition" in run(*search[:-1], "score = 8")[1]


@pytest.mark.slow
def test_own_vectors_and_milvus(run, world, tmp_path):
    np.save(tmp_path / "clip.npy", np.random.default_rng(0).standard_normal((4, 6)))
    (tmp_path / "clip.txt").write_text("photo3\nphoto2\nphoto1\nphoto0\n")
    np.save(tmp_path / "query.npy", np.ones(6))
    arguments = ["--checkpoint", world / "checkpoint", "--visual", world / "regions"]
    own = ["--vectors", tmp_path / "clip.npy"]
    found = []
    for name, milvus in (("plain", []), ("milvus", ["--milvus", tmp_path / "milvus.db"])):
        code, text, err = run("index", *arguments, *own, "--out", tmp_path / name, *milvus)
        assert code == 3, err
        assert "4 items added, 0 replaced, 0 kept, 2 failed" in text
        assert "photo4: no vector with this id" in text
        query = ["--vector", tmp_path / "query.npy", "--prefilter", 2, "--top-k", 2, "--json"]
        code, text, err = run("search", tmp_path / name, "A dog", *query, *milvus)
        assert (code, err) == (0, "")
        found.append([(hit["id"], hit["score"]) for hit in json.loads(text)["hits"]])
    assert found[0] == found[1]
    assert "graphmatch_" in run("index", "info", tmp_path / "milvus")[1]
    code, _, err = run("search", tmp_path / "plain", "A dog")
    assert code == 1
    assert "expected a vector of the query" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "{index}", "A dog", "--where", "yaer > 3"], "expected a condition in SQL"),
        (["search", "{index}", "A dog", "--where", "year > 1 / 0"], "Divide by zero"),
        (["index", "delete", "{index}", "--where", "year > 1 / 0"], "expected a condition in SQL"),
        (["search", "{index}"], "expected a caption"),
        (["search", "{index}", "A dog", "--image", "photo1"], "expected a caption alone"),
        ([*BUILD, "--metadata", "{tmp}/none.csv"], "none.csv: no such file"),
        (["search", "{index}", ""], "expected a caption that has a graph"),
        (["search", "{index}", "A dog", "--milvus", "a.db"], "made without Milvus"),
        (["search", "{tmp}/nothing", "A dog"], "expected an index"),
        (["index", "delete", "{index}"], "expected ids or --where"),
        (["index", "recall", "{index}"], "queries by --captions alone"),
        (["index", "--out", "{tmp}/x"], "one of --visual and --captions"),
        (
            [*BUILD, "--dtype", "float32"],
            "made with",
        ),
        (
            [*BUILD, "--dtype", "float23"],
            "did you mean 'float32'",
        ),
    ],
)
def test_what_is_wrong_is_said(run, index, world, tmp_path, arguments, message):
    places = {"index": index, "tmp": tmp_path, "world": world}
    code, _, err = run(*(argument.format(**places) for argument in arguments))
    assert code == 1
    assert message in err
    assert "Traceback" not in err


def test_the_checkpoint_must_be_that_of_the_index(run, index, world, tmp_path):
    vocabulary = Vocabulary((*SCAN_SPECIALS, "a"), "<unk>")
    config = SCANConfig(vocabulary=len(vocabulary), feature_size=5, word_size=3, embed_size=4)
    save_checkpoint(tmp_path / "other", SCAN(config), vocabulary)
    code, _, err = run("search", index, "A dog", "--checkpoint", tmp_path / "other")
    assert code == 1
    assert "expected the checkpoint that encoded the index" in err


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(run, world, tmp_path):
    random = np.random.default_rng(3)
    with FeatureWriter(tmp_path / "many", kind="regions", job={}) as writer:
        for number in range(20_000):
            columns = {
                "box": np.array([[0, 0, 4, 3]], dtype=np.float32),
                "feature": random.standard_normal((1, 5)).astype(np.float32),
                "size": np.array([100, 100], dtype=np.int32),
            }
            writer.add(FeatureRecord(id=str(number), columns=columns))
    arguments = ["index", "--checkpoint", world / "checkpoint", "--visual", tmp_path / "many"]
    arguments += ["--out", tmp_path / "index", "--no-vector-index"]
    command = [sys.executable, "-m", "graphmatch.cli.main", *map(str, arguments)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE)
    while worker.poll() is None and not LanceTable.exists(tmp_path / "index"):
        time.sleep(0.05)
    worker.kill()
    worker.communicate()
    there = LanceTable.open(tmp_path / "index").count()
    assert 0 < there < 20_000
    code, out, _ = run(*arguments)
    assert code == 0
    assert f"{20_000 - there:,} items added, 0 replaced, {there:,} kept, 0 failed" in out
