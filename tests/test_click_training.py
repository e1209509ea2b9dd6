"""`train_clicks`: what is learnt, against plain torch, stopping anywhere, collapse."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
import torch

from graphmatch.adversary_log import read_adversary
from graphmatch.checkpoint import load_checkpoint
from graphmatch.click_inputs import ClickInputs
from graphmatch.click_metrics import auc, grouped_auc
from graphmatch.click_prediction import predict_clicks
from graphmatch.click_training import ClickTask, ClickTrainConfig, train_clicks
from graphmatch.collapse import CollapseWarning
from graphmatch.errors import CheckpointError, ConfigError, GraphError
from graphmatch.models.marn_config import MARNConfig
from graphmatch.train_processes import seed_batch
from tests.click_training_world import INPUTS, SCHEMA, log_table, make_marn, make_store, samples
from tests.train_stops import stop_and_go_on

CONFIG = ClickTrainConfig(batch_size=64, lr=1e-2, epochs=2, save_steps=4, eval_steps=5, patience=0)
TRAINED = 60 * 12


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("world") / "clicks")


def start(store, out, config=CONFIG, validation=True, model=None, **options):
    model = make_marn(store, dropout=0.1) if model is None else model
    held = samples(store, model, "valid") if validation else None
    trained = samples(store, model, "train")
    return model, train_clicks(model, trained, out, config=config, validation=held, **options)


def log(out):
    found = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in found]


def files(out):
    names = ("config.json", "model.safetensors", "encoder.json")
    return {(f, n): (out / f / n).read_bytes() for f in ("best", "last") for n in names}


def test_a_planted_world_is_learnt(store, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=5, eval_steps=0)
    _, report = start(store, tmp_path, config, model=make_marn(store))
    model, encoder = load_checkpoint(tmp_path, task="click")
    assert encoder.digest() == store.encoder.digest()
    found = predict_clicks(model, samples(store, model, "valid"))
    best = report.training.progress.best_rsum
    assert best == auc(found.probability, found.label) > 0.9
    test = predict_clicks(model, samples(store, model, "test"))
    assert auc(test.probability, test.label) > 0.9
    lines = report.lines()
    assert lines[1] == f"{TRAINED:,} samples of 24 items; 5 epochs"
    assert f"best: AUC {best:.4f} in epoch" in lines[2]
    assert "adversary in the last" in lines[3]
    _, report = start(store, tmp_path, config, model=make_marn(store))
    assert report.training.did_nothing
    # without what the history says there is nothing to learn
    blind = make_marn(store, history=0)
    _, report = start(store, tmp_path / "blind", config, model=blind)
    assert report.training.progress.best_rsum < 0.7


@pytest.mark.parametrize("options", [{}, {"eta_schedule": "dann", "eta_steps": 20}])
def test_a_naive_loop_gives_the_same_weights(store, tmp_path, options):
    model, _ = start(
        store, tmp_path, validation=False, model=make_marn(store, dropout=0.1, **options)
    )
    naive = make_marn(store, dropout=0.1, **options).train()
    trained = samples(store, naive, "train")
    optimizer = torch.optim.Adam(naive.parameters(), lr=CONFIG.lr)
    step, lines = 0, log(tmp_path)
    for epoch in range(CONFIG.epochs):
        order = np.random.default_rng((0, epoch)).permutation(len(trained))
        for begin in range(0, len(order), CONFIG.batch_size):
            seed_batch(0, step, 0, 0)
            places = trained.loader.samples[order[begin : begin + CONFIG.batch_size]]
            eta = naive.config.eta_at(step)
            found = naive.outcome(trained.collate(places), eta=eta)
            found.losses["total"].backward()
            norm = torch.nn.utils.clip_grad_norm_(naive.parameters(), CONFIG.clip)
            optimizer.step()
            optimizer.zero_grad()
            line = lines[step]
            assert line["norm"] == norm.item()
            assert line["eta"] == eta
            assert line["loss"] == found.losses["total"].item()
            for name in ("ctr", "d0", "d1", "ds"):
                assert line[name] == found.losses[name].item(), name
            for name in ("accuracy", "weight", "specific", "invariant"):
                assert line[name] == found.measured[name].item(), name
            step += 1
    assert step == len(lines)
    for name, value in naive.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


@pytest.mark.slow
def test_a_training_that_is_stopped_anywhere_goes_on_to_the_bit(store, tmp_path, monkeypatch):
    start(store, tmp_path / "whole")

    def again():
        start(store, tmp_path / "parts")

    stopped = stop_and_go_on(monkeypatch, again, (3, 7, 12, 9, 0))
    assert stopped == 4
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert log(tmp_path / "parts") == log(tmp_path / "whole")


def test_accumulated_batches_and_other_measures(store, tmp_path):
    config = dataclasses.replace(
        CONFIG, batch_size=32, accumulate=2, epochs=1, choose="gauc", eval_steps=0
    )
    model = make_marn(store)
    train = samples(store, model, "train")  # of the others each user has one or two
    report = train_clicks(model, train, tmp_path, config=config, validation=train)
    lines = log(tmp_path)
    assert len(lines) == 12 + 1
    assert all(math.isfinite(line["weight"]) for line in lines[:-1])
    assert lines[-1].keys() == {"step", "epoch", "gauc", "auc", "log_loss", "best"}
    held = predict_clicks(model, train)
    within = grouped_auc(held.probability, held.label, held.user)
    assert report.training.progress.best_rsum == within.value
    assert "GAUC 0." in report.lines()[2]
    with pytest.raises(ConfigError, match="no user has both kinds"):
        start(store, tmp_path / "valid", config)


@pytest.mark.slow
def test_half_precision_learns_too(store, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=4, precision="bf16")
    model, report = start(store, tmp_path, config)
    assert report.training.progress.best_rsum > 0.75
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.slow
def test_patience_and_no_validation(store, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=9, lr=1e-12, patience=2, eval_steps=0)
    _, report = start(store, tmp_path / "a", config)
    assert report.training.progress.finished == "patience"
    assert report.training.epochs == 3
    with pytest.raises(ConfigError, match="patience"):
        start(store, tmp_path / "b", config, validation=False)
    _, report = start(store, tmp_path / "b", CONFIG, validation=False)
    assert "no validation chose them" in report.lines()[2]


def test_a_folder_belongs_to_its_data(store, tmp_path):
    start(store, tmp_path / "run")
    rows = log_table().slice(0, 850)
    other = make_store(tmp_path / "other", table=rows, encoder=store.encoder)
    with pytest.raises(ConfigError, match="another training"):
        start(other, tmp_path / "run", model=make_marn(other, dropout=0.1))
    with pytest.raises(ConfigError, match="another training"):
        start(store, tmp_path / "run", model=make_marn(store, dropout=0.1, eta=0.2))


@pytest.mark.slow
def test_collapse_is_warned_about_once_and_reported(store, tmp_path):
    options = {"w_normalize": False, "eta": 0.0, "dropout": 0.0}
    config = dataclasses.replace(CONFIG, epochs=5, batch_size=16, eval_steps=0, save_steps=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, report = start(store, tmp_path, config, model=make_marn(store, **options))
    found = [str(one.message) for one in caught if one.category is CollapseWarning]
    assert any("mean weight w" in text for text in found)
    assert len({*found}) == len(found)
    assert {"weight", "vanished"} <= {*report.adversary.signs}
    assert report.adversary.first["weight"] % 100 == 0
    shown = "\n".join(report.lines())
    assert "D0 right in 100.0%" in shown
    assert "invariant features have" in shown
    # the report is of the whole training, whoever wrote it
    assert read_adversary(tmp_path / "log.jsonl") == report.adversary
    assert read_adversary(tmp_path / "log.jsonl", every=10**6).last.keys() == {
        "accuracy", "weight", "specific", "invariant",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="every"):
        read_adversary(tmp_path / "log.jsonl", every=0)


@pytest.mark.filterwarnings("ignore::graphmatch.collapse.CollapseWarning")
@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        ({"modalities": ("ids",), "properties": ()}, {"item": "fusion", "recurrent": "attention"}),
        ({"modalities": ("ids", "title"), "context": False}, {"item": "concat"}),
        ({"properties": ("type",)}, {"adversary": "single", "recurrent": "gru"}),
        ({"properties": ("time",), "normalise": ("image",)}, {"adversary": "none"}),
    ],
)
def test_ablations_by_options(store, tmp_path, inputs, options):
    model = make_marn(store, dataclasses.replace(INPUTS, **inputs), **options)
    config = dataclasses.replace(CONFIG, epochs=1, save_steps=0)
    _, report = start(store, tmp_path, config, model=model)
    loaded, _ = load_checkpoint(tmp_path, task="click")
    assert loaded.config == model.config
    assert (report.adversary is None) == (not model.config.splits)
    assert predict_clicks(loaded, samples(store, loaded, "test")).probability.std() > 0


def test_one_kind_of_label_cannot_validate(store, tmp_path):
    schema = dataclasses.replace(SCHEMA, label_from=-1.0)
    other = make_store(tmp_path / "clicks", schema=schema)
    with pytest.raises(ConfigError, match=r"samples of valid: expected .* \(got one kind\)"):
        start(other, tmp_path / "run", model=make_marn(other))


def test_numbers_that_are_not_finite_are_named(store, tmp_path):
    model = make_marn(store)
    config = dataclasses.replace(CONFIG, lr=1e30, clip=0.0)
    with pytest.raises(GraphError, match=r"step \d+: .*(items|of user)"):
        start(store, tmp_path, config, model=model)
    task = ClickTask(model, samples(store, model, "train"), config=config, validation=None)
    batch = samples(store, model, "train").collate([0, 1])
    assert task.batch_ids(batch)[0].startswith("of user")


def test_a_damaged_encoder_is_an_error(store, tmp_path):
    start(store, tmp_path, dataclasses.replace(CONFIG, epochs=1))
    path = tmp_path / "best" / "encoder.json"
    path.write_text("{}")
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path, task="click")
    path.unlink()
    with pytest.raises(CheckpointError, match="expected a checkpoint"):
        load_checkpoint(tmp_path, task="click")


@pytest.mark.parametrize(
    ("values", "problem"),
    [({"epochs": 0}, "epochs"), ({"choose": "acc"}, "choose"), ({"lr": math.nan}, "lr")],
)
def test_impossible_options_are_errors(values, problem):
    with pytest.raises(ConfigError, match=problem):
        ClickTrainConfig(**values)


def test_no_field_of_the_model_is_one_of_the_training():
    own = {field.name for field in dataclasses.fields(MARNConfig)}
    ours = {field.name for field in dataclasses.fields(ClickTrainConfig)}
    read = {field.name for field in dataclasses.fields(ClickInputs)}
    assert not ours & (own | read)
