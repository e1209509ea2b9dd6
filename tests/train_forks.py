"""Trainings in processes of their own, all forked from one that has imported everything.

python -m tests.train_forks FOLDER KILLS [together]
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time
from functools import partial
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


RUNS = ("whole", "parts")


def fork(work):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
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
    """One training that is not disturbed, one that is killed `kills` times at random moments."""
    draw = random.Random(seed)
    options = {"dropout": (0.2, 0.2, 0.5)}
    whole, parts = (partial(run, folder, name, KILLED, "hgr", **options) for name in RUNS)
    assert wait(fork(whole))
    moments = []
    for _ in range(kills):
        target = state_step(folder / RUNS[1]) + draw.randint(0, 4)
        moments.append(kill_at(fork(parts), folder / RUNS[1], target, draw.uniform(0, 0.1)))
    assert wait(fork(parts))
    (folder / "moments.json").write_text(json.dumps(moments))


def kill_at(child, out, target, delay):
    """Kill a child some time after it logged a step; the last step that it logged."""
    log, begin = out / "log.jsonl", time.time_ns()
    steps = 0
    while steps < target and time.time_ns() - begin < 60e9:
        time.sleep(0.002)
        if log.exists() and log.stat().st_mtime_ns > begin:  # cut to the state by now
            steps = max([json.loads(line)["step"] for line in whole_lines(log)], default=0)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    assert not wait(child), "the training was over before it could be killed"
    return max([json.loads(line)["step"] for line in whole_lines(log)], default=0)


def whole_lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def state_step(out):
    return max((int(path.name[5:14]) for path in out.glob("state/step-*")), default=0)


def kill_ranks(work, out, *, step):
    """Two processes of one training, killed together after a step whose state they kept."""
    ranks = fork_ranks(work)
    while state_step(out) < step:
        time.sleep(0.005)
    for rank in ranks:
        os.kill(rank, signal.SIGKILL)
    assert not wait(*ranks), "the training was over before it could be killed"


def together(folder):
    """Trainings of one process and of two; two that are killed and go on."""
    for case, (name, options, training) in CASES.items():
        config = TrainConfig(**{**SHARED, **training})
        one, two = (partial(run, folder, f"{case}-{k}", config, name, **options) for k in (1, 2))
        assert wait(fork(one))
        assert wait(*fork_ranks(two))
    config = TrainConfig(epochs=3, batch_size=13, lr=1e-2, save_steps=2)  # negatives of each rank
    options = {"dropout": (0.2, 0.2, 0.5)}
    whole, parts = (
        partial(run, folder, f"ranks-{name}", config, "hgr", **options) for name in RUNS
    )
    assert wait(*fork_ranks(whole))
    kill_ranks(parts, folder / "ranks-parts", step=4)
    assert wait(*fork_ranks(parts))


if __name__ == "__main__":
    torch.set_num_threads(1)
    where, count, more = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    make_pairs(where / "store-hgr", "hgr")
    killed(where, count, seed=1)
    if more == ["together"]:
        together(where)
