"""`write_events`, `write_sequences`: samples and behaviours of both kinds of log into a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.causal_statistics import EarlierEvents
from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature, Statistic
from graphmatch.click_histories import find_histories
from graphmatch.click_reading import RawLog
from graphmatch.click_writer import ClickWriter, id_dtype

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written.

    Args:
        samples: how many.
        behaviours: how many.
        splits: samples of each split.
    """

    samples: int
    behaviours: int
    splits: tuple[int, ...]


def write_events(
    raw: RawLog,
    encoder: ClickEncoder,
    writer: ClickWriter,
    *,
    order: Integers,
    split: NDArray[np.int8],
) -> Written:
    """Write a log whose histories are made of its events.

    Args:
        raw: its rows.
        encoder: that is fitted, but for statistics before the event.
        writer: of the store.
        order: [n] rows sorted by user, time and order.
        split: [n] splits of the rows in that order.

    Returns:
        Counts.
    """
    label = _all(raw, "@label")
    labels = label[order]
    known = ~np.isnan(labels)
    behaviour = np.ones(len(order), bool)
    if raw.schema.behaviours == "clicked":
        behaviour = ~known | (labels == 1)
    sequence = raw.column("@order")
    found = find_histories(
        _all(raw, "@user")[order],
        _all(raw, "@time")[order],
        None if sequence is None else sequence[order],
        behaviour,
    )
    samples, acted = order[known], order[behaviour]
    writer.add("sample_first", len(samples), _rows(found.first[known]), "int64")
    writer.add("sample_length", len(samples), _rows(found.length[known]), "int32")
    _write_samples(raw, encoder, writer, samples, split[known])
    writer.add("behaviour_item", len(acted), _taken(_all(raw, "@item"), acted), "int32")
    writer.add("behaviour_time", len(acted), _taken(_all(raw, "@time"), acted), "float64")
    if raw.schema.properties:
        _write_ids(
            raw, encoder, writer, "behaviour_property", raw.schema.properties, acted, prefix=""
        )
    before = [s for s in raw.schema.statistics if s.over == "before"]
    if before:
        earlier = EarlierEvents(_all(raw, "@item"), _all(raw, "@time"))
        acted_on = np.zeros(raw.rows, bool)
        acted_on[acted] = True
        train = samples[split[known] == 0]
        columns = []
        for one in before:
            numbers = _statistic(raw, one, earlier, acted_on)
            if one.name not in encoder.edges:
                encoder.fit_edges(one, numbers[train])
            columns.append(encoder.buckets(one, numbers).astype(np.int16))
        table = np.stack(columns, axis=1)
        writer.add("sample_statistic", len(samples), _taken(table, samples), "int16")
        writer.add("behaviour_statistic", len(acted), _taken(table, acted), "int16")
    counts = np.bincount(split[known], minlength=3)
    return Written(samples=len(samples), behaviours=len(acted), splits=tuple(counts.tolist()))


def _statistic(
    raw: RawLog, statistic: Statistic, earlier: EarlierEvents, behaviour: NDArray[np.bool_]
) -> NDArray[np.float64]:
    if statistic.of == "count":
        return earlier.count()
    if statistic.of == "behaviours":
        return earlier.total(behaviour)
    if statistic.of == "positives":
        return earlier.total(_all(raw, "@label"))
    return earlier.mean(_all(raw, "@label" if statistic.column is None else f"of:{statistic.name}"))


def write_sequences(
    raw: RawLog,
    encoder: ClickEncoder,
    writer: ClickWriter,
    *,
    order: Integers,
    split: NDArray[np.int8],
    item: Integers,
) -> Written:
    """Write a log whose rows bring their histories along.

    Args:
        raw: its rows.
        encoder: that is fitted.
        writer: of the store.
        order: [n] rows in the order of the store.
        split: [n] splits of the rows in that order.
        item: [n + H] items of the rows, then of the steps of their histories, as read.

    Returns:
        Counts.
    """
    length = _all(raw, "@length").astype(np.int64)
    start = np.cumsum(length) - length
    lengths = length[order]
    first = np.cumsum(lengths) - lengths
    steps = np.repeat(start[order] - first, lengths) + np.arange(int(lengths.sum()))
    writer.add("sample_first", len(order), _rows(first), "int64")
    writer.add("sample_length", len(order), _rows(lengths), "int32")
    _write_samples(raw, encoder, writer, order, split, item=item[: len(order)])
    writer.add("behaviour_item", len(steps), _taken(item[len(order) :], steps), "int32")
    if (time := raw.column("step:time")) is not None:
        writer.add("behaviour_time", len(steps), _taken(time, steps), "float64")
    if raw.schema.properties:
        _write_ids(
            raw, encoder, writer, "behaviour_property", raw.schema.properties, steps, prefix="step:"
        )
    counts = np.bincount(split, minlength=3)
    return Written(samples=len(order), behaviours=len(steps), splits=tuple(counts.tolist()))


