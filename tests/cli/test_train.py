"""`graphmatch train`: the command, on stores of a tiny world."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphmatch.checkpoint import load_checkpoint
from graphmatch.datasets.captions import Caption
from graphmatch.feature_writer import FeatureWriter
from graphmatch.parse_job import parse_captions
from tests.train_world import COLOURS, THINGS, make_store

ROOT = Path(__file__).resolve().parent.parent.parent
FAST = ("--set", "epochs=1", "--set", "batch_size=16", "--set", "embed_size=16")


@pytest.fixture(scope="module")
def world(tmp_path_factory, parser):
    """A folder with a store of captions and one of regions."""
    folder = tmp_path_factory.mktemp("world")
    make_store(folder / "regions")
    captions = [
        Caption(id=f"{colour}-{thing}-{n}", owner=f"{colour}-{thing}", text=text)
        for colour in COLOURS
        for thing in THINGS
        for n, text in enumerate((f"A {colour} {thing} runs.", f"The {thing} is {colour}."))
    ]
    captions.append(Caption(id="lost", owner="nowhere", text="A red dog."))
    parse_captions(captions, folder / "captions", parser=parser)
    return folder


def train(run, world, out, *options, model="scan", visual="regions"):
    base = ("--captions", world / "captions", "--visual", world / visual, "--out", out)
    return run("train", model, *base, *FAST, *options)


@pytest.mark.parametrize("model", ["scan", "hgr"])
def test_a_training_from_stores(run, world, tmp_path, model):
    out = tmp_path / "run"
    options = ("--val-captions", world / "captions", "--set", "lr=1e-3")
    code, text, err = train(run, world, out, *options, model=model)
    assert (code, err) == (0, "")
    assert "lr=0.001" in text
    assert "epochs=1" in text
    assert "3 steps" in text
    assert "40 captions of 20 images or videos; 1 epochs" in text
    assert "1 captions left out:\n  1 x '...' is not in the store" in text
    assert "rsum" in text
    settings = json.loads((out / "train.json").read_text())
    assert settings["training"]["lr"] == 1e-3
    assert settings["config"]["embed_size"] == 16
    assert settings["config"]["feature_size"] == 9
    matcher, vocabulary = load_checkpoint(out)
    # 4 colours, 5 things, a, the, is, runs and the full stop are frequent enough
    assert len(vocabulary) == len(vocabulary.words) == matcher.config.vocabulary
    assert len(vocabulary) == (4 if model == "scan" else 3) + 14
    code, text, _ = train(run, world, out, *options, model=model)
    assert code == 0
    assert "finished before, nothing to do" in text
    code, _, err = train(run, world, out, "--set", "lr=1e-3", model=model)
    assert code == 1
    assert "another training (validation" in err


def test_a_checkpoint_to_begin_with(run, world, tmp_path):
    assert train(run, world, tmp_path / "first")[0] == 0
    options = ("--init", tmp_path / "first", "--set", "margin=0.3", "--set", "lr=1e-9")
    code, _, err = train(run, world, tmp_path / "second", *options)
    assert code == 0, err
    first, _ = load_checkpoint(tmp_path / "first")
    second, _ = load_checkpoint(tmp_path / "second")
    assert second.config.margin == 0.3
    weights = second.state_dict()
    for name, value in first.state_dict().items():
        assert float((value - weights[name]).abs().max()) < 1e-6
    for more, problem in (
        (("--set", "word_size=7"), "do not fit"),
        (("--min-count", 2), "the checkpoint has words"),
    ):
        code, _, err = train(run, world, tmp_path / "third", *options, *more)
        assert code == 1
        assert problem in err
    code, _, err = train(run, world, tmp_path / "third", *options[:2], model="hgr")
    assert code == 1
    assert "expected a checkpoint of hgr" in err


def test_the_encoders_of_another_matcher_to_begin_with(run, world, tmp_path):
    assert train(run, world, tmp_path / "scan", "--set", "word_size=5")[0] == 0
    options = ("--init", tmp_path / "scan", "--set", "lr=1e-9", "--set", "hidden=16")
    code, _, err = train(run, world, tmp_path / "gsmn", *options, model="gsmn")
    assert code == 0, err
    scan, _ = load_checkpoint(tmp_path / "scan")
    gsmn, vocabulary = load_checkpoint(tmp_path / "gsmn")
    assert (gsmn.config.word_size, gsmn.config.scale, gsmn.config.hidden) == (5, 20.0, 16)
    assert len(vocabulary) == scan.config.vocabulary
    weights = gsmn.state_dict()
    for name, value in scan.state_dict().items():
        assert float((value - weights[name]).abs().max()) < 1e-6
    code, _, err = train(
        run, world, tmp_path / "other", *options, "--set", "cell=linear", model="gsmn"
    )
    assert code == 1
    assert "unexpected" in err


def test_a_vocabulary_of_a_file(run, world, tmp_path):
    words = tmp_path / "words.json"
    assert run("vocab", world / "captions", words, "--style", "scan", "--min-count", 1)[0] == 0
    code, _, err = train(run, world, tmp_path / "run", "--vocab", words)
    assert code == 0, err
    assert load_checkpoint(tmp_path / "run")[1].words == tuple(
        json.loads(words.read_text())["words"]
    )
    code, _, err = train(run, world, tmp_path / "other", "--vocab", words, "--min-count", 3)
    assert code == 1
    assert "--min-count" in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--set", "epoch=3"), "did you mean 'epochs'"),
        (("--set", "lr=fast"), "lr: expected a number"),
        (("--set", "patience=2"), "patience: expected validation pairs"),
        (("--val-visual", "regions"), "expected --val-captions"),
        (("--vocab", "none.json"), "none.json"),
        (("--min-count", 1000), "expected words that occur 1000 times or more"),
    ],
)
def test_wrong_options_are_one_line(run, world, tmp_path, options, problem):
    code, _, err = train(run, world, tmp_path / "run", *options)
    assert code == 1
    assert problem in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_wrong_models_and_stores_are_one_line(run, world, tmp_path):
    code, _, err = train(run, world, tmp_path / "run", model="scann")
    assert code == 1
    assert "did you mean 'scan'" in err
    code, _, err = train(run, world, tmp_path / "run", visual="captions")
    assert code == 1
    assert "expected format graphmatch-features" in err
    with FeatureWriter(tmp_path / "empty", kind="regions", job={}):
        pass
    code, _, err = train(run, world, tmp_path / "run", visual=tmp_path / "empty")
    assert code == 1
    assert "expected a store with features (got 0 items)" in err


@pytest.mark.slow
def test_torchrun_starts_two_processes(world, tmp_path):
    base = ("--captions", world / "captions", "--visual", world / "regions")
    both = ("--val-captions", world / "captions", "--set", "gather=true")
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    start = [sys.executable, *launch, "-m", "graphmatch.cli.main", "train", "scan"]
    done = subprocess.run(
        [*map(str, (*start, *base, *both, *FAST, "--out", tmp_path / "run"))],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("3 steps") == 1
    assert json.loads((tmp_path / "run" / "train.json").read_text())["processes"] == 2
    load_checkpoint(tmp_path / "run" / "last")
