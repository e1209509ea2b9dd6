"""`map_array`: a `.npy` file as a memory map, checked before a byte of it is used."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from graphmatch.errors import FormatError


def read_header(stream: IO[bytes], name: str | Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array of a `.npy` file; the stream is left at its data.

    Args:
        stream: the file, at its start.
        name: of the file, for messages.

    Returns:
        Shape and dtype; the dtype may be `object`, whose data is a pickle.

    Raises:
        FormatError: no `.npy` file, a damaged header, Fortran order.
    """
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = read(stream)
    except (KeyError, ValueError, TypeError, OSError, RecursionError, MemoryError) as error:
        raise FormatError(f"{name}: expected a .npy file ({error})") from error
    if fortran and len(shape) > 1:
        raise FormatError(f"{name}: expected rows after each other (got Fortran order)")
    return shape, dtype


def map_array(path: str | Path) -> NDArray[Any]:
    """The array of a `.npy` file, mapped into memory and read as it is used.

    Args:
        path: the file.

    Returns:
        A read-only array of numbers. Values are read from the disk at each use; slices are views.

    Raises:
        FormatError: no `.npy` file, no numbers (pickled objects are never read), or a file shorter
            than its header says.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.arange(3))
        >>> map_array(path)[1:]
        array([1, 2])
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file")
    with path.open("rb") as stream:
        shape, dtype = read_header(stream, path)
        start = stream.tell()
    if dtype.kind not in "fiub":
        raise FormatError(f"{path}: expected an array of numbers (got {dtype})")
    wanted = dtype.itemsize * int(np.prod(shape, dtype=object))
    held = path.stat().st_size - start
    if held < wanted:
        raise FormatError(
            f"{path}: expected {wanted:,} bytes for shape {list(shape)} of {dtype} "
            f"(got {held:,}); the file is truncated or damaged"
        )
    if not wanted:
        return np.zeros(shape, dtype)  # nothing can be mapped
    # a plain array on the map: slices of np.memmap itself are slow
    return np.asarray(np.memmap(path, dtype, "r", start, shape))
