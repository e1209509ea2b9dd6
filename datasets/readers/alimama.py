"""Alimama's ad impressions with 50 earlier behaviours each, in the layout of DMR.

Source: Deep Match to Rank (AAAI 2020), from the public data set of ad display and click (Tianchi).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graphmatch.click_features import Feature, Sequence, Splitting
from graphmatch.click_log import SPLITS, ClickLog, Skipped, table_log
from graphmatch.click_schema import ClickSchema
from graphmatch.datasets.text_files import read_lines
from graphmatch.errors import ConfigError, FormatError

_STEPS = 50
_COLUMNS = 267
_HISTORIES = {"types": 0, "categories": 50, "brands": 100}
_MASK = 150
_NUMBERS = {
    "user": 250,
    "cms_segid": 251,
    "cms_group_id": 252,
    "gender": 253,
    "age_level": 254,
    "pvalue_level": 255,
    "shopping_level": 256,
    "occupation": 257,
    "new_user_class_level": 258,
    "ad": 259,
    "category": 260,
    "campaign": 261,
    "customer": 262,
    "brand": 263,
    "price": 264,
    "pid": 265,
    "label": 266,
}
_USER = tuple(_NUMBERS)[1:9]


def alimama_schema() -> ClickSchema:
    """Impressions of ads; steps of histories have category, brand and type.

    Returns:
        The schema: `ids` are ad, category, campaign, customer and brand, `price` is in buckets.
    """
    names = ("ad", "category", "campaign", "customer", "brand")
    return ClickSchema(
        user="user",
        item="ad",
        label="label",
        behaviours="sequences",
        items=(
            *(Feature(name=name, kind="ids", modality="ids") for name in names),
            Feature(name="price", kind="buckets"),
        ),
        properties=(Feature(name="type", kind="ids"),),
        context=tuple(Feature(name=name, kind="ids") for name in (*_USER, "pid")),
        sequences=(
            Sequence(column="categories", of="category"),
            Sequence(column="brands", of="brand"),
            Sequence(column="types", of="type"),
        ),
        splitting=Splitting(by="column", column="split"),
    )


def read_alimama(
    path: str | Path,
    *,
    schema: ClickSchema | None = None,
    train: float = 0.8,
    test: float = 0.9,
) -> ClickLog:
    """Impressions with the histories that they bring along.

    The file has no times and says nothing of splits: the first users in it are for training, the
    last ones for testing, so that no user is in two splits.

    Args:
        path: text without a header, 267 numbers a line.
        schema: what to make of the columns; without, that of `alimama_schema`.
        train: part of the users before which they are for training.
        test: part from which on they are for testing.

    Returns:
        The log, in memory. Steps of histories that are padding are left out; lines of another form
        are counted.

    Raises:
        FormatError: no such file, or no line of the form.
        ConfigError: impossible parts.
    """
    if not 0 <= train <= test <= 1:
        raise ConfigError(f"expected 0 <= train <= test <= 1 (got {train} and {test})")
    rows, skipped = _rows(path)
    table: dict[str, Any] = {}
    mask = rows[:, _MASK : _MASK + _STEPS] > 0
    offsets = pa.array(np.append(0, np.cumsum(mask.sum(axis=1))), pa.int32())
    for name, start in _HISTORIES.items():
        values = rows[:, start : start + _STEPS][mask]
        table[name] = pa.ListArray.from_arrays(offsets, pa.array(values.astype(np.int64)))
    for name, column in _NUMBERS.items():
        values = rows[:, column]
        table[name] = values if name == "price" else values.astype(np.int64)
    _, first, user = np.unique(rows[:, 250], return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[user] / len(first)  # of the user, in the file's order
    split = (place >= train).astype(int) + (place >= test)
    table["split"] = pa.array(np.array(SPLITS)[split])
    return table_log(
        schema or alimama_schema(),
        pa.table(table),
        sources=[path],
        skipped=skipped,
        options={"train": train, "test": test},
    )


def _rows(path: str | Path) -> tuple[NDArray[np.float64], Skipped]:
    rows, bad, skipped = [], [], Skipped()
    for number, line, error in read_lines(path):
        try:
            row = np.array(line.split(","), np.float64)
        except ValueError:
            row = np.zeros(0)
        if error is None and len(row) == _COLUMNS and np.isfinite(row).all():
            rows.append(row)
        else:
            bad.append(number - 1)
    skipped.add(f"expected {_COLUMNS} numbers", bad)
    if not rows:
        raise FormatError(f"{path}: expected lines of {_COLUMNS} numbers (got none)")
    return np.stack(rows), skipped
