"""`train`: the loop against plain torch, what it learns, when it stops."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from graphmatch.checkpoint import load_checkpoint
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.errors import CheckpointError, ConfigError, GraphError
from graphmatch.evaluate import evaluate_scores
from graphmatch.graphs.batch import collate_pairs
from graphmatch.scoring import score_matrix
from graphmatch.train import epoch_steps, train
from graphmatch.train_config import TrainConfig
from graphmatch.train_processes import seed_batch
from graphmatch.vocab import Vocabulary
from tests.train_world import THINGS, VOCABULARY, make_model, make_pairs

SMALL = {"epochs": 2, "batch_size": 13, "lr": 1e-2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


def start(folder, out, name="scan", validation=False, model=None, **config):
    pairs = make_pairs(folder / f"store-{name}", name)
    model = make_model(name) if model is None else model
    options = TrainConfig(**{**SMALL, **config})
    report = train(
        model,
        pairs,
        out,
        vocabulary=VOCABULARY,
        config=options,
        validation=pairs if validation else None,
    )
    return model, report, pairs


def lines(out, kind="loss"):
    found = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line for line in found if kind in line]


def naive(pairs, model, config):
    """Plain torch: Adam, clipping, a mean over the batches of a step; rates by hand."""
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    model.train()
    step = 0
    for epoch in range(config.epochs):
        order = np.random.default_rng((config.seed, epoch)).permutation(len(pairs)).tolist()
        batches = [
            order[k : k + config.batch_size] for k in range(0, len(order), config.batch_size)
        ]
        for begin in range(0, len(batches), config.accumulate):
            group = batches[begin : begin + config.accumulate]
            for number, batch in enumerate(group):
                seed_batch(config.seed, step, number, 0)
                loss = model(collate_pairs([pairs[k] for k in batch])) / len(group)
                loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            rate = config.lr * min(1, (step + 1) / config.warmup_steps)
            optimizer.param_groups[0]["lr"] = rate * 0.1 ** (epoch // config.decay_epochs)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    return model


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_naive_loop_gives_the_same_weights(folder, tmp_path, accumulate):
    options = {"accumulate": accumulate, "warmup_steps": 3, "clip": 0.5, "decay_epochs": 1}
    model, _, pairs = start(folder, tmp_path / "run", "hgr", **options)
    config = TrainConfig(**{**SMALL, **options})
    expected = naive(pairs, make_model("hgr"), config)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    steps = 2 * math.ceil(4 / accumulate)
    assert [line["step"] for line in lines(tmp_path / "run")] == list(range(1, steps + 1))
    assert epoch_steps(40, config) == steps // 2


def test_a_tiny_world_is_learnt(folder, tmp_path):
    out = tmp_path / "run"
    model, report, pairs = start(
        folder, out, validation=True, epochs=14, batch_size=20, lr=2e-2, schedule="cosine"
    )
    losses = [line["loss"] for line in lines(out)]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    assert report.progress.best_rsum > 520
    assert report.progress.finished == "epochs"
    best, _ = load_checkpoint(out)
    scores = score_matrix(
        best, encode_visuals(best, pairs.gallery_graphs()), encode_texts(best, pairs.texts())
    )
    assert evaluate_scores(scores, pairs.owner).rsum == report.progress.best_rsum
    rsums = [line["rsum"] for line in lines(out, "rsum")]
    assert max(rsums) == report.progress.best_rsum
    assert rsums.index(max(rsums)) == report.progress.best_epoch
    last, _ = load_checkpoint(out / "last")
    for name, value in model.state_dict().items():
        assert torch.equal(value, last.state_dict()[name])


def test_what_the_caller_has_stays(folder, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    model = make_model("scan").eval()
    start(folder, tmp_path / "run", model=model, hardest_after=2)
    assert torch.equal(torch.rand(3), expected)
    assert not model.training
    assert model.hinge.negatives == "hardest"


@pytest.mark.slow
def test_the_first_steps_may_have_all_negatives(folder, tmp_path):
    start(folder, tmp_path / "late", hardest_after=3, epochs=1)
    start(folder, tmp_path / "never", epochs=1)
    start(folder, tmp_path / "all", model=make_model("scan", negatives="all"), epochs=1)
    late, never, every = (lines(tmp_path / name) for name in ("late", "never", "all"))
    assert [line["loss"] for line in late[:3]] == [line["loss"] for line in every[:3]]
    assert late[3]["loss"] <= every[3]["loss"]
    assert late[0]["loss"] > never[0]["loss"]


def test_a_training_that_gets_no_better_stops(folder, tmp_path):
    out = tmp_path / "run"
    _, report, _ = start(folder, out, validation=True, epochs=9, lr=1e-12, patience=2)
    assert report.progress.finished == "patience"
    assert report.epochs == 3  # the first is the best, then two no better
    assert report.progress.best_epoch == 0
    assert len(lines(out, "rsum")) == 3
    assert "stopped" in "\n".join(report.lines())
    _, again, _ = start(folder, out, validation=True, epochs=9, lr=1e-12, patience=2)
    assert again.did_nothing
    assert "nothing to do" in again.lines()[0]


def test_without_validation_the_best_is_the_last(folder, tmp_path):
    out = tmp_path / "run"
    start(folder, out)
    files = [(out / name / "model.safetensors").read_bytes() for name in ("best", "last")]
    assert files[0] == files[1]
    with pytest.raises(ConfigError, match="patience"):
        start(folder, tmp_path / "other", patience=1)


def test_validation_between_epochs(folder, tmp_path):
    start(folder, tmp_path / "run", validation=True, eval_steps=3)
    assert [line["step"] for line in lines(tmp_path / "run", "rsum")] == [3, 4, 6, 8]


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("gsmn", "imram", "global-match")]


@pytest.mark.parametrize("name", ["scan", "hgr", *SLOW])
def test_bfloat16_trains(folder, tmp_path, name):
    found = []
    for precision in ("bf16", "fp32"):
        out = tmp_path / precision
        model, *_ = start(folder, out, name, precision=precision, lr=1e-3, epochs=1)
        assert all(value.dtype == torch.float32 for value in model.state_dict().values())
        found.append(lines(out)[0]["loss"])
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], rel=0.05)


def test_a_loss_that_is_not_finite_names_what_is_wrong(folder, tmp_path):
    pairs = make_pairs(tmp_path / "store", "scan")
    feature = np.lib.format.open_memmap(tmp_path / "store" / "feature.npy", mode="r+")
    feature[3 * pairs.visuals.position("blue-cat")] = np.nan
    feature.flush()
    model = make_model("scan")
    config = TrainConfig(**SMALL)
    with pytest.raises(GraphError, match=r"step \d: .*finite.*'blue-cat'"):
        train(model, pairs, tmp_path / "run", vocabulary=VOCABULARY, config=config)


def test_gradients_that_explode_are_an_error(folder, tmp_path):
    with pytest.raises(GraphError, match=r"step \d+: expected a finite loss"):
        start(folder, tmp_path / "run", "global-match", epochs=3, lr=1e36, clip=0.0)


def test_a_vocabulary_of_another_length_is_refused(folder, tmp_path):
    pairs = make_pairs(folder / "store-scan", "scan")
    few = Vocabulary(("<unk>",), "<unk>")
    with pytest.raises(CheckpointError, match="words"):
        train(
            make_model("scan"), pairs, tmp_path / "r", vocabulary=few, config=TrainConfig(**SMALL)
        )
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_workers_change_nothing(folder, tmp_path):
    start(folder, tmp_path / "none", epochs=1)
    start(folder, tmp_path / "two", epochs=1, workers=2)
    files = [(tmp_path / n / "last" / "model.safetensors").read_bytes() for n in ("none", "two")]
    assert files[0] == files[1]


def test_what_is_left_out_is_counted(tmp_path):
    pairs = make_pairs(tmp_path / "store", "scan", THINGS[:3])
    whole = make_pairs(tmp_path / "store", "scan")  # captions of things that the store has not
    assert len(whole.skipped) == 16
    config = TrainConfig(**{**SMALL, "epochs": 1})
    report = train(
        make_model("scan"), whole, tmp_path / "run", vocabulary=VOCABULARY, config=config
    )
    assert report.captions == len(pairs)
    assert report.left_out == {"'...' is not in the store": 16}
    assert "16 captions left out" in "\n".join(report.lines())


def test_tensorboard_has_the_numbers(folder, tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    pairs = make_pairs(folder / "store-scan", "scan")
    config = TrainConfig(**SMALL)
    out = tmp_path / "run"
    train(
        make_model("scan"),
        pairs,
        out,
        vocabulary=VOCABULARY,
        config=config,
        validation=pairs,
        tensorboard=True,
    )
    board = event_accumulator.EventAccumulator(str(out / "tensorboard"))
    board.Reload()
    found = [(event.step, event.value) for event in board.Scalars("loss")]
    assert found == [(line["step"], pytest.approx(line["loss"])) for line in lines(out)]
    assert len(board.Scalars("rsum")) == 2