def _write_samples(
    raw: RawLog,
    encoder: ClickEncoder,
    writer: ClickWriter,
    samples: Integers,
    split: NDArray[np.int8],
    *,
    item: Integers | None = None,
) -> None:
    count = len(samples)
    items = _all(raw, "@item") if item is None else item
    writer.add("sample_item", count, _taken(items, samples), "int32")
    writer.add("sample_split", count, _rows(split), "int8")
    for name, dtype in (
        ("row", "int64"),
        ("label", "uint8"),
        ("user", "int32"),
        ("time", "float64"),
    ):
        column = raw.column(f"@{name}")
        if column is not None:
            writer.add(f"sample_{name}", count, _taken(column, samples), dtype)
    context = raw.schema.context
    numbers = [f for f in context if f.kind in ("number", "vector")]
    ids = [f for f in context if f.kind in ("ids", "buckets")]
    if numbers:
        columns = {f.name: _all(raw, f.name) for f in numbers}
        for one in numbers:
            if one.kind == "vector":
                encoder.check_width(one, columns[one.name].shape[1])

        def part(piece: slice) -> NDArray[Any]:
            rows = samples[piece]
            found = [
                columns[f.name][rows]
                if f.kind == "vector"
                else encoder.scaled(f, columns[f.name][rows])[:, None]
                for f in numbers
            ]
            return np.concatenate(found, axis=1)

        writer.add("sample_context", count, part, "float32")
        writer.context["width"] = writer.arrays["sample_context"]["shape"][1]
        writer.context["names"] = [f.name for f in numbers]
    if ids:
        _write_ids(raw, encoder, writer, "sample_context_ids", ids, samples, prefix="")
        writer.context["sizes"] = [encoder.size(f) for f in ids]
        writer.context["id_names"] = [f.name for f in ids]


def _write_ids(
    raw: RawLog,
    encoder: ClickEncoder,
    writer: ClickWriter,
    name: str,
    features: Sequence[Feature],
    rows: Integers,
    *,
    prefix: str,
) -> None:
    """Write ids and buckets of some rows, side by side."""
    made = [(id_maker(raw, encoder, f), _all(raw, prefix + f.name)) for f in features]

    def part(piece: slice) -> NDArray[Any]:
        return np.stack([make(column[rows[piece]]) for make, column in made], axis=1)

    dtype = id_dtype(max(encoder.size(f) for f in features))
    writer.add(name, len(rows), part, dtype)


def id_maker(
    raw: RawLog, encoder: ClickEncoder, feature: Feature
) -> Callable[[NDArray[Any]], Integers]:
    """What makes ids of what was read.

    Args:
        raw: has the values behind codes.
        encoder: that is fitted.
        feature: of kind ids or buckets.

    Returns:
        Takes [n] codes, ids or numbers and returns [n] ids.
    """
    if feature.kind == "buckets":
        return partial(encoder.buckets, feature)
    if feature.size is not None:
        return lambda ids: ids.astype(np.int64)
    table = encoder.id_table(feature, raw.codes_of(feature).values)
    return lambda codes: table[codes]


def _all(raw: RawLog, name: str) -> NDArray[Any]:
    column = raw.column(name)
    assert column is not None, name
    return column


def _rows(values: NDArray[Any]) -> Any:
    return lambda piece: values[piece]


def _taken(values: NDArray[Any], rows: Integers) -> Any:
    return lambda piece: values[rows[piece]]
