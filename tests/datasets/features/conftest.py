"""Records of images and videos, and their comparison."""

from __future__ import annotations

import numpy as np
import pytest

from graphmatch.feature_record import FeatureRecord


@pytest.fixture(scope="session")
def regions():
    """`regions(count, ...)` -> good records of images; boxes are not whole pixels."""

    def make(count, *, rows=None, width=5, extra=(), seed=0):
        numbers = np.random.default_rng(seed)
        records = []
        for number in range(count):
            r = rows if rows is not None else int(numbers.integers(1, 7))
            size = numbers.integers(200, 700, 2).astype(np.int32)
            corners = np.sort(numbers.random((r, 2, 2), np.float32), axis=1)  # [R, 2, 2]
            columns = {
                "feature": numbers.standard_normal((r, width)).astype(np.float32),
                "box": (corners * size).reshape(r, 4).astype(np.float32),
                "size": size,
                "label": numbers.integers(0, 80, r).astype(np.int32),
                "score": numbers.random(r, np.float32),
                "probability": numbers.random((r, 3), np.float32),
            }
            kept = {n: v for n, v in columns.items() if n in ("feature", "box", "size", *extra)}
            records.append(FeatureRecord(id=str(100 + number), columns=kept))
        return records

    return make


@pytest.fixture(scope="session")
def clips():
    """`clips(count, step)` -> good records of videos whose rows follow each other in steps."""

    def make(count, *, step=1.0, rows=None, width=5, seed=0):
        numbers = np.random.default_rng(seed)
        records = []
        for number in range(count):
            r = rows if rows is not None else int(numbers.integers(1, 7))
            edges = np.arange(r + 1) * step
            columns = {
                "feature": numbers.standard_normal((r, width)).astype(np.float32),
                "time": np.stack([edges[:-1], edges[1:]], axis=1),
                "duration": np.float64(r * step),
            }
            records.append(FeatureRecord(id=f"video{number}", columns=columns))
        return records

    return make


@pytest.fixture(scope="session")
def write():
    """`write(writer, path, records, **options)` -> path, after all records are written."""

    def call(writer, path, records, **options):
        with writer(path, **options) as add:
            for record in records:
                add(record)
        return path

    return call


@pytest.fixture(scope="session")
def assert_same():
    """Every record equal to the bit, in order, with just the columns that are named."""

    def check(found, expected, columns=("feature", "box", "size")):
        found = list(found)
        assert [record.error for record in found] == [None] * len(expected)
        assert [record.id for record in found] == [record.id for record in expected]
        for record, other in zip(found, expected, strict=True):
            assert {*record.columns} == {*columns}
            for name in columns:
                value, wanted = record.columns[name], np.asarray(other.columns[name])
                assert value.dtype == wanted.dtype, name
                assert value.tolist() == wanted.tolist(), name

    return check
