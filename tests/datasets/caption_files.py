"""Files of captions made for tests, and what is read from them."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq

from graphmatch.datasets.captions import read_captions


def read(folder, name, content, **options):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_captions(path, **options))


def texts(found):
    return [caption.text for caption in found]


def errors(found):
    return [caption.error for caption in found]


def parquet(table):
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)
