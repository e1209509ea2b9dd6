"""Trainings in processes of their own, all forked from one that has imported everything.

python -m tests.train_forks killed FOLDER KILLS SEED
python -m tests.train_forks together FOLDER
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from pathlib import Path

import torch

from graphmatch.train import train
from graphmatch.train_config import TrainConfig
from tests.train_world import VOCABULARY, make_model, make_pairs

KILLED = TrainConfig(epochs=6, batch_size=8, lr=1e-2, save_steps=4, warmup_steps=5, eval_steps=7)
CASES = {
    "scan": ("scan", {"ignore_same": True}, {"accumulate": 2}),
    "hgr": ("hgr", {"level_weights": (1.0, 0.2, 0.2, 0.2)}, {"clip": 0.0}),
    "imram": ("imram", {"steps": 1}, {}),
}
"""Model, its options, options of the training. 40 pairs in batches of 13 leave one for the last."""
SHARED = {"epochs": 2, "batch_size": 13, "lr": 1e-3, "gather": True}


def fork(work):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def wait(*children):
    codes = [os.waitpid(child, 0)[1] for child in children]
    return all(code == 0 for code in codes)


def fork_ranks(work, count=2):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def start(rank):
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT")
        values = (rank, rank, count, count, port)
        os.environ.update({name: str(value) for name, value in zip(names, values, strict=True)})
        os.environ["MASTER_ADDR"] = "localhost"
        work()

    return [fork(lambda rank=rank: start(rank)) for rank in range(count)]


def run(folder, out, config, name="scan", **options):
    pairs = make_pairs(folder / f"store-{name}", name)
    model = make_model(name, **options)
    train(model, pairs, folder / out, vocabulary=VOCABULARY, config=config, validation=pairs)


def killed(folder, kills, seed):
    draw = random.Random(seed)
    assert wait(fork(lambda: run(folder, "whole", KILLED, "hgr", dropout=(0.2, 0.2, 0.5))))
    left = kills
    while left:
        child = fork(lambda: run(folder, "parts", KILLED, "hgr", dropout=(0.2, 0.2, 0.5)))
        time.sleep(draw.uniform(0.05, 1.5 / kills + 0.2))
        os.kill(child, signal.SIGKILL)
        wait(child)
        left -= 1
    assert wait(fork(lambda: run(folder, "parts", KILLED, "hgr", dropout=(0.2, 0.2, 0.5))))


def together(folder):
    for case, (name, options, training) in CASES.items():
        config = TrainConfig(**{**SHARED, **training})
        assert wait(fork(lambda: run(folder, f"{case}-1", config, name, **options)))
        assert wait(*fork_ranks(lambda: run(folder, f"{case}-2", config, name, **options)))
    options = {"dropout": (0.2, 0.2, 0.5)}
    config = TrainConfig(epochs=4, batch_size=13, lr=1e-2, save_steps=2)  # negatives of each rank
    assert wait(*fork_ranks(lambda: run(folder, "ranks-whole", config, "hgr", **options)))
    ranks = fork_ranks(lambda: run(folder, "ranks-parts", config, "hgr", **options))
    while not list((folder / "ranks-parts").glob("state/step-*[1-9]")):
        time.sleep(0.01)
    for rank in ranks:
        os.kill(rank, signal.SIGKILL)
    wait(*ranks)
    assert wait(*fork_ranks(lambda: run(folder, "ranks-parts", config, "hgr", **options)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[2])
    make_pairs(where / "store-hgr", "hgr")
    if sys.argv[1] == "killed":
        killed(where, int(sys.argv[3]), int(sys.argv[4]))
    else:
        together(where)
