"""`write_rows`: a `.npy` file, row by row, whose length is known only at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from graphmatch.errors import FormatError
from graphmatch.output import open_output


@contextmanager
def write_rows(
    path: str | Path, *, force: bool = False
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """A `.npy` file that is written row by row.

    Args:
        path: the file.
        force: overwrite a file that is there.

    Yields:
        A function that adds a row: an array of the shape and type of the first.

    Raises:
        ConfigError: a file is there.
        FormatError: by the function, for a row of another shape or type; nothing is written then.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> with write_rows(path) as add:
        ...     add(np.array([1, 2]))
        ...     add(np.array([3, 4]))
        >>> np.load(path).tolist()
        [[1, 2], [3, 4]]
    """
    with open_output(path, force=force, binary=True) as stream:
        count = 0
        like = np.zeros(0, np.float32)

        def write_header() -> None:
            header = {
                "descr": like.dtype.str,
                "fortran_order": False,
                "shape": (count, *like.shape) if count else (0,),
            }
            npy.write_array_header_1_0(stream, header)  # leaves room for a longer length

        def add(row: NDArray[Any]) -> None:
            nonlocal count, like
            if not count:
                like = row
                count = 1
                write_header()
                count = 0
            elif (row.shape, row.dtype) != (like.shape, like.dtype):
                raise FormatError(
                    f"expected {list(like.shape)} numbers of {like.dtype} as in the first item "
                    f"(got {list(row.shape)} of {row.dtype}): rows of one file are equally long"
                )
            stream.write(row.tobytes())
            count += 1

        yield add
        stream.seek(0)
        write_header()
