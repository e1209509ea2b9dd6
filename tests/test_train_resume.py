"""A training that was stopped or killed goes on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.train import train
from graphmatch.train_config import TrainConfig
from graphmatch.train_keeper import Keeper, make_optimizer
from graphmatch.train_state import (
    Progress,
    load_state,
    restore_state,
    save_state,
    state_tensors,
)
from tests.train_world import THINGS, VOCABULARY, make_model, make_pairs

CONFIG = TrainConfig(
    epochs=3, batch_size=13, lr=1e-2, save_steps=3, eval_steps=5, warmup_steps=3, accumulate=1
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


def start(folder, out, config=CONFIG, force=False, name="hgr", store="store", **options):
    pairs = make_pairs(folder / store, name)
    model = make_model(name, **{"dropout": (0.2, 0.2, 0.5), **options})
    return train(
        model,
        pairs,
        out,
        vocabulary=VOCABULARY,
        config=config,
        validation=pairs,
        force=force,
    )


def content(run):
    """Weights and log of a run, without times."""
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    weights = [
        (run / name / file).read_bytes()
        for name in ("best", "last")
        for file in ("model.safetensors", "config.json", "vocab.json")
    ]
    return [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in log], weights


@pytest.fixture(scope="module")
def whole(folder):
    start(folder, folder / "whole")
    return folder / "whole"


@pytest.fixture
def stopped(folder, whole, tmp_path, monkeypatch):
    """A run of which step 8 is logged and not counted: its state is that of step 6."""
    settle = Keeper.settle

    def stop(self, done, **options):
        if done.step == 8:
            raise KeyboardInterrupt
        return settle(self, done, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "settle", stop)
        with pytest.raises(KeyboardInterrupt):
            start(folder, tmp_path / "run")
    return tmp_path / "run"


def test_a_stopped_training_goes_on(folder, whole, stopped):
    assert [path.name for path in (stopped / "state").iterdir()] == ["step-000000006"]
    assert len((stopped / "log.jsonl").read_text().splitlines()) == 10  # 8 steps, 2 validations
    (stopped / "best.123.x.tmp").mkdir()  # of a killed run
    (stopped / "state" / "step-000000007.tmp").mkdir()
    report = start(folder, stopped)
    assert (report.first_step, report.progress.step) == (6, 12)
    assert "after 6 of an earlier run" in report.lines()[0]
    assert content(stopped) == content(whole)
    names = {"best", "last", "state", "log.jsonl", "train.json"}
    assert {path.name for path in stopped.iterdir()} == names
    report = start(folder, stopped)
    assert report.did_nothing
    assert content(stopped) == content(whole)


def test_the_best_checkpoint_is_made_again_if_its_writing_was_killed(folder, whole, stopped):
    log, _ = content(whole)
    best = [line["step"] for line in log if line.get("best")]
    if best[-1] > 6:
        shutil.rmtree(stopped / "best")
    start(folder, stopped)
    assert content(stopped) == content(whole)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"config": dataclasses.replace(CONFIG, lr=0.1)}, "training.lr: 0.01 -> 0.1"),
        ({"margin": 0.3}, "config.margin: 0.2 -> 0.3"),
        ({"store": "other"}, "data.items_digest"),
        ({"name": "scan", "dropout": None}, "model: 'hgr' -> 'scan'"),
    ],
)
def test_another_training_is_refused(folder, whole, change, difference, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    if "store" in change and not (folder / "other").exists():
        shutil.copytree(folder / "store", folder / "other")
        feature = np.lib.format.open_memmap(folder / "other" / "feature.npy", mode="r+")
        feature[0] += 1
        feature.flush()
    if change.get("name") == "scan":
        change = {"name": "scan"}
        pairs = make_pairs(folder / "store", "scan")
        arguments = {"vocabulary": VOCABULARY, "config": CONFIG, "validation": pairs}
        with pytest.raises(ConfigError, match=difference):
            train(make_model("scan"), pairs, run, **arguments)
        return
    with pytest.raises(ConfigError, match=difference):
        start(folder, run, **change)
    assert content(run) == content(whole)


def test_other_captions_are_refused(folder, whole):
    pairs = make_pairs(folder / "store", "hgr", THINGS[:4])
    model = make_model("hgr", dropout=(0.2, 0.2, 0.5))
    with pytest.raises(ConfigError, match=r"data.captions: 40 -> 32.*captions_digest"):
        train(model, pairs, whole, vocabulary=VOCABULARY, config=CONFIG, validation=pairs)


def test_a_folder_with_something_else_is_never_touched(folder, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    for force in (False, True):
        with pytest.raises(ConfigError, match=r"letter\.txt"):
            start(folder, tmp_path, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(ConfigError, match="got a file"):
        start(folder, tmp_path / "letter.txt")


@pytest.mark.parametrize("file", ["tensors.safetensors", "progress.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_state_is_an_error(tmp_path, file, damage):
    model = make_model("scan")
    save_state(tmp_path, Progress(step=6), model, make_optimizer(model.parameters(), CONFIG))
    path = tmp_path / "step-000000006" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    if damage == "remove":
        path.unlink()
    with pytest.raises(CheckpointError, match=r"damaged.*--force"):
        load_state(tmp_path)


def test_damaged_settings_and_logs_are_errors(folder, stopped):
    log = (stopped / "log.jsonl").read_bytes()
    (stopped / "log.jsonl").write_bytes(log[:50])
    with pytest.raises(CheckpointError, match="log of at least"):
        start(folder, stopped)
    (stopped / "train.json").write_text("{")
    with pytest.raises(FormatError, match="--force"):
        start(folder, stopped)
    config = dataclasses.replace(CONFIG, epochs=1)
    assert start(folder, stopped, config, force=True).progress.finished


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_state_keeps_everything(tmp_path, optimizer):
    config = TrainConfig(optimizer=optimizer, weight_decay=0.1)
    model = make_model("imram", steps=1)  # its gates have no gradient
    moved = make_optimizer(model.parameters(), config)
    for _ in range(2):
        model.words.embedding.weight.square().sum().backward()
        moved.step()
    progress = Progress(step=2, best_rsum=1 / 3, best_step=1, best_epoch=0, log_bytes=5)
    save_state(tmp_path, progress, model, moved)
    save_state(tmp_path, dataclasses.replace(progress, step=3), model, moved)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003"]
    found, tensors = load_state(tmp_path)
    assert found == dataclasses.replace(progress, step=3)
    other = make_model("imram", seed=5, steps=1)
    restored = make_optimizer(other.parameters(), config)
    restore_state(tensors, other, restored)
    again = state_tensors(other, restored)
    assert again.keys() == tensors.keys()
    assert all(torch.equal(value, again[name]) for name, value in tensors.items())
    with pytest.raises(CheckpointError, match="do not fit"):
        restore_state(tensors, make_model("scan", embed_size=8), restored)
    assert load_state(tmp_path / "nothing") is None
