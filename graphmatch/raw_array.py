"""`raw_array`: an array from bytes, a type and a shape that a file states, all of them checked."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import FormatError

_CODE = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,8})")


def plain_dtype(code: object) -> np.dtype[Any]:
    """The type of an array of numbers, booleans or fixed-width strings.

    Args:
        code: numpy's spelling, such as `<f4`, as text or ASCII bytes.

    Returns:
        The type. Objects, records, dates and anything of no width are never returned.

    Raises:
        FormatError: another code.

    Example:
        >>> plain_dtype(">f4")
        dtype('>f4')
    """
    text = code.decode("latin-1") if isinstance(code, bytes) else code
    if not isinstance(text, str) or not _CODE.fullmatch(text):
        shown = f"{text!r:.40}" if isinstance(text, str) else type(code).__name__
        raise FormatError(f"expected an array of numbers or strings (got type {shown})")
    return np.dtype(text)


def raw_array(
    content: bytes | bytearray, dtype: np.dtype[Any], shape: Sequence[object], *, order: str = "C"
) -> NDArray[Any]:
    r"""An array on bytes, without a copy.

    Args:
        content: the values one after the other.
        dtype: their type, from `plain_dtype`.
        shape: sizes as a file states them.
        order: `C` if the last index runs fastest, `F` if the first.

    Returns:
        A view of the bytes, read-only if they are.

    Raises:
        FormatError: an impossible shape, or one that does not fit the number of bytes.

    Example:
        >>> raw_array(b"\x01\x02\x03\x04", np.dtype("u1"), (2, 2))
        array([[1, 2],
               [3, 4]], dtype=uint8)
    """
    sizes = [size for size in shape if type(size) is int and 0 <= size < 2**62]
    if len(sizes) != len(shape) or len(sizes) > 32 or order not in ("C", "F"):
        shown = [size if type(size) is int else type(size).__name__ for size in shape[:8]]
        raise FormatError(f"expected the shape of an array (got {shown})")
    if math.prod(sizes) * dtype.itemsize != len(content):
        raise FormatError(
            f"expected {sizes} values of {dtype} (got {len(content):,} bytes, "
            f"{dtype.itemsize} a value)"
        )
    flat = np.frombuffer(content, dtype) if content else np.zeros(0, dtype)
    try:
        return flat.reshape(sizes, order="F" if order == "F" else "C")
    except ValueError as error:  # more dimensions or larger sizes than numpy can count
        raise FormatError(f"expected the shape of an array (got {sizes[:8]})") from error
