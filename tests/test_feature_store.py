"""Feature stores: written, read, interrupted."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord, check_record
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from tests.features import record, same, write


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@given(
    st.lists(
        st.one_of(
            st.integers(0, 4).flatmap(
                lambda r: hnp.arrays(np.float32, (r, 3), elements=st.floats(-1e4, 1e4, width=16))
            ),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        ),
        max_size=6,
    )
)
def test_records_come_back_as_they_were(tmp_path_factory, items):
    folder = tmp_path_factory.mktemp("store") / "s"
    records = [
        FeatureRecord(id=f"é{k}", error=item)
        if isinstance(item, str)
        else FeatureRecord(id=f"é{k}", columns={"feature": item})
        for k, item in enumerate(items)
    ]
    store = write(folder, records)
    assert len(store) == len(items)
    for one, other in zip(records, store, strict=True):
        same(one, other)
        same(one, store[one.id])
    store.verify()
    assert store.failures == [(r.id, r.error) for r in records if r.error is not None]


def test_a_store_is_plain_numpy(tmp_path):
    records = [record("a", 2), FeatureRecord(id="bad", error="broken"), record("b", 3)]
    write(tmp_path / "s", records)
    feature = np.load(tmp_path / "s" / "feature.npy", mmap_mode="r")
    offset = np.load(tmp_path / "s" / "offset.npy")
    assert offset.tolist() == [0, 2, 2, 5]
    np.testing.assert_array_equal(feature[offset[2] : offset[3]], records[2].columns["feature"])
    assert np.load(tmp_path / "s" / "size.npy").tolist() == [[40, 50], [0, 0], [40, 50]]


def test_leading_failures_keep_their_places(tmp_path):
    records = [FeatureRecord(id="x", error="no"), FeatureRecord(id="y", error="no"), record("a")]
    store = write(tmp_path / "s", records)
    same(store["a"], records[2])
    assert store["y"].error == "no"
    assert store.rows("feature", 0).shape == (0, 3)


def test_graphs_have_boxes_divided_by_the_size(tmp_path):
    one = record("a")
    graph = write(tmp_path / "s", [one]).graph("a")
    graph.validate()
    expected = one.columns["box"] / np.array([40, 50, 40, 50], np.float32)
    assert torch.equal(graph.box, torch.from_numpy(np.clip(expected, 0, 1)))
    assert graph.label.tolist() == one.columns["label"].tolist()


def test_clip_graphs_have_seconds(tmp_path):
    columns = {"feature": np.ones((2, 4)), "time": [[0, 1.5], [1.5, 2]], "duration": 2.25}
    with FeatureWriter(tmp_path / "s", kind="clips", job={}) as writer:
        assert writer.add(FeatureRecord(id="v", columns=columns)) is None
    graph = FeatureStore(tmp_path / "s").graph("v")
    graph.validate()
    assert graph.time.tolist() == [[0, 1.5], [1.5, 2]]
    assert graph.duration.tolist() == [2.25]


def test_a_store_without_boxes_gives_features_but_no_graph(tmp_path):
    feature = FeatureRecord(id="a", columns={"feature": np.ones((2, 3), np.float32)})
    store = write(tmp_path / "s", [feature])
    assert store.rows("feature", 0).shape == (2, 3)
    with pytest.raises(FormatError, match="there is no box and no size"):
        store.graph("a")


def test_a_failed_item_has_no_graph_and_says_why(tmp_path):
    store = write(tmp_path / "s", [record("a"), FeatureRecord(id="b", error="truncated JPEG")])
    with pytest.raises(FormatError, match="truncated JPEG"):
        store.graph("b")


def test_more_can_be_added_in_later_runs(tmp_path):
    records = [record(f"i{k}", k % 4) for k in range(10)] + [FeatureRecord(id="e", error="no")]
    write(tmp_path / "once", records)
    write(tmp_path / "twice", records[:4])
    write(tmp_path / "twice", records)
    assert files(tmp_path / "once") == files(tmp_path / "twice")


def test_what_a_killed_run_left_behind_is_cut_off(tmp_path):
    records = [record(f"i{k}", 3) for k in range(6)]
    write(tmp_path / "once", records)
    write(tmp_path / "s", records[:3])
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    manifest["complete"] = False
    (tmp_path / "s" / "manifest.json").write_text(
        json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    )
    for name in ("feature.npy", "offset.npy", "items.jsonl", "size.npy"):
        with (tmp_path / "s" / name).open("ab") as stream:
            stream.write(b"half a record")
    with pytest.raises(FormatError, match="interrupted"):
        FeatureStore(tmp_path / "s")
    assert len(FeatureStore(tmp_path / "s", partial=True)) == 3
    write(tmp_path / "s", records)
    assert files(tmp_path / "once") == files(tmp_path / "s")


KILLED = """
import os, signal, sys
import numpy as np
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_writer import FeatureWriter
with FeatureWriter(sys.argv[1], kind="regions", job={"tool": "test"}) as writer:
    for k in range(2000):
        if f"i{k}" not in writer:
            columns = {"feature": np.full((k % 5, 300), k, "<f4")}
            writer.add(FeatureRecord(id=f"i{k}", columns=columns))
        if k == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    def run(folder, stop):
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), str(stop)]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    for stop in (10, 700, 1500):
        done = run(tmp_path / "killed", stop)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert run(tmp_path / "killed", -1).returncode == 0
    assert run(tmp_path / "once", -1).returncode == 0
    assert files(tmp_path / "killed") == files(tmp_path / "once")
    FeatureStore(tmp_path / "killed").verify()


