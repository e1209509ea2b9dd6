"""InterBERT's inputs against a second writing of the released loader, and their invariants."""

from __future__ import annotations

from dataclasses import fields, replace
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from graphmatch.datasets.draw_caption import draw_caption
from graphmatch.datasets.interbert_inputs import InterBertReader, stack_inputs
from graphmatch.errors import ConfigError, GraphError
from graphmatch.feature_record import FeatureRecord
from graphmatch.regions.base import Regions

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz")
IDS = {word: number for number, word in enumerate(WORDS)}
RULES = ("paper", "released", "plain", None)


def reader(**options):
    return InterBertReader(**{"vocabulary": IDS, "max_tokens": 10, "max_regions": 6} | options)


def unmasked(**options):
    return reader(text_rule=None, region_rule=None, **options)


def some_regions(count, seed=1, **options):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=generator) * torch.tensor([200.0, 100.0])
    return Regions(
        **{
            "size": (200, 100),
            "box": corners.sort(dim=1).values.flatten(1),
            "label": torch.zeros(count, dtype=torch.int64),
            "score": torch.rand(count, generator=generator),
            "feature": torch.rand(count, 3, generator=generator) + 1,
            "probability": torch.rand(count, 4, generator=generator).softmax(-1),
        }
        | options
    )


def overlap(one, two, width, height):
    """IoU of normalised boxes with a pixel added, as the released helper computes it."""
    area, shared = [], 1.0
    for a in (one, two):
        area.append((a[2] - a[0] + 1 / width) * (a[3] - a[1] + 1 / height))
    for axis, pixel in ((0, 1 / width), (1, 1 / height)):
        inner = min(one[axis + 2], two[axis + 2]) - max(one[axis], two[axis]) + pixel
        shared *= max(inner, 0)
    return shared / (area[0] + area[1] - shared)


def released(pieces, regions, draws, *, tokens, rows):
    """The released loader with span masking, in plain lists."""
    pieces = pieces[: tokens - 2]
    n = len(pieces)
    ids, labels = [IDS[piece] for piece in pieces], [-1] * n
    if int(0.3 * n) > 0:
        start, length = draws.randint(0, n), draws.randint(1, n)
        for i in range(start, min(start + length, n)):
            labels[i], draw = ids[i], draws.random()
            if draw < 0.8:
                ids[i] = IDS["[MASK]"]
            elif draw < 0.9:
                ids[i] = draws.choice(range(len(WORDS)))
    width, height = regions.size
    location, feature, image_labels = [], [], []
    for x1, y1, x2, y2 in regions.box.tolist():
        area = (y2 - y1) * (x2 - x1) / (width * height)
        location.append([x1 / width, y1 / height, x2 / width, y2 / height, area])
    anchors = [i for i in range(len(regions)) if draws.random() < 0.1]
    for i, row in enumerate(regions.feature.tolist()):
        near = any(overlap(location[i], location[a], width, height) >= 0.4 for a in anchors)
        feature.append([0.0] * 3 if near else row)
        image_labels.append(1 if near else -1)
    count, rest, words = len(regions), rows - len(regions), n + 2
    whole = [sum(column) / max(count, 1) for column in zip(*feature, strict=True)] or [0.0] * 3
    text_mask = [1] * words + [0] * (tokens - words)
    image_mask = [1] * (count + 1) + [0] * rest
    return {
        "input_ids": [2, *ids, 3] + [0] * (tokens - words),
        "token_type_ids": [0] * tokens,
        "attention_mask": text_mask,
        "masked_lm_labels": [-1, *labels, -1] + [-1] * (tokens - words),
        "image_feat": [whole, *feature] + [[0.0] * 3] * rest,
        "image_loc": [[0, 0, 1, 1, 1], *location] + [[0] * 5] * rest,
        "image_attention_mask": image_mask,
        "image_label": image_labels + [-1] * rest,
        "image_target": regions.probability.tolist() + [[0.0] * 4] * rest,
        "multimodal_mask": image_mask + text_mask,
    }


def assert_same(one, two):
    for field in fields(one):
        assert torch.equal(getattr(one, field.name), getattr(two, field.name)), field.name


@given(st.lists(st.sampled_from(WORDS[5:]), max_size=14), st.integers(0, 6), st.integers(0, 999))
def test_released_rules_equal_plain_lists(pieces, count, seed):
    regions = some_regions(count, seed)
    both = reader(text_rule="released", region_rule="released")
    inputs = both.read(pieces, regions, Random(seed))
    expected = released(pieces, regions, Random(seed), tokens=10, rows=6)
    for name, value in expected.items():
        got = getattr(inputs, name)
        torch.testing.assert_close(got, torch.tensor(value, dtype=got.dtype), msg=name)
    assert inputs.next_sentence_label.item() == 0


