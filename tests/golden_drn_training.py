"""DRN's targets, losses and three stages of training against golden vectors."""

from __future__ import annotations

import torch

from graphmatch.models.drn import DRNConfig
from graphmatch.models.drn_keys import official_keys
from graphmatch.models.drn_stages import GRADIENT_NORM, STAGES
from graphmatch.nn.grounding import Grounding, grounding_losses, true_iou
from graphmatch.nn.moment_heads import Predictions
from graphmatch.nn.moment_losses import focal_loss, hull_iou, log_iou_loss
from graphmatch.nn.moment_targets import level_points, moment_targets
from tests.golden_drn import LOSSES, graphs, official_model


def check_targets(case, assert_close):
    tensors, config = case.tensors, case.content["config"]
    points = level_points(len(tensors["in.locations0"]))
    ranges = [tuple(limits) for limits in config["ranges"]]
    moment = tensors["in.gt_start_end"]
    targets = moment_targets(moment, points, ranges, float(config["scale"]))
    for level in range(3):
        here = points.level == level
        positive = targets.positive[:, here]
        assert torch.equal(points.location[here], tensors[f"in.locations{level}"])
        assert torch.equal(positive.float(), tensors[f"out.labels{level}"])
        assert torch.equal(targets.distance[:, here], tensors[f"out.reg_targets{level}"])
        assert torch.equal(positive.sum(dim=1), tensors["out.num_pos"][:, level])


def check_loss_parts(case, assert_close):
    tensors, config = dict(case.tensors), case.content["config"]
    names = ["iou.pred", "focal.logits", "smoothl1.pred", "smoothl1.target"]
    names += [name.removeprefix("in.") for name in tensors if name.startswith("in.full.")
              and name != "in.full.gt"]  # fmt: skip
    given = {name: tensors[f"in.{name}"].clone().requires_grad_() for name in names}
    each = log_iou_loss(given["iou.pred"], tensors["in.iou.target"])
    assert_close(each, tensors["out.iou.elementwise"])
    assert_close(each.mean().reshape(1), tensors["out.iou.mean"])
    focal = focal_loss(
        given["focal.logits"].squeeze(1),
        tensors["in.focal.labels"] > 0,
        alpha=config["alpha"],
        gamma=config["gamma"],
    )
    assert_close(focal, tensors["out.focal.elementwise"])
    assert_close(focal.sum().reshape(1), tensors["out.focal.sum"])
    smooth = torch.nn.functional.smooth_l1_loss(given["smoothl1.pred"], given["smoothl1.target"])
    assert_close(smooth.reshape(1), tensors["out.smoothl1.mean"])
    iou = hull_iou(tensors["in.tiou.pred"], tensors["in.tiou.gt"])
    assert_close(iou, tensors["out.tiou"])
    grounding, losses = whole_loss(given, tensors["in.full.gt"], config)
    clamped = grounding.segments()
    clamped[:, 0] = clamped[:, 0].clamp(0, 1)
    assert_close(clamped, tensors["out.full.predictions"])
    assert_close(true_iou(grounding, tensors["in.full.gt"]), tensors["out.full.iou_target"])
    for theirs, ours in LOSSES.items():
        assert_close(getattr(losses, ours).reshape(1), tensors[f"out.full.{theirs}"])
    (each.mean() + focal.sum() + smooth + STAGES[2].loss(losses)).backward()
    for name in tensors:
        if name.startswith("grad."):
            gradient = given[name.removeprefix("grad.")].grad
            assert_close(gradient, tensors[name], "float32 gradient")


def whole_loss(given, moment, config):
    found = Predictions(
        match=torch.cat([given[f"full.logits{level}"].squeeze(1) for level in range(3)], dim=1),
        distance=torch.cat([given[f"full.bbox_reg{level}"] for level in range(3)], dim=2).mT,
        iou=torch.cat([given[f"full.iou_logits{level}"].squeeze(1) for level in range(3)], dim=1),
    )
    points = level_points(given["full.logits0"].size(2))
    scale = torch.full((len(moment),), 32.0)
    grounding = Grounding(found=found, points=points, mask=None, scale=scale)
    losses = grounding_losses(
        grounding,
        moment,
        ranges=DRNConfig(vocabulary=1).ranges,
        alpha=config["alpha"],
        gamma=config["gamma"],
        iou_positive=config["iou_positive_threshold"],
    )
    return grounding, losses


def check_train(case, assert_close):
    """The whole recipe: three stages one after the other, the second also with clean clipping."""
    content, tensors = case.content, case.tensors
    assert content["clip"] == GRADIENT_NORM
    model = official_model(content["config"], tensors)
    for number, stage in enumerate(STAGES, 1):
        start = {name: value.clone() for name, value in model.state_dict().items()}
        for way in ("clean", "official"):
            name = f"stage{number}.{way}"
            if name in content["log"]:
                model.load_state_dict(start)
                rate = content["lr"] * stage.rate / STAGES[0].rate
                log = train(model, stage, rate, case, number, official=way == "official")
                check_log(log, content["log"][name], assert_close)
                check_state(model, f"out.{name}.", tensors, assert_close)


def train(model, stage, rate, case, number, *, official):
    content, tensors = case.content, case.tensors
    model.train()
    optimiser = torch.optim.Adam(stage.begin(model, official_clipping=official), lr=rate)
    log = []
    for _ in range(content["epochs_per_stage"]):
        for batch in range(content["batches"]):
            prefix = f"in.batch{batch}."
            moment = tensors[f"{prefix}gt_start_end{'_stage23' if number > 1 else ''}"]
            texts, videos = graphs(tensors, prefix)
            owner = torch.arange(len(moment))
            grounding = model.ground(model.encode_visual(videos), model.encode_text(texts), owner)
            losses = model.losses(grounding, moment)
            optimiser.zero_grad()
            loss = stage.loss(losses)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
            optimiser.step()
            entry = {theirs: getattr(losses, ours).item() for theirs, ours in LOSSES.items()}
            log.append({**entry, "loss": loss.item(), "grad_norm_before_clip": norm.item()})
            if number == 1:
                log[-1]["loss_iou"] = 0.0  # the official code does not compute it there
    return log


def check_log(log, expected, assert_close):
    assert len(log) == len(expected)
    for found, entry in zip(log, expected, strict=True):
        for name, value in found.items():
            assert_close(torch.tensor(value), torch.tensor(float(entry[name])))


def check_state(model, prefix, tensors, assert_close):
    """Weights and statistics after a stage, without what rounding alone moves."""
    keys, state = official_keys(model.config), model.state_dict()
    noise = {"text.logit.bias"}
    for name in state:
        if name.endswith("conv.bias"):
            noise |= {name, name.replace("conv.bias", "norm.running_mean")}
    names = [name for name in tensors if name.startswith(prefix)]
    assert names
    for name in names:
        ours = keys.get(name.removeprefix(prefix))
        if ours is not None and ours not in noise:
            assert_close(state[ours], tensors[name])


FAMILIES = {
    ("drn", "targets"): check_targets,
    ("drn", "losses"): check_loss_parts,
    ("drn", "train_three_stages"): check_train,
}
