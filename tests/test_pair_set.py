"""`CaptionSet`, `PairSet`, `encode_texts`, `encode_visuals`."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from graphmatch.caption_set import CaptionSet
from graphmatch.datasets.captions import Caption
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.graphs.batch import batch_graphs, collate_pairs
from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import add_marks
from graphmatch.models.gsmn import GSMN, GSMNConfig
from graphmatch.models.hgr import HGR
from graphmatch.pair_set import PairSet
from graphmatch.parse_job import caption_rows
from graphmatch.parsers import load_parser
from graphmatch.scoring import score_matrix
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

TEXTS = [
    ("1", "park", "A man in a red shirt rides a horse."),
    ("2", "sea", "Two dogs chase a ball."),
    ("3", "park", "A horse."),
    ("4", None, "Nobody knows whose caption this is."),
    ("5", "lost", "A cat sleeps."),
    ("6", "broken", "A boat."),
    ("7", "sea", ""),
]


@pytest.fixture(scope="module")
def rows():
    captions = [Caption(id=key, owner=owner, text=text) for key, owner, text in TEXTS]
    return caption_rows(captions, parser=load_parser("spacy"))


@pytest.fixture(scope="module")
def vocabulary(rows):
    words = [row.parse.words for row in rows if row.parse]
    return Vocabulary.build(words, min_count=1, specials=SCAN_SPECIALS, unknown="<unk>")


@pytest.fixture
def store(tmp_path):
    random = np.random.default_rng(3)
    folder = tmp_path / "regions"
    with FeatureWriter(folder, kind="regions", job={}) as writer:
        for key, regions in (("sea", 3), ("unused", 1), ("park", 2)):
            box = np.sort(random.random((regions, 2, 2)) * 90, axis=1).reshape(regions, 4)
            columns = {
                "box": box.astype(np.float32),
                "feature": random.standard_normal((regions, 5)).astype(np.float32),
                "size": np.array([100, 100], dtype=np.int32),
            }
            writer.add(FeatureRecord(id=key, columns=columns))
        writer.add(FeatureRecord(id="broken", error="no such file"))
    return FeatureStore(folder)


@pytest.mark.parametrize("graph", ["roles", "dependencies"])
@pytest.mark.parametrize("marks", [True, False])
def test_captions_are_those_of_the_rows(rows, vocabulary, graph, marks):
    captions = CaptionSet(iter(rows), vocabulary, graph=graph, marks=marks)
    assert captions.ids == ["1", "2", "3", "4", "5", "6"]
    assert captions.failures[0][0] == "7"
    for row, found in zip(rows, captions, strict=False):
        expected = TextGraph.from_columns(getattr(row, graph), vocabulary.encode(row.parse.words))
        if marks:
            expected = add_marks(expected, *vocabulary.encode(["<start>", "<end>"]))
        assert found.equals(expected)
        assert found.validate()
    with pytest.raises(IndexError):
        captions[6]


def test_captions_know_what_a_matcher_reads(rows, vocabulary):
    assert CaptionSet.for_matcher(rows, vocabulary, GSMN).graph == "dependencies"
    roles = CaptionSet.for_matcher(rows, vocabulary, HGR)
    assert roles.graph == "roles"
    assert int(roles[0].word[0]) == vocabulary.encode(["A"])[0]


def test_a_repeated_id_fails(rows, vocabulary):
    captions = CaptionSet([*rows[:1], *rows[:2]], vocabulary, graph="roles")
    assert captions.ids == ["1", "2"]
    assert captions.failures == [("1", "the id was there before")]


def test_marks_need_a_vocabulary_that_has_them(rows):
    with pytest.raises(ConfigError, match="<start>"):
        CaptionSet(rows, Vocabulary(("<UNK>",), "<UNK>"), graph="dependencies", marks=True)


def test_pairs_join_by_id_and_count_what_is_left_out(rows, vocabulary, store):
    pairs = PairSet(CaptionSet(rows, vocabulary, graph="dependencies"), store)
    assert pairs.text_ids == ["1", "2", "3"]
    assert pairs.visual_ids == ["sea", "park"]
    assert pairs.owner.tolist() == [1, 0, 1]
    assert dict(pairs.skipped).keys() == {"7", "4", "5", "6"}
    assert "not in the store" in dict(pairs.skipped)["5"]
    assert "failed" in dict(pairs.skipped)["6"]
    text, text_id, visual, visual_id = pairs[2]
    assert (text_id, visual_id) == ("3", "park")
    assert text.equals(pairs.texts()[2])
    assert visual.equals(store.graph("park"))
    assert pairs.gallery_graphs()[0].equals(store.graph("sea"))
    batch = collate_pairs([pairs[number] for number in range(3)])
    assert batch.owner.tolist() == [0, 1, 0]
    again = pickle.loads(pickle.dumps(pairs))  # for workers of a DataLoader
    assert again[1][0].equals(pairs[1][0])
    assert again[1][3] == "sea"


def test_pairs_without_any_pair_are_an_error(rows, vocabulary, store):
    with pytest.raises(ConfigError, match="not in the store"):
        PairSet(CaptionSet(rows[4:5], vocabulary, graph="roles"), store)
    with pytest.raises(ConfigError, match="got none"):
        PairSet(CaptionSet(rows[6:], vocabulary, graph="roles"), store)


def test_chunks_are_what_one_batch_gives(rows, vocabulary, store, assert_close):
    torch.manual_seed(0)
    config = GSMNConfig(
        vocabulary=len(vocabulary), feature_size=5, word_size=4, embed_size=8, blocks=4
    )
    model = GSMN(config).train()
    pairs = PairSet(CaptionSet.for_matcher(rows, vocabulary, model), store)
    texts = encode_texts(model, pairs.texts(), chunk=2)
    visuals = encode_visuals(model, pairs.gallery_graphs(), chunk=1)
    assert model.training
    assert [len(part) for part in (*texts, *visuals)] == [2, 1, 1, 1]
    assert not any(part.nodes.requires_grad for part in (*texts, *visuals))
    with torch.no_grad():
        text = model.encode_text(batch_graphs(list(pairs.texts()), follow=("word",)))
        assert_close(Encoded.cat(texts).nodes, text.nodes)
        visual = model.encode_visual(batch_graphs(list(pairs.gallery_graphs())))
        assert_close(score_matrix(model, visuals, texts), model.score(visual, text))
