from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graphmatch.clips.moments import MomentItem, collate_moments, moment_share, query_words
from graphmatch.clips.proposals import clip_positions
from graphmatch.errors import ConfigError, GraphError

GOLDEN = Path(__file__).parents[1] / "golden" / "drn"


def item(words, clips=4, width=3):
    return MomentItem(
        word=torch.arange(1, words + 1),
        feature=torch.randn(clips, width),
        position=clip_positions(90 + words, clips),
        frames=90 + words,
        moment=moment_share(1.0, float(words), 30.0),
    )


def test_longest_query_comes_first_and_equal_ones_keep_their_order():
    items = [item(3), item(5), item(3), item(7), item(5)]
    batch = collate_moments(items)
    assert batch.order.tolist() == [3, 1, 4, 0, 2]
    assert batch.length.tolist() == [7, 5, 5, 3, 3]
    for row, number in enumerate(batch.order.tolist()):
        one, count = items[number], int(batch.length[row])
        assert torch.equal(batch.word[row, :count], one.word)
        assert not batch.word[row, count:].any()
        assert torch.equal(batch.feature[row], one.feature)
        assert torch.equal(batch.position[row], one.position)
        assert torch.equal(batch.moment[row], one.moment)
        assert batch.frames[row] == one.frames
    assert (batch.word.dtype, batch.position.dtype) == (torch.int64, torch.float64)


def test_videos_with_fewer_clips_are_padded():
    batch = collate_moments([item(2, clips=2), item(3, clips=4)])
    assert batch.clips.tolist() == [4, 2]
    assert not batch.feature[1, 2:].any()
    assert not batch.position[1, 2:].any()


def test_batch_of_one_is_the_item():
    one = item(4)
    batch = collate_moments([one])
    assert torch.equal(batch.word[0], one.word)
    assert torch.equal(batch.feature[0], one.feature)


def test_items_that_do_not_fit_are_refused():
    with pytest.raises(GraphError, match="at least one item"):
        collate_moments([])
    with pytest.raises(GraphError, match=r"feature \[T, 3\]"):
        collate_moments([item(2), item(2, width=4)])


def test_end_is_cut_at_the_duration_but_not_the_start():
    assert moment_share(12.0, 13.0, 10.0).tolist() == [1.2, 1.0]
    for duration in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="expected a duration above 0"):
            moment_share(0.0, 1.0, duration)


@pytest.mark.parametrize("name", ["preprocess_c3d", "preprocess_i3d"])
def test_golden_tokens_are_those_of_the_vocabulary(data, name):
    ids = json.loads((data / "charades_sta" / "Charades_word2id.json").read_text())
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    lines = [entry["line"] for entry in json.loads((GOLDEN / f"{name}.json").read_text())["items"]]
    for number, line in enumerate(lines):
        words = query_words(line.split("##", 1)[1])
        assert [ids[word] for word in words] == tensors[f"out.item{number}.tokens"].tolist()


def test_words_of_the_real_queries_number_the_vocabulary(data):
    folder = data / "charades_sta"
    ids = json.loads((folder / "Charades_word2id.json").read_text())
    found = {}
    counts = {}
    for split in ("train", "test"):
        lines = (folder / f"Charades_sta_{split}.txt").read_text().splitlines()
        queries = [query_words(line.split("##", 1)[1]) for line in lines]
        counts[split] = [len(words) for words in queries]
        for word in (word for words in queries for word in words):
            found.setdefault(word, len(found) + 1)
        if split == "train":  # the test file is not complete
            assert found == {word: number for word, number in ids.items() if number <= 1130}
    assert set(found) <= set(ids)
    assert (min(counts["train"]), max(counts["train"])) == (2, 12)
    assert sum(counts["train"]) / len(counts["train"]) == pytest.approx(6.2, abs=0.05)
