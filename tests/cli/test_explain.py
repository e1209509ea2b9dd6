"""`graphmatch explain` on tiny stores and checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphmatch.checkpoint import load_checkpoint, save_checkpoint
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.graphs.words import word_graph
from graphmatch.models.table import MATCHERS
from graphmatch.scoring import score_matrix
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary
from tests.tiny_models import SIZES

SAMPLES = Path(__file__).resolve().parents[2] / "datasets" / "samples"
TEXT = "A man flies a kite near a dog."
WORDS = ("a", "man", "flies", "kite", "near", "dog", ".")
VOCABULARY = Vocabulary((*SCAN_SPECIALS, *WORDS), "<unk>")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Checkpoints of all models, the sample photograph's boxes as a store, clips of its video."""
    folder = tmp_path_factory.mktemp("explain")
    for name, entry in MATCHERS.items():
        torch.manual_seed(1)
        config = entry.config_class()(vocabulary=len(VOCABULARY), **SIZES[name])
        save_checkpoint(folder / name, entry.model_class()(config), VOCABULARY)
    content = json.loads((SAMPLES / "scenes" / "boxes.json").read_text())
    names = [category["name"] for category in content["categories"]]
    first = [one for one in content["annotations"] if one["image_id"] == 1]
    corners = np.array([one["bbox"] for one in first], np.float32)
    corners[:, 2:] += corners[:, :2]
    random = np.random.default_rng(0)
    with FeatureWriter(folder / "regions", kind="regions", job={"labels": names}) as writer:
        columns = {
            "feature": random.standard_normal((len(first), 5)).astype(np.float32),
            "box": corners,
            "label": np.array([one["category_id"] - 1 for one in first], np.int32),
            "score": np.ones(len(first), np.float32),
            "size": np.array([720, 420], np.int32),
        }
        writer.add(FeatureRecord(id="park", columns=columns))
        writer.add(FeatureRecord(id="bad", error="truncated JPEG"))
    with FeatureWriter(folder / "clips", kind="clips", job={}) as writer:
        columns = {
            "feature": random.standard_normal((4, 5)).astype(np.float32),
            "time": np.array([[k / 2, k / 2 + 0.5] for k in range(4)], np.float32),
            "duration": 2,
        }
        writer.add(FeatureRecord(id="park", columns=columns))
    return folder


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch, parser):
    """The parser that all tests share."""
    monkeypatch.setattr("graphmatch.parsers.load_parser", lambda _name, _model: parser)


def base(folder, name="scan"):
    store = "clips" if name in ("hgr", "global-match") else "regions"
    return ("explain", "--checkpoint", folder / name, "--visual", folder / store)


def test_a_table_in_the_terminal(run, folder):
    code, out, err = run(*base(folder), "--image", "park", TEXT)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    words = ["<start>", "A", "man", "flies", "a", "kite", "near", "a", "dog", ".", "<end>"]
    assert [line.split()[0] for line in lines[2:-1]] == words
    model, vocabulary = load_checkpoint(folder / "scan")
    ids = vocabulary.encode([word.lower() for word in words])
    text = encode_texts(model, [word_graph(ids)])
    visual = encode_visuals(model, [FeatureStore(folder / "regions").graph("park")])
    score = float(score_matrix(model, visual, text))
    assert lines[0] == f"SCAN: score {score:.4f}"
    assert lines[-1].split() == ["sum", f"{score:+.4f}"]
    code, out, _ = run(*base(folder), "--image", "park", "-", "--top", 2, stdin=TEXT.encode())
    assert code == 0
    assert len(out.splitlines()) == 5


@pytest.mark.parametrize("name", list(MATCHERS))
def test_json_of_every_model(run, folder, name):
    code, out, err = run(*base(folder, name), "--image", "park", TEXT, "--json")
    assert (code, err) == (0, "")
    values = json.loads(out)
    assert (values["image"], values["caption"]) == ("park", TEXT)
    total = sum(node["contribution"] for node in values["nodes"])
    assert total == pytest.approx(values["score"], abs=1e-5)
    for node in values["nodes"]:
        assert sum(node["attention"]) == pytest.approx(1, abs=1e-5)
        assert node["attention"][node["best"]] == max(node["attention"])


def test_a_caption_of_unknown_words_is_found_out(run, folder):
    code, out, err = run(*base(folder), "--image", "park", "Zzyzx qwertyuiop.", "--json")
    assert (code, json.loads(out)["image"]) == (0, "park")
    assert "the matcher knows no word of the caption" in err


