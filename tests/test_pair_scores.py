"""`score_pairs`, `CaptionScorer`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphmatch.caption_scorer import CaptionScorer
from graphmatch.caption_set import CaptionSet
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.errors import GraphError
from graphmatch.feature_store import FeatureStore
from graphmatch.model_scores import Computing, load_matchers
from graphmatch.pair_scores import score_pairs
from graphmatch.scoring import score_matrix
from graphmatch.store import GraphStore
from tests.evaluation_world import make_captions, make_checkpoint, make_visuals


@pytest.fixture(scope="module")
def world(tmp_path_factory, parser):
    folder = tmp_path_factory.mktemp("world")
    make_captions(folder / "captions", parser, images=12, repeats=3)
    ids = [f"{n:012}" for n in range(10)] + ["a/7", "000000000200"]
    make_visuals(folder / "visuals", ids=ids, broken=("9999",))
    for seed, name in enumerate(("scan", "gsmn", "hgr")):
        make_checkpoint(folder / name, name, seed=seed)
    return folder


@pytest.mark.parametrize("name", ["scan", "gsmn", "hgr"])
def test_scores_are_those_of_the_matrix(world, name, monkeypatch, assert_close):
    monkeypatch.setattr("graphmatch.pair_scores._BLOCK", 5)
    monkeypatch.setattr("graphmatch.pair_scores._TILE", 2)
    visuals = FeatureStore(world / "visuals")
    (model,) = load_matchers([world / name], visuals)
    captions = CaptionSet.for_matcher(
        GraphStore(world / "captions"), model.vocabulary, model.matcher
    )
    graphs = [visuals.graph(n) for n in range(12)]
    texts, images = encode_texts(model.matcher, captions), encode_visuals(model.matcher, graphs)
    expected = score_matrix(model.matcher, images, texts)
    random = np.random.default_rng(0)
    pairs = np.stack((random.integers(0, 12, 70), random.integers(0, 36, 70)))
    found = score_pairs(model.matcher, captions, graphs, pairs)
    assert_close(torch.from_numpy(found).float(), expected[pairs[0], pairs[1]])
    assert score_pairs(model.matcher, captions, graphs, np.zeros((2, 0), np.int64)).shape == (0,)


def test_pairs_out_of_range(world):
    visuals = FeatureStore(world / "visuals")
    (model,) = load_matchers([world / "scan"], visuals)
    with pytest.raises(GraphError, match="images from 0 to 0"):
        score_pairs(model.matcher, [], [visuals.graph(0)], np.array([[1], [0]]))


def test_scores_must_be_finite(world):
    visuals = FeatureStore(world / "visuals")
    (model,) = load_matchers([world / "scan"], visuals)
    captions = CaptionSet.for_matcher(
        GraphStore(world / "captions"), model.vocabulary, model.matcher
    )
    for value in model.matcher.parameters():
        value.data.fill_(torch.nan)
    with pytest.raises(GraphError, match="for image 0 and caption 3"):
        score_pairs(model.matcher, captions, [visuals.graph(0)], np.array([[0], [3]]))


@pytest.fixture
def scorer(world):
    visuals = FeatureStore(world / "visuals")
    models = load_matchers([world / "scan", world / "hgr"], visuals)
    return CaptionScorer(models, list(GraphStore(world / "captions")), visuals, Computing())


def test_named_pairs_are_the_mean_of_the_matchers(scorer, assert_close):
    found = scorer.scores([("3-1", "5"), ("0-0", "000000000002"), ("3-1", "5")])
    expected = np.zeros(2)
    for model, captions in zip(scorer.models, scorer.sets, strict=True):
        places = [captions.ids.index("3-1"), captions.ids.index("0-0")]
        text = Encoded.cat(encode_texts(model.matcher, [captions[place] for place in places]))
        graphs = [scorer.visuals.graph(5), scorer.visuals.graph(2)]
        image = Encoded.cat(encode_visuals(model.matcher, graphs))
        with torch.no_grad():
            expected += model.matcher.score(image, text).diagonal().double().numpy() / 2
    assert found[0] == found[2]
    assert_close(torch.from_numpy(found[:2]).float(), torch.from_numpy(expected).float())


def test_cosines_are_those_of_pooled_vectors(scorer):
    texts = scorer.cosines([("3-1", "3-1"), ("0-0", "1-0")], images=False)
    images = scorer.cosines([("1", "1"), ("1", "000000000004")], images=True)
    for found in (texts, images):
        assert found[0] == pytest.approx(1)
        assert -1 <= found[1] < 1
    expected = 0.0
    for model in scorer.models:
        pooled = Encoded.cat(
            encode_visuals(model.matcher, [scorer.visuals.graph(n) for n in (1, 4)])
        ).pooled
        expected += torch.cosine_similarity(pooled[:1], pooled[1:]).item() / 2
    assert images[1] == pytest.approx(expected, rel=1e-4)


def test_names_of_coco_are_one_image(scorer):
    for key in ("5", "000000000005", "COCO_val2014_000000000005"):
        assert scorer.image_problem(key) is None
    assert scorer.image_problem("a/7") is None
    assert scorer.image_problem("7") == "the image is not in the store"  # two have this number
    assert scorer.image_problem("9999") == "the image failed in the store"
    assert scorer.caption_problem("0-0") is None
    assert scorer.caption_problem("nobody") == "the caption is not there"
