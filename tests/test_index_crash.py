"""SIGKILL during changes of an index, and readers beside a writer."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from graphmatch.index import MatchIndex
from tests.index_worker import BATCH, STATE, ids, update
from tests.index_world import random_items
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def start(*arguments):
    command = [sys.executable, "-m", "tests.index_worker", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def new(path):
    index = MatchIndex.create(path, tiny_model("scan"), digest="0", metadata=STATE)
    states = pa.table({"state": [0] * BATCH}, schema=STATE)
    index.add_encoded(ids(0), random_items(BATCH, 0, size=4), metadata=states)
    return index


def kill_during(path, what, *, seed, after):
    """Kill a writer `after` seconds into its third change of a kind.

    Returns:
        Numbers of batches that must be there, and of the one that may be there or not.
    """
    worker, there, current, met = start("write", path, seed), set(), None, 0
    for line in worker.stdout:
        action, *number = line.split()
        if action != "done":
            current = action, int(number[0])
            met += action == what
            if met == 3:
                time.sleep(after)
                worker.send_signal(signal.SIGKILL)
                met = -1000
        elif current[0] == "add":
            there.add(current[1])
        elif current[0] == "delete":
            there.discard(current[1])
        if action == "done":
            current = None
    worker.communicate()
    assert worker.returncode == -signal.SIGKILL
    unsure = {current[1]} if current and current[0] != "compact" else set()
    return there, unsure


def check(path, there, unsure):
    index = MatchIndex.open(path, matcher=tiny_model("scan"))
    found = {}
    for hit in index.search(random_items(1, 1, size=4), top_k=1000, prefilter=1000):
        found.setdefault(int(hit.id.partition("-")[0]), []).append(hit.id)
    assert there - unsure <= found.keys() <= there | unsure
    assert all(sorted(batch) == ids(number) for number, batch in found.items())
    assert len(index) == BATCH * len(found)
    return found.keys()


def crash(path, kills, seed):
    new(path)
    random_ = random.Random(seed)
    there = {0}
    for number in range(kills):
        what = ("add", "delete", "compact")[number % 3]
        added, unsure = kill_during(
            path, what, seed=seed + number + 1, after=random_.random() * 0.02
        )
        there = set(check(path, there | added, unsure))
    MatchIndex.open(path, matcher=tiny_model("scan")).compact()
    check(path, there, set())


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    crash(tmp_path / "index", kills=3, seed=0)


def test_many_kills(tmp_path):
    crash(tmp_path / "index", kills=24, seed=100)


def read_beside(path, readers, rounds):
    new(path)
    stop = path.with_name("stop")
    workers = [start("read", path, stop) for _ in range(readers)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * readers
    update(path, rounds)
    stop.touch()
    ends = [worker.communicate()[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * readers
    for _, reads, _, last in ends:
        assert int(reads) > 3
        assert int(last) > 0


def test_readers_see_whole_states_during_updates(tmp_path):
    read_beside(tmp_path / "index", readers=2, rounds=20)


def test_eight_readers(tmp_path):
    read_beside(tmp_path / "index", readers=8, rounds=150)


def test_a_run_killed_before_its_first_transaction_starts_again(tmp_path):
    data = tmp_path / "index" / "items.lance" / "data"
    data.mkdir(parents=True)
    (data / "half.lance").write_bytes(b"half")
    assert len(new(tmp_path / "index")) == BATCH
    check(tmp_path / "index", {0}, set())


def test_what_cannot_be_written_changes_nothing(tmp_path, monkeypatch):
    index = new(tmp_path / "index")

    def fail(*arguments):
        raise RuntimeError(
            "lance error: No space left on device, /somewhere/lance/src/local.rs:7:3"
        )

    monkeypatch.setattr(index.table, "_table", type("Full", (), {"add": fail})())
    with pytest.raises(OSError, match=r"nothing was changed.*No space left on device\)"):
        index.table.add(pa.table({"id": ["a"]}), new=True)
    check(tmp_path / "index", {0}, set())
