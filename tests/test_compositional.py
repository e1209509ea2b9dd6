"""`compositional_report`: benchmarks from files, hand-made matchers."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from graphmatch.caption_scorer import CaptionScorer
from graphmatch.compositional import compositional_report
from graphmatch.datasets.captions import Caption
from graphmatch.errors import ConfigError, FormatError, GraphError
from graphmatch.feature_store import FeatureStore
from graphmatch.model_scores import Computing, load_matchers
from graphmatch.parse_job import caption_rows
from graphmatch.store import GraphStore
from tests.evaluation_world import make_captions, make_checkpoint, make_visuals

ITEMS = {
    "add_att": {
        "0": ("000000000001.jpg", "A man rides a horse.", "A red man rides a horse."),
        "4": ("000000000002.jpg", "A man rides a horse.", "A man rides a red horse."),
        "5": ("000000000099.jpg", "Nobody has this image.", "Nobody had this image."),
    },
    "swap_obj": {"0": ("000000000003.jpg", "A dog chases a cat.", "A cat chases a dog.")},
}
STATEMENTS = [
    (1, "The cat is on the bed.", 1, "on"),
    (1, "The bed is on the cat.", 0, "on"),
    (2, "The dog is under the kite.", 1, "under"),
    (3, "The kite is under the dog.", 0, "under"),
    (99, "Nobody has this image.", 0, "under"),
]
RATINGS = """kind,a,b,score,sampling,cxc_split
sits,0-0,0,5,c2i_original,val
sits,1-0,2,1.5,c2i_intrasim,val
sits,2-0,3,2.5,c2i_intrasim,val
sits,3-0,99,2,c2i_intrasim,val
sts,0-0,0-1,4.5,c2c_cocaption,val
sts,1-0,2-1,1,c2c_isim,val
sis,1,2,0.5,i2i_csim,val
sis,3,4,3.5,i2i_csim,val
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory, parser):
    folder = tmp_path_factory.mktemp("world")
    make_captions(folder / "captions", parser)
    make_visuals(folder / "visuals")
    make_checkpoint(folder / "scan", "scan")
    make_checkpoint(folder / "hgr", "hgr", seed=1)
    content = {
        category: {
            key: dict(zip(("filename", "caption", "negative_caption"), item, strict=True))
            for key, item in items.items()
        }
        for category, items in ITEMS.items()
    }
    (folder / "sugarcrepe.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    names = ("image_id", "caption", "label", "relation")
    lines = [json.dumps(dict(zip(names, one, strict=True))) for one in STATEMENTS]
    (folder / "vsr.jsonl").write_text("\n".join(lines))
    (folder / "cxc.csv").write_text(RATINGS)
    return folder


@pytest.fixture(scope="module")
def visuals(world):
    return FeatureStore(world / "visuals")


def report(world, visuals, parser, *names, checkpoints=("scan",), **options):
    files = {
        "sugarcrepe": world / "sugarcrepe.json.gz",
        "vsr": world / "vsr.jsonl",
        "cxc": world / "cxc.csv",
    }
    models = load_matchers([world / name for name in checkpoints], visuals)
    chosen = {name: files[name] for name in names}
    return compositional_report(models, visuals, chosen, parser=parser, **options)


def direct(world, visuals, parser, pairs, checkpoints=("scan",)):
    """Scores of texts and images, one pair at a time."""
    texts = [Caption(id=text, text=text) for text in {text for text, _ in pairs}]
    rows = caption_rows(texts, parser=parser)
    models = load_matchers([world / name for name in checkpoints], visuals)
    scorer = CaptionScorer(models, rows, visuals, Computing())
    return [scorer.scores([pair])[0] for pair in pairs]


@pytest.mark.parametrize("checkpoints", [("scan",), ("scan", "hgr")])
def test_hard_negatives(world, visuals, parser, checkpoints):
    found = report(world, visuals, parser, "sugarcrepe", checkpoints=checkpoints).sugarcrepe
    expected = {}
    for category, items in ITEMS.items():
        rights = []
        for file, *texts in items.values():
            image = str(int(file[:12]))
            if image != "99":
                pairs = [(text, image) for text in texts]
                true, wrong = direct(world, visuals, parser, pairs, checkpoints)
                rights.append(float(true > wrong))
        expected[category] = (sum(rights), len(rights))
    shares = {c: (row["matcher"].right, row["matcher"].count) for c, row in found.accuracy.items()}
    assert shares == expected
    assert found.skipped == {"the image is not in the store": 1}
    assert found.accuracy["add_att"]["shorter caption"].percent == 100
    assert found.accuracy["swap_obj"]["shorter caption"].percent == 50
    assert "unigram" not in found.names


def test_language_baseline_is_fitted_on_what_is_given(world, visuals, parser):
    words = [["a", "man", "rides", "a", "horse", "dog", "chases", "cat"], ["a"]]
    found = report(world, visuals, parser, "sugarcrepe", "vsr", language=words)
    assert found.sugarcrepe.accuracy["add_att"]["unigram"].percent == 100  # "red" is unknown
    assert found.sugarcrepe.accuracy["swap_obj"]["unigram"].percent == 50  # the same words
    assert "unigram" in found.vsr.auc
    assert set(json.loads(found.to_json())) == {"sugarcrepe", "vsr", "cxc"}
    assert found.cxc is None
    assert str(found).startswith("sugarcrepe\n")


def test_statements(world, visuals, parser):
    found = report(world, visuals, parser, "vsr").vsr
    pairs = [(text, str(image)) for image, text, _, _ in STATEMENTS[:4]]
    scores = np.array(direct(world, visuals, parser, pairs))
    true, wrong = scores[[0, 2]], scores[[1, 3]]
    expected = 100 * np.mean([left > right for left in true for right in wrong])
    assert found.auc["matcher"].value == expected
    assert (found.count, found.true) == (4, 2)
    assert found.skipped == {"the image is not in the store": 1}


def test_similarity(world, visuals, parser):
    captions = GraphStore(world / "captions")
    found = report(world, visuals, parser, "cxc", captions=captions).cxc
    assert {kind: row.pairs for kind, row in found.rows.items()} == {"sits": 3, "sts": 2, "sis": 2}
    assert found.skipped == {"the image is not in the store": 1}
    texts = {key: captions[key].text for key in ("0-0", "1-0", "2-0")}
    pairs = [(texts["0-0"], "0"), (texts["1-0"], "2"), (texts["2-0"], "3")]
    places = np.argsort(np.argsort(direct(world, visuals, parser, pairs)))
    expected = np.corrcoef(places, [2, 0, 1])[0, 1]
    assert found.rows["sits"].spearman == pytest.approx(expected)
    assert abs(found.rows["sts"].spearman) == pytest.approx(1)
    assert "pooled vectors" in str(found)


@pytest.mark.parametrize(("sign", "expected"), [(1, 100), (0, 50), (-1, 0)])
def test_matchers_that_always_tie_or_count_words(
    world, visuals, parser, monkeypatch, sign, expected
):
    """Score = sign x number of words: the shorter captions of `add_att` are the true ones."""

    def count_words(_, visual, text):
        return -sign * text.counts.float().expand(len(visual), -1)

    monkeypatch.setattr("graphmatch.models.scan.SCAN.score_tile", count_words)
    found = report(world, visuals, parser, "sugarcrepe", "vsr")
    assert found.sugarcrepe.accuracy["add_att"]["matcher"].percent == expected
    assert found.sugarcrepe.accuracy["swap_obj"]["matcher"].percent == 50
    assert found.sugarcrepe.ties["swap_obj"]["matcher"] == 1
    assert found.vsr.auc["matcher"].value == 50  # all have as many words


def test_a_caption_that_fails_is_counted(world, visuals, tmp_path):
    class Broken:
        name, version = "broken", "1"

        def parse(self, text):
            raise ValueError(f"cannot parse {text[:5]}")

        def pipe(self, texts):
            return map(self.parse, texts)

    with pytest.raises(GraphError, match=r"got none.*caption failed: ValueError: cannot parse"):
        report(world, visuals, Broken(), "vsr")


def test_what_cannot_be_done_is_said(world, visuals, parser, tmp_path):
    with pytest.raises(ConfigError, match="COCO's ids"):
        report(world, visuals, parser, "cxc")
    with pytest.raises(ConfigError, match="got none"):
        report(world, visuals, parser, "vsr", checkpoints=())
    models = load_matchers([world / "scan"], visuals)
    with pytest.raises(ConfigError, match="did you mean 'vsr'"):
        compositional_report(models, visuals, {"vsrr": world / "vsr.jsonl"}, parser=parser)
    with pytest.raises(FormatError, match="no such file"):
        compositional_report(models, visuals, {"vsr": tmp_path / "none"}, parser=parser)
    few = FeatureStore(make_visuals(tmp_path / "few", ids=["77"]))
    with pytest.raises(GraphError, match="got none; 4: the image is not in the store"):
        report(world, few, parser, "sugarcrepe")
