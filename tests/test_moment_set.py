"""`MomentSet`, `collate_queries`, vocabularies of queries."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from graphmatch.datasets.captions import Caption
from graphmatch.datasets.charades_sta import read_charades_sta
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.errors import ConfigError, FormatError, GraphError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.moment_set import MomentSet, collate_queries
from graphmatch.query_vocabulary import query_vocabulary, read_query_vocabulary

VOCABULARY = query_vocabulary(["person opens the door.", "a person doesn't sit down."])
HOURS = 10800.0  # seconds of a long video


def record(key, clips, duration):
    bounds = np.linspace(0, duration, clips + 1)
    columns = {
        "feature": np.full((clips, 2), duration, np.float32),
        "time": np.stack((bounds[:-1], bounds[1:]), axis=1),
        "duration": np.array(duration),
    }
    return FeatureRecord(id=key, columns=columns)


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "clips"
    with FeatureWriter(folder, kind="clips", job={}) as writer:
        for key, clips, duration in (
            ("kitchen", 4, 10.0),
            ("unused", 4, 5.0),
            ("film", 4, HOURS),
            ("frame", 1, 0.04),
        ):
            writer.add(record(key, clips, duration))
        writer.add(FeatureRecord(id="broken", error="no video"))
    return FeatureStore(folder)


def query(key, owner="kitchen", text="Person opens the door.", moment=(1.0, 6.0), **fields):
    return Caption(id=key, owner=owner, text=text, moment=moment, **fields)


def data_set(*captions, **durations):
    seconds = {"kitchen": 10.5, "film": HOURS, "frame": 0.04, "broken": 8.0, "lost": 9.0}
    videos = (
        Visual(id=key, kind="video", duration=value)
        for key, value in {**seconds, **durations}.items()
    )
    return DataSet(name="tiny", visuals=tuple(videos), captions=captions)


def test_queries_are_joined_with_their_videos(store):
    data = data_set(
        query("1", "film", "a person doesn't sit.", (5400.0, 5405.5)),
        query("2"),
        query("3", moment=(0.0, 10.5)),
        query("4", "frame", "the door", (0.0, 0.04)),
    )
    moments = MomentSet(data, store, VOCABULARY)
    assert (moments.ids, moments.skipped) == (["1", "2", "3", "4"], [])
    assert moments.visual_ids == ["kitchen", "film", "frame"]
    assert moments.owner.tolist() == [1, 0, 0, 2]
    words = [VOCABULARY.decode(moments.text(number).word) for number in range(4)]
    assert words[0] == ["a", "person", "does", "n't", "sit"]
    assert words[1] == ["person", "opens", "the", "door"]
    wanted = [[0.5, 5405.5 / HOURS], [1 / 10.5, 6 / 10.5], [0.0, 1.0], [0.0, 1.0]]
    assert moments.moment.dtype == torch.float64
    assert moments.moment.tolist() == wanted
    assert repr(moments) == "MomentSet(4 queries, 3 videos, 0 queries left out)"
    assert [video.num_nodes for video in moments.gallery_graphs()] == [4, 4, 1]


def test_a_video_of_several_queries_is_once_in_a_batch(store):
    data = data_set(query("1"), query("2", "film"), query("3", moment=(2.0, 2.0)))
    moments = MomentSet(data, store, VOCABULARY)
    batch = collate_queries([moments[number] for number in (2, 1, 0)])
    assert batch.visual_ids == ("kitchen", "film")
    assert batch.owner.tolist() == [0, 1, 0]
    assert batch.text_ids == ("3", "2", "1")
    duration = batch.visual.duration[batch.owner].double().unsqueeze(1)
    shares = batch.moment / duration  # what a model makes of them
    torch.testing.assert_close(shares, moments.moment[[2, 1, 0]], rtol=1e-6, atol=0)
    assert torch.equal(batch.moment, moments.seconds[[2, 1, 0]])
    assert batch.validate()
    with pytest.raises(GraphError, match="at least one"):
        collate_queries([])


def test_what_cannot_be_used_is_kept_with_its_reason(store):
    data = data_set(
        query("good"),
        query("line", error="expected `VIDEO START END##sentence.`"),
        query("back", moment=(6.0, 1.0)),
        query("late", moment=(11.0, 12.0)),
        query("long", moment=(1.0, 60.0)),
        query("none", moment=None),
        query("whose", "nowhere"),
        query("lost", "lost"),
        query("broken", "broken"),
        query("foreign", text="zwei Hunde bellen"),
        query("dots", text="..."),
        query("empty", text=" "),
        query("good"),
        query("instant", "empty", moment=(0.0, 0.0)),
        empty=0.0,
    )
    moments = MomentSet(data, store, VOCABULARY)
    assert moments.ids == ["good", "long"]
    assert moments.moment[1].tolist() == [1 / 10.5, 1.0]
    reasons = {
        "line": "expected `VIDEO",
        "back": "start <= end",
        "late": "inside 0 to 10.5 s",
        "none": "no moment",
        "whose": "no such image or video",
        "lost": "'lost' is not in the store",
        "broken": "'broken' failed in the store",
        "foreign": "no word of the query is known",
        "dots": "the query has no words",
        "empty": "an empty one",
        "good": "duplicate id",
        "instant": "duration: expected a positive number",
    }
    assert [key for key, _ in moments.skipped] == list(reasons)
    for (key, reason), part in zip(moments.skipped, reasons.values(), strict=True):
        assert part in reason, key
    exact = MomentSet(data, store, VOCABULARY, cut_moments=False)
    assert exact.ids == ["good"]
    assert dict(exact.skipped)["long"].startswith("moment: expected it inside 0 to 10.5 s")


def test_seconds_of_the_store_where_the_annotation_has_none(store):
    data = data_set(query("1"), query("2", moment=(10.2, 11.0)), kitchen=None)
    moments = MomentSet(data, store, VOCABULARY)
    assert moments.moment.tolist() == [[0.1, 0.6]]
    assert moments.skipped[0][0] == "2"
    assert torch.equal(moments[0][4], torch.tensor([1.0, 6.0], dtype=torch.float64))


def test_nothing_to_use_and_wrong_stores_are_errors(store, tmp_path):
    with pytest.raises(ConfigError, match="got none of 1; 1: 'lost' is not in the store"):
        MomentSet(data_set(query("1", "lost")), store, VOCABULARY)
    with pytest.raises(ConfigError, match="got none of 0"):
        MomentSet(data_set(), store, VOCABULARY)
    with FeatureWriter(tmp_path / "bare", kind="clips", job={}) as writer:
        writer.add(FeatureRecord(id="kitchen", columns={"feature": np.zeros((2, 3))}))
    with pytest.raises(ConfigError, match="clips with time and duration"):
        MomentSet(data_set(query("1")), FeatureStore(tmp_path / "bare"), VOCABULARY)
    moments = MomentSet(data_set(query("1")), store, VOCABULARY)
    for number in (-1, 1):
        with pytest.raises(IndexError):
            moments[number]


def test_vocabularies_of_queries(tmp_path):
    path = tmp_path / "word2id.json"
    path.write_text(json.dumps({"door": 2, "person": 1}))
    assert read_query_vocabulary(path).words == ("<pad>", "person", "door")
    for content in ({"person": 0}, {"person": 1, "door": 3}, {"a": "1"}, {}, [], {"<pad>": 1}):
        path.write_text(json.dumps(content))
        with pytest.raises(FormatError):
            read_query_vocabulary(path)
    with pytest.raises(ConfigError, match="got none"):
        query_vocabulary(["...", ""])


def test_official_vocabulary_of_charades_sta(data):
    """The training part has the first 1,130 words; the rest comes from the whole test part."""
    folder = data / "charades_sta"
    official = read_query_vocabulary(folder / "Charades_word2id.json")
    files = {"train": folder / "Charades_sta_train.txt", "test": folder / "Charades_sta_test.txt"}
    charades = read_charades_sta(files, durations=folder / "Charades_duration.json")
    sentences = [caption.text for caption in charades.split("train").captions]
    found = query_vocabulary(sentences)
    assert (len(official), len(found)) == (1302, 1131)
    assert found.words == official.words[:1131]
    test = [caption.text for caption in charades.split("test").captions]
    assert {*query_vocabulary([*sentences, *test]).words} <= {*official.words}
