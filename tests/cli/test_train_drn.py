"""`graphmatch train drn`: the command, on files of a tiny world."""

from __future__ import annotations

import json

import pytest
import torch

from graphmatch.checkpoint import load_checkpoint
from graphmatch.datasets.captions import Caption
from graphmatch.parse_job import parse_captions
from tests.moment_world import VIDEOS, VOCABULARY, make_videos, sta_lines

SIZES = ("word_size=8", "hidden=8", "position_size=4", "channels=[16,16,16]", "pyramid_size=16",
         "batch_size=16", "stage_epochs=[1,1,1]")  # fmt: skip
SETS = [part for one in SIZES for part in ("--set", one)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    make_videos(folder / "clips")
    lines = sta_lines(range(VIDEOS))
    broken = ["v0 9.0 3.0##person uses a door.", "lost 0.0 3.0##person uses a door."]
    (folder / "train.txt").write_text("\n".join([*lines[:-8], *broken]) + "\n")
    (folder / "val.txt").write_text("\n".join(lines[-8:]) + "\n")
    seconds = {f"v{number}": 16.0 for number in range(VIDEOS)}
    (folder / "seconds.json").write_text(json.dumps({**seconds, "lost": 9.0}))
    return folder


def train(run, world, out, *options):
    base = ("train", "drn", "--queries", world / "train.txt", "--visual", world / "clips")
    return run(*base, "--durations", world / "seconds.json", "--out", out, *SETS, *options)


def test_three_stages_from_files(run, world, tmp_path):
    out = tmp_path / "run"
    code, text, err = train(run, world, out, "--val-queries", world / "val.txt")
    assert (code, err) == (0, "")
    assert "clips=16" in text  # what the store has
    assert "stage_epochs=[1, 1, 1]" in text
    assert "40 queries of 20 videos; 3 epochs" in text
    assert "2 queries left out" in text
    assert "of 200 in epoch" in text
    model, vocabulary = load_checkpoint(out, task="ground")
    assert (vocabulary.words[0], {*vocabulary.words}) == ("<pad>", {*VOCABULARY.words})
    assert model.config.feature_size == 6
    assert {path.name for path in out.iterdir()} >= {"best", "last", "stage-1", "stage-2"}
    code, text, _ = train(run, world, out, "--val-queries", world / "val.txt")
    assert code == 0
    assert "nothing to do" in text
    code, text, err = train(
        run, world, tmp_path / "more", "--val-share", 0.2, "--init", out / "stage-1"
    )
    assert (code, err) == (0, "")
    assert "32 queries of 16 videos" in text


def test_word_vectors_and_graphs(run, world, tmp_path, parser):
    (tmp_path / "glove.txt").write_text("door 1 2 3\nperson 4 5 6\n")
    lines = (world / "train.txt").read_text().splitlines()
    captions = [
        Caption(id=str(number), owner="v", text=line.partition("##")[2])
        for number, line in enumerate(lines, 1)
    ]
    parse_captions(captions, tmp_path / "graphs", parser=parser)
    options = ("--word-vectors", tmp_path / "glove.txt", "--graphs", tmp_path / "graphs",
               "--set", "graph_layers=1", "--set", "word_size=3", "--set", "lr=1e-9",
               "--set", "stage_epochs=[1,0,0]")  # fmt: skip
    code, text, err = train(run, world, tmp_path / "run", *options)
    assert (code, err) == (0, "")
    assert "the last weights; no validation chose them" in text
    model, vocabulary = load_checkpoint(tmp_path / "run")
    rows = model.text.embedding.weight[vocabulary.encode(["door", "cup", "person"])]
    expected = torch.tensor([[1.0, 2, 3], [0, 0, 0], [4, 5, 6]])
    assert torch.allclose(rows, expected, atol=1e-4)
    assert not model.text.embedding.weight[0].any()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--set", "stage_epoch=[1,1,1]"), "did you mean 'stage_epochs'"),
        (("--set", "epochs=3"), "stage_epochs"),
        (("--set", "stage_epochs=[0,0,0]"), "expected a stage or more"),
        (("--captions", "x"), "--captions: not for drn"),
        (("--val-share", 1.5), "between 0 and 1"),
        (("--word-vectors", "a.safetensors"), "expected --vocab with it"),
        (("--set", "clips=12"), "expected videos of 12 clips"),
    ],
)
def test_wrong_options_are_one_line(run, world, tmp_path, options, problem):
    code, _, err = train(run, world, tmp_path / "run", *options)
    assert code == 1
    assert problem in err
    assert err.count("\n") == 1


def test_queries_of_trained_videos_do_not_validate(run, world, tmp_path):
    code, _, err = train(run, world, tmp_path / "run", "--val-queries", world / "train.txt")
    assert code == 1
    assert "expected videos that are not trained on" in err


def test_options_of_drn_are_not_for_matchers(run, world, tmp_path):
    base = ("--visual", world / "clips", "--out", tmp_path / "run")
    code, _, err = run("train", "scan", *base, "--queries", world / "train.txt")
    assert (code, err) == (1, "graphmatch: --queries: not for scan\n")
    code, _, err = run("train", "scan", *base)
    assert (code, err) == (1, "graphmatch: expected --captions for scan (got none)\n")
    code, _, err = run("train", "drn", *base)
    assert (code, err) == (1, "graphmatch: expected --queries for drn (got none)\n")


@pytest.mark.slow
def test_evaluate(run, world, tmp_path):
    code, _, err = train(run, world, tmp_path / "run", "--set", "stage_epochs=[1,0,0]")
    assert code == 0, err
    base = ("evaluate", "--visual", world / "clips", "--durations", world / "seconds.json",
            "--queries", world / "val.txt", "--bootstrap", 50)  # fmt: skip
    options = ("--train-queries", world / "train.txt", "--out", tmp_path / "report.json")
    code, text, err = run(*base, "--checkpoint", tmp_path / "run", *options)
    assert (code, err) == (0, "")
    assert "IoU 0.5" in text
    assert "constant by first content word" in text
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["moments"]["queries"] == 8
    assert content["intervals"].keys() >= {"R@1 IoU 0.5", "mIoU"}
    code, text, err = run(
        "evaluate", "--visual", world / "clips", "--queries", world / "train.txt",
        "--checkpoint", tmp_path / "run" / "last", "--bootstrap", 0,
    )  # fmt: skip
    assert code == 3  # the broken line; the lost video is not in the store
    assert "2 queries left out" in text
    code, _, err = run(*base, "--checkpoint", tmp_path / "run", *options)
    assert code == 1
    assert "--force" in err
    code, _, err = run(*base)
    assert (code, err) == (1, "graphmatch: --queries: expected one --checkpoint (got 0)\n")
    code, _, err = run("evaluate", "--visual", world / "clips", "--train-queries", "x")
    assert code == 1
    assert "expected --queries with them" in err
