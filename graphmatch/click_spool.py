"""`Spool` and `write_array`: columns that are longer than memory, appended to and mapped."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

CHUNK = 1 << 18
"""Rows that are worked on at once."""


class Spool:
    """Columns of one run, in temporary files that are gone when the block ends.

    Args:
        folder: where they are. Their names are those of half-written files of a store, which the
            next run removes if this one is killed.

    Example:
        >>> import tempfile
        >>> with Spool(tempfile.mkdtemp()) as spool:
        ...     spool.append("time", np.arange(2))
        ...     spool.append("time", np.arange(3))
        ...     spool.column("time").tolist()
        [0, 1, 0, 1, 2]
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._files: dict[str, IO[bytes]] = {}
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}

    def append(self, name: str, values: NDArray[Any]) -> None:
        """More rows of a column.

        Args:
            name: of the column.
            values: [n, ...], in every call of one dtype and width.
        """
        if name not in self._files:
            path = self._folder / f"spool_{len(self._files)}.npy.{os.getpid()}.tmp"
            self._files[name] = path.open("wb")
            self._kinds[name] = (values.dtype, values.shape[1:])
        self._files[name].write(np.ascontiguousarray(values, self._kinds[name][0]).data)

    def column(self, name: str) -> NDArray[Any]:
        """A column, mapped into memory.

        Args:
            name: of the column.

        Returns:
            [rows, ...] all rows so far; [0] if there are none.
        """
        if name not in self._files:
            return np.zeros(0, np.float64)
        self._files[name].flush()
        dtype, shape = self._kinds[name]
        path = Path(self._files[name].name)
        rows = path.stat().st_size // max(1, dtype.itemsize * int(np.prod(shape, dtype=np.int64)))
        if not rows:
            return np.zeros((0, *shape), dtype)
        return np.asarray(np.memmap(path, dtype, "r", 0, (rows, *shape)))

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close and remove all columns."""
        for file in self._files.values():
            file.close()
            Path(file.name).unlink(missing_ok=True)


def write_array(
    path: str | Path,
    parts: Iterable[NDArray[Any]],
    *,
    dtype: np.dtype[Any] | type[Any],
    shape: tuple[int, ...],
) -> int:
    """Write a `.npy` file part by part.

    Args:
        path: the file.
        parts: [n, ...] rows, which together make the shape.
        dtype: type of the file.
        shape: of the whole.

    Returns:
        Checksum of the rows.

    Raises:
        OSError: the disk is full.
    """
    kind, checksum = np.dtype(dtype), 0
    with Path(path).open("wb") as stream:
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(stream, header)
        for part in parts:
            content = np.ascontiguousarray(part, kind).data
            stream.write(content)
            checksum = zlib.crc32(content, checksum)
    return checksum


def chunks(length: int) -> Iterable[slice]:
    """Slices that together are all rows.

    Args:
        length: number of rows.

    Returns:
        Slices of at most `CHUNK` rows.
    """
    return (slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK))
