"""Pairs a second of `graphmatch train` with one process and with two, own and gathered negatives.

python benchmarks/train_processes.py [--pairs 1280] [--batch 64] [--rounds 2]

SCAN on synthetic regions, 36 of 2,048 numbers, and captions of 15 words, 256 numbers a node; one
thread a process, gloo. The batch is that of all processes together. The rate is the median over the
steps of an epoch but the first two, from the log of the training; the better round counts.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from machine import processor
from torch import multiprocessing

from graphmatch.caption_set import CaptionSet
from graphmatch.columns import GraphColumns
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.models.scan import SCAN, SCANConfig
from graphmatch.pair_set import PairSet
from graphmatch.parse import Parse
from graphmatch.rows import CaptionRow
from graphmatch.train import train
from graphmatch.train_config import TrainConfig
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

REGIONS, FEATURES, WORDS, KNOWN = 36, 2048, 15, 500
VOCABULARY = Vocabulary((*SCAN_SPECIALS, *(f"w{k}" for k in range(KNOWN))), "<unk>")


def main() -> None:
    """Print a Markdown table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--pairs", type=int, default=1280)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--rounds", type=int, default=2)
    chosen = options.parse_args()
    print(f"{processor()}, torch {torch.__version__}, a thread a process\n")
    print("| processes | negatives | pairs/s | pairs/s a process | of one process |")
    print("|--:|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_store(folder / "regions", chosen.pairs)
        cases = [(1, False), (2, False), (2, True)]
        best = dict.fromkeys(cases, 0.0)
        for number in range(chosen.rounds):
            for count, gather in cases:
                out = folder / f"run-{count}-{gather}-{number}"
                config = TrainConfig(epochs=1, batch_size=chosen.batch, gather=gather, save_steps=0)
                run_processes(count, folder / "regions", out, config)
                best[count, gather] = max(best[count, gather], rate(out))
    for (count, gather), found in best.items():
        kind = ("gathered" if gather else "its own") if count > 1 else "all"
        share = found / count / best[1, False]
        print(f"| {count} | {kind} | {found:.0f} | {found / count:.0f} | {share:.2f} |")


def write_store(folder: Path, images: int) -> None:
    """Regions of random numbers."""
    random = np.random.default_rng(0)
    box = np.tile(np.array([[0, 0, 50, 50]], np.float32), (REGIONS, 1))
    size = np.array([100, 100], np.int32)
    with FeatureWriter(folder, kind="regions", job={}) as writer:
        for number in range(images):
            feature = random.standard_normal((REGIONS, FEATURES), dtype=np.float32)
            columns = {"box": box, "feature": feature, "size": size}
            writer.add(FeatureRecord(id=str(number), columns=columns))


def make_pairs(store: Path) -> PairSet:
    """A caption of random words for each image."""
    visuals = FeatureStore(store)
    random = np.random.default_rng(1)
    places = tuple(range(WORDS))
    graph = GraphColumns(
        kind=("word",) * WORDS, role=("",) * WORDS, span_node=places, span_word=places,
        source=(0,) * (WORDS - 1), target=places[1:], relation=("dep",) * (WORDS - 1),
    )  # fmt: skip
    rows = []
    for key in visuals.ids:
        words = [f"w{k}" for k in random.integers(0, KNOWN, WORDS)]
        parse = Parse.from_tree(
            words, heads=[-1, *[0] * (WORDS - 1)], deprels=["root", *["dep"] * (WORDS - 1)]
        )
        rows.append(CaptionRow(id=key, owner=key, text=parse.text, parse=parse, dependencies=graph))
    return PairSet(CaptionSet.for_matcher(rows, VOCABULARY, SCAN), visuals)


def run_processes(count: int, store: Path, out: Path, config: TrainConfig) -> None:
    """Train in processes of their own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, args=(count, port, store, out, config), nprocs=count)


def work(rank: int, count: int, port: int, store: Path, out: Path, config: TrainConfig) -> None:
    """One of the processes."""
    torch.set_num_threads(1)
    if count > 1:
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT")
        values = (rank, rank, count, count, port)
        os.environ.update({name: str(value) for name, value in zip(names, values, strict=True)})
        os.environ["MASTER_ADDR"] = "localhost"
    torch.manual_seed(0)
    model = SCAN(
        SCANConfig(vocabulary=len(VOCABULARY), feature_size=FEATURES, word_size=256, embed_size=256)
    )
    train(model, make_pairs(store), out, vocabulary=VOCABULARY, config=config)


def rate(out: Path) -> float:
    """Median pairs a second of all processes together."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    speeds = [line["pairs_per_second"] for line in lines if "pairs_per_second" in line]
    return statistics.median(speeds[2:])


if __name__ == "__main__":
    main()
