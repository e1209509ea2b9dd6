"""LMDB files of ViLBERT and InterBERT for pre-training: tensorpack's datapoints.

The key `__keys__` holds the list of keys, each key a datapoint `[features, class distribution,
boxes, number of boxes, image height, image width, image id, caption]`, both in msgpack with
msgpack-numpy's arrays, or pickled. Nothing pickled is run. Captions are not kept.

Source: ViLBERT (NeurIPS 2019), official code, `datasets/concept_cap_dataset.py`; tensorpack,
`dataflow/serialize.py`; InterBERT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from graphmatch.datasets.features.lmdb_writer import write_lmdb
from graphmatch.datasets.features.records import Add, item_id, make_record, wanted, whole_number
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.lmdb_file import LmdbFile
from graphmatch.raw_array import plain_dtype, raw_array
from graphmatch.safe_pickle import safe_loads

KEYS = b"__keys__"
"""The key of the list of keys."""


def read_datapoints(file: LmdbFile) -> Iterator[FeatureRecord]:
    """Images of a pre-training file that is open.

    Args:
        file: the file.

    Yields:
        A record of kind `regions` an image in the order of the list of keys. An image that comes
        again with the same content, with another caption, is passed over; a damaged datapoint is a
        failed record.

    Raises:
        FormatError: the list of keys is damaged.
        ConfigError: the msgpack package is missing.
    """
    listed = _load(file.get(KEYS) or b"", f"{file.path}: __keys__")
    if not isinstance(listed, list | tuple):
        raise FormatError(f"{file.path}: __keys__: expected a list (got {type(listed).__name__})")
    digests: dict[str, bytes] = {}
    seen: set[str] = set()
    for place, raw in enumerate(listed):
        try:
            point = _datapoint(file, raw, seen)
            key = item_id(point[6])
        except FormatError as error:
            yield FeatureRecord(id=f"datapoint-{place}", error=str(error))
            continue
        record = make_record("regions", key, partial(_columns, point))
        if record.error is None:
            digest = _digest(record)
            if digests.get(key) == digest:
                continue  # the same image with another caption
            digests.setdefault(key, digest)
        yield record


def _datapoint(file: LmdbFile, raw: object, seen: set[str]) -> Sequence[Any]:
    name = item_id(raw, "key")
    if name in seen:  # not read again: a small file could have it read without an end
        raise FormatError(f"key {name!r}: an earlier place of the list has it")
    seen.add(name)
    value = file.get(raw if isinstance(raw, bytes) else name.encode())
    if value is None:
        raise FormatError(f"key {name!r}: expected a value (there is none)")
    point = _load(value, f"key {name!r}")
    if not isinstance(point, list | tuple) or len(point) != 8:
        raise FormatError(f"key {name!r}: expected a datapoint of 8 parts")
    return point


def _columns(point: Sequence[Any]) -> dict[str, Any]:
    count = whole_number(point[3], "number of boxes")
    size = [
        whole_number(point[5], "image width", least=1),
        whole_number(point[4], "image height", least=1),
    ]
    columns: dict[str, Any] = {"size": size}
    for name, value in (("feature", point[0]), ("probability", point[1]), ("box", point[2])):
        if not isinstance(value, np.ndarray) or value.ndim != 2 or len(value) != count:
            raise FormatError(f"{name}: expected an array of {count} rows, one a box")
        columns[name] = value
    return columns


def _digest(record: FeatureRecord) -> bytes:
    digest = blake2b(digest_size=16)
    for name, value in record.columns.items():
        digest.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
    return digest.digest()


def _load(content: bytes, name: str) -> Any:
    """A value in msgpack, or pickled: a pickle starts as a map would, and there is none."""
    if content[:1] == b"\x80":
        return safe_loads(content, name=name)
    msgpack = _import_msgpack()
    try:
        return msgpack.unpackb(content, object_hook=_array)
    except (msgpack.UnpackException, ValueError, TypeError, MemoryError) as error:
        raise FormatError(f"{name}: expected msgpack or a pickle ({error})") from error


def _import_msgpack() -> Any:
    try:
        import msgpack
    except ImportError as error:
        raise ConfigError(
            "LMDB files of tensorpack need msgpack: pip install 'graphmatch[lmdb]'"
        ) from error
    return msgpack


def _array(fields: dict[Any, Any]) -> Any:
    """An array or number of msgpack-numpy; other maps as they are."""
    texts = {k.decode("latin-1") if isinstance(k, bytes) else k: v for k, v in fields.items()}
    if "nd" not in texts:
        return fields
    shape, content = texts.get("shape", []), texts.get("data")
    if not isinstance(shape, list) or not isinstance(content, bytes):
        raise FormatError("expected an array of msgpack-numpy")
    array = raw_array(content, plain_dtype(texts.get("type")), shape if texts["nd"] else [])
    return array if texts["nd"] else array[()]


@contextmanager
def write_vilbert_pretraining(
    path: str | Path, *, captions: Mapping[str, Sequence[str]] | None = None, force: bool = False
) -> Iterator[Add]:
    """An LMDB file for pre-training, as tensorpack's `LMDBSerializer` writes it with msgpack.

    Args:
        path: the file.
        captions: captions by image; each makes a datapoint. An image without one gets one
            datapoint with an empty caption.
        force: overwrite a file that is there.

    Yields:
        A function that adds a record of kind `regions` with boxes, size and probabilities.
        Numbers become float32.

    Raises:
        ConfigError: the lmdb or msgpack package is missing, or a file is there.
        FormatError: by the function, for a record without one of them.

    Example:
        >>> import tempfile
        >>> from graphmatch.datasets.features.vilbert import read_vilbert
        >>> columns = {"feature": [[1.0]], "probability": [[0.5, 0.5]], "box": [[0, 0, 4, 3]]}
        >>> path = Path(tempfile.mkdtemp()) / "a.lmdb"
        >>> with write_vilbert_pretraining(path, captions={"7": ["a dog", "a pet"]}) as add:
        ...     add(FeatureRecord(id="7", columns={**columns, "size": np.array([8, 6])}))
        >>> [record.id for record in read_vilbert(path)]
        ['7']
    """
    msgpack = _import_msgpack()
    keys: list[bytes] = []
    with write_lmdb(path, folder=False, force=force) as put:

        def add(record: FeatureRecord) -> None:
            values = wanted(record, "feature", "probability", "box", "size")
            feature, probability, box = map(_fields, values[:3])
            width, height = (int(number) for number in values[3])
            for caption in (captions or {}).get(record.id) or [""]:
                point = [
                    feature, probability, box, len(record), height, width, record.id, caption
                ]  # fmt: skip
                key = f"{len(keys):08}".encode()
                put(key, msgpack.packb(point))
                keys.append(key)

        yield add
        put(KEYS, msgpack.packb(keys))


def _fields(value: Any) -> dict[bytes, Any]:
    array = np.ascontiguousarray(value, "<f4")
    return {
        b"nd": True,
        b"type": array.dtype.str,
        b"kind": b"",
        b"shape": array.shape,
        b"data": array.tobytes(),
    }
