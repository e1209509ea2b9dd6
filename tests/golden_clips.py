"""HGR's frame selection and DRN's pre-processing against golden vectors."""

from __future__ import annotations

import torch

from graphmatch.clips.frame_selection import pad_frames
from graphmatch.clips.moments import (
    MomentItem,
    collate_moments,
    moment_share,
    query_words,
)
from graphmatch.clips.proposals import clip_positions, pool_clips, window_step


def check_frame_selection(case, assert_close):
    assert case.content["cases"]
    for item in case.content["cases"]:
        numbers = torch.arange(float(item["frames"])).unsqueeze(1)
        padded, length, mask = pad_frames(
            [numbers], item["max_frames"], mode=item["trim_type"], full=True
        )
        assert padded.flatten().tolist() == item["kept_index_or_zero_pad"]
        assert length.tolist() == [item["length"]]
        assert mask.sum(dim=1).tolist() == [item["length"]]


def check_moments(case, assert_close):
    config, tensors = case.content["config"], case.tensors
    assert window_step(config["window"], config["overlap"]) == config["step"]
    ids = word_ids(case)
    items = []
    for number, entry in enumerate(case.content["items"]):
        video, start, end = entry["line"].split("##")[0].split()
        features = tensors[f"in.feature.{video}"]
        assert features.shape == (entry["feature_rows"], config["feature_dim"])
        frames = entry["num_frames"]
        item = MomentItem(
            word=torch.tensor([ids[word] for word in query_words(sentence(entry))]),
            feature=pool_clips(
                features,
                frames,
                clips=config["clips"],
                window=config["window"],
                overlap=config["overlap"],
            ),
            position=clip_positions(frames, config["clips"]),
            frames=frames,
            moment=moment_share(float(start), float(end), entry["duration"]),
        )
        expected = f"out.item{number}"
        assert torch.equal(item.word, tensors[f"{expected}.tokens"])
        assert torch.equal(item.feature, tensors[f"{expected}.props_features"])
        assert_close(item.position, tensors[f"{expected}.props_start_end"], "float64")
        assert_close(item.moment, tensors[f"{expected}.gt"], "float64")
        items.append(item)
    batch = collate_moments(items)
    videos = [entry["video"] for entry in case.content["items"]]
    assert [videos[k] for k in batch.order.tolist()] == case.content["batch_video_order"]
    assert torch.equal(batch.word, tensors["out.batch.tokens"])
    assert torch.equal(batch.length, tensors["out.batch.lengths"])
    assert torch.equal(batch.feature, tensors["out.batch.props_features"])
    assert torch.equal(batch.clips, tensors["out.batch.props_num"])
    assert torch.equal(batch.frames, tensors["out.batch.num_frames"])
    assert_close(batch.position, tensors["out.batch.props_start_end"], "float64")
    assert_close(batch.moment, tensors["out.batch.gt"], "float64")


def word_ids(case):
    """Ids of the words in the queries, as the golden tokens give them.

    The vocabulary itself is not in the file: words must be as many as the tokens, and the same word
    must always have the same id and no other. `test_moments.py` looks them up in the vocabulary.
    """
    ids = {}
    for number, entry in enumerate(case.content["items"]):
        words = query_words(sentence(entry))
        tokens = case.tensors[f"out.item{number}.tokens"].tolist()
        assert len(words) == len(tokens) == entry["query_length"]
        for word, token in zip(words, tokens, strict=True):
            assert ids.setdefault(word, token) == token, word
    assert len(set(ids.values())) == len(ids)
    return ids


def sentence(entry):
    return entry["line"].split("##", 1)[1]
