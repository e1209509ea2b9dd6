"""Files of torch.save: what torch reads is read alike; nothing runs, nothing large is made."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import CheckpointError
from graphmatch.torch_file import read_torch_file
from graphmatch.torch_pickle import StoredTensor
from tests.official_files import saved, saved_by_python2

HEAD = b"".join(
    pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
)


@pytest.fixture
def read(tmp_path):
    """`read(bytes)` -> the file; a path for each call."""

    def call(data):
        path = tmp_path / "model.pth.tar"
        path.write_bytes(data)
        return read_torch_file(path)

    return call


@pytest.fixture
def refused(read, tmp_path):
    """`refused(bytes)` -> the message of the error; nothing was made, and it took no time."""

    def call(data):
        tracemalloc.start()
        started = time.perf_counter()
        try:
            with pytest.raises(CheckpointError) as caught:
                read(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 50 * len(data) + 2_000_000
        assert time.perf_counter() - started < 5
        assert [path.name for path in tmp_path.iterdir()] == ["model.pth.tar"]
        return str(caught.value)

    return call


def filled(file, value):
    """The value with tensors in the place of descriptions."""
    if isinstance(value, StoredTensor):
        return file.tensor(value)
    if isinstance(value, dict):
        return {key: filled(file, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(file, item) for item in value)
    return value


def same(one, two):
    if isinstance(two, torch.Tensor):
        return one.dtype == two.dtype and one.shape == two.shape and torch.equal(one, two)
    if isinstance(two, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in two)
    if isinstance(two, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip
tensors = st.builds(
    lambda dtype, shape, view: view(torch.arange(1, 1 + int(np.prod(shape))).view(shape).to(dtype)),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from(
        [lambda x: x, lambda x: x.mT if x.dim() > 1 else x, lambda x: x[1:] if x.dim() else x]
    ),
)  # fmt: skip
contents = st.recursive(
    tensors | st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=300)
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(collections.OrderedDict),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150)
@given(content=contents, zipped=st.booleans())
def test_what_torch_reads_is_read_alike(tmp_path_factory, content, zipped):
    path = tmp_path_factory.getbasetemp() / "same.pth"
    path.write_bytes(saved(content, zipped=zipped))
    expected = torch.load(path, weights_only=True)
    file = read_torch_file(path)
    assert same(filled(file, file.value), filled(file, expected))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_official_checkpoints_hold_beside_tensors(read, zipped):
    module = torch.nn.Linear(2, 3)
    content = {
        "model": [module.state_dict(), {"p": module.weight}],
        "opt": argparse.Namespace(margin=0.2, bi_gru=True, name="a" * 300, size=[1, 2]),
        "empty": argparse.Namespace(),
        "best_rsum": np.float64(446.25),
        "hits": np.int64(3),
        "shape": torch.Size([2, 3]),
    }
    file = read(saved(content, zipped=zipped))
    assert file.value["opt"] == vars(content["opt"])
    assert file.value["empty"] == {}
    assert (file.value["best_rsum"], file.value["hits"]) == (446.25, 3)
    assert file.value["shape"] == (2, 3)
    weights, parameter = file.value["model"]
    assert list(weights) == ["weight", "bias"]
    assert torch.equal(file.tensor(weights["weight"]), module.weight)
    assert torch.equal(file.tensor(parameter["p"]), module.weight)
    assert not file.tensor(parameter["p"]).requires_grad


def test_files_of_python2(read):
    options = argparse.Namespace(margin=0.2, data_path="/data/", text="é" * 300)
    state = torch.nn.Linear(2, 3).state_dict()
    content = {"model": [state], "opt": options, "best_rsum": np.float64(446.25)}
    data = saved_by_python2(content)
    assert b"T,\x01\x00\x00" in data  # a string of bytes, which torch's own loader does not take
    assert b"_rebuild_tensor\n" in data
    file = read(data)
    assert file.value["opt"] == vars(options)
    assert file.value["best_rsum"] == 446.25
    assert same(filled(file, file.value["model"]), [dict(state)])


def test_parts_of_storages(read):
    whole = torch.arange(12.0).view(3, 4)
    file = read(saved({"whole": whole, "row": whole[1], "column": whole[:, 2]}, zipped=False))
    assert same(filled(file, file.value), {"whole": whole, "row": whole[1], "column": whole[:, 2]})
    assert len(file.contents) == 1
    # torch before 1.0 names a part of a storage in the storage itself
    part = StoredTensor(file.value["row"].storage, 0, (2,), (1,))
    object.__setattr__(part, "storage", type(part.storage)("float32", part.storage.key, 12, (5, 2)))
    assert file.tensor(part).tolist() == [5.0, 6.0]


# what is refused


class Run:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Run(os.system, "touch hit"), "system"),
        (Run(eval, "open('hit', 'w')"), "eval"),
        (Run(getattr, "a", "upper"), "getattr"),
        (Run(torch.load, "hit"), "torch.serialization.load"),
        (Run(torch.zeros, 10**9), "getattr"),
        (Run(torch._utils._rebuild_qtensor, 1), "_rebuild_qtensor"),
        (Run(torch.FloatTensor, 3), "FloatTensor"),
        (Run(argparse.ArgumentParser), "ArgumentParser"),
        (Run(open, "hit", "w"), "open"),
        (Run(__import__, "os"), "__import__"),
    ],
)
def test_nothing_runs(refused, tmp_path, monkeypatch, call, name, zipped):
    monkeypatch.chdir(tmp_path)
    data = saved({"model": [call]}, zipped=zipped)
    assert name in refused(data)


def bomb(body):
    return HEAD + b"\x80\x02" + body + b"." + pickle.dumps([], 2)


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"


@pytest.mark.parametrize(
    "body",
    [
        b"cbuiltins\nbytearray\n\x8a\x05\x00\x5e\xd0\xb2\x00\x85R",  # 3 GB in torch's own loader
        b"ctorch\nFloatStorage\nJ\x00\x00\x00\x7f\x85R",
        b"ctorch\nFloatStorage\nJ\x00\x00\x00\x7f\x85\x81",
        b"cargparse\nNamespace\n)R",
        b"cargparse\nNamespace\nK\x01\x85\x81",
        b"ccollections\nCounter\n)R",
        b"(X\x06\x00\x00\x00module" + b"X\x01\x00\x00\x00at" + b"Q",
        b"K\x01Q",
        STORAGE + b"NtQ",
        b"ctorch._utils\n_rebuild_tensor\n(NK\x00))tR",
        b"cargparse\nNamespace\n",
        b"}cargparse\nNamespace\nb",
        b"}}X\x05\x00\x00\x00classK\x01sb0",
        b"]}b",
        b"\x8b\xff\xff\xff\x7f",
        b"X\xff\xff\xff\x7fabc",
    ],
)
def test_what_only_looks_like_a_checkpoint(refused, body):
    refused(bomb(body))


@pytest.mark.parametrize("zipped", [True, False])
def test_cut_and_changed_files_end_in_one_error(read, zipped):
    data = saved({"model": [torch.nn.Linear(3, 2).state_dict()], "epoch": 3}, zipped=zipped)
    for end in range(0, len(data) - 1, max(1, len(data) // 150)):
        try:
            file = read(data[:end])
            filled(file, file.value)
        except CheckpointError:
            continue
        raise AssertionError(f"read {end} of {len(data)} bytes")
    random = np.random.default_rng(0)
    for place, value in zip(
        random.integers(len(data), size=300), random.integers(256, size=300), strict=True
    ):
        changed = bytearray(data)
        changed[place] = value
        try:
            file = read(bytes(changed))
            filled(file, file.value)
        except CheckpointError:
            pass


def test_other_files(refused, tmp_path):
    assert "no file of torch.save" in refused(b"")
    assert "no file of torch.save" in refused(b"\x89PNG\r\n")
    assert "another kind of pickle" in refused(pickle.dumps({"a": 1}, 2) * 2)
    assert "tar archive, of torch before 2017" in refused(b"\0" * 257 + b"ustar" + b"\0" * 300)
    assert "no data.pkl" in refused(archive({"a.txt": b"a"}))
    assert "TorchScript" in refused(archive({"m/data.pkl": b"N.", "m/constants.pkl": b"N."}))
    assert "big-endian" in refused(archive({"m/data.pkl": b"N.", "m/byteorder": b"big"}))
    big = HEAD.replace(b"\x88", b"\x89")  # True to False
    assert "big-endian" in refused(big + b"\x80\x02N." + pickle.dumps([], 2))
    with pytest.raises(CheckpointError, match="no such file"):
        read_torch_file(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="no such file"):
        read_torch_file(tmp_path)


def archive(parts, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return stream.getvalue()


def test_archives_are_not_unpacked(refused):
    zeros = bytes(300_000_000)
    parts = {"m/data.pkl": b"\x80\x02N.", "m/data/0": zeros}
    data = archive(parts, zipfile.ZIP_DEFLATED)
    assert len(data) < 400_000
    del zeros, parts
    assert "compressed" in refused(data)


def test_archives_whose_parts_overlap_are_refused(refused):
    """Many names for the same bytes: each as long as the whole file."""
    content = bytes(200_000)
    data = archive({"m/data.pkl": b"\x80\x02N.", "m/data/0": content})
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", data[end + 16 : end + 20])[0]
    directory = data[start:end]
    entry = directory[directory.rindex(b"PK\x01\x02") :]
    more = directory + b"".join(entry.replace(b"data/0", b"data/%c" % n) for n in range(49, 58))
    counts = struct.pack("<HHII", 11, 11, len(more), start)
    refused(data[:start] + more + data[end : end + 8] + counts + data[end + 20 :])


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (13,), (1,)),
        (0, (10**6, 10**6), (0, 0)),
        (5, (8,), (1,)),
        (0, (3, 4), (5, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2, -3), (1, 1)),
        (0, (2, 2), (1,)),
        (0, (1,) * 40, (1,) * 40),
        (0, (10**30, 0), (1, 1)),
    ],
)
def test_tensors_stay_in_their_storage(read, offset, size, stride):
    file = read(saved({"a": torch.arange(12.0)}))
    with pytest.raises(CheckpointError):
        file.tensor(StoredTensor(file.value["a"].storage, offset, size, stride))
    storage = file.value["a"].storage
    for numel in (11, 13, 10**12):
        wrong = type(storage)("float32", storage.key, numel)
        with pytest.raises(CheckpointError, match="missing or cut off"):
            file.tensor(StoredTensor(wrong, 0, (2,), (1,)))
    part = type(storage)("float32", storage.key, 12, (8, 5))
    with pytest.raises(CheckpointError, match="not there"):
        file.tensor(StoredTensor(part, 0, (2,), (1,)))


def test_deep_files_do_not_overflow_the_stack(read):
    deep = b"(" * 200_000 + b"l" * 200_000
    file = read(bomb(deep))
    value = file.value
    while value:  # taken apart by hand: freeing it is as deep
        value = value.pop()
