"""`benchmarks/marn.py` and `click_stream.py`: the floor against operations that torch counts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from graphmatch.click_batch import ClickBatch, Items
from graphmatch.models.marn import MARN, MARNConfig, Modality, Table

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
CONFIG = MARNConfig(
    modalities=(
        Modality(name="ids", kind="ids", sizes=(9, 5), widths=(4, 3)),
        Modality(name="image", kind="vector", sizes=(10,)),
        Modality(name="title", kind="words", widths=(6,), channels=4),
    ),
    vocabulary=7,
    properties=(Table(name="time", size=16, width=2), Table(name="type", size=4, width=3)),
    dim=8,
    hidden=5,
    disc_hidden=6,
)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def counted(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def some_items(count):
    return Items(
        modality={
            "ids": torch.randint(1, 5, (count, 2)),
            "image": torch.randn(count, 10),
            "title": torch.randint(1, 7, (count, 10)),
        },
        present=torch.ones(count, 3, dtype=torch.bool),
    )


def test_floor_of_items_is_what_torch_counts():
    from marn_floor import item_operations

    model = MARN(CONFIG).eval()
    items = some_items(6)
    with torch.no_grad():
        assert counted(lambda: model.encode_items(items)) == 6 * item_operations(CONFIG, 10)


def test_floor_of_the_recurrent_part_is_what_torch_counts():
    import marn
    from marn_floor import recurrent_operations

    model = MARN(CONFIG).eval()
    history = torch.randint(0, 6, (4, 7))
    batch = ClickBatch(
        items=some_items(6),
        history=history,
        candidate=torch.tensor([0, 1, 2, 3]),
        properties={"time": torch.randint(1, 16, (4, 7)), "type": torch.randint(1, 4, (4, 7))},
    )
    vectors = model.catalogue(batch.items)
    rep, place, *others = marn.recurrent_inputs(model, batch, vectors, gradients=False)
    properties, attention = others

    @torch.no_grad()
    def work():
        model.user.network(model.user.behaviours(rep, place, properties)[1], attention)

    floor = recurrent_operations(CONFIG, items=6, behaviours=28)
    padded = 2 * 28 * CONFIG.hidden * CONFIG.property_size  # P p of the candidate state, zeros
    assert counted(work) == floor + padded


def test_published_sizes_cost_what_the_specification_says():
    from marn_floor import item_operations, recurrent_operations

    published = MARNConfig(
        modalities=(
            Modality(name="ids", kind="ids", sizes=(9, 9), widths=(32, 16)),
            Modality(name="image", kind="vector", sizes=(4096,)),
            Modality(name="stat", kind="buckets", sizes=(11, 11), widths=(8, 8)),
            Modality(name="title", kind="words", widths=(64,)),
        ),
        vocabulary=9,
    )
    title = 2 * 64 * 64 * (9 * 2 + 8 * 3 + 7 * 4)  # which the specification does not count
    losses = 2 * 2 * 4 * (256 + 4) * 64  # L_D1 and L_Ds, which serving does not need
    assert round((item_operations(published, 10) - title + losses) / 2e6, 1) == 2.1
    once = recurrent_operations(replace(published, properties=()), items=50, behaviours=50)
    assert round(once / 4e6, 1) == 9.8


def test_places_in_the_catalogue_are_the_items_of_the_batch(tmp_path):
    import marn

    from graphmatch.click_loader import ClickLoader

    store = marn.make_store(tmp_path, None, 3)
    loader = ClickLoader(store, "train", batch_size=50, history=6)
    batch, catalogue = loader[0, 1], marn.whole_catalogue(store)
    history, candidate = marn.in_catalogue(loader, 1)
    assert torch.equal(history >= 0, batch.mask)
    for name, value in batch.items.modality.items():
        whole = catalogue.modality[name]
        assert torch.equal(value[batch.candidate], whole[candidate].to(value.dtype))
        assert torch.equal(
            value[batch.history[batch.mask]], whole[history[batch.mask]].to(value.dtype)
        )


def test_blocks_of_the_stream(monkeypatch):
    import click_stream

    whole = next(click_stream.blocks(9000, users=90, items=64))
    monkeypatch.setattr(click_stream, "BLOCK", 1000)
    parts = list(click_stream.blocks(9000, users=90, items=64))
    assert len(parts) == 9
    for columns in ([whole], parts):
        user = np.concatenate([part["user"] for part in columns])
        known = np.concatenate([part["click"].is_valid().to_numpy(False) for part in columns])
        for one in (0, 17):  # each one's 21st, 42nd, ... event
            assert np.flatnonzero(known[user == one]).tolist() == list(
                range(20, (user == one).sum(), 21)
            )
    assert click_stream.earlier(np.array([4, 7, 4, 4, 7])).tolist() == [0, 0, 1, 2, 1]


def run(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_whole_benchmark():
    said = run(str(FOLDER / "marn.py"), "--batch", "8", "--image", "16", "--rounds", "1")
    assert "| serving from the catalogue's vectors |" in said
    assert "| with gradients |" in said


@pytest.mark.slow
def test_the_whole_stream(tmp_path):
    said = run(str(FOLDER / "click_stream.py"), "--behaviours", "9000", "--keep", str(tmp_path))
    assert "| an epoch of training |" in said
    assert "behaviours (" in said
