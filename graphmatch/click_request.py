"""`RequestEncoder`: what a user did, and what a request is, as a click model reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.buckets import time_gap_ids
from graphmatch.click_columns import ValueCodes, numbers, times, vectors
from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature
from graphmatch.errors import ConfigError, FormatError, GraphError, check_choice
from graphmatch.models.marn_config import MARNConfig

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviours:
    """What a user did, oldest first.

    Args:
        item: T keys of items, Arrow array of text.
        properties: by name: [1, T] int64.
        left_out: behaviours that are later than the request, or without an item.
    """

    item: Any
    properties: dict[str, Tensor]
    left_out: int

    def __len__(self) -> int:
        return len(self.item)


class RequestEncoder:
    """Encodes values as a log has them, one user at a time.

    Args:
        encoder: of the model's data.
        config: of the model.
    """

    def __init__(self, encoder: ClickEncoder, config: MARNConfig) -> None:
        self.encoder, self.config = encoder, config
        wanted = {table.name for table in config.properties}
        self.timed = "time" in wanted
        self.properties = [f for f in encoder.schema.properties if f.name in wanted]
        self.columns = ("item", "time", *(f.name for f in encoder.schema.properties))

    def behaviours(self, history: Mapping[str, Sequence[Any]], time: Any = None) -> Behaviours:
        """The last behaviours before a request.

        Args:
            history: columns of equal lengths: `item`, `time`, and properties by name. A column that
                the model does not read may be missing.
            time: of the request.

        Returns:
            At most as many as the model reads. With times they are sorted by them, unknown times
            first; what is later than the request or has no item is left out.

        Raises:
            ConfigError: an unknown or missing column, no time where the model reads it.
            FormatError: values of another type.
            GraphError: columns of different lengths.
        """
        for name in history:
            check_choice("column of the history", name, self.columns)
        needed = ["item", *(["time"] if self.timed else []), *(f.name for f in self.properties)]
        missing = [name for name in needed if name not in history]
        if history and missing:
            raise ConfigError(f"history: expected the columns {needed} (no {', '.join(missing)})")
        lengths = {name: len(values) for name, values in history.items()}
        if len({*lengths.values()}) > 1:
            raise GraphError(f"history: expected columns of equal lengths (got {lengths})")
        now = np.nan if time is None else self._times([time], "time of the request")[0]
        if self.timed and np.isnan(now) and any(lengths.values()):
            raise ConfigError(f"expected the time of the request (got {time!r})")
        keys = ValueCodes("item")
        item = keys.add(as_column(history.get("item", ()), "item"))
        kept = item >= 0
        order = np.arange(len(item))
        moment = None
        if "time" in history:
            moment = self._times(history["time"], "time")
            kept &= ~(moment > now)
            order = np.lexsort((np.nan_to_num(moment, nan=-np.inf),))
        order = order[kept[order]]
        left_out = len(item) - len(order)
        order = order[len(order) - min(len(order), self.config.history) :]
        properties = {
            feature.name: self._ids(feature, history.get(feature.name, ()))[order]
            for feature in self.properties
        }
        if self.timed:
            size = next(table.size for table in self.config.properties if table.name == "time")
            gap = np.zeros(0) if moment is None else now - moment[order]
            properties["time"] = time_gap_ids(gap, size)
        return Behaviours(
            item=keys.values.take(pa.array(item[order])),
            properties={name: torch.from_numpy(ids)[None] for name, ids in properties.items()},
            left_out=left_out,
        )

    def request(self, values: Mapping[str, Any]) -> tuple[Tensor | None, Tensor | None]:
        """Features of user and request.

        Args:
            values: by name, as the log has them; those that are not there are missing.

        Returns:
            [1, C] numbers and [1, K] ids; None for what the model does not read.

        Raises:
            ConfigError: an unknown name.
            FormatError: a value of another type.
        """
        features = self.encoder.schema.context
        for name in values:
            check_choice("feature of the request", name, [f.name for f in features])
        ids = [self._ids(f, [values.get(f.name)]) for f in features if f.kind in ("ids", "buckets")]
        parts = [
            self._numbers(f, values.get(f.name)) for f in features if f.kind in ("number", "vector")
        ]
        return (
            torch.from_numpy(np.concatenate(parts)[None]) if self.config.context else None,
            torch.from_numpy(np.stack(ids, axis=1)) if self.config.context_tables else None,
        )

    def _ids(self, feature: Feature, values: Sequence[Any]) -> Integers:
        column = as_column(values, feature.name)
        if feature.kind == "buckets":
            return self.encoder.buckets(feature, numbers(column, feature.name)[0])
        if feature.size is not None:
            found = numbers(column, feature.name)[0]
            inside = (found >= 0) & (found < feature.size)
            return np.where(inside, np.nan_to_num(found), 0).astype(np.int64)
        codes = ValueCodes(feature.name)
        places = codes.add(column)
        return self.encoder.ids(feature, places, codes.values)

    def _numbers(self, feature: Feature, value: Any) -> NDArray[np.float32]:
        if feature.kind == "number":
            found, _ = numbers(as_column([value], feature.name), feature.name)
            return self.encoder.scaled(feature, found)
        width = self.encoder.widths[feature.name]
        if value is None:
            return np.zeros(width, np.float32)
        row = as_column([list(value)], feature.name)
        only: NDArray[np.float32] = vectors(row, feature.name, width)[0][0]
        return only

    def _times(self, values: Sequence[Any], name: str) -> NDArray[np.float64]:
        return times(as_column(values, name), name, self.encoder.schema.time_unit)[0]


def as_column(values: Any, name: str) -> Any:
    """Values as an Arrow array.

    Args:
        values: a sequence of values of one type, None among them, or an Arrow array.
        name: of them, for errors.

    Returns:
        The array.

    Raises:
        FormatError: values of several types.

    Example:
        >>> as_column([4, None], "item").to_pylist()
        [4, None]
    """
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise FormatError(f"{name}: expected values of one type (got {error})") from error