@given(
    st.sampled_from(RULES),
    st.sampled_from(RULES),
    st.lists(st.sampled_from(WORDS[5:]), max_size=12),
    st.integers(0, 6),
    st.integers(0, 999),
)
def test_invariants_of_every_rule(text_rule, region_rule, pieces, count, seed):
    regions = some_regions(count, seed)
    copies = {name: getattr(regions, name).clone() for name in ("feature", "box", "probability")}
    masking = reader(text_rule=text_rule, region_rule=region_rule)
    inputs = masking.read(pieces, regions, Random(seed))
    assert_same(inputs, masking.read(pieces, regions, Random(seed)))  # a seed says all
    for name, copy in copies.items():
        assert torch.equal(getattr(regions, name), copy), name

    plain = unmasked().read(pieces, regions)
    scored = inputs.masked_lm_labels != -1
    assert torch.equal(inputs.masked_lm_labels[scored], plain.input_ids[scored])
    assert torch.equal(inputs.input_ids[~scored], plain.input_ids[~scored])
    special = plain.input_ids < 5  # [CLS], [SEP], padding
    assert not (scored & special).any()
    kept = inputs.image_label == -1
    assert torch.equal(inputs.image_feat[1:][kept], plain.image_feat[1:][kept])
    assert not (inputs.image_label[count:] != -1).any()
    for name in ("attention_mask", "image_attention_mask", "multimodal_mask"):
        assert getattr(inputs, name).dtype == torch.bool
        assert torch.equal(getattr(inputs, name), getattr(plain, name))
    assert torch.equal(inputs.image_loc, plain.image_loc)  # masked regions keep their place
    assert torch.equal(inputs.image_target, plain.image_target)
    assert not inputs.image_feat[~inputs.image_attention_mask].any()


def test_whole_image_is_made_after_masking(assert_close):
    regions = some_regions(5)
    plain = unmasked().read(["a"], regions)
    assert_close(plain.image_feat[0], regions.feature.mean(0))
    for seed in range(20):
        inputs = reader(region_rule="released").read(["a"], regions, Random(seed))
        assert_close(inputs.image_feat[0], inputs.image_feat[1:].sum(0) / 5)


def test_one_side_masked_at_a_time():
    regions, pieces = some_regions(6), list("abcdefgh")
    both = reader(text_rule="released", region_rule="released")
    plain = unmasked().read(pieces, regions)
    for seed in range(20):
        image_only = replace(both, text_rule=None).read(pieces, regions, Random(seed))
        text_only = replace(both, region_rule=None).read(pieces, regions, Random(seed))
        assert torch.equal(image_only.input_ids, plain.input_ids)
        assert torch.equal(text_only.image_feat, plain.image_feat)


def test_a_long_caption_is_cut_at_its_end():
    inputs = unmasked(max_tokens=5).read(list("abcdef"), some_regions(1))
    assert inputs.input_ids.tolist() == [2, 5, 6, 7, 3]
    assert inputs.attention_mask.all()


def test_other_ids_of_special_symbols():
    ids = {"a": 0, "[MASK]": 1, "[SEP]": 2, "[PAD]": 3, "[CLS]": 4}
    inputs = unmasked(vocabulary=ids, max_tokens=4).read(["a"], some_regions(1))
    assert inputs.input_ids.tolist() == [4, 0, 2, 3]


def test_too_many_regions():
    regions = some_regions(5, score=torch.tensor([0.2, 0.9, 0.2, 0.1, 0.8]))
    with pytest.raises(GraphError, match=r"at most 3 regions \(got 5\)"):
        unmasked(max_regions=3).read(["a"], regions)
    inputs = unmasked(max_regions=3, surplus="best").read(["a"], regions)
    best = regions.select(torch.tensor([0, 1, 4]))  # their order; the first of equal scores
    assert_same(inputs, unmasked(max_regions=3).read(["a"], best))


def test_regions_without_class_distribution_have_no_targets():
    inputs = unmasked().read(["a"], some_regions(2, probability=None))
    assert inputs.image_target.shape == (6, 0)


def test_a_stored_record_in_half_precision():
    regions = some_regions(4)
    columns = {
        "feature": regions.feature.half().numpy(),
        "box": regions.box.numpy(),
        "size": np.array([200, 100], np.int32),
    }
    record = FeatureRecord(id="7", columns=columns)
    inputs = unmasked().read(["a"], record.regions())
    assert inputs.image_feat.dtype == torch.float32
    assert torch.equal(inputs.image_feat[1:5], regions.feature.half().float())


