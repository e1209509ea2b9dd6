"""`export_items`, `ClickScorer`: online scores are those of whole predictions."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphmatch.checkpoint import save_checkpoint
from graphmatch.click_features import Feature, Sequence, Splitting, Statistic
from graphmatch.click_inputs import ClickInputs
from graphmatch.click_job import encode_clicks
from graphmatch.click_log import table_log as as_log
from graphmatch.click_prediction import predict_clicks
from graphmatch.click_schema import ClickSchema
from graphmatch.click_scorer import ClickScorer
from graphmatch.click_store import ClickStore
from graphmatch.errors import ConfigError, FormatError, GraphError
from graphmatch.item_export import export_items, latest_statistics
from tests.click_training_world import (
    EVENTS,
    SCHEMA,
    log_table,
    make_marn,
    make_store,
    samples,
)


def checkpoint(store, folder, model=None, **options):
    """A checkpoint; its running mean of w is no usual one."""
    model = make_marn(store, **options) if model is None else model
    if model.config.weighs:
        model.items.w_mean.fill_(0.4)
    save_checkpoint(folder, model, store.encoder)
    return model.eval()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    store = make_store(folder / "clicks")
    model = checkpoint(store, folder / "marn")
    report = export_items(folder / "marn", store, folder / "items", chunk=7)
    assert (report.items, report.dim, report.kept) == (24, 16, False)
    return folder, store, model, ClickScorer(folder / "items", folder / "marn")


def past(rows, place):
    """What the user of a row did before it, as a caller has it."""
    own = rows[place]
    before = [r for r in rows if r["user"] == own["user"] and r["time"] < own["time"]]
    return {
        "item": [r["item"] for r in before],
        "time": [r["time"] for r in before],
        "type": [r["action"] for r in before],
    }


def request(row):
    return {"age": row["age"], "phone": row["phone"]}


def test_online_scores_are_those_of_predictions(world, assert_close):
    _, store, model, scorer = world
    rows = log_table().to_pylist()
    found = predict_clicks(model, samples(store, model, "test"))
    numbers = store.sample("row")[found.sample].tolist()
    for probability, number in list(zip(found.probability, numbers, strict=True))[::9]:
        row = rows[number]
        scores = scorer.score(
            [row["item"]], past(rows, number), time=row["time"], request=request(row)
        )
        assert_close(torch.tensor(scores.probability), torch.tensor([probability]))
        assert (scores.behaviours, scores.unknown, scores.left_out) == (8, 0, 0)


def test_many_candidates_at_once_and_in_any_order(world, assert_close):
    _, _, _, scorer = world
    rows = log_table().to_pylist()
    number = 3 * EVENTS + 9
    given = {"time": rows[number]["time"], "request": request(rows[number])}
    keys = [f"i{n}" for n in range(24)]
    every = scorer.score(keys, past(rows, number), **given)
    assert every.known.all()
    turned = {name: values[::-1] for name, values in past(rows, number).items()}
    again = scorer.score(keys[::-1] + keys[:2], turned, **given)  # sorted by time
    expected = [*every.probability[::-1], *every.probability[:2]]
    assert_close(torch.tensor(again.probability), torch.tensor(expected))
    assert scorer.score([], past(rows, number), **given).probability.shape == (0,)


def test_what_is_not_there_is_defined(world, tmp_path, assert_close):
    _, store, model, scorer = world
    rows = log_table().to_pylist()
    given = {"time": 5000.0, "request": request(rows[0])}
    # an unknown item is one of a log that neither the table nor the training rows have
    strange = rows[:EVENTS]
    strange[-1] = {**strange[-1], "item": "never seen"}
    other = make_store(tmp_path / "b", table=pa.Table.from_pylist(strange), encoder=store.encoder)
    expected = predict_clicks(model, samples(other, model, "test"))
    last = int(np.flatnonzero(other.sample("row")[expected.sample] == EVENTS - 1)[0])
    found = scorer.score(["never seen", None, "i1"], past(strange, EVENTS - 1),
                         time=strange[-1]["time"], request=request(strange[-1]))  # fmt: skip
    assert found.known.tolist() == [False, False, True]
    assert_close(torch.tensor(found.probability[0]), torch.tensor(expected.probability[last]))
    assert_close(torch.tensor(found.probability[0]), torch.tensor(found.probability[1]))
    # no history; an empty one
    new = scorer.score(["i1"], **given)
    assert (
        new.probability == scorer.score(["i1"], {n: [] for n in past(rows, 0)}, **given).probability
    )
    assert 0 < new.probability[0] < 1
    # behaviours of unknown items count; later ones and those without an item do not
    history = {"item": ["who", "i2", "i3", None], "time": [10.0, 20.0, 9e9, 30.0],
               "type": ["cart", None, "view", "view"]}  # fmt: skip
    found = scorer.score(["i1"], history, **given)
    assert (found.behaviours, found.unknown, found.left_out) == (2, 1, 2)
    short = {name: values[:2] for name, values in history.items()}
    assert found.probability == scorer.score(["i1"], short, **given).probability
    assert found.probability != new.probability
    # values that no training row has, and missing ones
    odd = scorer.score(["i1"], time=5000.0, request={"age": None, "phone": "dial"})
    assert odd.probability != scorer.score(["i1"], time=5000.0, request={}).probability
    assert "i1" in scorer
    assert "who" not in scorer
    assert len(scorer) == 24


def test_statistics_are_those_of_the_last_event(tmp_path, assert_close):
    schema = dataclasses.replace(
        SCHEMA,
        statistics=(
            Statistic(name="seen", of="count", buckets=4),
            Statistic(name="sold", of="count", over="train", buckets=3),
            Statistic(name="liked", of="mean", buckets=3),
        ),
    )
    store = make_store(tmp_path / "clicks", schema=schema)
    latest = latest_statistics(store)
    time, item = store.sample("time"), store.sample("item")
    for number in range(24):
        mine = np.flatnonzero(item == number)
        newest = mine[time[mine] == time[mine].max()]
        assert any((store.sample("statistic")[k] == latest[number]).all() for k in newest)
    model = checkpoint(store, tmp_path / "marn")
    export_items(tmp_path / "marn", store, tmp_path / "items")
    scorer = ClickScorer(tmp_path / "items", tmp_path / "marn")
    rows = log_table().to_pylist()
    # a first event of a user with the newest of all events of its item: no history to differ in
    batch = samples(store, model, "train").collate([0])
    place = int(batch.candidate[0])
    row = rows[int(store.sample("row")[0])]
    batch.items.modality["stat"][place, 1:] = torch.tensor(latest[item[0]])
    with torch.no_grad():
        expected = model(batch).double().sigmoid()
    found = scorer.score([row["item"]], time=row["time"], request=request(row))
    assert_close(torch.tensor(found.probability), expected)


def test_histories_that_rows_bring_along(tmp_path, assert_close):
    schema = ClickSchema(
        item="item",
        label="label",
        behaviours="sequences",
        splitting=Splitting(by="column", column="split"),
        items=(Feature(name="item", kind="ids", modality="ids"),
               Feature(name="shop", kind="ids", size=4)),
        properties=(Feature(name="kind", kind="buckets", edges=(2.0,)),),
        sequences=(Sequence(column="seen", of="item"), Sequence(column="shops", of="shop"),
                   Sequence(column="kinds", of="kind")),
    )  # fmt: skip
    table = pa.table({"item": ["a", "b", "c", "a"], "shop": [1, 2, 3, 1], "label": [1, 0, 1, 0],
                      "seen": ["b^c", "", "b", "c^b"], "shops": ["2^3", "", "2", "3^2"],
                      "kinds": ["1^3", "", "2", "5^1"],
                      "split": ["train", "train", "test", "train"]})  # fmt: skip
    encode_clicks(as_log(schema, table), tmp_path / "clicks")
    store = ClickStore(tmp_path / "clicks")
    model = checkpoint(store, tmp_path / "marn", make_marn(store, ClickInputs()))
    assert [part.name for part in model.config.properties] == ["kind"]  # no times
    export_items(tmp_path / "marn", store, tmp_path / "items")
    scorer = ClickScorer(tmp_path / "items", tmp_path / "marn")
    found = predict_clicks(model, samples(store, model, "train"))
    online = scorer.score(["a"], {"item": ["b", "c"], "kind": [1, 3]})
    assert_close(torch.tensor(online.probability), torch.tensor(found.probability[:1]))


def test_folders_that_do_not_fit(world, tmp_path):
    folder, store, _, _ = world
    out = tmp_path / "items"
    export_items(folder / "marn", store, out)
    assert export_items(folder / "marn", store, out).kept
    checkpoint(store, tmp_path / "other", seed=1)
    with pytest.raises(ConfigError, match="another job"):
        export_items(tmp_path / "other", store, out)
    with pytest.raises(ConfigError, match="those of another checkpoint"):
        ClickScorer(out, tmp_path / "other")
    assert not export_items(tmp_path / "other", store, out, force=True).kept
    ClickScorer(out, tmp_path / "other")
    strange = make_store(tmp_path / "strange", table=log_table(seed=5).slice(0, 300))
    with pytest.raises(ConfigError, match="graphmatch clicks --encoder"):
        export_items(folder / "marn", strange, tmp_path / "b")
    with pytest.raises(ConfigError, match="chunk"):
        export_items(folder / "marn", store, tmp_path / "b", chunk=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="got a file"):
        export_items(folder / "marn", store, tmp_path / "file")
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "complete": False}))
    with pytest.raises(FormatError, match="interrupted"):
        ClickScorer(out, tmp_path / "other")
    (out / "manifest.json").write_text(json.dumps({**manifest, "items": 23}))
    with pytest.raises(FormatError, match=r"expected float32 \[24, 16\]"):
        ClickScorer(out, tmp_path / "other")
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "items.parquet").write_bytes(b"x")
    with pytest.raises(FormatError, match="damaged"):
        ClickScorer(out, tmp_path / "other")


@pytest.mark.parametrize(
    ("history", "options", "kind", "problem"),
    [
        ({"item": ["i1"], "time": [1.0]}, {"time": 5.0}, ConfigError, "no type"),
        ({"item": ["i1"], "typ": ["cart"]}, {"time": 5.0}, ConfigError, "did you mean 'type'"),
        ({"item": ["i1"], "time": [1.0], "type": []}, {"time": 5.0}, GraphError, "equal lengths"),
        ({"item": ["i1"], "time": [1.0], "type": ["cart"]}, {}, ConfigError, "time of the request"),
        ({}, {"request": {"agee": 4}}, ConfigError, "did you mean 'age'"),
        ({}, {"request": {"age": [4]}}, FormatError, "age"),
        ({"item": [["i1"]], "time": [1.0], "type": ["cart"]}, {"time": 5.0}, FormatError, "item"),
        ({"item": ["i1", 4], "time": [1, 2], "type": ["a", "b"]}, {"time": 5.0}, FormatError,
         "one type"),
    ],
)  # fmt: skip
def test_wrong_requests_are_errors(world, history, options, kind, problem):
    with pytest.raises(kind, match=problem):
        world[3].score(["i1"], history, **options)
