"""Time and peak memory of ten million behaviours, from a Parquet file through an epoch of training.

python benchmarks/click_stream.py [--behaviours 10_000_000] [--keep FOLDER]

The log is made in blocks, in the order of time, and never held whole: 100 behaviours a user, items
by a power law; users prefer a category, and click on its items more often. Every 21st event of a
user has a label and becomes a sample whose history are the 20 before it: so an epoch reads every
behaviour once, but for the last ones of each user. `graphmatch clicks` encodes the log, with ids,
categories and the number of earlier events of the item; `graphmatch train marn` trains a small MARN
for an epoch. Memory is the sum of the resident sizes of a command and its children, maps of the
store included. The mean loss of the last steps is below that of a model that says nothing if the
training learns.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from machine import processor
from numpy.typing import NDArray
from parse_rate import measure

from graphmatch.click_features import Feature, Splitting, Statistic
from graphmatch.click_schema import ClickSchema
from graphmatch.click_store import ClickStore

LIMIT = 3000.0  # MB
EACH, HISTORY, BLOCK, CATEGORIES = 100, 20, 1 << 19, 16
SCHEMA = ClickSchema(
    user="user",
    item="item",
    time="time",
    label="click",
    items=(
        Feature(name="number", kind="ids", column="item", modality="ids"),
        Feature(name="category", kind="ids"),
    ),
    properties=(Feature(name="type", kind="ids"),),
    statistics=(Statistic(name="earlier", of="count", modality="stat"),),
    splitting=Splitting(by="user", train=1.0, test=1.0),
)
SETTINGS = {
    "dim": "16",
    "hidden": "16",
    "units": "[32]",
    "item_width": "16",
    "disc_hidden": "16",
    "history": str(HISTORY),
    "batch_size": "512",
    "lr": "5e-3",
    "epochs": "1",
    "save_steps": "0",
}
"""The small model."""


def main() -> int:
    """Print a Markdown table; 1 if a command needed too much memory."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--behaviours", type=int, default=10_000_000)
    options.add_argument("--keep", type=Path, help="folder for the files, to look at them")
    chosen = options.parse_args()
    if chosen.keep is not None:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        return run(chosen.keep, chosen.behaviours)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), chosen.behaviours)


def run(folder: Path, behaviours: int) -> int:
    """Make the log, encode it, train."""
    log, schema = folder / "log.parquet", folder / "schema.json"
    users = max(1, behaviours // EACH)
    items = max(CATEGORIES, behaviours // 50)
    write_log(log, behaviours, users=users, items=items)
    schema.write_text(SCHEMA.to_json(), encoding="utf-8")
    program = [sys.executable, "-m", "graphmatch.cli.main"]
    encode = ["clicks", str(log), "--schema", str(schema), "--out", str(folder / "store")]
    train = ["train", "marn", "--clicks", str(folder / "store"), "--out", str(folder / "run")]
    train += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    encoding, encoding_peak = measure([*program, *encode])
    store = ClickStore(folder / "store")
    read = len(store) + int(np.minimum(store.sample("length"), HISTORY).sum())
    training, training_peak = measure([*program, *train])
    print(f"{processor()}, one thread; {log.stat().st_size / 1e6:,.0f} MB of Parquet; {store!r}\n")
    print("| | s | behaviours/s | samples/s | peak memory, MB |")
    print("|---|--:|--:|--:|--:|")
    print(f"| encoding | {encoding:.1f} | {behaviours / encoding:,.0f} | | {encoding_peak:,.0f} |")
    print(
        f"| an epoch of training | {training:.1f} | {read / training:,.0f} | "
        f"{len(store) / training:,.0f} | {training_peak:,.0f} |"
    )
    first, last = mean_losses(folder / "run" / "log.jsonl")
    print(
        f"\n{read:,} behaviours ({read / behaviours:.1%}) were read in training; loss of clicks "
        f"{first:.4f} in the first steps, {last:.4f} in the last, {math.log(2):.4f} without "
        f"knowledge; limit {LIMIT:,.0f} MB"
    )
    return 1 if max(encoding_peak, training_peak) > LIMIT else 0


def write_log(path: Path, behaviours: int, *, users: int, items: int) -> None:
    """Write the log, block by block."""
    writer = None
    for columns in blocks(behaviours, users=users, items=items):
        table = pa.table(columns)
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def blocks(behaviours: int, *, users: int, items: int) -> Iterator[dict[str, Any]]:
    """Columns of the log, in the order of time; the same for every start."""
    random = np.random.default_rng(0)
    seen = np.zeros(users, np.int64)  # events of each user so far
    for start in range(0, behaviours, BLOCK):
        count = min(BLOCK, behaviours - start)
        user = random.integers(users, size=count)
        item = (items * random.random(count) ** 4).astype(np.int64)
        favourite = random.random(count) < 0.5
        item[favourite] += user[favourite] % CATEGORIES - item[favourite] % CATEGORIES
        liked = item % CATEGORIES == user % CATEGORIES
        click = random.random(count) < np.where(liked, 0.8, 0.2)
        number = seen[user] + earlier(user)
        seen += np.bincount(user, minlength=users)
        unknown = (number + 1) % (HISTORY + 1) != 0
        yield {
            "user": user,
            "item": item,
            "category": item % CATEGORIES,
            "type": random.integers(1, 4, count),
            "time": 60.0 * np.arange(start, start + count),
            "click": pa.array(click.astype(np.int8), mask=unknown),
        }


def earlier(user: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n] how often each one's user occurs before it."""
    order = np.argsort(user, kind="stable")
    of_one = user[order]
    first = np.flatnonzero(np.diff(of_one, prepend=-1))
    rank = np.arange(len(user)) - np.repeat(first, np.diff(np.append(first, len(user))))
    found = np.empty_like(rank)
    found[order] = rank
    return found


def mean_losses(path: Path) -> tuple[float, float]:
    """Mean loss of clicks in the first and the last tenth of the steps."""
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    losses = [line["ctr"] for line in lines if "ctr" in line]
    part = max(1, len(losses) // 10)
    return fmean(losses[:part]), fmean(losses[-part:])


if __name__ == "__main__":
    sys.exit(main())
