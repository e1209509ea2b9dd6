"""`read_log`: all rows of a click log as columns of codes and numbers; bad rows left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graphmatch.click_columns import ValueCodes, lists, numbers, times, vectors
from graphmatch.click_features import Feature
from graphmatch.click_log import SPLITS, ClickLog, LogBatch, Skipped
from graphmatch.click_schema import ClickSchema
from graphmatch.click_spool import Spool
from graphmatch.errors import FormatError

_SPLIT_NAMES = {
    **{name: number for number, name in enumerate(SPLITS)},
    **{"validation": 1, "val": 1, "dev": 1, "0": 0, "1": 1, "2": 2},
}
_STEPS = "step:"


@dataclass(slots=True, kw_only=True)
class RawLog:
    """The rows of a log that can be used, not sorted and not encoded.

    Args:
        schema: of the log.
        columns: `@row`, `@split`, `@user`, `@item`, `@time`, `@order`, `@label`, `@length` of the
            history, one of each feature by its name, and `step:NAME` of each sequence by what its
            values are of.
        codes: values behind the codes of ids, by the feature that has the vocabulary; `@user` and
            `@item` of users and items.
        skipped: rows that were left out, by reason.
        notes: values that were taken as missing, by reason.
        rows: how many there are.
    """

    schema: ClickSchema
    columns: Spool
    codes: dict[str, ValueCodes] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=Skipped)
    notes: Skipped = field(default_factory=Skipped)
    rows: int = 0

    def column(self, name: str) -> NDArray[Any] | None:
        """A column.

        Args:
            name: see above.

        Returns:
            [rows, ...] memory map; None if the log has no such column.
        """
        return self.columns.column(name) if name in self.columns else None

    def codes_of(self, feature: Feature) -> ValueCodes:
        """Values of an id feature's vocabulary.

        Args:
            feature: of kind ids, without a size.
        """
        return self.codes.setdefault(feature.vocabulary or feature.name, ValueCodes(feature.name))


def read_log(log: ClickLog, columns: Spool) -> RawLog:
    """Read a log once, from its beginning to its end.

    A row without user, item or time, or with a label that is none, is left out; a value of a
    feature that is none is missing. Both are counted with their reason. Memory holds a batch and
    the different values of each column.

    Args:
        log: the log.
        columns: where its columns go.

    Returns:
        Its columns.

    Raises:
        FormatError: a column of another type, a damaged file, no row that can be used.
    """
    raw = RawLog(schema=log.schema, columns=columns)
    raw.codes = {"@user": ValueCodes("user"), "@item": ValueCodes("item")}
    if log.items is not None:
        raw.codes["@item"].add(log.items[log.schema.item])
    reader = _Reader(raw, with_items=log.items is not None)
    for batch in log.read(raw.skipped):
        reader.add(batch)
    if not raw.rows:
        reasons = "; ".join(raw.skipped.lines()) or "the log is empty"
        raise FormatError(f"expected a row that can be used (got none: {reasons})")
    return raw


class _Reader:
    def __init__(self, raw: RawLog, *, with_items: bool) -> None:
        self.raw, self.schema = raw, raw.schema
        schema = raw.schema
        self.widths: dict[str, int] = {}  # of vectors
        self.features = [*schema.context]
        self.features += [*schema.properties] if schema.of_events else []
        self.features += [] if with_items else [f for f in schema.items if f.kind in _IN_ROWS]
        self.steps: Mapping[str, Feature] = {f.name: f for f in (*schema.items, *schema.properties)}

    def add(self, batch: LogBatch) -> None:
        """Add the rows of a batch that can be used."""
        roles, reasons = self._roles(batch)
        bad = np.zeros(len(batch.row), bool)
        for reason, where in reasons:
            self.raw.skipped.add(reason, batch.row[where & ~bad])
            bad |= where
        keep = np.flatnonzero(~bad)
        columns, row = batch.columns, batch.row
        if len(keep) < len(bad):
            columns = pa.Table.from_batches([columns]).take(keep)
            row, roles = row[keep], {name: value[keep] for name, value in roles.items()}
        spool, schema = self.raw.columns, self.schema
        if not len(row):
            return
        spool.append("@row", row)
        for name, value in roles.items():
            spool.append(f"@{name}", value)
        if schema.user is not None:
            spool.append("@user", self.raw.codes["@user"].add(columns[schema.user]))
        spool.append("@item", self.raw.codes["@item"].add(columns[schema.item]))
        for feature in self.features:
            spool.append(feature.name, self._values(feature, columns[feature.source], row))
        for one in schema.statistics:
            if one.column is not None:
                spool.append(f"of:{one.name}", numbers(columns[one.column], one.column)[0])
        if not schema.of_events:
            self._sequences(columns, row, roles.get("time"))
        self.raw.rows += len(row)

    def _roles(
        self, batch: LogBatch
    ) -> tuple[dict[str, NDArray[Any]], list[tuple[str, NDArray[np.bool_]]]]:
        """Time, order, label and split, and why rows cannot be used."""
        schema, columns = self.schema, batch.columns
        roles: dict[str, NDArray[Any]] = {}
        reasons = []
        for name in (schema.user, schema.item):
            if name is not None:
                reasons.append((f"no {name}", _missing(columns[name], name)))
        if schema.time is not None:
            roles["time"], wrong = times(columns[schema.time], schema.time, schema.time_unit)
            reasons.append((f"{schema.time} is no time", wrong))
            reasons.append((f"no {schema.time}", np.isnan(roles["time"])))
        if schema.order is not None:
            roles["order"], _ = numbers(columns[schema.order], schema.order)
            reasons.append((f"{schema.order} is no number", np.isnan(roles["order"])))
        label, wrong = numbers(columns[schema.label], schema.label)
        reasons.append((f"{schema.label} is no number", wrong))
        if schema.label_from is not None:
            label = np.where(np.isnan(label), np.nan, label >= schema.label_from)
        reasons.append(
            (f"{schema.label} is neither 0 nor 1", ~(np.isnan(label) | np.isin(label, (0, 1))))
        )
        if not schema.of_events:
            reasons.append((f"no {schema.label}", np.isnan(label)))
            reasons.append(("sequences of different lengths", self._ragged(columns)))
        roles["label"] = label.astype(np.float32)
        split = np.full(len(label), -1 if batch.split is None else batch.split, np.int8)
        if schema.splitting.column is not None:
            split = _splits(columns[schema.splitting.column])
            reasons.append((f"{schema.splitting.column} is no split", split < 0))
        roles["split"] = split
        return roles, reasons

    def _values(self, feature: Feature, column: Any, row: NDArray[np.int64]) -> NDArray[Any]:
        """A feature's column as codes, ids, numbers or vectors."""
        notes = self.raw.notes
        if feature.kind == "vector":
            width = self.widths.get(feature.name)
            values, present = vectors(column, feature.source, width)
            self.widths[feature.name] = values.shape[1]
            notes.add(f"{feature.source}: no vector", row[~present])
            return values
        if feature.kind == "ids" and feature.size is None:
            return self.raw.codes_of(feature).add(column)
        found, wrong = numbers(column, feature.source)
        notes.add(f"{feature.source}: no number", row[wrong])
        return found if feature.size is None else self._sized(feature, found, row)

    def _sized(
        self, feature: Feature, found: NDArray[np.float64], row: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Ids that a file has already."""
        assert feature.size is not None
        good = (found >= 0) & (found < feature.size) & (found == np.floor(found))
        wrong = ~good & ~np.isnan(found)
        self.raw.notes.add(f"{feature.source}: no id below {feature.size}", row[wrong])
        return np.where(good, found, 0).astype(np.int32)

    def _ragged(self, columns: Any) -> NDArray[np.bool_]:
        if not self.schema.sequences:
            return np.zeros(len(columns), bool)
        lengths = [
            lists(columns[s.column], s.column, s.separator)[0] for s in self.schema.sequences
        ]
        return np.asarray(np.any([length != lengths[0] for length in lengths], axis=0))

    def _sequences(
        self, columns: Any, row: NDArray[np.int64], now: NDArray[np.float64] | None
    ) -> None:
        """Histories that rows bring along: steps without an item and later ones are left out."""
        steps: dict[str, NDArray[Any]] = {}
        lengths = np.zeros(len(row), np.int64)
        for sequence in self.schema.sequences:
            lengths, flat = lists(columns[sequence.column], sequence.column, sequence.separator)
            if sequence.of == "time":
                steps["time"], _ = times(flat, sequence.column, self.schema.time_unit)
            else:
                steps[sequence.of] = self._values(
                    self.steps[sequence.of], flat, np.repeat(row, lengths)
                )
        owner = np.repeat(np.arange(len(row)), lengths)
        keep = np.zeros(len(owner), bool)
        for name, values in steps.items():
            if name not in self.schema.property_names and name != "time":
                keep |= _known(self.steps[name], values)
        if "time" in steps and now is not None:
            later = steps["time"] > now[owner]
            self.raw.notes.add("a behaviour later than its candidate", row[owner[later & keep]])
            keep &= ~later
        chosen = np.flatnonzero(keep)
        if "time" in steps:  # unknown times first: they are older than all that is known
            chosen = chosen[np.lexsort((np.nan_to_num(steps["time"][chosen], nan=-np.inf),
                                        owner[chosen]))]  # fmt: skip
        spool = self.raw.columns
        spool.append("@length", np.bincount(owner[chosen], minlength=len(row)).astype(np.int32))
        for name, values in steps.items():
            spool.append(_STEPS + name, values[chosen])


_IN_ROWS = ("ids", "buckets")


def _known(feature: Feature, values: NDArray[Any]) -> NDArray[np.bool_]:
    if feature.kind == "buckets":
        return np.asarray(~np.isnan(values))
    return np.asarray(values > 0 if feature.size is not None else values >= 0)


def _missing(column: Any, name: str) -> NDArray[np.bool_]:
    return np.asarray(ValueCodes(name).add(column) < 0)


def _splits(column: Any) -> NDArray[np.int8]:
    codes = ValueCodes("split")
    places = codes.add(column)
    table = [_SPLIT_NAMES.get(name.lower(), -1) for name in codes.values.to_pylist()]
    return np.asarray(np.array([*table, -1], np.int8)[places])