def test_a_full_disk_ends_in_an_error_and_keeps_what_was_committed(tmp_path):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        code = 1
        try:
            writer = FeatureWriter(tmp_path / "s", kind="regions", job={"tool": "test"})
            writer.add(record("a", 4, 1000))
            writer.commit()
            for k in range(100):
                writer.add(record(f"i{k}", 4, 1000))
            writer.commit()
        except OSError:
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store = FeatureStore(tmp_path / "s", partial=True)
    same(store["a"], record("a", 4, 1000))
    write(tmp_path / "s", [record("a", 4, 1000), record("b", 4, 1000)]).verify()


def test_a_repeated_id_is_a_failed_item(tmp_path):
    store = write(tmp_path / "s", [record("a"), record("b"), record("a", seed=1), record("a")])
    assert store.ids == ["a", "b", "a#2", "a#3"]
    assert store.failures == [
        (f"a#{k}", "duplicate id 'a': an earlier item has it") for k in (2, 3)
    ]
    same(store["a"], record("a"))


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"feature": np.ones((2, 4), np.float32)}, "columns of the items before"),
        ({"feature": np.full((2, 3), np.nan)}, "finite"),
        ({"feature": np.ones((2, 3)), "boxes": np.ones((2, 4))}, "did you mean 'box'"),
        ({"feature": np.ones((2, 3)), "box": np.ones((3, 4))}, r"shape \[2, 4\]"),
        ({"feature": np.array([["a"], ["b"]])}, "expected numbers"),
        ({"feature": np.ones((2, 3)), "label": np.array([0, 2**31])}, "int32 can hold"),
        ({"feature": np.ones((2, 3)), "label": np.array([0, 0.5])}, "int32 can hold"),
        ({"feature": np.ones((2, 3)), "score": np.array([0, 1e300])}, "float32 can hold"),
        ({"box": np.ones((2, 4))}, "expected a column 'feature'"),
        ({"feature": np.float32(3)}, "shape"),
    ],
)
def test_an_item_that_cannot_be_stored_is_a_failed_one(tmp_path, columns, problem):
    with FeatureWriter(tmp_path / "s", kind="regions", job={}) as writer:
        assert writer.add(record("a")) is None
        error = writer.add(FeatureRecord(id="b", columns=columns))
        assert writer.add(record("c")) is None
        assert writer.counts == {"items": 3, "rows": 4, "failed": 1}
    with pytest.raises(AssertionError):
        assert error is None
    import re

    assert re.search(problem, error)
    store = FeatureStore(tmp_path / "s")
    assert store["b"].error == error
    same(store["c"], record("c"))


def test_features_are_rounded_to_the_dtype_and_never_overflow(tmp_path):
    columns = {"feature": np.array([[1.0001, 2.0]], np.float32)}
    with FeatureWriter(tmp_path / "s", kind="regions", job={}, dtype="float16") as writer:
        assert writer.add(FeatureRecord(id="a", columns=columns)) is None
        columns = {"feature": np.array([[1e6, 2.0]], np.float32)}
        assert "finite" in writer.add(FeatureRecord(id="b", columns=columns))
    feature = FeatureStore(tmp_path / "s").rows("feature", 0)
    assert feature.dtype == np.float16
    assert feature.tolist() == [[1.0, 2.0]]


