"""`ClickLoader`: batches of an encoded log."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from graphmatch.buckets import time_gap_ids
from graphmatch.click_job import encode_clicks
from graphmatch.click_loader import ClickLoader
from graphmatch.click_log import table_log
from graphmatch.click_store import ClickStore
from graphmatch.errors import ConfigError
from tests.click_world import before, item_table, log_table, schema


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clicks") / "s"
    encode_clicks(table_log(schema(), log_table(rows=120), items=item_table()), folder)
    return ClickStore(folder)


def test_batches_hold_what_is_before(store):
    rows = log_table(rows=120).to_pylist()
    keys = store.item_keys()
    types = ["", "", *store.encoder.values["type"].to_pylist()]
    loader = ClickLoader(store, "train", batch_size=7, history=4)
    seen = []
    for number in range(len(loader)):
        batch = loader[3, number]
        batch.check()
        assert len({tuple(r) for r in torch.cat([*batch.items.modality.values()], 1).tolist()}) <= (
            len(batch.items)
        )
        title = batch.items.modality["title"]
        for k, sample in enumerate(loader.positions(3, number)):
            place = int(store.sample("row")[sample])
            own = rows[place]
            seen.append(place)
            steps = before(rows, place)[-4:]
            history = batch.history[k].tolist()
            assert sum(h >= 0 for h in history) == len(steps)
            for step, h, kind, gap in zip(
                steps, history, batch.properties["type"][k], batch.properties["time"][k],
                strict=False,
            ):  # fmt: skip
                words = store.item("title")[keys.index(rows[step]["item"])]
                assert title[h].tolist() == words.tolist()
                assert types[kind] == rows[step]["action"]
                assert gap == time_gap_ids(own["time"] - rows[step]["time"])
            assert all(h == -1 for h in history[len(steps) :])
            padded = batch.properties["type"][k, len(steps) :]
            assert not padded.any()
            words = store.item("title")[keys.index(own["item"])]
            assert title[batch.candidate[k]].tolist() == words.tolist()
            assert batch.label[k] == own["label"]
    assert sorted(seen) == sorted(store.sample("row")[store.split("train")].tolist())


def gathered(batch):
    """What a model sees, item by item."""
    places = torch.cat([batch.candidate[:, None], batch.history.clamp(min=0)], dim=1)
    mask = torch.cat([torch.ones(len(batch), 1, dtype=torch.bool), batch.history >= 0], dim=1)
    found = {name: value[places] * mask[..., None] for name, value in batch.items.modality.items()}
    return {**found, "present": batch.items.present[places] & mask[..., None]}


def test_distinct_items_are_the_same_batch(store):
    one = ClickLoader(store, "train", batch_size=16)[0, 0]
    two = ClickLoader(store, "train", batch_size=16, distinct=False)[0, 0]
    assert len(one.items) < len(two.items)
    first, second = gathered(one), gathered(two)
    for name, value in first.items():
        assert value.equal(second[name]), name


def test_items_of_other_statistics_are_other_items(store):
    batch = ClickLoader(store, "train", batch_size=90)[0, 0]
    ids = torch.cat([batch.items.modality["ids"], batch.items.modality["stat"]], dim=1)
    assert len({tuple(row) for row in ids.tolist()}) == len(ids)
    assert len({tuple(row[:2]) for row in ids.tolist()}) < len(ids)
    stat = [record["name"] for record in store.modalities].index("stat")
    assert (batch.items.present[:, stat] == (batch.items.modality["stat"] != 0).any(dim=1)).all()


def test_orders_are_those_of_the_seed(store):
    one = ClickLoader(store, "train", batch_size=8, seed=4)
    two = pickle.loads(pickle.dumps(ClickLoader(store, "train", batch_size=8, seed=4)))
    for number in range(len(one)):
        assert (one.positions(2, number) == two.positions(2, number)).all()
    assert (one.positions(0, 0) != one.positions(1, 0)).any()
    other = ClickLoader(store, "train", batch_size=8, seed=5)
    assert (one.positions(0, 0) != other.positions(0, 0)).any()
    late = [batch.label.tolist() for batch in one.read(2, first=3)]
    assert late == [one[2, number].label.tolist() for number in range(3, len(one))]
    still = ClickLoader(store, "test", batch_size=5, shuffle=False)
    assert (np.concatenate([still.positions(7, n) for n in range(len(still))])
            == store.split("test")).all()  # fmt: skip


def test_other_processes_read_the_same(store):
    loader = ClickLoader(store, "valid", batch_size=4)
    here = [batch.history.tolist() for batch in loader.read(0)]
    assert [batch.history.tolist() for batch in loader.read(0, workers=1)] == here


def test_no_history_is_kept(store):
    batch = ClickLoader(store, "train", batch_size=5, history=0)[0, 0]
    assert batch.history.shape == (5, 0)
    assert len(batch.items) <= 5


def test_options(store):
    loader = ClickLoader(store, "train", batch_size=4, time_buckets=0)
    assert loader.property_sizes == {"type": 4}
    assert [*loader[0, 0].properties] == ["type"]
    assert ClickLoader(store, "train", batch_size=4).property_sizes == {"type": 4, "time": 16}
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        ClickLoader(store, "trian", batch_size=4)
    with pytest.raises(ConfigError, match="batch_size"):
        ClickLoader(store, "train", batch_size=0)
    with pytest.raises(ConfigError, match="time_buckets"):
        ClickLoader(store, "train", batch_size=4, time_buckets=1)
    with pytest.raises(IndexError):
        loader[0, len(loader)]


def test_a_split_without_samples(tmp_path):
    encode_clicks(table_log(schema(), log_table(rows=4), items=item_table()), tmp_path / "s")
    with pytest.raises(ConfigError, match="samples of the split valid"):
        ClickLoader(ClickStore(tmp_path / "s"), "valid", batch_size=4)
