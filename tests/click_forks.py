"""Trainings of MARN in processes of their own, all forked from one that has imported everything.

python -m tests.click_forks FOLDER
"""

from __future__ import annotations

import dataclasses
import random
import sys
from functools import partial
from pathlib import Path

import torch

from graphmatch.click_store import ClickStore
from graphmatch.click_training import ClickTrainConfig, train_clicks
from tests.click_training_world import make_marn, make_store, samples
from tests.train_forks import fork, fork_ranks, kill_at, kill_ranks, state_step, wait

CONFIG = ClickTrainConfig(batch_size=32, lr=1e-2, epochs=3, save_steps=5, eval_steps=7, patience=0)


def run(folder, out, config=CONFIG, **options):
    store = ClickStore(folder / "clicks")
    model = make_marn(store, **options)
    held = samples(store, model, "valid")
    train_clicks(
        model, samples(store, model, "train"), folder / out, config=config, validation=held
    )


def killed(folder):
    """One training that is not disturbed, one that is killed three times."""
    draw = random.Random(0)
    whole, parts = (partial(run, folder, name, dropout=0.2) for name in ("whole", "parts"))
    assert wait(fork(whole))
    for _ in range(3):
        target = state_step(folder / "parts") + draw.randint(1, 6)
        kill_at(fork(parts), folder / "parts", target, draw.uniform(0, 0.05))
    assert wait(fork(parts))


def together(folder):
    """A training of one process and of two; two that are killed and go on."""
    options = {"item": "fusion"}  # means over all of a batch are those over its halves
    config = dataclasses.replace(CONFIG, lr=1e-3, epochs=1)
    one, two = (partial(run, folder, f"fusion-{k}", config, **options) for k in (1, 2))
    assert wait(fork(one))
    assert wait(*fork_ranks(two))
    whole, parts = (partial(run, folder, f"ranks-{k}", dropout=0.2) for k in ("whole", "parts"))
    assert wait(*fork_ranks(whole))
    kill_ranks(parts, folder / "ranks-parts", step=10)
    assert wait(*fork_ranks(parts))


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1])
    make_store(where / "clicks")
    killed(where)
    together(where)
