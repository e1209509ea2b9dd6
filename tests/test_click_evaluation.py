"""`evaluate_clicks`: metrics, rules without a model, intervals, files of predictions."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from graphmatch.checkpoint import load_checkpoint, save_checkpoint
from graphmatch.click_baselines import BOTH, ITEM, POPULARITY, USER, mean_rules
from graphmatch.click_evaluation import evaluate_clicks
from graphmatch.click_features import Splitting
from graphmatch.click_intervals import click_intervals
from graphmatch.click_metrics import auc, grouped_auc, log_loss
from graphmatch.click_prediction import predict_clicks, write_predictions
from graphmatch.errors import CheckpointError, ConfigError, GraphError
from graphmatch.evaluation_report import Resampling
from tests.click_training_world import SCHEMA, log_table, make_marn, make_store, samples


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    store = make_store(folder / "clicks")
    save_checkpoint(folder / "marn", make_marn(store), store.encoder)
    return folder, store


def naive_auc(scores, labels):
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in scores[labels == 1]
        for n in scores[labels == 0]
    ]
    return np.mean(wins) if wins else np.nan


@pytest.mark.parametrize("with_users", [True, False])
def test_intervals_are_those_of_a_naive_loop(with_users):
    random = np.random.default_rng(0)
    scores, labels = random.integers(1, 9, 40) / 10, random.integers(2, size=40)
    users = random.integers(6, size=40) if with_users else None
    how = Resampling(resamples=25, seed=3)
    found = click_intervals(scores, labels, users, resampling=how)
    owner = np.arange(40) if users is None else users
    names, again = np.unique(owner), np.random.default_rng(3)
    drawn = {"auc": [], "gauc": [], "log_loss": []}
    for _ in range(25):
        chosen = again.integers(len(names), size=len(names))
        rows = [np.flatnonzero(owner == names[k]) for k in chosen]
        which = np.concatenate(rows)
        drawn["auc"].append(naive_auc(scores[which], labels[which]))
        drawn["log_loss"].append(log_loss(scores[which], labels[which]))
        each = [(naive_auc(scores[r], labels[r]), len(r)) for r in rows]
        each = [(area, size) for area, size in each if not np.isnan(area)]
        if each:
            drawn["gauc"].append(np.average([a for a, _ in each], weights=[s for _, s in each]))
    assert found.keys() == {"auc", "log_loss"} | ({"gauc"} if with_users else set())
    for name, one in found.items():
        low, high = np.quantile(drawn[name], [0.025, 0.975])
        assert (one.low, one.high) == pytest.approx((low, high)), name
        assert one.error == pytest.approx(np.std(drawn[name], ddof=1))
    assert found["auc"].value == auc(scores, labels)
    assert click_intervals(scores, labels, users, resampling=Resampling(resamples=0)) == {}


def test_rules_are_means_over_the_training_split(world):
    _, store = world
    rows = log_table().to_pylist()
    of = {int(row): int(split) for row, split in zip(store.sample("row"), store.sample("split"),
                                                     strict=True)}  # fmt: skip
    train = [row for number, row in enumerate(rows) if of[number] == 0]
    overall = np.mean([row["label"] for row in train])

    def mean(name, key):
        labels = [row["label"] for row in train if row[name] == key]
        return len(labels), (sum(labels) + 5 * overall) / (len(labels) + 5)

    def logit(value):
        return np.log(value / (1 - value))

    test = store.split("test")
    found = mean_rules(store, test)
    assert list(found) == [POPULARITY, ITEM, USER, BOTH]
    for place in range(0, len(test), 17):
        row = rows[int(store.sample("row")[test[place]])]
        count, item = mean("item", row["item"])
        _, user = mean("user", row["user"])
        both = 1 / (1 + np.exp(-(logit(item) + logit(user) - logit(overall))))
        numbers = [found[name][place] for name in found]
        assert numbers == pytest.approx([count, item, user, both])
    with pytest.raises(ConfigError, match="prior"):
        mean_rules(store, test, prior=0.0)


def test_rules_of_movielens(data, tmp_path):
    """Figures of the data's README."""
    from graphmatch.click_job import encode_clicks
    from graphmatch.click_store import ClickStore
    from graphmatch.datasets.movielens import read_movielens

    encode_clicks(read_movielens(data / "ml-latest-small"), tmp_path / "clicks")
    store = ClickStore(tmp_path / "clicks")
    test = store.split("test")
    label, user = store.sample("label")[test], store.sample("user")[test]
    expected = {POPULARITY: (0.5936, 0.5666), ITEM: (0.6662, 0.6521), USER: (0.7033, 0.5),
                BOTH: (0.7570, 0.6521)}  # fmt: skip
    losses = {ITEM: 0.6498, USER: 0.6248, BOTH: 0.5848}
    for name, scores in mean_rules(store, test).items():
        numbers = (auc(scores, label), grouped_auc(scores, label, user).value)
        assert numbers == pytest.approx(expected[name], abs=5e-5), name
        if name in losses:
            assert log_loss(scores, label) == pytest.approx(losses[name], abs=5e-5)