def test_real_regions(data, assert_close):
    with np.load(data / "coco_regions" / "regions_test.npz") as file:
        ends = np.cumsum(file["num_regions"], dtype=np.int64)
        box, feature = file["boxes"].astype(np.float32) / 2, file["features"]
        score = file["score"]
    items = []
    for first, end in zip([0, *ends[:7]], ends[:8], strict=True):
        size = box[end - 1, 2:].astype(np.int32)  # the last region is the whole image
        columns = {"feature": feature[first:end], "box": box[first:end], "size": size}
        record = FeatureRecord(id=str(end), columns=columns | {"score": score[first:end]})
        items.append(record.regions())
    masking = reader(text_rule="released", region_rule="released", max_regions=21)
    draws = Random(0)
    inputs = stack_inputs([masking.read(list("abcdef"), item, draws) for item in items])
    counts = [len(item) for item in items]
    assert inputs.image_attention_mask.sum(1).tolist() == [1 + count for count in counts]
    for number, count in enumerate(counts):
        assert_close(inputs.image_loc[number, count], torch.tensor([0.0, 0, 1, 1, 1]))
    assert inputs.image_loc.min() >= 0
    assert inputs.image_loc.max() <= 1.001  # boxes are rounded to half pixels
    assert (inputs.image_label == 1).any()


def test_batch_of_a_loader_equals_one_by_one():
    pairs = [(list("abc")[: n + 1], some_regions(n, n)) for n in range(3)]
    items = [reader().read(pieces, regions, Random(1)) for pieces, regions in pairs]
    (batch,) = DataLoader(items, batch_size=3, collate_fn=stack_inputs)
    assert batch.image_feat.shape == (3, 7, 3)
    assert batch.multimodal_mask.shape == (3, 17)
    assert batch.next_sentence_label.shape == (3,)
    for number, item in enumerate(items):
        for field in fields(item):
            assert torch.equal(getattr(batch, field.name)[number], getattr(item, field.name))
    assert {getattr(batch.to("meta"), field.name).device.type for field in fields(batch)} == {
        "meta"
    }


def test_pairs_that_make_no_batch():
    with pytest.raises(GraphError, match="one pair or more"):
        stack_inputs([])
    inputs = [unmasked(max_tokens=size).read(["a"], some_regions(1)) for size in (5, 6)]
    with pytest.raises(GraphError, match="input_ids: expected one shape"):
        stack_inputs(inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 2}, "max_tokens from 3"),
        ({"max_regions": 0}, "max_regions from 1"),
        ({"vocabulary": {"a": 0}}, r"no \[PAD\]"),
        ({"vocabulary": IDS | {"b": 5}}, "each once"),
        ({"vocabulary": IDS | {"z": 99}}, "each once"),
        ({"text_rule": "papre"}, "did you mean 'paper'"),
        ({"region_rule": "plane"}, "did you mean 'plain'"),
        ({"surplus": "bset"}, "did you mean 'best'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        reader(**options)


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        (["a", "##zz"], "no word piece '##zz'"),
        ("abc", "a list of word pieces"),
    ],
)
def test_wrong_pieces_are_refused(pieces, message):
    with pytest.raises(ConfigError, match=message):
        unmasked().read(pieces, some_regions(1))


def test_masking_without_draws_is_refused():
    for options in ({"text_rule": None}, {"region_rule": None}):
        with pytest.raises(ConfigError, match="source of random numbers"):
            reader(**options).read(["a"], some_regions(1))


@pytest.mark.parametrize("name", ["feature", "box", "probability"])
def test_numbers_that_are_not_finite_are_refused(name):
    broken = getattr(some_regions(2), name).clone()
    broken[1, 0] = float("nan")
    with pytest.raises(GraphError, match=f"{name}: expected finite"):
        unmasked().read(["a"], some_regions(2, **{name: broken}))


def test_regions_without_features_are_refused():
    with pytest.raises(GraphError, match="expected features"):
        unmasked().read(["a"], some_regions(2, feature=None))


# captions of other images


POOL = {
    "captions": [["a"], ["b"], ["c"], ["d"]],
    "images": ["1", "1", "2", "3"],
}


def test_half_of_the_captions_are_of_another_image():
    draws = Random(4)
    drawn = [draw_caption(["a"], "1", draws, **POOL) for _ in range(4000)]
    own = [pieces for pieces, matched in drawn if matched]
    others = [pieces[0] for pieces, matched in drawn if not matched]
    assert len(own) / 4000 == pytest.approx(0.5, abs=3 * 0.5 / 4000**0.5)
    assert all(pieces == ["a"] for pieces in own)
    assert set(others) == {"c", "d"}
    assert others.count("c") / len(others) == pytest.approx(0.5, abs=3 * 0.5 / len(others) ** 0.5)


def test_a_caption_of_another_image_is_labelled():
    inputs = unmasked().read(["a"], some_regions(1), matched=False)
    assert inputs.next_sentence_label.item() == 1


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ({"captions": [["a"]], "images": ["1"]}, "another image than '1'"),
        ({"captions": [], "images": []}, "another image"),
        ({"captions": [["a"]], "images": ["1", "2"]}, "the image of each of 1"),
    ],
)
def test_pools_without_another_image_are_refused(pool, message):
    with pytest.raises(ConfigError, match=message):
        draw_caption(["a"], "1", Random(1), **pool)
