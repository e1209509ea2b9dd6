"""A small click log, and what comes of it as plain loops have it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from graphmatch.click_features import Feature, Splitting, Statistic
from graphmatch.click_schema import ClickSchema


def schema(**changes):
    """Events of users with items of every kind of modality."""
    fields = {
        "user": "user",
        "item": "item",
        "time": "time",
        "label": "label",
        "items": (
            Feature(name="item_id", kind="ids", column="item", modality="ids"),
            Feature(name="brand", kind="ids", modality="ids", min_count=2),
            Feature(name="title", kind="words", length=3),
            Feature(name="image", kind="vector"),
            Feature(name="price", kind="buckets", buckets=3, modality="stat"),
        ),
        "properties": (Feature(name="type", kind="ids", column="action"),),
        "context": (
            Feature(name="user_id", kind="ids", column="user"),
            Feature(name="age", kind="number"),
        ),
        "statistics": (
            Statistic(name="seen", of="count", buckets=3),
            Statistic(name="liked", of="mean", buckets=3),
            Statistic(name="sold", of="count", over="train", buckets=3),
        ),
    }
    return ClickSchema(**{**fields, **changes})


def log_table(rows=80, *, users=5, items=8, seed=0):
    """Rows with many equal times."""
    numbers = np.random.default_rng(seed)
    return pa.table(
        {
            "user": [f"u{n}" for n in numbers.integers(users, size=rows)],
            "item": [f"i{n}" for n in numbers.integers(items, size=rows)],
            "time": numbers.integers(rows // 2, size=rows) * 60,
            "label": numbers.integers(2, size=rows),
            "action": [("view", "cart")[n] for n in numbers.integers(2, size=rows)],
            "age": numbers.integers(20, 60, size=rows),
        }
    )


def item_table(items=8):
    """Items; the last two have no image, the first no title."""
    images = [None if n >= items - 2 else [float(n), 1.0, 0.5] for n in range(items)]
    return pa.table(
        {
            "item": [f"i{n}" for n in range(items)],
            "brand": [f"b{n % 3}" if n else None for n in range(items)],
            "title": [None, *[f"Red no {n}, size {n % 2}" for n in range(1, items)]],
            "image": images,
            "price": [None if n == 1 else n * 1.5 for n in range(items)],
        }
    )


def column_schema(**changes):
    """The same with a column of splits."""
    return schema(splitting=Splitting(by="column", column="split"), **changes)


def before(rows, place, order=None):
    """Places of the rows that are before one, oldest first; ties in the order of the file."""
    own = rows[place]
    key = (lambda row: (row["time"], row[order])) if order else (lambda row: row["time"])
    found = [k for k, row in enumerate(rows) if row["user"] == own["user"] and key(row) < key(own)]
    return sorted(found, key=lambda k: (key(rows[k]), k))
