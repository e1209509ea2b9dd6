"""`evaluate_run`: checkpoints and stores to a report."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from graphmatch.caption_set import CaptionSet
from graphmatch.checkpoint import load_checkpoint
from graphmatch.datasets.captions import Caption
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.errors import CheckpointError, ConfigError, FormatError, GraphError
from graphmatch.evaluate import average_scores, evaluate_folds, evaluate_scores, evaluate_unique
from graphmatch.evaluate_run import evaluate_run
from graphmatch.evaluation_report import Resampling
from graphmatch.feature_store import FeatureStore
from graphmatch.model_scores import Computing
from graphmatch.pair_set import PairSet
from graphmatch.protocol import Protocol
from graphmatch.scoring import score_matrix
from graphmatch.store import GraphStore
from tests.evaluation_world import WORDS, make_captions, make_checkpoint, make_visuals

EXTRA = (
    Caption(id="lost", owner="nowhere", text="A lost dog."),
    Caption(id="empty", owner="1", text=""),
    Caption(id="broken", owner="bad", text="A bad picture."),
    Caption(id="again", owner="2", text="Two dogs chase a ball 1 0."),  # as caption 1-0
)


@pytest.fixture(scope="module")
def world(tmp_path_factory, parser):
    folder = tmp_path_factory.mktemp("world")
    make_captions(folder / "captions", parser, extra=EXTRA)
    make_visuals(folder / "visuals", broken=("bad",))
    make_checkpoint(folder / "scan", "scan")
    make_checkpoint(folder / "hgr", "hgr", seed=1, words=WORDS[:9])
    return folder


@pytest.fixture(scope="module")
def captions(world):
    return GraphStore(world / "captions")


@pytest.fixture(scope="module")
def visuals(world):
    return FeatureStore(world / "visuals")


def matrix(folder, captions, visuals):
    """Scores of a checkpoint, all at once."""
    model, vocabulary = load_checkpoint(folder)
    pairs = PairSet(CaptionSet.for_matcher(captions, vocabulary, model), visuals)
    texts, images = (
        encode_texts(model, pairs.texts()),
        encode_visuals(model, pairs.gallery_graphs()),
    )
    return score_matrix(model, images, texts), pairs


def test_report_is_that_of_the_matrix(world, captions, visuals):
    scores, pairs = matrix(world / "scan", captions, visuals)
    report = evaluate_run([world / "scan"], captions, visuals)
    assert report.retrieval == evaluate_scores(scores, pairs.owner)
    assert (report.captions, report.gallery, report.failed) == (13, 6, 2)
    assert dict(report.skipped).keys() == {"lost", "empty", "broken"}
    assert report.intervals["rsum"].value == pytest.approx(report.retrieval.rsum)
    content = json.loads(report.to_json())
    assert content["intervals"]["rsum"]["value"] == pytest.approx(content["retrieval"]["rsum"])
    assert content["sources"][0]["model"] == "scan"
    assert len(content["sources"][0]["digest"]) == 64
    text = str(report)
    assert "3 captions left out, 2 of them failed" in text
    assert "protocol all" in text


def test_ensemble_is_the_mean_of_the_matrices(world, captions, visuals):
    """The two read different graphs and have different vocabularies."""
    first, pairs = matrix(world / "scan", captions, visuals)
    second, _ = matrix(world / "hgr", captions, visuals)
    both = average_scores([first, second])
    report = evaluate_run([world / "scan", world / "hgr"], captions, visuals)
    assert report.retrieval == evaluate_scores(both, pairs.owner)
    assert [source.model for source in report.sources] == ["scan", "hgr"]


def test_every_protocol_is_that_of_its_function(world, captions, visuals):
    scores, pairs = matrix(world / "scan", captions, visuals)
    owner = pairs.owner
    texts = [captions[key].text for key in pairs.text_ids]
    early = owner < 2
    expected = {
        Protocol(name="folds", folds=3): evaluate_folds(scores, owner, folds=3),
        Protocol(name="unique"): evaluate_unique(scores, texts, owner),
        Protocol(name="first", first=2): evaluate_scores(scores[:2][:, early], owner[early]),
        Protocol(ties="scan", median="floor"): evaluate_scores(
            scores, owner, ties="scan", median="floor"
        ),
    }
    for protocol, report in expected.items():
        found = evaluate_run([world / "scan"], captions, visuals, protocol=protocol)
        assert found.retrieval == report, protocol
        assert found.intervals["rsum"].value == pytest.approx(report.rsum)
    assert expected[Protocol(name="unique")].text == 12
    with pytest.raises(ConfigError, match="divide 6"):
        evaluate_run([world / "scan"], captions, visuals, protocol=Protocol(name="folds"))
    with pytest.raises(ConfigError, match="first images of 6"):
        evaluate_run([world / "scan"], captions, visuals, protocol=Protocol(name="first"))


@pytest.mark.parametrize("protocol", [Protocol(), Protocol(name="folds", folds=2)])
def test_stored_scores_give_the_same_report(world, captions, visuals, tmp_path, protocol):
    path = tmp_path / "scores.npy"
    made = evaluate_run([world / "scan"], captions, visuals, protocol=protocol, scores=path)
    scores, _ = matrix(world / "scan", captions, visuals)
    assert np.array_equal(np.load(path), scores.numpy())
    read = evaluate_run([path], captions, visuals, protocol=protocol)
    assert read.retrieval == made.retrieval
    assert read.intervals == made.intervals
    assert read.sources[0].digest == made.sources[0].digest
    with pytest.raises(ConfigError, match="--force"):
        evaluate_run([world / "scan"], captions, visuals, scores=path)
    other = tmp_path / "other.npy"
    evaluate_run([world / "hgr"], captions, visuals, scores=other)
    both = evaluate_run([world / "scan", world / "hgr"], captions, visuals)
    assert evaluate_run([path, other], captions, visuals).retrieval == both.retrieval
    assert evaluate_run([path, world / "hgr"], captions, visuals).retrieval == both.retrieval


def test_scores_of_other_stores_are_refused(world, captions, visuals, tmp_path, parser):
    path = tmp_path / "scores.npy"
    evaluate_run([world / "scan"], captions, visuals, scores=path)
    mirrored = FeatureStore(make_visuals(tmp_path / "mirrored", ids=list("543210")))
    with pytest.raises(ConfigError, match="the ids that it"):
        evaluate_run([path], captions, mirrored)
    few = FeatureStore(make_visuals(tmp_path / "few", images=4))
    with pytest.raises(ConfigError, match=r"expected scores \[4, 9\].*got \[6, 13\]"):
        evaluate_run([path], captions, few)
    np.save(path, np.zeros((6, 13), np.float16))
    with pytest.raises(FormatError, match="expected scores of float32 or float64"):
        evaluate_run([path], captions, visuals)
    np.save(path, np.full((6, 13), np.nan, np.float32))
    with pytest.raises(GraphError, match="finite"):
        evaluate_run([path], captions, visuals)


def test_videos(world, captions, tmp_path):
    clips = FeatureStore(make_visuals(tmp_path / "clips", kind="clips"))
    scores, pairs = matrix(world / "hgr", captions, clips)
    report = evaluate_run([world / "hgr"], captions, clips, protocol=Protocol(name="unique"))
    texts = [captions[key].text for key in pairs.text_ids]
    assert report.retrieval == evaluate_unique(scores, texts, pairs.owner)


def test_a_large_matrix_goes_to_a_file(world, captions, visuals, monkeypatch):
    expected = evaluate_run([world / "scan", world / "hgr"], captions, visuals)
    monkeypatch.setattr("graphmatch.model_scores.MATRIX_BYTES", 100)
    monkeypatch.setattr("graphmatch.model_scores.VISUAL_ITEMS", 4)
    monkeypatch.setattr("graphmatch.model_scores.TEXT_ITEMS", 5)
    found = evaluate_run([world / "scan", world / "hgr"], captions, visuals)
    assert found.retrieval == expected.retrieval


def test_difference_to_another_model(world, captions, visuals):
    resampling = Resampling(resamples=200, seed=2)
    found = evaluate_run(
        [world / "scan"], captions, visuals, against=[world / "hgr"], resampling=resampling
    )
    other = evaluate_run([world / "hgr"], captions, visuals)
    numbers = found.difference.numbers
    assert numbers["rsum"].value == pytest.approx(found.retrieval.rsum - other.retrieval.rsum)
    assert "minus" in str(found)
    assert json.loads(found.to_json())["difference"]["better"] == found.difference.better
    with pytest.raises(ConfigError, match="resamples"):
        evaluate_run(
            [world / "scan"],
            captions,
            visuals,
            against=[world / "hgr"],
            resampling=Resampling(resamples=0),
        )


def test_numbers_of_other_precision(world, captions, visuals, tmp_path):
    for dtype, kind in (("fp64", np.float64), ("bf16", np.float32)):
        path = tmp_path / f"{dtype}.npy"
        computing = Computing(dtype=dtype, threads=2)
        evaluate_run([world / "scan"], captions, visuals, scores=path, computing=computing)
        scores = np.load(path)
        assert scores.dtype == kind
        expected = matrix(world / "scan", captions, visuals)[0].numpy()
        assert np.allclose(scores, expected, atol=0.05 if dtype == "bf16" else 1e-5)
    with pytest.raises(ConfigError, match="did you mean 'bf16'"):
        Computing(dtype="bf61")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA"):
            Computing(device="cuda")


def test_what_does_not_fit_is_said(world, captions, visuals, tmp_path, parser):
    with pytest.raises(CheckpointError, match="expected a checkpoint"):
        evaluate_run([tmp_path], captions, visuals)
    with pytest.raises(ConfigError, match="got none"):
        evaluate_run([], captions, visuals)
    wide = FeatureStore(make_visuals(tmp_path / "wide", width=7))
    with pytest.raises(ConfigError, match=r"features of 5 numbers \(got 7"):
        evaluate_run([world / "scan"], captions, wide)
    clips = FeatureStore(make_visuals(tmp_path / "clips", kind="clips"))
    make_checkpoint(tmp_path / "gsmn", "gsmn")
    with pytest.raises(ConfigError, match="items that gsmn can read"):
        evaluate_run([tmp_path / "gsmn"], captions, clips)
    roles = GraphStore(make_captions(tmp_path / "roles", parser, graph="roles"))
    with pytest.raises(ConfigError, match="no graph of kind 'dependencies'"):
        evaluate_run([world / "scan"], roles, visuals)
    strangers = FeatureStore(make_visuals(tmp_path / "strangers", ids=["x", "y"]))
    with pytest.raises(ConfigError, match="got none of 15"):
        evaluate_run([world / "scan"], captions, strangers)
