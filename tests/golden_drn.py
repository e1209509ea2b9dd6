"""DRN's forward passes against golden vectors."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.models.drn_keys import UNUSED, load_official, official_keys
from graphmatch.models.drn_stages import STAGES
from graphmatch.nn.grounding import true_iou
from graphmatch.nn.moment_targets import level_counts, moment_targets
from tests.golden_drn_data import check_decoded

LOSSES = {"loss_cls": "match", "loss_reg": "location", "loss_iou": "iou"}


def official_config(config):
    """Our configuration of a golden file."""
    first = config["first_output_dim"]
    assert config["fpn_stride"] == [1, 2, 4]
    assert config["fcos_num_class"] == 2
    return DRNConfig(
        vocabulary=config["vocab_size"] + 1,
        feature_size=config["feature_dim"],
        word_size=config["embed_dim"],
        hidden=config["hidden_dim"],
        word_layers=config["lstm_layers"],
        position_size=config["pos_dim"],
        channels=(first, 2 * first, 4 * first),
        pyramid_size=config["fpn_feature_dim"],
        tower_layers=config["fcos_conv_layers"],
        prior=config["fcos_prior_prob"],
        alpha=config["fcos_loss_alpha"],
        gamma=config["fcos_loss_gamma"],
        score_threshold=config["fcos_inference_thr"],
        candidates=config["fcos_pre_nms_top_n"],
        scale=32.0,  # the code's constant, whatever T is
    )


def official_model(config, tensors):
    clips = next(value for name, value in tensors.items() if name.endswith("props_start_end"))
    model = DRN(replace(official_config(config), clips=clips.size(1)))
    found = {name.removeprefix("param."): value for name, value in tensors.items()
             if name.startswith("param.")}  # fmt: skip
    load_official(model, found)
    return model


def graphs(tensors, prefix="in."):
    """Queries and videos of one second; the official padding is left out again."""
    lengths = tensors[f"{prefix}query_length"].tolist()
    words = zip(tensors[f"{prefix}query_tokens"].tolist(), lengths, strict=True)
    texts = batch_graphs([word_graph(ids[:count]) for ids, count in words], follow=("word",))
    videos = zip(
        tensors[f"{prefix}props_features"], tensors[f"{prefix}props_start_end"], strict=True
    )
    one = torch.ones(1, dtype=torch.float64)
    return texts, batch_graphs([ClipGraph(x=x, time=time, duration=one) for x, time in videos])


def run(model, tensors, prefix="in."):
    """Everything that a forward pass computes, by its golden name without the mode."""
    texts, videos = graphs(tensors, prefix)
    found = {}
    with watched(model, found):
        text, visual = model.encode_text(texts), model.encode_visual(videos)
        grounding = model.ground(visual, text, torch.arange(len(text)))
    width = tensors[f"{prefix}query_tokens"].size(1)
    query = model.text(texts.word, texts.word_ptr)
    counts = level_counts(visual.nodes.size(1))
    found |= {
        "query.embedding": wide(model.text.embedding(texts.word), text.mask, width),
        "query.lstm": wide(query.words[text.mask], text.mask, width),
        "query.global_vector": text.pooled,
        "video.prop_fc": visual.nodes,
        "video.position0": visual.extra["position"],
        "iou_pred": grounding.found.iou.sigmoid(),
    }
    for level in range(3):
        attention = text.extra["attention"][:, level]
        found[f"query.att{level}"] = wide(attention[text.mask], text.mask, width)
        found[f"query.cmd{level}"] = query.steps[:, level]
        found[f"query.level{level}"] = text.extra[f"level{level}"]
        match, distance, iou = (part.split(counts, dim=1)[level] for part in grounding.found)
        found[f"head.logits{level}"] = match.unsqueeze(1)
        found[f"head.bbox_reg{level}"] = distance.transpose(1, 2)
        found[f"head.iou_logits{level}"] = iou.unsqueeze(1)
    return grounding, found


@contextmanager
def watched(model, found):
    """Keep what layers give: of the pyramid one level each, of shared heads level by level."""
    heads, pyramid = model.heads, model.pyramid
    layers = {f"backbone.level{k}": (pyramid.down[k], 1) for k in range(3)}
    layers |= {f"fpn.level{k}": (pyramid.smooth[k], 1) for k in range(3)}
    layers["head.cls_tower"] = (heads.match_tower[-1], 3)
    layers["head.bbox_tower"] = (heads.distance_tower[-1], 3)
    layers["head.mix_fc"] = (heads.mix, 3)
    hooks = [keep(layer, found, name, times) for name, (layer, times) in layers.items()]
    yield
    for hook in hooks:
        hook.remove()


def keep(layer, found, name, times):
    names = iter([name] if times == 1 else [f"{name}{k}" for k in range(times)])
    return layer.register_forward_hook(lambda _, __, output: found.update({next(names): output}))


def wide(rows, mask, width):
    full = rows.new_zeros(len(mask), width, *rows.shape[1:])
    full[:, : mask.size(1)][mask] = rows
    return full


def check_outputs(grounding, found, tensors, mode, assert_close):
    names = [name for name in tensors if name.startswith(f"out.{mode}.")]
    checked = {name for name in names if name.removeprefix(f"out.{mode}.") in found}
    assert checked
    for name in checked:
        assert_close(found[name.removeprefix(f"out.{mode}.")], tensors[name])
    for name in names:
        if "att_logits_masked" in name:  # they end at the softmax
            assert_close(tensors[name].softmax(dim=-1), found[f"query.att{name[-1]}"])
            checked.add(name)
    iou = true_iou(grounding, tensors["in.gt_start_end"])
    if f"out.{mode}.iou_target" in tensors:  # not in the first stage
        assert_close(iou, tensors[f"out.{mode}.iou_target"])
        checked.add(f"out.{mode}.iou_target")
    if f"out.{mode}.iou_selected" in tensors:
        assert torch.equal((iou > 0.9).long(), tensors[f"out.{mode}.iou_selected"])
        checked.add(f"out.{mode}.iou_selected")
    known = ("video.position1", "video.position2", "buffer.", "loss_", "det", "score", "loc")
    rest = {name.removeprefix(f"out.{mode}.") for name in set(names) - checked}
    rest = {name for name in rest if not name.startswith((*known, "level"))}
    assert not rest  # of these, losses, buffers and moments are checked elsewhere


def check_losses(losses, tensors, mode, stage, assert_close):
    for theirs, ours in LOSSES.items():
        if (theirs, stage.losses) != ("loss_iou", STAGES[0].losses):  # there a constant 0
            assert_close(getattr(losses, ours).reshape(1), tensors[f"out.{mode}.{theirs}"])
    assert_close(stage.loss(losses).reshape(1), tensors[f"out.{mode}.loss_total"])


def check_gradients(model, tensors, prefix, assert_close):
    keys = official_keys(model.config)
    names = [name for name in tensors if name.startswith(prefix)]
    assert names
    for name in names:
        theirs = name.removeprefix(prefix)
        if theirs in keys:
            parameter = model.get_parameter(keys[theirs])
            assert_close(parameter.grad, tensors[name], "float32 gradient")
        else:
            assert theirs.startswith(UNUSED)


def check_forward(case, assert_close):
    tensors, stage = case.tensors, stage_of(case)
    check_modes(official_model(case.content["config"], tensors), stage, tensors, assert_close)


def stage_of(case):
    stage = STAGES[case.content["stage"] - 1]
    # a golden forward pass of the second stage computes the sum of all losses
    return stage if stage is STAGES[0] else STAGES[2]


def check_modes(model, stage, tensors, assert_close):
    moment = tensors["in.gt_start_end"]
    with torch.no_grad():
        model.eval()
        grounding, found = run(model, tensors)
    check_targets_of(model, grounding, tensors)
    check_outputs(grounding, found, tensors, "eval", assert_close)
    check_decoded(grounding, model.config, tensors, assert_close, first=stage is STAGES[0])
    check_losses(model.losses(grounding, moment), tensors, "eval", stage, assert_close)
    model.train()
    stage.begin(model)
    grounding, found = run(model, tensors)
    check_outputs(grounding, found, tensors, "train", assert_close)
    losses = model.losses(grounding, moment)
    check_losses(losses, tensors, "train", stage, assert_close)
    check_buffers(model, tensors, assert_close)
    if any(name.startswith("grad_iou.") for name in tensors):
        losses.iou.backward(retain_graph=True)
        check_gradients(model, tensors, "grad_iou.", assert_close)
        model.zero_grad()
    stage.loss(losses).backward()
    check_gradients(model, tensors, "grad.", assert_close)
    keys = official_keys(model.config)
    for name in tensors:
        if name.startswith("grad_norm."):
            gradient = model.get_parameter(keys[name.removeprefix("grad_norm.")]).grad
            assert_close(gradient.norm().reshape(1), tensors[name], "float32 gradient")


def check_targets_of(model, grounding, tensors):
    if "out.labels0" not in tensors:
        return
    points = grounding.points
    targets = moment_targets(
        tensors["in.gt_start_end"], points, model.config.ranges, grounding.scale
    )
    for level in range(3):
        here = points.level == level
        assert torch.equal(points.location[here], tensors[f"out.locations{level}"])
        assert torch.equal(targets.positive[:, here].float(), tensors[f"out.labels{level}"])
        assert torch.equal(targets.distance[:, here], tensors[f"out.reg_targets{level}"])


def check_buffers(model, tensors, assert_close):
    """Running statistics after one step: shared heads were updated three times."""
    keys, state = official_keys(model.config), model.state_dict()
    for name in tensors:
        if name.startswith("out.train.buffer."):
            assert_close(state[keys[name.removeprefix("out.train.buffer.")]], tensors[name])


def check_fullsize(case, assert_close):
    """Published sizes; weights and features follow from a rule."""
    tensors, content = case.tensors, case.content
    config = official_config(content["config"])
    model = DRN(config)
    state, keys, seed = model.state_dict(), official_keys(config), content["seed"]
    made, ends = {}, content["weight_check_first_second_last"]
    for j, name in enumerate(content["state_dict_order"]):
        if name.startswith(UNUSED):
            continue
        made[name] = weight(name, state[keys[name]], j, seed)
        if name in ends:
            numbers = made[name].flatten()[[0, 1, -1][-len(ends[name]) :]]
            assert_close(numbers, torch.tensor(ends[name]))
    load_official(model, made)
    del made, state
    size = (config.clips, config.feature_size)
    items = range(len(tensors["in.query_length"]))
    features = torch.stack([
        torch.from_numpy(np.maximum(0, 2 * uniform(size, 2000 + q, seed) - 0.8)).float()
        for q in items
    ])  # fmt: skip
    for q, count in zip(items, tensors["in.query_length"].tolist(), strict=True):
        ids = np.floor(uniform((count,), 1000 + q, seed) * content["config"]["vocab_size"]) + 1
        assert ids.tolist() == tensors["in.query_tokens"][q, :count].tolist()
    tensors["in.props_features"] = features
    check_modes(model, stage_of(case), tensors, assert_close)


def uniform(shape, j, seed):
    """The sidecar's hash of the place of a number in its tensor, in [0, 1)."""
    i = np.arange(1, int(np.prod(shape, dtype=np.int64)) + 1, dtype=np.uint64)
    start = (j + 1) * 0xD1B54A32D192ED03 + seed * 0x8CB92BA72F3D8DD7
    x = i * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start % 2**64)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return ((x >> np.uint64(11)) / 2.0**53).reshape(shape)


def weight(name, like, j, seed):
    """A parameter or statistic of the published sizes."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(3)
    if name.endswith("cls_logits.bias"):
        return torch.tensor([-2.5])
    if name.endswith("bbox_pred.bias"):
        return torch.tensor([1.1, 1.3])
    u = uniform(like.shape, j, seed)
    w = 2 * u - 1
    if name.endswith("running_var"):
        value = 0.5 + u
    elif name.endswith("running_mean"):
        value = 0.2 * w
    elif name.endswith(".scale"):
        value = 1 + 0.1 * w
    elif name.endswith("embedding.weight"):
        value = w
        value[0] = 0
    elif like.dim() == 1:
        value = 1 + 0.2 * w if name.endswith("weight") else 0.1 * w
    else:
        value = w * np.sqrt(3 / w[0].size)
    factor = 3 if name.endswith("cls_logits.weight") else 1
    return torch.from_numpy(value).float() * factor


FAMILIES = {
    ("drn", "forward"): check_forward,
    ("drn", "fullsize"): check_fullsize,
}
