"""`fit_encoder`: a `ClickEncoder` from the training rows of a log and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature
from graphmatch.click_items import ItemColumns
from graphmatch.click_reading import RawLog


def fit_encoder(
    raw: RawLog, items: ItemColumns | None, train: NDArray[np.bool_], length: NDArray[np.integer]
) -> ClickEncoder:
    """Fit vocabularies, buckets, scales and widths; statistics are fitted later.

    Each training row counts once, also for the features of its item: those of items without a
    training row count nothing.

    Args:
        raw: the rows.
        items: features of items; None if rows bring them and their histories along.
        train: [n] training rows.
        length: [n] steps of the histories that rows bring along; [0] without.

    Returns:
        The encoder.
    """
    encoder, schema = ClickEncoder(schema=raw.schema), raw.schema
    item = raw.column("@item")
    assert item is not None
    weights = np.zeros(0) if items is None else np.bincount(item[train], minlength=len(items))
    steps = np.zeros(0, bool) if schema.of_events else np.repeat(train, length)
    counts: dict[str, NDArray[np.float64]] = {}
    for feature in schema.features:
        of_items = items is not None and feature in schema.items
        if _has_values(feature):
            if of_items:
                assert items is not None
                found = items.count_values(feature, weights)
            else:
                found = _count(raw, feature, train, steps)
            owner = feature.vocabulary or feature.name
            counts[owner] = _sum(counts.get(owner), found)
        elif of_items:
            assert items is not None
            items.fit(feature, encoder, weights)
        else:
            _fit(raw, feature, train, steps, encoder)
    for feature in schema.features:
        if feature.name in counts:
            values = raw.codes_of(feature).values
            padded = np.zeros(len(values))
            padded[: len(counts[feature.name])] = counts[feature.name]
            encoder.fit_values(feature, values, padded)
    return encoder


def _has_values(feature: Feature) -> bool:
    return feature.kind in ("words", "labels") or (feature.kind == "ids" and feature.size is None)


def _count(
    raw: RawLog, feature: Feature, train: NDArray[np.bool_], steps: NDArray[np.bool_]
) -> NDArray[np.float64]:
    total = np.zeros(len(raw.codes_of(feature)))
    for name, rows in ((feature.name, train), (f"step:{feature.name}", steps)):
        column = raw.column(name)
        if column is not None:
            values = column[rows]
            total += np.bincount(values[values >= 0], minlength=len(total))
    return total


def _sum(one: NDArray[np.float64] | None, other: NDArray[np.float64]) -> NDArray[np.float64]:
    if one is None:
        return other
    total = np.zeros(max(len(one), len(other)))
    total[: len(one)] += one
    total[: len(other)] += other
    return total


def _fit(
    raw: RawLog,
    feature: Feature,
    train: NDArray[np.bool_],
    steps: NDArray[np.bool_],
    encoder: ClickEncoder,
) -> None:
    column, rows = raw.column(feature.name), train
    if column is None:  # a property that only histories have
        column, rows = raw.column(f"step:{feature.name}"), steps
    assert column is not None
    if feature.kind == "buckets":
        encoder.fit_edges(feature, column[rows])
    elif feature.kind == "number":
        encoder.fit_scale(feature, column[rows])
    elif feature.kind == "vector":
        encoder.check_width(feature, column.shape[1])