def test_pictures_on_the_sample_photograph(run, folder, tmp_path):
    options = (*base(folder, "gsmn"), "--image", "park", TEXT, "--source", SAMPLES / "scenes")
    for suffix in ("png", "svg", "html"):
        code, out, err = run(*options, "--out", tmp_path / f"a.{suffix}", "--top", 3)
        assert (code, err) == (0, "")
        assert "park and its caption drawn" in out
    shown = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    photo = np.asarray(Image.open(SAMPLES / "scenes" / "park.png").convert("RGB")).astype(int)
    assert np.abs(shown[28 + 400, 5] - photo[400, 5]).max() < 8  # below the title
    svg = (tmp_path / "a.svg").read_text()
    assert svg.count('<g class="box" data-nodes=') == 3
    assert svg.count('<g class="words" data-nodes=') == 3
    page = (tmp_path / "a.html").read_text()
    assert page.count('<g class="box" data-nodes=') == 8
    assert page.count("<button") == 11
    code, _, err = run(*options, "--out", tmp_path / "a.svg")
    assert code == 1
    assert "--force" in err
    options = (*options, "--out", tmp_path / "a.svg", "--force")
    code, out, _ = run(*options, "--word", "kite", "--json")
    assert code == 0
    assert json.loads(out)["model"] == "GSMN"
    assert (tmp_path / "a.svg").read_text().count('<g class="box" data-nodes=') == 5


def test_a_timeline_of_the_sample_video(run, folder, tmp_path):
    options = (*base(folder, "hgr"), "--video", "park", TEXT, "--source", SAMPLES / "park.mp4")
    code, _, err = run(*options, "--out", tmp_path / "a.html")
    assert (code, err) == (0, "")
    page = (tmp_path / "a.html").read_text()
    assert page.count("data:image/jpeg") == 5
    assert "A man flies a kite near a dog" in page
    code, out, _ = run(*options)
    assert code == 0
    assert "0.5 to 1.0 s" in out or "s  clip" in out


def test_a_stored_caption_and_its_own_image(run, folder, tmp_path):
    (tmp_path / "c.jsonl").write_text(
        json.dumps({"id": "7", "image": "park", "text": TEXT})
        + "\n" + json.dumps({"id": "8", "image": "park", "text": ""}) + "\n"
    )  # fmt: skip
    code, _, err = run("parse", tmp_path / "c.jsonl", "--out", tmp_path / "graphs")
    assert code in (0, 3), err
    code, out, err = run(*base(folder), "--captions", tmp_path / "graphs", "--caption", "7")
    assert (code, err) == (0, "")
    assert out == run(*base(folder), "--image", "park", TEXT)[1]
    code, _, err = run(*base(folder), "--captions", tmp_path / "graphs", "--caption", "8")
    assert code == 1
    assert "failed" in err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((TEXT,), "id of an image"),
        (("--image", "park"), "expected a caption"),
        (("--image", "park", TEXT, "--caption", "7"), "expected --captions"),
        (("--image", "prak", TEXT), "did you mean 'park'"),
        (("--image", "bad", TEXT), "truncated JPEG"),
        (("--image", "park", ""), "caption failed"),
        (("--image", "park", TEXT, "--word", "kyte"), "did you mean 'kite'"),
        (("--image", "park", TEXT, "--out", "a.pgn"), "did you mean 'png'"),
        (("--image", "park", TEXT, "--out", "a.png", "--source", "{folder}/none"), "none"),
        (("--image", "park", TEXT, "--visual", "{folder}/clips", "--out", "a.png"), "drawn"),
    ],
)
def test_wrong_options_are_one_line(run, folder, tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    given = [argument.format(folder=folder) for argument in arguments]
    code, out, err = run(*base(folder), *given)
    assert problem in (err if code else out)
    assert code == (0 if problem == "drawn" else 1)
    assert (err + out).count("\n") == 1


def test_a_damaged_photograph_is_named(run, folder, tmp_path):
    content = (SAMPLES / "scenes" / "park.png").read_bytes()
    (tmp_path / "park.png").write_bytes(content[:5000])
    options = ("--image", "park", TEXT, "--source", tmp_path, "--out", tmp_path / "a.html")
    code, _, err = run(*base(folder), *options)
    assert code == 1
    assert "'park'" in err
    assert not (tmp_path / "a.html").exists()
    Image.new("RGB", (72, 42)).save(tmp_path / "park.png")
    code, _, err = run(*base(folder), *options)
    assert code == 1
    assert "72 x 42" in err
