"""Names of images or videos in a `.npy` file, row by row as the features beside it (HGR)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from graphmatch.datasets.text_files import safe_text
from graphmatch.errors import FormatError
from graphmatch.npy import read_header
from graphmatch.raw_array import plain_dtype, raw_array
from graphmatch.safe_pickle import read_object_npy


def read_names(path: str | Path) -> list[str]:
    """Names of an array of strings, of numbers, or of Python objects as Python 2 saved them.

    Args:
        path: the `.npy` file. A pickle in it is read without running it.

    Returns:
        The N names, in order.

    Raises:
        FormatError: no such file, a damaged one, an array of more dimensions or of anything else.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "val_names.npy"
        >>> np.save(path, np.array(["video0", "video7"]))
        >>> read_names(path)
        ['video0', 'video7']
    """
    if not Path(path).is_file():
        raise FormatError(f"{path}: no such file")
    with Path(path).open("rb") as stream:
        shape, dtype = read_header(stream, path)
        if len(shape) != 1:
            raise FormatError(f"{path}: expected a list of names (got shape {list(shape)})")
        values: Any
        if dtype.kind == "O":
            values = read_object_npy(path, encoding="bytes")
        else:
            try:
                values = raw_array(stream.read(), plain_dtype(dtype.str), shape)
            except FormatError as error:
                raise FormatError(f"{path}: {error}") from error
    try:
        return [_name(value) for value in values.tolist()]
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: expected names of images or videos ({error})") from error


def _name(value: object) -> str:
    if isinstance(value, (bytes, np.bytes_)):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool) or not isinstance(value, (str, int, np.integer)):
        raise TypeError(f"got a {type(value).__name__}")
    return safe_text(str(value))