def test_another_job_or_folder_is_refused(tmp_path):
    write(tmp_path / "s", [record("a")])
    with pytest.raises(ConfigError, match="'test' -> 'other'"):
        FeatureWriter(tmp_path / "s", kind="regions", job={"tool": "other"})
    with FeatureWriter(tmp_path / "s", kind="regions", job={"tool": "other"}, force=True) as writer:
        writer.add(record("b"))
    assert FeatureStore(tmp_path / "s").ids == ["b"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(ConfigError, match="new or empty folder"):
            FeatureWriter(tmp_path / "mine", kind="regions", job={}, force=force)
    with pytest.raises(ConfigError, match="did you mean 'regions'"):
        FeatureWriter(tmp_path / "new", kind="region", job={})
    with pytest.raises(ConfigError, match="unknown dtype"):
        FeatureWriter(tmp_path / "new", kind="regions", job={}, dtype="float8")


def test_unknown_ids_and_positions(tmp_path):
    store = write(tmp_path / "s", [record("dog.jpg")])
    with pytest.raises(KeyError, match=r"did you mean 'dog\.jpg'"):
        store["dog.jpeg"]
    for position in (-1, 1):
        with pytest.raises(IndexError):
            store[position]
    assert "dog.jpg" in store
    assert "cat.jpg" not in store


def test_rows_cannot_be_written_through(tmp_path):
    rows = write(tmp_path / "s", [record("a")]).rows("feature", 0)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


def test_checked_records_keep_their_float_type():
    columns = {"feature": np.ones((1, 2), np.float16), "score": np.ones(1, np.float64)}
    checked = check_record("regions", FeatureRecord(id="a", columns=columns)).columns
    assert checked["feature"].dtype == np.float16
    assert checked["score"].dtype == np.float32


@pytest.mark.parametrize("written", range(8))
def test_an_interrupt_in_the_middle_of_an_item_leaves_no_half_one(tmp_path, monkeypatch, written):
    records = [record(f"i{k}", 3) for k in range(5)]
    write(tmp_path / "once", records)
    original = FeatureWriter._write
    left = None

    def interrupted(self, name, value):
        nonlocal left
        if left is not None:
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
        original(self, name, value)

    def fill():
        nonlocal left
        with FeatureWriter(tmp_path / "s", kind="regions", job={"tool": "test"}) as writer:
            writer.add(records[0])
            writer.add(records[1])
            writer.commit()
            left = written
            for one in records[2:]:
                writer.add(one)

    monkeypatch.setattr(FeatureWriter, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill()
    monkeypatch.undo()
    store = FeatureStore(tmp_path / "s", partial=True)
    assert len(store) >= 2
    store.verify()
    for one in records[: len(store)]:
        same(one, store[one.id])
    write(tmp_path / "s", records).verify()
    assert files(tmp_path / "s") == files(tmp_path / "once")


def test_a_pickled_store_holds_its_path_alone(tmp_path, monkeypatch):
    store = write(tmp_path / "s", [record("a", 50, 300), record("b", 2, 300)])
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(FeatureStore("s"))
    assert len(content) < 1000
    monkeypatch.chdir("/")
    same(pickle.loads(content)["b"], store["b"])


def test_numbers_of_numpy_are_numbers_of_items(tmp_path):
    store = write(tmp_path / "s", [record("a"), record("b")])
    assert [store[number].id for number in np.array([1, 0])] == ["b", "a"]


def test_ids_and_errors_with_half_characters_are_stored_once(tmp_path):
    ids = ["a\udc80", "a\udc81", "b"]
    store = write(tmp_path / "s", [replace(record("x"), id=id) for id in ids])
    assert store.ids == ["a?", "a?#2", "b"]
    with FeatureWriter(tmp_path / "s", kind="regions", job={"tool": "test"}) as writer:
        assert all(id in writer for id in ids)
        assert writer.add(record("b")) == "duplicate id 'b': an earlier item has it"
        assert writer.add(FeatureRecord(id="c", error="\udc80.jpg: no such file"))
    store = FeatureStore(tmp_path / "s")
    assert store.ids == ["a?", "a?#2", "b", "b#2", "c"]
    assert store.failures[-1] == ("c", "?.jpg: no such file")
    store.verify()
