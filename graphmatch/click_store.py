"""`ClickStore`: an encoded click log on disk, mapped into memory.

store/manifest.json       format, version, job, counts, modalities, properties, context, checksums
store/encoder.json        what its ids mean, see `graphmatch.click_encoder`
store/items.parquet       key of each item; users.parquet: of each user
store/item_NAME.npy       [N, width] a modality of the items; item_present.npy: [N, M]
store/sample_NAME.npy     [S] row, user, item, time, label, split, first, length; [S, ...] context,
                          context_ids and statistic. Sorted by user and time
store/behaviour_NAME.npy  [H] item and time; [H, ...] property and statistic

The history of sample k are the behaviours from `first[k]` on, `length[k]` of them, oldest first.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_log import SPLITS
from graphmatch.errors import FormatError, check_choice
from graphmatch.npy import map_array
from graphmatch.store_folder import MANIFEST, StoreFormat, check_kinds, damaged_manifest

FORMAT = StoreFormat(
    name="graphmatch-clicks",
    version=1,
    what="a store of clicks",
    command="graphmatch clicks",
    files=r"(item|sample|behaviour|spool)_[A-Za-z0-9_]+\.npy|encoder\.json|(items|users)\.parquet",
    kinds=(
        ("job", dict),
        ("counts", dict),
        ("arrays", dict),
        ("modalities", list),
        ("properties", list),
        ("context", dict),
        ("skipped", list),
        ("notes", list),
        ("complete", bool),
    ),
)
"""Folders of encoded click logs."""
COUNTS = ("rows", "left_out", "samples", "behaviours", "items", "users", *SPLITS)
"""What the manifest counts."""


class ClickStore:
    """An encoded click log.

    Opening reads the manifest and the headers, nothing else.

    Args:
        path: a folder that `graphmatch clicks` wrote.

    Raises:
        FormatError: no store, an unfinished one, a newer version, a missing or truncated file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = FORMAT.read_manifest(path)
        if not self.manifest["complete"]:
            raise FormatError(
                f"{path}: expected a finished store (its run was interrupted); run the same "
                "command again"
            )
        try:
            self.counts: dict[str, int] = self.manifest["counts"]
            check_kinds(self.counts, tuple((name, int) for name in COUNTS))
            self.arrays = {name: self._map(name) for name in self.manifest["arrays"]}
            self.modalities: list[dict[str, Any]] = self.manifest["modalities"]
            self.properties: list[dict[str, Any]] = self.manifest["properties"]
            for record in (*self.modalities, *self.properties):
                check_kinds(record, (("name", str), ("sizes", list)))
            self.context: dict[str, Any] = self.manifest["context"]
            check_kinds(self.context, (("width", int), ("sizes", list)))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, FormatError):
                raise
            raise damaged_manifest(self.path / MANIFEST, error) from error

    def _map(self, name: str) -> NDArray[Any]:
        path = self.path / f"{name}.npy"
        array, wanted = map_array(path), self.manifest["arrays"][name]
        if (array.dtype.str, list(array.shape)) != (wanted["dtype"], wanted["shape"]):
            raise FormatError(
                f"{path}: expected {wanted['dtype']} {wanted['shape']} (got {array.dtype.str} "
                f"{list(array.shape)}); make the store again"
            )
        return array

    def __len__(self) -> int:
        return self.counts["samples"]

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f"ClickStore({str(self.path)!r}: {counts['samples']} samples, {counts['behaviours']} "
            f"behaviours, {counts['users']} users, {counts['items']} items)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the store itself: a pickle of memory maps holds all data."""
        return ClickStore, (self.path.absolute(),)

    @cached_property
    def encoder(self) -> ClickEncoder:
        """What the ids mean."""
        return ClickEncoder.load(self.path / "encoder.json")

    def sample(self, name: str) -> NDArray[Any]:
        """A column of all samples.

        Args:
            name: row, user, item, time, label, split, first, length, context, context_ids or
                statistic.

        Returns:
            [S, ...] read-only memory map.

        Raises:
            KeyError: the store has no such column.
        """
        return self.arrays[f"sample_{name}"]

    def behaviour(self, name: str) -> NDArray[Any]:
        """A column of all behaviours.

        Args:
            name: item, time, property or statistic.

        Returns:
            [H, ...] read-only memory map.

        Raises:
            KeyError: the store has no such column.
        """
        return self.arrays[f"behaviour_{name}"]

    def item(self, name: str) -> NDArray[Any]:
        """A modality of all items.

        Args:
            name: of the modality, or `present`.

        Returns:
            [N, ...] read-only memory map.

        Raises:
            KeyError: the store has no such modality.
        """
        return self.arrays[f"item_{name}"]

    def split(self, name: str) -> NDArray[np.int64]:
        """Samples of a split.

        Args:
            name: train, valid or test.

        Returns:
            Their numbers, ascending.

        Raises:
            ConfigError: no such split.
        """
        check_choice("split", name, SPLITS)
        return np.flatnonzero(self.sample("split") == SPLITS.index(name))

    def item_keys(self) -> list[str | None]:
        """Keys of the items in the log; None for one that has none of its own."""
        return self._keys("items")

    def user_keys(self) -> list[str | None]:
        """Keys of the users in the log."""
        return self._keys("users")

    def _keys(self, name: str) -> list[str | None]:
        path = self.path / f"{name}.parquet"
        try:
            keys = pyarrow.parquet.read_table(path)["key"].to_pylist()
        except (OSError, KeyError, ValueError) as error:
            raise FormatError(f"{path}: damaged ({error}); make the store again") from error
        if len(keys) != self.counts[name]:
            raise FormatError(f"{path}: expected {self.counts[name]} keys (got {len(keys)})")
        return list(keys)

    def verify(self) -> None:
        """Read everything and compare the checksums.

        Raises:
            FormatError: a file that is not as it was written, by name.
        """
        for name, array in self.arrays.items():
            checksum = 0
            step = max(1, (1 << 22) // max(1, array[:1].nbytes))
            for start in range(0, len(array), step):
                checksum = zlib.crc32(array[start : start + step].tobytes(), checksum)
            if checksum != self.manifest["arrays"][name]["crc32"]:
                raise FormatError(
                    f"{self.path}: {name} is not as it was written (checksum); make the store again"
                )
