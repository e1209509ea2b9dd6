"""`read_torch_file`: the content of a file of `torch.save`, without running anything in it.

Three formats exist: zip archives (torch 1.6 and later), a sequence of pickles with the numbers
behind them (torch 0.1.10 to 1.5, whatever the file's name: `model_best.pth.tar` is no tar archive),
and tar archives (before 2017, refused). `torch.load(weights_only=True)` runs no foreign code, but
takes no `argparse.Namespace`, no numpy scalar and no long string of Python 2, which official
checkpoints hold, unless the whole process is told to; and it makes what a pickle asks for before it
is checked: 87 bytes take 3 GB. Here memory is bounded by the length of the file.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphmatch.errors import CheckpointError, FormatError
from graphmatch.torch_pickle import Storage, StoredTensor, TorchPickle

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchFile:
    """What is in a file of `torch.save`.

    Args:
        value: dicts, lists and plain values; a `StoredTensor` where the file has a tensor.
        contents: bytes of each storage.
        size: length of the file in bytes.
    """

    value: Any
    contents: Mapping[str, memoryview]
    size: int

    def tensor(self, stored: StoredTensor) -> Tensor:
        """A tensor of the file.

        Args:
            stored: found in `value`.

        Returns:
            A copy of its numbers, on the CPU.

        Raises:
            CheckpointError: it reaches out of its storage, or repeats numbers of it.
        """
        storage, size, stride = stored.storage, stored.size, stored.stride
        dtype: torch.dtype = getattr(torch, storage.dtype)
        width = dtype.itemsize
        content = self.contents.get(storage.key)
        if content is None or len(content) != storage.numel * width:
            raise CheckpointError("the numbers are missing or cut off")
        first, count = storage.view or (0, storage.numel)
        if first < 0 or count < 0 or first + count > storage.numel:
            raise CheckpointError("it is a part of numbers that are not there")
        content = content[first * width : (first + count) * width]
        numbers = (stored.offset, *size, *stride)
        if (
            len(size) != len(stride)
            or len(size) > 8
            or not 0 <= min(numbers) <= max(numbers) < _MOST
        ):
            raise CheckpointError(f"expected a shape of at most 8 axes (got {len(size)})")
        entries = math.prod(size)
        steps = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if entries > count or (entries and stored.offset + steps >= count):
            raise CheckpointError(f"the shape {list(size)[:5]} needs more numbers than it has")
        if not entries:
            return torch.empty(size, dtype=dtype)
        flat = torch.frombuffer(bytearray(content), dtype=dtype)
        return flat.as_strided(size, stride, stored.offset).contiguous()


def read_torch_file(path: str | Path) -> TorchFile:
    """Read a file of `torch.save`; no pickle is executed.

    Args:
        path: the file, of any name.

    Returns:
        Its content; the file is in memory up to two times.

    Raises:
        CheckpointError: no such file, another format, a damaged file, or one that asks for anything
            but plain values, namespaces of options and tensors.

    Example:
        >>> import argparse, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "model.pth"
        >>> content = {"epoch": 3, "opt": argparse.Namespace(margin=0.2), "bias": torch.ones(2)}
        >>> torch.save(content, path)
        >>> file = read_torch_file(path)
        >>> file.value["epoch"], file.value["opt"], file.tensor(file.value["bias"])
        (3, {'margin': 0.2}, tensor([1., 1.]))
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file")
    data = Path(path).read_bytes()
    try:
        if data[:2] == b"PK":
            value, contents = _read_zip(data)
        elif data[257:262] == b"ustar":
            raise FormatError(
                "it is a tar archive, of torch before 2017; load it and save it again with torch "
                "1.0"
            )
        elif data[:1] == b"\x80":
            value, contents = _read_sequence(data)
        else:
            raise FormatError(f"it begins with {data[:8]!r}")
    except (FormatError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: no file of torch.save that can be read: {error}") from error
    except (
        ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError,
        OSError, RuntimeError, TypeError, ValueError, Warning, struct.error,
    ) as error:  # fmt: skip
        raise CheckpointError(f"{path}: no file of torch.save, or a damaged one") from error
    return TorchFile(value=value, contents=contents, size=len(data))


def _read_zip(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        packed = [name for name, entry in entries.items() if entry.compress_type]
        if packed or sum(entry.file_size for entry in entries.values()) > len(data):
            raise FormatError(f"its parts are compressed, which torch does not do {packed[:1]}")
        pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise FormatError("the archive has no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in entries:
            raise FormatError("it is a TorchScript program; save the state dict instead")
        order = f"{folder}byteorder"
        if order in entries and archive.read(order) != b"little":
            raise FormatError("its numbers are big-endian")
        value, _ = _read_pickle(archive.read(pickles[0]), 0)
        start = f"{folder}data/"
        contents = {
            name.removeprefix(start): memoryview(archive.read(name))
            for name in entries
            if name.startswith(start)
        }
    return value, contents


def _read_sequence(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    magic, place = _read_pickle(data, 0)
    version, place = _read_pickle(data, place)
    if magic != _MAGIC or version != _PROTOCOL:
        raise FormatError("another kind of pickle")
    system, place = _read_pickle(data, place)
    if system.get("little_endian") is False:
        raise FormatError("its numbers are big-endian")
    value, place = _read_pickle(data, place)
    order, place = _read_pickle(data, place)
    dtypes = _dtypes(value)
    contents = {}
    for key in order:
        (count,) = struct.unpack_from("<q", data, place)
        start = place + 8
        place = start + count * getattr(torch, dtypes[key]).itemsize
        if count < 0 or place > len(data):
            raise FormatError("the file is cut off")
        contents[key] = memoryview(data)[start:place]
    return value, contents


def _read_pickle(data: bytes, start: int) -> tuple[Any, int]:
    """The value of a pickle, and where the next one starts."""
    machine = TorchPickle(data, start=start)
    try:
        return machine.run(), machine.place + 1
    except FormatError as error:
        raise FormatError(f"byte {machine.place}: {error}") from error


def _dtypes(value: Any) -> dict[str, str]:
    """Type of the numbers of each storage that a value uses."""
    found: dict[str, str] = {}
    seen: set[int] = set()
    rest = [value]
    while rest:  # values may be nested deeper than calls can be
        item = rest.pop()
        if isinstance(item, StoredTensor):
            item = item.storage
        if isinstance(item, Storage):
            found[item.key] = item.dtype
        elif isinstance(item, (dict, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            rest.extend(item.values() if isinstance(item, dict) else item)
    return found
