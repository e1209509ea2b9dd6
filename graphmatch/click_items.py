"""`ItemColumns`: the features of all items of a log, fitted and encoded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graphmatch.click_columns import ValueCodes, lists, numbers, vectors
from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature
from graphmatch.click_reading import RawLog
from graphmatch.click_tables import check_columns
from graphmatch.errors import ConfigError, FormatError, check_choice
from graphmatch.npy import map_array


class ItemColumns:
    """Features of N items, before they are encoded.

    The items are those of the table and, behind them, those that only the log has: they have no
    feature but their id. Without a table an item has the features of its first row in the log.

    Args:
        raw: the rows of the log.
        table: Arrow table of items, or None.
        vectors: `.npy` files of vectors by feature, [rows of the table, D]; a row with a number
            that is not finite is a missing vector.

    Raises:
        ConfigError: a file for something that is no vector.
        FormatError: a file of another length, a column of another type.
    """

    def __init__(
        self, raw: RawLog, table: Any, vectors: Mapping[str, str | Path] | None = None
    ) -> None:
        self.keys = raw.codes["@item"].values
        self.raw, self._files = raw, dict(vectors or {})
        features = {f.name: f for f in raw.schema.items if f.kind == "vector"}
        for name in self._files:
            check_choice("vector feature", name, features)
        if self._files and table is None:
            raise ConfigError("files of vectors need a table of items, whose rows they follow")
        item = raw.column("@item")
        assert item is not None
        self.rows, self.repeated = self._rows(item, table)
        self.missing = 0 if table is None else int((self.rows < 0).sum())
        self._values = {f.name: self._read(f, table) for f in raw.schema.items}

    def __len__(self) -> int:
        return len(self.keys)

    def _rows(self, item: NDArray[Any], table: Any) -> tuple[NDArray[np.int64], int]:
        """[N] the row that has the features of each item, -1 for none."""
        if table is not None:
            codes = ValueCodes("item")
            codes.values = self.keys
            item = codes.add(table[self.raw.schema.item])
        known, first = np.unique(item, return_index=True)
        rows = np.full(len(self), -1, np.int64)
        rows[known[known >= 0]] = first[known >= 0]
        return rows, 0 if table is None else len(item) - len(known)

    def _read(self, feature: Feature, table: Any) -> Any:
        """What a feature has for each item; ids as codes, words as lengths and codes."""
        raw, schema = self.raw, self.raw.schema
        if table is None:
            column = raw.column(feature.name)
            if column is None:
                raise ConfigError(
                    f"{feature.name}: {feature.kind} of items need a table of items (got none)"
                )
            return column[self.rows]
        if feature.name in self._files:
            return self._mapped(feature, len(table))
        if feature.source != schema.item:
            check_columns("the table of items", [feature.source], table.column_names)
        column = self.keys if feature.source == schema.item else _rows(table, feature, self.rows)
        if feature.kind == "vector":
            values, present = vectors(column, feature.source)
            values[~present] = np.nan
            return values
        if feature.kind in ("words", "labels"):
            lengths, flat = lists(column, feature.source, feature.separator)
            return lengths, raw.codes_of(feature).add(flat)
        if feature.kind == "ids" and feature.size is None:
            return raw.codes_of(feature).add(column)
        found, wrong = numbers(column, feature.source)
        raw.notes.add(f"{feature.source} of items: no number", np.flatnonzero(wrong))
        if feature.size is None:
            return found
        return np.where((found >= 0) & (found < feature.size), found, 0).astype(np.int32)

    def _mapped(self, feature: Feature, rows: int) -> Any:
        path = self._files[feature.name]
        array = map_array(path)
        if array.ndim != 2 or len(array) != rows:
            raise FormatError(
                f"{path}: expected [{rows}, D], a row for each of the table of items (got "
                f"{list(array.shape)})"
            )
        return array

    def count_values(self, feature: Feature, weights: NDArray[Any]) -> NDArray[np.float64]:
        """How many training rows have each value.

        Args:
            feature: with a vocabulary.
            weights: [N] training rows of each item.

        Returns:
            Counts by code.
        """
        values, length = self._values[feature.name], len(self.raw.codes_of(feature))
        if isinstance(values, tuple):
            lengths, values = values
            weights = np.repeat(weights, lengths)
        known = values >= 0
        found = np.bincount(values[known], weights[known], minlength=length)
        return found.astype(np.float64)

    def fit(self, feature: Feature, encoder: ClickEncoder, weights: NDArray[Any]) -> None:
        """Fit edges or a width.

        Args:
            feature: without a vocabulary.
            encoder: keeps them.
            weights: [N] training rows of each item.
        """
        values = self._values[feature.name]
        if feature.kind == "buckets":
            encoder.fit_edges(feature, np.repeat(values, weights.astype(np.int64)))
        elif feature.kind == "vector":
            encoder.check_width(feature, values.shape[1])

    def encoded(self, encoder: ClickEncoder, feature: Feature, part: slice) -> NDArray[Any]:
        """A feature of some items.

        Args:
            encoder: that is fitted.
            feature: of items.
            part: which items.

        Returns:
            [n, width] int32 ids or float32 numbers; NaN is a missing vector.
        """
        values = self._values[feature.name]
        if feature.kind == "vector":
            encoder.check_width(feature, values.shape[1])
        if feature.name in self._files:
            rows = self.rows[part]
            found = np.full((len(rows), values.shape[1]), np.nan, np.float32)
            found[rows >= 0] = values[rows[rows >= 0]]
            found[~np.isfinite(found).all(axis=1)] = np.nan
            return found
        if feature.kind == "vector":
            return np.asarray(values[part])
        if feature.kind == "buckets":
            return encoder.buckets(feature, values[part]).astype(np.int32)[:, None]
        known = None if feature.size is not None else self.raw.codes_of(feature).values
        if feature.kind == "ids":
            return encoder.ids(feature, values[part], known).astype(np.int32)[:, None]
        lengths, codes = values
        ends = np.cumsum(lengths)
        start, stop = part.start, part.stop
        chosen = codes[ends[start] - lengths[start] : ends[stop - 1]] if stop > start else codes[:0]
        owner = np.repeat(np.arange(stop - start), lengths[part])
        if feature.kind == "labels":
            place = np.append(encoder.places(feature, known), -1)[chosen]
            marks = np.zeros((stop - start, len(encoder.values[feature.name])), np.float32)
            marks[owner[place >= 0], place[place >= 0]] = 1
            marks[~marks.any(axis=1)] = np.nan
            return marks
        position = np.arange(len(owner)) - np.repeat(
            ends[part] - lengths[part] - (ends[start] - lengths[start] if len(owner) else 0),
            lengths[part],
        )
        words = np.zeros((stop - start, feature.length), np.int32)
        keep = position < feature.length
        words[owner[keep], position[keep]] = encoder.ids(feature, chosen[keep], known)
        return words


def _rows(table: Any, feature: Feature, rows: NDArray[np.int64]) -> Any:
    """A column of the table in the order of the items; nothing where they have no row."""
    return table[feature.source].take(pa.array(rows, mask=rows < 0))
