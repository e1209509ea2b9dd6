"""`map_array`: a `.npy` file as a memory map, checked before a byte of it is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import FormatError
from graphmatch.raw_array import plain_dtype

_LONGEST = 10_000  # bytes of a header; numpy's own bound
_FIELDS = {
    "descr": r"['\"]([^'\"\\]{1,20})['\"]",
    "fortran_order": r"(True|False)",
    "shape": r"\(((?:\s*\d{1,19}L?\s*,)*(?:\s*\d{1,19}L?)?\s*)\)",  # Python 2 writes 36L
}


def read_header(stream: IO[bytes], name: str | Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array of a `.npy` file; the stream is left at its data.

    The header is matched, not evaluated.

    Args:
        stream: the file, at its start.
        name: of the file, for messages.

    Returns:
        Shape and dtype: numbers, strings of a fixed width, or `object`, whose data is a pickle.

    Raises:
        FormatError: no `.npy` file, a damaged header, records, Fortran order.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> np.save(stream, np.zeros((3, 2), np.float32))
        >>> _ = stream.seek(0)
        >>> read_header(stream, "a.npy")
        ((3, 2), dtype('float32'))
    """
    start = stream.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise FormatError(f"{name}: expected a .npy file (it starts with {start[:8]!r})")
    digits = stream.read(2 if start[6:] == b"\1\0" else 4)
    length = int.from_bytes(digits, "little")
    content = stream.read(min(length, _LONGEST))
    if len(content) != length:
        raise FormatError(f"{name}: the header of the .npy file is truncated or damaged")
    text, found = content.decode("latin-1"), {}
    for key, pattern in _FIELDS.items():
        match = re.search(rf"['\"]{key}['\"]\s*:\s*{pattern}", text)
        if match is None:
            raise FormatError(
                f"{name}: expected the {key} of a plain array in the .npy file's header "
                f"(got {text.strip():.100})"
            )
        found[key] = match[1]
        text = text[: match.start()] + text[match.end() :]
    if not re.fullmatch(r"\s*\{[\s,]*\}\s*", text):
        raise FormatError(f"{name}: the header of the .npy file is damaged ({text.strip():.100})")
    shape = tuple(
        int(size.strip().rstrip("L")) for size in found["shape"].split(",") if size.strip()
    )
    if found["fortran_order"] == "True" and len(shape) > 1:
        raise FormatError(f"{name}: expected rows after each other (got Fortran order)")
    if found["descr"] in ("|O", "O"):
        return shape, np.dtype(object)
    try:
        return shape, plain_dtype(found["descr"])
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error


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
