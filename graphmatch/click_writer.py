"""`ClickWriter`: the arrays of a store of clicks, written one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature, Statistic
from graphmatch.click_schema import ClickSchema
from graphmatch.click_spool import chunks, write_array

Part = Callable[[slice], NDArray[Any]]
"""Makes some rows of a column: [n, width]."""


class ClickWriter:
    """Writes into a folder and remembers what is in it.

    Args:
        folder: the store.
        dtype: of vectors of items, `float32` or `float16`.
    """

    def __init__(self, folder: Path, dtype: str) -> None:
        self.folder, self.dtype = folder, dtype
        self.arrays: dict[str, dict[str, Any]] = {}
        self.modalities: list[dict[str, Any]] = []
        self.properties: list[dict[str, Any]] = []
        self.context: dict[str, Any] = {"width": 0, "names": [], "sizes": [], "id_names": []}

    def add(self, name: str, length: int, part: Part, dtype: Any) -> None:
        """Write an array.

        Args:
            name: of the file.
            length: rows.
            part: makes its rows.
            dtype: of the file.
        """
        shape = (length, *part(slice(0, 0)).shape[1:])
        parts = (part(piece) for piece in chunks(length))
        checksum = write_array(self.folder / f"{name}.npy", parts, dtype=dtype, shape=shape)
        kind = np.dtype(dtype).str
        self.arrays[name] = {"dtype": kind, "shape": list(shape), "crc32": checksum}

    def add_keys(self, name: str, keys: Any) -> None:
        """Write the keys of items or users.

        Args:
            name: items or users.
            keys: Arrow array of text.
        """
        path = self.folder / f"{name}.parquet"
        pyarrow.parquet.write_table(pa.table({"key": keys}), path, compression="zstd")

    def add_items(
        self,
        schema: ClickSchema,
        encoder: ClickEncoder,
        length: int,
        *,
        feature: Callable[[Feature, slice], NDArray[Any]],
        statistic: Callable[[Statistic, slice], NDArray[Any]],
    ) -> None:
        """Write the modalities of the items and which items have them.

        Args:
            schema: of the log.
            encoder: that is fitted.
            length: N, the number of items.
            feature: makes [n, width] of a feature; NaN is a missing vector.
            statistic: makes [n, 1] ids of a statistic over the training split.
        """
        groups: dict[str, list[Feature]] = {}
        for one in schema.items:
            groups.setdefault(one.group, []).append(one)
        for name in sorted({*groups, *(s.modality for s in schema.statistics)}):
            features = groups.get(name, [])
            own = [s for s in schema.statistics if s.modality == name]
            fixed = [s for s in own if s.over == "train"]

            def part(
                piece: slice,
                features: Sequence[Feature] = features,
                fixed: Sequence[Statistic] = fixed,
            ) -> NDArray[Any]:
                found = [feature(f, piece) for f in features]
                found += [statistic(s, piece) for s in fixed]
                rows = piece.stop - piece.start
                return np.concatenate(found, axis=1) if found else np.zeros((rows, 0), np.int32)

            record = describe_modality(name, features, own, encoder, part(slice(0, 0)).shape[1])
            self.modalities.append(record)
            vector = record["kind"] == "vector"
            kind = self.dtype if vector else "int32"
            self.add(f"item_{name}", length, _finite(part) if vector else part, kind)
            record["_part"] = part
        parts = [record.pop("_part") for record in self.modalities]
        kinds = [record["kind"] for record in self.modalities]

        def present(piece: slice) -> NDArray[Any]:
            columns = []
            for make, kind in zip(parts, kinds, strict=True):
                rows = make(piece)
                known = ~np.isnan(rows).any(axis=1) if kind == "vector" else (rows != 0).any(axis=1)
                columns.append(known)
            return np.stack(columns, axis=1) if columns else np.zeros((0, 0), bool)

        self.add("item_present", length, present, bool)


def describe_modality(
    name: str,
    features: Sequence[Feature],
    statistics: Sequence[Statistic],
    encoder: ClickEncoder,
    width: int,
) -> dict[str, Any]:
    """What a model must know of a modality.

    Args:
        name: of the modality.
        features: its features, in the order of their columns.
        statistics: its statistics, those over the training split first.
        encoder: that is fitted.
        width: columns of its array in the store, without statistics before the event.

    Returns:
        `name`; `kind`: ids, buckets, words or vector; `features`: names of its columns; `sizes`:
        of ids and buckets the number of ids of each column, of words that of the vocabulary and
        the number of words, of vectors the width; `before`: how many of the columns are
        statistics before the event, which are with the samples and behaviours.
    """
    ordered = sorted(statistics, key=lambda s: s.over != "train")
    names = [f.name for f in features] + [s.name for s in ordered]
    before = sum(s.over == "before" for s in ordered)
    kinds = {f.kind for f in features}
    kind, sizes = "buckets", [encoder.size(one) for one in ordered]
    if kinds & {"vector", "labels"}:
        kind, sizes = "vector", [width]
    elif kinds == {"words"}:
        kind, sizes = "words", [encoder.size(features[0]), features[0].length]
    else:
        kind = "ids" if "ids" in kinds else "buckets"
        sizes = [encoder.size(f) for f in features] + sizes
    return {"name": name, "kind": kind, "features": names, "sizes": sizes, "before": before}


def _finite(part: Part) -> Part:
    return lambda piece: np.nan_to_num(part(piece), nan=0.0)


def id_dtype(size: int) -> str:
    """The smallest type of ids in a store.

    Args:
        size: number of ids.

    Returns:
        Name of a type.
    """
    return "int16" if size <= 1 << 15 else "int32"
