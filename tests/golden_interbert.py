"""InterBERT's masking and pre-processing against golden vectors, with scripted random draws."""

from __future__ import annotations

from itertools import takewhile

import torch

from graphmatch.datasets.draw_caption import draw_caption
from graphmatch.datasets.interbert_inputs import InterBertReader, stack_inputs
from graphmatch.masking.regions import mask_regions, pixel_iou, with_neighbours
from graphmatch.masking.tokens import mask_tokens, segment_mask
from graphmatch.regions.base import Regions
from graphmatch.regions.location import box_location


class Script:
    """Replays draws and checks that exactly these are asked for."""

    def __init__(self, draws, vocabulary):
        self.rest = list(draws)
        self.vocabulary = vocabulary

    def random(self):
        name, value = self.rest.pop(0)
        assert name == "random"
        return value

    def randint(self, a, b):
        name, low, high, value = self.rest.pop(0)
        assert (name, low, high) == ("randint", a, b)
        return value

    def choice(self, seq):
        name, word = self.rest.pop(0)
        assert name == "choice"
        assert list(seq) == list(range(len(self.vocabulary)))
        return self.vocabulary[word]


def ids_of(case):
    return {word: number for number, word in enumerate(case.content["vocab"])}


def check_text_mask(case, assert_close):
    ids = ids_of(case)
    assert case.content["cases"]
    for item in case.content["cases"]:
        script = Script(item["draws"], ids)
        masked = mask_tokens(
            [ids[token] for token in item["tokens"]],
            script,
            mask_id=ids["[MASK]"],
            vocabulary=range(len(ids)),
            rule="released" if item["span_mask"] else "plain",
        )
        assert masked.ids == [ids[token] for token in item["masked_tokens"]]
        assert masked.label == item["labels"]
        assert not script.rest


def check_region_mask(case, assert_close):
    tensors = case.tensors
    count = int(tensors["in.num_boxes"])
    feature, size = tensors["in.image_feat"], tensors["in.image_size_wh"]
    real = torch.arange(len(feature)) < count
    box = torch.zeros(len(feature), 4)
    box[:count] = tensors["in.boxes_pixel"]
    uniform = torch.zeros(len(feature), dtype=torch.float64)
    uniform[:count] = tensors["in.draws"]
    rule = "plain" if case.content["config"]["iou_threshold"] is None else "released"
    masked, label = mask_regions(feature, box, uniform, rule=rule, mask=real)
    assert_close(box_location(box, size, real), tensors["out.image_loc"])
    assert_close(pixel_iou(box), tensors["out.iou"])
    assert torch.equal(masked, tensors["out.image_feat_masked"])
    assert torch.equal(label[:count], tensors["out.image_label"])
    assert (label[count:] == -1).all()


def check_paper_rule(case, assert_close):
    tensors = case.tensors
    length = tensors["in.span_length"] * tensors["in.token_anchor"]
    assert torch.equal(segment_mask(length), tensors["out.token_masked"])
    box, anchor = tensors["in.boxes_pixel"], tensors["in.region_anchor"]
    assert torch.equal(with_neighbours(anchor, pixel_iou(box)), tensors["out.region_masked"])
    masked, label = mask_regions(torch.ones(len(box), 1), box, 1.0 - anchor.float())
    assert torch.equal(label == 1, tensors["out.region_masked"])
    assert torch.equal(masked.flatten() == 0, tensors["out.region_masked"])


def check_preprocess(case, assert_close):
    config, tensors = case.content["config"], case.tensors
    ids = ids_of(case)
    count, classes = len(tensors["in.boxes_pixel"]), config["target_size"]
    target = torch.zeros(count, classes)
    target[:, 0] = tensors["out.image_target_rowsum"][0, :count]
    regions = Regions(
        size=tuple(tensors["in.image_size_wh"].tolist()),
        box=tensors["in.boxes_pixel"],
        label=torch.zeros(count, dtype=torch.int64),
        score=torch.ones(count),
        feature=tensors["in.image_feat"].float(),
        probability=target,
    )
    rule = "plain" if "span_mask off" in case.content["variant"] else "released"
    reader = InterBertReader(
        vocabulary=ids,
        text_rule=rule,
        region_rule=rule,
        max_tokens=config["seq_len"],
        max_regions=config["region_len"],
    )
    script = Script(case.content["draws"], ids)
    pieces, matched = draw_caption(
        case.content["caption"].split(),
        "own",
        script,
        **caption_pool(case, config["seq_len"], rule),
    )
    inputs = stack_inputs([reader.read(pieces, regions, script, matched=matched)])
    assert not script.rest
    for name in (
        "input_ids",
        "token_type_ids",
        "attention_mask",
        "masked_lm_labels",
        "image_label",
        "image_attention_mask",
        "multimodal_mask",
        "next_sentence_label",
    ):
        assert torch.equal(getattr(inputs, name).long(), tensors[f"out.{name}"]), name
    assert inputs.image_feat.shape[2] == config["feature_dim"]
    assert_close(inputs.image_feat[..., :64], tensors["out.image_feat_first64"])
    assert_close(inputs.image_feat.double().sum(-1), tensors["out.image_feat_rowsum"])
    assert_close(inputs.image_loc, tensors["out.image_loc"])
    assert inputs.image_target.shape[2] == classes
    assert_close(inputs.image_target.double().sum(-1), tensors["out.image_target_rowsum"])


def caption_pool(case, seq_len, rule):
    """Captions among which the scripted draws find the one of the case."""
    other = case.content["mismatch_caption"]
    if other is None:
        return {"captions": [["unused"]], "images": ["other"]}
    numbers = list(
        takewhile(lambda draw: draw[0] == "randint" and draw[1] == 0, case.content["draws"][1:])
    )
    if min(len(other.split()), seq_len - 2) > 3 and rule == "released":
        numbers.pop()  # the start of the span
    _, _, last, found = numbers[-1]
    images = ["own"] * (last + 1)
    images[found] = "other"
    return {"captions": [other.split()] * (last + 1), "images": images}
