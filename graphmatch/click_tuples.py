"""`TupleItems`: items of a log whose rows bring item features and histories along.

Such items have no table: an item is what its features are, and rows with the same ones have the
same item.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature
from graphmatch.click_layouts import id_maker
from graphmatch.click_reading import RawLog
from graphmatch.distinct_rows import distinct_rows


class TupleItems:
    """The items of rows and of the steps of their histories.

    A step has the features that sequences give. If one of them is of the feature that is the item
    itself, the others are those of the first row with that item, where there is one.

    Args:
        raw: the rows.
        encoder: that is fitted.
    """

    def __init__(self, raw: RawLog, encoder: ClickEncoder) -> None:
        schema = raw.schema
        self._raw = raw
        self._rows = raw.rows
        given = {s.of for s in schema.sequences}
        key = next((f for f in schema.items if f.source == schema.item and f.name in given), None)
        donors = None if key is None else self._donors(key)
        self._key = key
        columns: list[NDArray[np.int32]] = []
        for feature in schema.items:
            make = id_maker(raw, encoder, feature)
            own = make(_column(raw, feature.name)).astype(np.int32)
            if feature.name in given:
                steps = make(_column(raw, f"step:{feature.name}")).astype(np.int32)
            elif donors is not None:
                steps = np.append(own, np.int32(0))[donors]  # -1 takes the last one
            else:
                steps = np.zeros(self._steps(), np.int32)
            columns.append(np.concatenate([own, steps]))
        self.first, self.item = distinct_rows(columns)
        self._ids = {
            feature.name: column[self.first]
            for feature, column in zip(schema.items, columns, strict=True)
        }

    def __len__(self) -> int:
        return len(self.first)

    def _steps(self) -> int:
        return int(_column(self._raw, "@length").sum())

    def _donors(self, key: Feature) -> NDArray[np.int64]:
        """[H] the first row with the item of each step, -1 for none."""
        own, steps = _column(self._raw, key.name), _column(self._raw, f"step:{key.name}")
        known, first = np.unique(own, return_index=True)
        table = np.full(int(max(own.max(), steps.max(initial=0))) + 2, -1, np.int64)
        table[known[known >= 0]] = first[known >= 0]
        donors: NDArray[np.int64] = table[steps]
        return donors

    def encoded(self, feature: Feature, part: slice) -> NDArray[np.int32]:
        """A feature of some items.

        Args:
            feature: of items.
            part: which items.

        Returns:
            [n, 1] ids.
        """
        return self._ids[feature.name][part][:, None]

    def counts(self, train: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How many training rows have each item.

        Args:
            train: [n] training rows, in the order in which they were read.

        Returns:
            [N].
        """
        found = np.bincount(self.item[: self._rows][train], minlength=len(self))
        return found.astype(np.float64)

    def keys(self) -> Any:
        """Keys of the items: of a row that has it, or of a step; missing where neither has one."""
        raw, first = self._raw, self.first
        of_row = first < self._rows
        codes = np.full(len(first), -1, np.int64)
        codes[of_row] = _column(raw, "@item")[first[of_row]]
        keys = _taken(raw.codes["@item"].values, codes)
        if self._key is None:
            return keys
        values = np.full(len(first), -1, np.int64)
        steps = _column(raw, f"step:{self._key.name}")
        values[~of_row] = steps[first[~of_row] - self._rows]
        if self._key.size is not None:
            others = pa.array(values, mask=values < 0).cast(pa.string())
        else:
            others = _taken(raw.codes_of(self._key).values, values)
        return pc.coalesce(keys, others)


def _taken(values: Any, places: NDArray[np.int64]) -> Any:
    return values.take(pa.array(places, mask=places < 0))


def _column(raw: RawLog, name: str) -> NDArray[Any]:
    column = raw.column(name)
    assert column is not None, name
    return column
