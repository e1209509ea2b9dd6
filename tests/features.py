"""Records made for tests, and feature stores of them."""

from __future__ import annotations

import numpy as np

from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter


def record(key, rows=2, width=3, seed=0):
    random = np.random.default_rng([seed, rows, *key.encode()])
    low = random.uniform(0, 30, (rows, 2)).astype(np.float32)
    return FeatureRecord(
        id=key,
        columns={
            "feature": random.normal(size=(rows, width)).astype(np.float32),
            "box": np.concatenate((low, low + 5), axis=1),
            "score": random.random(rows, np.float32),
            "label": random.integers(0, 80, rows).astype(np.int32),
            "size": np.array([40, 50], np.int32),
        },
    )


def write(folder, records, **options):
    with FeatureWriter(folder, kind="regions", job={"tool": "test"}, **options) as writer:
        for one in records:
            if one.id not in writer:
                writer.add(one)
    return FeatureStore(folder)


def same(one, other):
    assert one.id == other.id
    assert one.error == other.error
    assert one.columns.keys() == other.columns.keys()
    for name, value in one.columns.items():
        assert value.dtype == other.columns[name].dtype, name
        np.testing.assert_array_equal(value, other.columns[name], err_msg=name)
