"""`graphmatch evaluate`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graphmatch.datasets.captions import Caption
from graphmatch.model_scores import ModelScores
from tests.evaluation_world import make_captions, make_checkpoint, make_visuals


@pytest.fixture(scope="module")
def world(tmp_path_factory, parser):
    folder = tmp_path_factory.mktemp("world")
    make_captions(folder / "captions", parser)
    failed = [Caption(id="empty", owner="1", text="")]
    make_captions(folder / "failed", parser, images=2, extra=failed)
    make_visuals(folder / "visuals")
    make_checkpoint(folder / "scan", "scan")
    make_checkpoint(folder / "run" / "best", "hgr", seed=1)
    item = {"filename": "000000000001.jpg", "caption": "A dog.", "negative_caption": "A red dog."}
    (folder / "add_att.json").write_text(json.dumps({"0": item}))
    return folder


@pytest.fixture
def evaluate(run, world):
    def call(*arguments):
        return run("evaluate", "--visual", world / "visuals", *arguments)

    return call


def test_report_on_the_terminal_and_as_json(evaluate, world, tmp_path):
    out = tmp_path / "report.json"
    arguments = ("--checkpoint", world / "scan", "--captions", world / "captions")
    code, text, err = evaluate(*arguments, "--out", out, "--bootstrap", 50, "--threads", 1)
    assert code == 0, err
    assert "visual -> text" in text
    assert "95 % of 50 resamples" in text
    content = json.loads(out.read_text())
    assert (content["format"], content["version"]) == ("graphmatch-evaluation", 1)
    assert (content["captions"], content["gallery"], content["failed"]) == (12, 6, 0)
    assert content["retrieval"]["visual"] == 6
    assert content["resampling"] == {"resamples": 50, "level": 0.95, "seed": 0}
    assert content["seconds"]["encoding"] > 0
    assert content["protocol"]["name"] == "all"
    code, _, err = evaluate(*arguments, "--out", out)
    assert code == 1
    assert "--force" in err
    code, text, _ = evaluate(*arguments, "--out", "-", "--bootstrap", 0)
    assert code == 0
    assert json.loads(text)["intervals"] == {}


def test_ensemble_of_a_run_stored_scores_and_a_comparison(evaluate, world, tmp_path):
    scores, report = tmp_path / "scores.npy", tmp_path / "report.json"
    both = ("--checkpoint", world / "scan", "--checkpoint", world / "run")
    common = ("--captions", world / "captions", "--protocol", "folds", "--folds", 2, "--force")
    code, first, err = evaluate(*both, *common, "--scores", scores, "--out", report)
    assert code == 0, err
    assert "mean of 2 folds" in first
    assert np.load(scores).shape == (6, 12)
    sources = json.loads(report.read_text())["sources"]
    assert [source["folder"] for source in sources] == [
        str(world / "scan"),
        str(world / "run" / "best"),
    ]
    code, second, err = evaluate("--from-scores", scores, *common, "--against", world / "scan")
    assert code == 0, err
    assert second.startswith(first.split("\n\n")[0])
    assert "higher rsum in" in second


def test_failed_captions_give_exit_code_three(evaluate, world):
    code, text, _ = evaluate("--checkpoint", world / "scan", "--captions", world / "failed")
    assert code == 3
    assert "1 captions left out, 1 of them failed" in text


def test_compositional_alone_and_beside_retrieval(evaluate, world, tmp_path):
    out = tmp_path / "report.json"
    arguments = ("--checkpoint", world / "scan", "--out", out, "--force")
    file = f"sugarcrepe={world / 'add_att.json'}"
    code, text, err = evaluate(*arguments, "--compositional", file)
    assert code == 0, err
    assert "add_att" in text
    assert "rsum" not in text
    content = json.loads(out.read_text())
    assert content["compositional"]["sugarcrepe"]["overall"]["matcher"]["count"] == 1
    assert "retrieval" not in content
    captions = ("--captions", world / "captions", "--train-captions", world / "captions")
    code, text, err = evaluate(*arguments, "--compositional", file, *captions)
    assert code == 0, err
    assert "unigram" in text
    assert "rsum" in text
    code, text, err = evaluate(*arguments, "--compositional", file, *captions, "--protocol", "none")
    assert code == 0, err
    assert "rsum" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--checkpoint", "nowhere", "--captions", "captions"), "expected a checkpoint"),
        (("--captions", "captions"), "got none"),
        (("--checkpoint", "scan"), "expected --captions"),
        (("--checkpoint", "scan", "--captions", "visuals"), "graphmatch-features"),
        (("--checkpoint", "scan", "--captions", "captions", "--protocol", "fold"), "'folds'"),
        (("--checkpoint", "scan", "--captions", "captions", "--dtype", "fp16"), "unknown dtype"),
        (("--checkpoint", "scan", "--compositional", "add_att.json"), "NAME=FILE"),
        (("--checkpoint", "scan", "--compositional", "vsr=nowhere"), "no such file"),
        (("--from-scores", "nowhere.npy", "--captions", "captions"), "no such file"),
        (("--captions", "captions", "--protocol", "none"), "expected --compositional"),
        (("--checkpoint", "scan", "--captions", "captions", "--device", "gpu"), "cuda:NUMBER"),
    ],
)
def test_bad_input_ends_in_a_message(evaluate, world, monkeypatch, arguments, message):
    monkeypatch.chdir(world)
    code, _, err = evaluate(*arguments)
    assert code == 1
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bootstrap", "1"), "resamples from 2"),
        (("--against", "nowhere"), "expected a checkpoint"),
        (("--against", "nowhere.npy"), "no such file"),
        (("--compositional", "vsr=nowhere"), "no such file"),
        (("--compositional", "vrs=add_att.json"), "did you mean 'vsr'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_scored(
    evaluate, world, monkeypatch, arguments, message
):
    def fill(*_):
        raise AssertionError("scores were computed")

    monkeypatch.chdir(world)
    monkeypatch.setattr(ModelScores, "fill", fill)
    code, _, err = evaluate("--checkpoint", "scan", "--captions", "captions", *arguments)
    assert code == 1
    assert message in err


def test_a_report_that_cannot_be_written_is_shown(evaluate, world, tmp_path):
    (tmp_path / "file").touch()
    arguments = ("--checkpoint", world / "scan", "--captions", world / "captions")
    code, text, err = evaluate(*arguments, "--bootstrap", 0, "--out", tmp_path / "file" / "a.json")
    assert code == 1
    assert "rsum" in text
    assert "file" in err


def test_wrong_stores_end_in_a_message(run, world, tmp_path):
    strangers = make_visuals(tmp_path / "strangers", ids=["x", "y"])
    arguments = ("--checkpoint", world / "scan", "--captions", world / "captions")
    for visual, message in ((strangers, "got none of 12"), (world / "captions", "expected format")):
        code, _, err = run("evaluate", *arguments, "--visual", visual)
        assert code == 1
        assert message in err