def test_a_report_is_of_the_predictions(world):
    folder, store = world
    model, _ = load_checkpoint(folder / "marn", task="click")
    report, found = evaluate_clicks(folder / "marn", store, split="train",
                                    resampling=Resampling(resamples=10))  # fmt: skip
    again = predict_clicks(model.train(), samples(store, model, "train"), batch_size=7)
    assert model.training
    assert np.allclose(found.probability, again.probability, atol=1e-6)
    assert report.numbers.auc == auc(found.probability, found.label)
    assert report.numbers.log_loss == log_loss(found.probability, found.label)
    assert (report.samples, report.empty, report.new_items) == (720, 60, 0)
    assert report.rules[USER].gauc.value == 0.5
    base = report.rules[BOTH].auc
    assert report.improvement == pytest.approx(
        100 * ((report.numbers.auc - 0.5) / (base - 0.5) - 1)
    )
    text = str(report)
    assert "RelaImpr over means of user and item:" in text
    assert "95 % of 10 resamples of users" in text
    assert "users with one kind of label have none" in text
    json.dumps(report.content(), allow_nan=False)
    fast, _ = evaluate_clicks(folder / "marn", store, split="train", dtype="bf16",
                              resampling=Resampling(resamples=0))  # fmt: skip
    assert fast.numbers.auc == pytest.approx(report.numbers.auc, abs=0.02)
    assert fast.intervals == {}


def test_a_store_of_later_days_alone(tmp_path):
    schema = dataclasses.replace(SCHEMA, splitting=Splitting(by="column", column="split"))
    rows = log_table()
    train = rows.append_column("split", pa.array(["train"] * len(rows)))
    store = make_store(tmp_path / "clicks", table=train, schema=schema)
    save_checkpoint(tmp_path / "marn", make_marn(store), store.encoder)
    later = log_table(seed=7).slice(0, 60).append_column("split", pa.array(["test"] * 60))
    other = make_store(tmp_path / "later", table=later, schema=schema, encoder=store.encoder)
    report, _ = evaluate_clicks(tmp_path / "marn", other)
    assert report.samples == 60
    assert report.rules == {}
    assert report.improvement is None
    assert "RelaImpr" not in str(report)
    with pytest.raises(ConfigError, match="split"):
        evaluate_clicks(tmp_path / "marn", other, split="valid")


def test_predictions_in_files(world, tmp_path):
    folder, store = world
    _, found = evaluate_clicks(folder / "marn", store)
    rows = log_table().to_pylist()
    for name in ("p.parquet", "p.csv"):
        path = tmp_path / name
        write_predictions(found, store, path)
        reader = pyarrow.parquet.read_table if name.endswith("t") else pyarrow.csv.read_csv
        table = reader(path)
        assert table.column_names == ["row", "user", "item", "label", "probability"]
        for line, probability in zip(table.to_pylist(), found.probability, strict=True):
            row = rows[line["row"]]
            assert (line["user"], line["item"], line["label"]) == (
                row["user"], row["item"], row["label"],
            )  # fmt: skip
            assert line["probability"] == pytest.approx(probability, rel=1e-12)
        with pytest.raises(ConfigError, match="--force"):
            write_predictions(found, store, path)
    with pytest.raises(ConfigError, match=r"\.parquet or \.csv"):
        write_predictions(found, store, tmp_path / "p.txt")


def test_what_does_not_fit_is_an_error(world, tmp_path):
    folder, store = world
    strange = make_store(tmp_path / "a", table=log_table(seed=5).slice(0, 300))
    with pytest.raises(ConfigError, match="another encoder"):
        evaluate_clicks(folder / "marn", strange)
    with pytest.raises(ConfigError, match="did you mean 'valid'"):
        evaluate_clicks(folder / "marn", store, split="vali")
    with pytest.raises(ConfigError, match="dtype"):
        evaluate_clicks(folder / "marn", store, dtype="fp16")
    with pytest.raises(CheckpointError, match="expected a checkpoint"):
        evaluate_clicks(tmp_path, store)
    model = make_marn(store)
    with pytest.raises(ConfigError, match="batch_size"):
        predict_clicks(model, samples(store, model, "test"), batch_size=0)
    model.head.out.bias.data.fill_(float("nan"))
    with pytest.raises(GraphError, match="expected finite predictions"):
        predict_clicks(model, samples(store, model, "test"))
