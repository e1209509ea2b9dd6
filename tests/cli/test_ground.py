"""`graphmatch ground` on the sample video and on a store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from graphmatch.checkpoint import load_checkpoint, save_checkpoint
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.ground_job import ground_sentences
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.query_vocabulary import query_vocabulary
from tests.tiny_models import tiny_model, tiny_vocabulary
from tests.videos import write_video

SAMPLE = Path(__file__).resolve().parents[2] / "datasets" / "samples" / "park.mp4"
VOCABULARY = query_vocabulary(["A man flies a kite near the dog."])
SIZES = {
    "word_size": 4, "hidden": 5, "position_size": 3, "channels": (4, 5, 6), "pyramid_size": 4,
    "clips": 8, "score_threshold": 0.0,
}  # fmt: skip


def drn(size, **options):
    torch.manual_seed(1)
    config = DRNConfig(vocabulary=len(VOCABULARY), feature_size=size, **{**SIZES, **options})
    model = DRN(config)
    for name, value in model.state_dict().items():
        if name.startswith("heads") and name.endswith("weight"):
            value.mul_(20)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ground")
    save_checkpoint(folder / "drn", drn(6), VOCABULARY)
    save_checkpoint(folder / "video", drn(1280), VOCABULARY)
    save_checkpoint(folder / "masked", drn(1280, mask_padding=True), VOCABULARY)
    save_checkpoint(folder / "graph", drn(6, graph_layers=1), VOCABULARY)
    save_checkpoint(folder / "scan", tiny_model("scan"), tiny_vocabulary())
    random = np.random.default_rng(0)
    with FeatureWriter(folder / "clips", kind="clips", job={}) as writer:
        for key, clips, seconds in (("park", 8, 5.0), ("film", 8, 10800.0), ("short", 3, 1.0)):
            bounds = np.linspace(0, seconds, clips + 1)
            columns = {
                "feature": random.standard_normal((clips, 6)).astype(np.float32),
                "time": np.stack((bounds[:-1], bounds[1:]), axis=1),
                "duration": np.array(seconds),
            }
            writer.add(FeatureRecord(id=key, columns=columns))
        writer.add(FeatureRecord(id="bad", error="truncated"))
    return folder


def base(folder, name="drn"):
    return ("--checkpoint", folder / name, "--visual", folder / "clips")


def test_moments_of_a_stored_video(run, folder):
    code, out, err = run("ground", "park", "a man flies a kite", *base(folder), "--top", 2)
    assert (code, err) == (0, "")
    model, vocabulary = load_checkpoint(folder / "drn")
    video = FeatureStore(folder / "clips").graph("park")
    (query,) = ground_sentences(model, vocabulary, video, ["a man flies a kite"], top=2)
    lines = out.splitlines()
    assert lines[:2] == ["park: 5.00 s", "a man flies a kite"]
    for rank, (line, one) in enumerate(zip(lines[2:], query.moments, strict=True), 1):
        wanted = [rank, f"{one.start:.2f}", "to", f"{one.end:.2f}", "s", "score"]
        assert line.split() == [*map(str, wanted), f"{one.score:.4f}"]
    code, out, _ = run("ground", "park", "the dog", *base(folder), "--no-iou", "--json")
    values = json.loads(out)["queries"][0]["moments"]
    plain = ground_sentences(model, vocabulary, video, ["the dog"], use_iou=False)[0].moments
    assert [one["score"] for one in values] == pytest.approx([one.score for one in plain])


def test_sentences_on_standard_input(run, folder):
    stdin = "the dog\n\nein Hund\nthe \ufeffkite".encode() + b"\nthe \xff\n"
    options = (*base(folder), "--json")
    code, out, err = run("ground", "film", "a man", "-", "a kite", *options, stdin=stdin)
    assert (code, err) == (3, "")
    values = json.loads(out)
    assert values["duration"] == 10800
    queries = values["queries"]
    sentences = [query["query"] for query in queries]
    assert sentences == [
        "a man",
        "the dog",
        "",
        "ein Hund",
        "the \ufeffkite",
        "the \ufffd",
        "a kite",
    ]
    failed = [query["error"] for query in queries]
    assert failed[2:4] == ["it has no words", "the model knows no word of it"]
    assert "UTF-8" in failed[5]
    assert [error is None for error in failed] == [True, True, False, False, True, False, True]
    assert all(bool(query["moments"]) == (query["error"] is None) for query in queries)
    code, out, _ = run("ground", "film", "-", *base(folder), stdin=stdin)
    assert code == 3
    assert out.endswith("5 sentences, 3 failed\n")
    assert run("ground", "film", "-", *base(folder))[0] == 1


def test_a_video_file_with_a_timeline(run, folder, tmp_path):
    path = tmp_path / "a.html"
    options = ("--checkpoint", folder / "video", "--side", 32, "--picture", path)
    code, out, err = run("ground", SAMPLE, "a man flies a kite", "the ball", *options)
    assert (code, err) == (0, "")
    assert out.endswith(f"{path}: timeline drawn\n")
    page = path.read_text()
    assert page.count("data:image/jpeg") == 5
    assert "a man flies a kite" in page
    code, out, err = run("ground", SAMPLE, "a man", *options)
    assert code == 1
    assert "--force" in err


def test_frames_of_a_stored_video(run, folder, tmp_path):
    options = (*base(folder), "--picture", tmp_path / "a.svg")
    code, _, err = run("ground", "park", "a man", *options, "--source", SAMPLE)
    assert (code, err) == (0, "")
    assert (tmp_path / "a.svg").read_text().count("data:image/jpeg") == 5
    code, _, err = run("ground", "park", "a man", *options, "--force")
    assert "data:image/jpeg" not in (tmp_path / "a.svg").read_text()


def test_a_file_of_one_frame_and_clips_of_other_lengths(run, folder, tmp_path):
    path = write_video(tmp_path / "one.mp4", count=1, rate=10)
    options = ("--checkpoint", folder / "video", "--side", 32)
    code, out, err = run("ground", path, "a man", *options)
    assert (code, err) == (0, "")
    assert out.startswith("one: 0.10 s\n")
    options = (
        "--checkpoint",
        folder / "masked",
        "--seconds",
        2,
        "--every",
        10,
        "--json",
        "--side",
        32,
    )
    code, out, err = run("ground", SAMPLE, "a man", *options)
    assert (code, err) == (0, "")
    assert json.loads(out)["queries"][0]["moments"]


def test_a_model_with_graph_layers_parses_sentences(run, folder, monkeypatch, parser):
    monkeypatch.setattr("graphmatch.parsers.load_parser", lambda _name, _model: parser)
    code, out, err = run("ground", "park", "A man flies a kite.", *base(folder, "graph"))
    assert (code, err) == (0, "")
    assert "read without" not in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("prak", "a man"), "did you mean 'park'"),
        (("bad", "a man"), "truncated"),
        (("short", "a man"), "--frames 8"),
        (("park", "a man", "--checkpoint", "{folder}/scan"), "scan"),
        (("park", "a man", "--fps", "2"), "options of a video file"),
        (("park", "a man", "--picture", "a.pgn"), "did you mean 'png'"),
        (("park", "a man", "--picture", "a.png", "--source", "{folder}/none"), "none"),
        (("park", *["a man"] * 101, "--picture", "a.png"), "at most 100 sentences"),
    ],
)
def test_wrong_options_are_one_line(run, folder, tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    given = [argument.format(folder=folder) for argument in arguments]
    code, out, err = run("ground", *base(folder), *given)
    assert (code, out) == (1, "")
    assert problem in err
    assert err.count("\n") == 1


def test_wrong_files_are_one_line(run, folder, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    for video, name, problem in (
        (tmp_path / "bad.mp4", "video", "bad.mp4"),
        ("park", "video", "expected a video file"),
        (SAMPLE, "drn", "backbone of 6 numbers"),
    ):
        code, _, err = run("ground", video, "a man", "--checkpoint", folder / name, "--side", 32)
        assert (code, err.count("\n")) == (1, 1)
        assert problem in err
