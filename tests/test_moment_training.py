"""`train_moments`: three stages against plain torch, what is learnt, stopping anywhere."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from graphmatch.checkpoint import load_checkpoint
from graphmatch.errors import ConfigError
from graphmatch.models.drn import DRNConfig
from graphmatch.models.drn_stages import STAGES
from graphmatch.moment_metrics import evaluate_moments
from graphmatch.moment_prediction import predict_moments
from graphmatch.moment_set import collate_queries
from graphmatch.moment_training import MomentTrainConfig, train_moments
from graphmatch.train_processes import seed_batch
from tests.moment_world import VIDEOS, make_drn, make_queries, make_videos
from tests.train_stops import stop_and_go_on

TRAINED, HELD = range(VIDEOS - 6), range(VIDEOS - 6, VIDEOS)
CONFIG = MomentTrainConfig(
    batch_size=8, stage_epochs=(2, 2, 1), save_steps=2, eval_steps=3, stage_rates=(1.0, 0.5, 0.1)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def queries(folder):
    store = make_videos(folder / "clips")
    return make_queries(store, TRAINED), make_queries(store, HELD)


def start(queries, out, config=CONFIG, validation=True, model=None, **options):
    model = make_drn() if model is None else model
    held = queries[1] if validation else None
    return model, train_moments(model, queries[0], out, config=config, validation=held, **options)


def log(out):
    found = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in found]


def weights(out):
    names = ("best", "last", "stage-1", "stage-2", "stage-3")
    return {name: (out / name / "model.safetensors").read_bytes() for name in names}


def score(model, queries, *, use_iou):
    found = predict_moments(model, queries, use_iou=use_iou)
    report = evaluate_moments(found.segment, found.score, queries.moment, found.mask)
    return report.recall_at(1, 0.5) + report.recall_at(5, 0.5)


def naive(queries, model, config):
    """Plain torch, without validation: each stage goes on from the last weights."""
    count = len(queries)
    step = epoch = 0
    model.train()
    for number, stage in enumerate(STAGES):
        parameters = stage.begin(model, official_clipping=config.official_clipping)
        optimizer = torch.optim.Adam(parameters, lr=config.lr * config.stage_rates[number])
        for _ in range(config.stage_epochs[number]):
            order = np.random.default_rng((config.seed, epoch)).permutation(count).tolist()
            for begin in range(0, count, config.batch_size):
                seed_batch(config.seed, step, 0, 0)
                batch = [queries[k] for k in order[begin : begin + config.batch_size]]
                stage.loss(model(collate_queries(batch))).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
                optimizer.step()
                optimizer.zero_grad()
                step += 1
            epoch += 1
    return model


@pytest.mark.slow
@pytest.mark.parametrize("official_clipping", [False, True])
def test_a_naive_loop_gives_the_same_weights(queries, tmp_path, official_clipping):
    config = dataclasses.replace(CONFIG, official_clipping=official_clipping)
    options = {"iou_positive": -1.0}  # so that the second stage has something to learn
    model, report = start(queries, tmp_path, config, validation=False, model=make_drn(**options))
    expected = naive(queries[0], make_drn(**options), config)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert report.epochs == 5
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert report.progress.finished == "epochs"
    rates = {line["lr"] for line in log(tmp_path)}
    assert rates == {1e-3, 1e-3 * 0.5, 1e-3 * 0.1}


@pytest.mark.slow
def test_a_training_that_is_stopped_anywhere_goes_on_to_the_bit(queries, tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, official_clipping=True)  # has gradients to keep, too
    start(queries, tmp_path / "whole", config, model=make_drn(iou_positive=-1.0))

    def again():
        start(queries, tmp_path / "parts", config, model=make_drn(iou_positive=-1.0))

    stopped = stop_and_go_on(monkeypatch, again, (3, 7, 12, 13, 14, 8, 9, 0))
    assert stopped > 4
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert log(tmp_path / "parts") == log(tmp_path / "whole")


@pytest.mark.slow
def test_each_stage_begins_with_the_best_of_the_one_before(queries, tmp_path):
    config = dataclasses.replace(CONFIG, stage_epochs=(3, 1, 0), lr=0.05, eval_steps=0)
    start(queries, tmp_path / "a", config)
    two, _ = load_checkpoint(tmp_path / "a" / "stage-2")
    one, _ = load_checkpoint(tmp_path / "a" / "stage-1")
    assert torch.equal(one.text.embedding.weight, two.text.embedding.weight)
    assert not torch.equal(one.heads.iou.weight, two.heads.iou.weight)
    found = [line for line in log(tmp_path / "a") if "rsum" in line]
    assert [line["epoch"] for line in found] == [0, 1, 2, 3]
    assert found[3]["best"]  # whatever it is: its scores are others than those of the first stage
    assert max(line["rsum"] for line in found[:3]) == score(one, queries[1], use_iou=False)
    assert found[3]["rsum"] == score(two, queries[1], use_iou=True)
    assert not (tmp_path / "a" / "stage-3").exists()


@pytest.mark.slow
def test_a_tiny_world_is_learnt(queries, tmp_path):
    config = MomentTrainConfig(batch_size=12, lr=1e-2, stage_epochs=(25, 5, 1))
    _, report = start(queries, tmp_path, config)
    best, vocabulary = load_checkpoint(tmp_path, task="ground")
    assert report.progress.best_rsum == score(best, queries[1], use_iou=True) > 150
    assert vocabulary == queries[0].vocabulary
    assert "36 queries of 18 videos; 31 epochs" in report.lines()[1]
    assert f"rsum {report.progress.best_rsum:.1f} of 200" in report.lines()[-1]
    _, report = start(queries, tmp_path, config)
    assert report.did_nothing


@pytest.mark.slow
def test_patience_ends_a_stage(queries, tmp_path):
    config = dataclasses.replace(CONFIG, lr=1e-12, stage_epochs=(9, 9, 9), patience=2, eval_steps=0)
    _, report = start(queries, tmp_path, config)
    # nothing gets better: the first epoch of each stage is its best, in the third there is none
    assert [line["epoch"] for line in log(tmp_path) if "rsum" in line] == [*range(8)]
    assert report.progress.finished == "patience"


def test_predictions_do_not_depend_on_batches(queries, assert_close):
    model = make_drn()
    one, two = (predict_moments(model, queries[0], batch_size=size) for size in (3, 64))
    assert model.training
    assert_close(one.segment, two.segment)
    assert torch.equal(one.mask, two.mask)
    alone = predict_moments(model, queries[1])
    assert len(alone) == len(queries[1])


def test_without_a_loss_nothing_is_learnt_of_it(queries, tmp_path):
    config = dataclasses.replace(CONFIG, stage_epochs=(1, 0, 0), loss_weights=(0.0, 1.0, 1.0))
    model, _ = start(queries, tmp_path, config)
    assert torch.equal(model.heads.match.weight, make_drn().heads.match.weight)
    assert not torch.equal(model.heads.distance.weight, make_drn().heads.distance.weight)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"best_by": "r5"}, "best_by"),
        ({"stage_epochs": (0, 0, 0)}, "stage_epochs"),
        ({"stage_epochs": (1, -1, 0)}, "stage_epochs"),
        ({"stage_rates": (1.0, 0.0, 1.0)}, "stage_rates"),
        ({"loss_weights": (1.0, -1.0, 1.0)}, "loss_weights"),
        ({"lr": math.nan}, "lr"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_impossible_options_are_errors(values, problem):
    with pytest.raises(ConfigError, match=problem):
        MomentTrainConfig(**values)


def test_no_field_of_the_model_is_one_of_the_training():
    own = {field.name for field in dataclasses.fields(DRNConfig)}
    assert not own & {field.name for field in dataclasses.fields(MomentTrainConfig)}
