"""`safe_loads`: values from a pickle without running any of it.

A pickle is a program, and the standard library runs it: a foreign file can do anything. Here its
opcodes are read one by one, and only those that make plain values have an effect: numbers, strings,
bytes, lists, tuples, dicts, sets, numpy arrays and numpy scalars, written by Python 2 or 3 with any
protocol. What would be a call is compared with a short list of names and never looked up. Time and
memory are bounded by the length of the pickle: nothing is allocated because a number in it says so,
nothing is copied again and again, and nothing is hashed that a file can make slow to hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import FormatError, check_choice
from graphmatch.npy import read_header
from graphmatch.pickle_machine import PickleMachine

Encoding = Literal["latin1", "bytes"]
"""What strings of Python 2 become: text, a character a byte, or bytes."""


def safe_loads(
    data: bytes, *, encoding: Encoding = "latin1", name: str | Path = "the pickle"
) -> Any:
    r"""The value of a pickle, if it is a plain one.

    An `OrderedDict` or `defaultdict` becomes a dict; arrays are read-only. Keys of dicts and
    members of sets are strings, bytes, numbers (integers below 2^61), or None.

    Args:
        data: the pickle; what follows its end is ignored.
        encoding: what strings of Python 2 become.
        name: where it is from, for messages.

    Returns:
        The value. It may be nested as deep as its bytes allow: do not print or compare what comes
        from a file that you do not trust before you know its type.

    Raises:
        FormatError: a damaged pickle, or one that asks for anything else; the message names it.

    Example:
        >>> import pickle
        >>> safe_loads(pickle.dumps({"image_w": 640, "image_h": 480}))
        {'image_w': 640, 'image_h': 480}
        >>> safe_loads(b"cos\nsystem\n(S'true'\ntR.")
        Traceback (most recent call last):
        graphmatch.errors.FormatError: the pickle, byte 0: it asks for 'os.system'; only plain containers, numbers, strings and arrays are read
    """  # noqa: E501
    check_choice("encoding", encoding, get_args(Encoding))
    machine = PickleMachine(data, keep_bytes=encoding == "bytes")
    try:
        return machine.run()
    except FormatError as error:
        raise FormatError(f"{name}, byte {machine.place}: {error}") from error
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError, Warning) as error:
        raise FormatError(f"{name}, byte {machine.place}: the pickle is damaged") from error


def read_object_npy(path: str | Path, *, encoding: Encoding = "latin1") -> NDArray[np.object_]:
    """An array of Python objects from a `.npy` file, which holds them as a pickle.

    Args:
        path: the file.
        encoding: what strings of Python 2 become.

    Returns:
        The array.

    Raises:
        FormatError: no such file, no array of objects, or a pickle that `safe_loads` refuses.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "sizes.npy"
        >>> np.save(path, np.array([{"image_w": 640}], object), allow_pickle=True)
        >>> read_object_npy(path)
        array([{'image_w': 640}], dtype=object)
    """
    if not Path(path).is_file():
        raise FormatError(f"{path}: no such file")
    with Path(path).open("rb") as stream:
        return read_object_stream(stream, path, encoding=encoding)


def read_object_stream(
    stream: IO[bytes], name: str | Path, *, encoding: Encoding = "latin1"
) -> NDArray[np.object_]:
    """As `read_object_npy`, from an open file.

    Args:
        stream: the file, at its start.
        name: of the file, for messages.
        encoding: what strings of Python 2 become.

    Returns:
        The array.

    Raises:
        FormatError: as `read_object_npy`.
    """
    shape, dtype = read_header(stream, name)
    if not dtype.hasobject:
        raise FormatError(f"{name}: expected an array of objects (got {dtype})")
    array = safe_loads(stream.read(), encoding=encoding, name=name)
    if not isinstance(array, np.ndarray) or not array.dtype.hasobject or array.shape != shape:
        raise FormatError(f"{name}: expected objects of shape {list(shape)}, as its header says")
    return array
