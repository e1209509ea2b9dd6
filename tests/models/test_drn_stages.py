"""DRN's stages: who has gradients, and what clipping sees."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphmatch.models.drn_stages import STAGES
from tests.models.test_drn import CONFIG, build, match_batch

HEAD = ("heads.mix.", "heads.iou_hidden.", "heads.iou.")


def step(stage, model, **options):
    chosen = stage.begin(model, **options)
    stage.loss(model.train()(match_batch())).backward()
    names = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    return {id(parameter) for parameter in chosen}, names


def model():
    return build(replace(CONFIG, iou_positive=-1.0))


def test_first_stage_trains_all_but_the_iou():
    drn = model()
    chosen, names = step(STAGES[0], drn)
    for name, parameter in drn.named_parameters():
        assert (id(parameter) in chosen) == (not name.startswith(HEAD))
        assert (name in names) == (not name.startswith(HEAD))


@pytest.mark.parametrize("official_clipping", [False, True])
def test_second_stage_trains_the_iou(official_clipping):
    drn = model()
    chosen, names = step(STAGES[1], drn, official_clipping=official_clipping)
    for name, parameter in drn.named_parameters():
        assert (id(parameter) in chosen) == name.startswith(HEAD)
        if name.startswith("heads.match."):
            assert name not in names  # the IoU does not see it
        else:
            assert (name in names) == (official_clipping or name.startswith(HEAD))


def test_third_stage_trains_everything():
    drn = model()
    STAGES[0].begin(drn)
    chosen, names = step(STAGES[2], drn)
    assert chosen == {id(parameter) for parameter in drn.parameters()}
    assert names == {name for name, _ in drn.named_parameters()}


def test_a_stage_forgets_the_gradients_of_the_one_before():
    drn = model()
    step(STAGES[2], drn)
    STAGES[1].begin(drn)
    assert all(parameter.grad is None for parameter in drn.parameters())


def test_frozen_parts_update_their_statistics():
    drn = model()
    before = {name: value.clone() for name, value in drn.named_buffers()}
    step(STAGES[0], drn)
    for name, value in drn.named_buffers():
        assert not torch.equal(value, before[name])


def test_losses_of_the_stages():
    losses = model()(match_batch())
    match, location, iou = losses[:3]
    expected = [match + location, iou, match + location + iou]
    for stage, value in zip(STAGES, expected, strict=True):
        assert torch.equal(stage.loss(losses), value)


def test_without_a_learned_iou_the_second_stage_stands_still():
    drn = build(replace(CONFIG, iou_positive=0.999))
    step(STAGES[1], drn)
    for name, parameter in drn.named_parameters():
        if name.startswith(HEAD):
            assert not parameter.grad.any()
