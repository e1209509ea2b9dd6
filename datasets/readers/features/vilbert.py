"""LMDB files of ViLBERT and InterBERT for fine-tuning: a pickled dict an image.

The key `keys` holds the pickled list of ids; each id the pickled fields `image_id`, `image_h`,
`image_w`, `num_boxes`, `features`, `boxes`, perhaps `cls_prob`, the arrays in base64. Nothing
pickled is run.

Source: ViLBERT (NeurIPS 2019), official code, `datasets/_image_features_reader.py`; InterBERT.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from graphmatch.datasets.features.base64_fields import SPELLINGS, decode_fields, encode_fields
from graphmatch.datasets.features.lmdb_writer import write_lmdb
from graphmatch.datasets.features.records import Add, item_id, make_record
from graphmatch.datasets.features.vilbert_pretraining import KEYS, read_datapoints
from graphmatch.errors import FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.lmdb_file import LmdbFile
from graphmatch.safe_pickle import safe_loads

_IDS = b"keys"


def read_vilbert(path: str | Path) -> Iterator[FeatureRecord]:
    """Images of an LMDB file of ViLBERT or InterBERT, for fine-tuning or pre-training.

    Args:
        path: the file, or the folder with `data.mdb`. It is only read, and not locked.

    Yields:
        A record of kind `regions` an image in the order of the list of ids: feature [R, F],
        box [R, 4], size, and probability [R, C] if there is one. An image that is missing or
        damaged is a failed record.

    Raises:
        FormatError: no such file, no LMDB, no list of ids.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> columns = {"feature": np.eye(2), "box": [[0, 0, 4, 3], [1, 1, 2, 3]], "size": [8, 6]}
        >>> folder = Path(tempfile.mkdtemp()) / "a.lmdb"
        >>> with write_vilbert(folder) as add:
        ...     add(FeatureRecord(id="7", columns=columns))
        >>> [(record.id, record.columns["size"].tolist()) for record in read_vilbert(folder)]
        [('7', [8, 6])]
    """
    with LmdbFile(path) as file:
        listed = file.get(_IDS)
        if listed is None and file.get(KEYS) is not None:
            yield from read_datapoints(file)
            return
        if listed is None:
            raise FormatError(f"{path}: expected a key 'keys' (fine-tuning) or '__keys__'")
        ids = safe_loads(listed, name=f"{path}: keys")
        if not isinstance(ids, list | tuple):
            raise FormatError(f"{path}: keys: expected a list of ids (got {type(ids).__name__})")
        seen: set[str] = set()
        for place, raw in enumerate(ids):
            try:
                key = item_id(raw)
            except FormatError as error:
                yield FeatureRecord(id=f"key-{place}", error=str(error))
                continue
            if key in seen:  # not read again: a small file could have it read without an end
                yield FeatureRecord(id=key, error=f"duplicate id {key!r} in the list of ids")
                continue
            seen.add(key)
            name = raw if isinstance(raw, bytes) else key.encode()
            yield make_record("regions", key, partial(_columns, file, name))


def _columns(file: LmdbFile, name: bytes) -> dict[str, Any]:
    value = file.get(name) if name else None
    if value is None:
        raise FormatError("expected a value of this id (there is none)")
    fields = safe_loads(value, name="the value")
    if not isinstance(fields, dict):
        raise FormatError(f"expected a dict of fields (got {type(fields).__name__})")
    texts = {item_id(k, "name of a field"): v for k, v in fields.items()}
    return decode_fields({SPELLINGS.get(k, k): v for k, v in texts.items()})


@contextmanager
def write_vilbert(path: str | Path, *, force: bool = False) -> Iterator[Add]:
    """An LMDB folder for fine-tuning, as the official code of ViLBERT and InterBERT opens it.

    Args:
        path: the folder.
        force: overwrite a database that is there.

    Yields:
        A function that adds a record of kind `regions` with boxes and size. Features become
        float32.

    Raises:
        ConfigError: the lmdb package is missing, or a database is there.
        FormatError: by the function, for a record without boxes or size.
    """
    ids: list[bytes] = []
    with write_lmdb(path, folder=True, force=force) as put:

        def add(record: FeatureRecord) -> None:
            key = record.id.encode()
            if key == _IDS:
                raise FormatError("'keys': expected another id (this is the list of ids)")
            put(key, pickle.dumps(encode_fields(record), protocol=2))
            ids.append(key)

        yield add
        put(_IDS, pickle.dumps(ids, protocol=2))
