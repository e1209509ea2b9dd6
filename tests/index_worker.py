"""A process that writes to an index until it is killed, or reads from one until it is told to end.

python -m tests.index_worker write INDEX SEED: transactions without an end; each is announced, and
acknowledged when it is over.
python -m tests.index_worker read INDEX STOP: searches until the file STOP is there.

Neither imports torch: rows are copies of those of batch 0.
"""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from graphmatch.index_schema import ID
from graphmatch.lance_table import LanceTable

BATCH = 5
STATE = pa.schema([("state", pa.int64())])


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def ids(number):
    return [f"{number}-{place}" for place in range(BATCH)]


def batch(table, number, state=0):
    """Rows of a batch with the content of batch 0."""
    rows = table.take(ids(0), columns=table.schema.names)
    for name, values in ((ID, ids(number)), ("state", [state] * BATCH)):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
    return rows.cast(table.schema)


def write(path, seed):
    choice = random.Random(seed)
    table = LanceTable.open(path)
    number, there = 1000 * seed, []
    while True:
        number += 1
        say("add", number)
        table.add(batch(table, number), new=number % 2 == 0)
        say("done")
        there.append(number)
        if len(there) > 2:
            gone = there.pop(choice.randrange(len(there)))
            say("delete", gone)
            table.delete(ids(gone))
            say("done")
        say("compact", 0)
        table.compact(keep=timedelta(0))
        say("done")


def update(path, rounds):
    """Every transaction gives all items of the index the same new state."""
    table = LanceTable.open(path)
    for state in range(1, rounds + 1):
        table.add(batch(table, 0, state))
        if state % 3 == 0:
            table.compact(keep=timedelta(0))


def read(path, stop):
    table = LanceTable.open(path)
    vector = np.ones(4, dtype=np.float32)
    last = reads = 0
    say("ready")
    while not Path(stop).exists():
        rows = table.nearest(vector, limit=50, columns=table.schema.names)
        seen = set(rows["state"].to_pylist())
        found = sorted(rows[ID].to_pylist())
        if found != ids(0) or len(seen) != 1 or min(seen) < last or table.count() != BATCH:
            raise AssertionError((rows.to_pylist(), last))
        last = seen.pop()
        reads += 1
    say("reads", reads, "last", last)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], int(sys.argv[3]))
    else:
        read(sys.argv[2], sys.argv[3])
