"""What a pickle may ask for by name, and the plain values that stand for such calls.

Nothing here is ever looked up by a name from a file: a name is compared with the lists below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import FormatError
from graphmatch.raw_array import plain_dtype, raw_array

ONLY = "only plain containers, numbers, strings and arrays are read"


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle asks for; it stands for itself."""

    name: str


@dataclass(slots=True)
class DType:
    """A numpy type whose byte order comes later."""

    dtype: np.dtype[Any]


@dataclass(slots=True)
class Array:
    """An array whose content comes later."""

    value: NDArray[Any] | None = None


class Arguments(tuple[Any, ...]):
    """A tuple with one of the above in it: it can be used up, but is no value."""

    __slots__ = ()


HIDDEN = frozenset({Global, DType, Array, Arguments})
"""What a pickle makes on the way to a value."""
_KEYS = (str, bytes, float, type(None), np.bool_, np.integer, np.floating)


def plain(items: Sequence[Any]) -> Sequence[Any]:
    """The items, none of them hidden."""
    for item in items:
        if type(item) in HIDDEN:
            what = f"{item.name!r:.200}" if type(item) is Global else "an unfinished array or type"
            raise FormatError(f"it holds {what}; {ONLY}")
    return items


def keys(items: Sequence[Any]) -> Sequence[Any]:
    """The items as keys: they hash fast and, unless they are equal, differently."""
    for item in items:
        small = isinstance(item, int) and abs(item) < 2**61 - 1
        if not small and not isinstance(item, _KEYS):
            raise FormatError(
                "expected keys that are strings, numbers below 2^61 or None "
                f"(got {type(item).__name__})"
            )
    return items


def expect(value: Any, *kinds: type) -> Any:
    """The value, if it is of one of the types and of no other that is derived from them."""
    if type(value) not in kinds:
        raise FormatError("the pickle is damaged")
    return value


class Calls:
    """The values that stand for calls.

    Args:
        copies: number of values that may be copied. A pickle can have the same bytes copied again
            and again; one that is not made for it copies at most two for each of its bytes.

    Attributes:
        more: further names that a derived class knows, with what stands for a call; None for a name
            that is not called.
    """

    more: ClassVar[Mapping[str, Callable[..., Any] | None]] = {}

    def __init__(self, copies: int) -> None:
        self._copies = copies

    def known(self, module: object, name: object) -> Global:
        """A name that may be asked for."""
        full = f"{expect(module, str)}.{expect(name, str)}"
        full = full.replace("__builtin__.", "builtins.", 1).replace(
            "numpy._core.", "numpy.core.", 1
        )
        if full not in _CALLS and full not in _NAMES and full not in self.more:
            raise FormatError(f"it asks for {full!r:.200}; {ONLY}")
        return Global(full)

    def call(self, function: object, arguments: tuple[Any, ...]) -> Any:
        """What stands for a call."""
        name = function.name if isinstance(function, Global) else ""
        found = _CALLS.get(name) or self.more.get(name)
        if found is None:
            raise FormatError(f"it calls what is no function that is known; {ONLY}")
        return found(self, *arguments)

    def build(self, target: object, state: Any) -> Any:
        """A type or an array, completed by its state."""
        state = expect(state, tuple, Arguments)
        if isinstance(target, DType):
            if state[2] is not None or state[5] not in (-1, target.dtype.itemsize):
                raise FormatError("expected an array of numbers or strings")
            if not target.dtype.hasobject:
                target.dtype = target.dtype.newbyteorder(_text(state[1]))  # type: ignore[arg-type]
            return target
        if isinstance(target, Array) and target.value is None:
            shape, kind, fortran, content = state[-4:]
            target.value = self._array(content, kind, shape, "F" if fortran else "C")
            return target.value
        raise FormatError(f"it sets the state of an object; {ONLY}")

    def _copied(self, items: Any) -> Any:
        self._copies -= len(items)
        if self._copies < 0:
            raise FormatError("expected at most two values for each byte of the pickle")
        return items

    def _array(self, content: Any, kind: Any, shape: Any, order: str) -> NDArray[Any]:
        dtype, shape = expect(kind, DType).dtype, expect(shape, tuple)
        if not dtype.hasobject:
            if isinstance(content, str):  # bytes of Python 2
                content = self._copied(content).encode("latin-1")
            return raw_array(expect(content, bytes, bytearray), dtype, shape, order=order)
        items = plain(self._copied(expect(content, list)))
        places = raw_array(bytes(len(items)), np.dtype("u1"), shape)  # checks the shape
        # numpy lists objects with the last index fastest, whatever the order of the array
        array = np.empty(len(items), object)
        for place, item in enumerate(items):
            # arrays of objects in each other would be freed by recursion, without a limit
            if isinstance(item, np.ndarray) and item.dtype.hasobject:
                raise FormatError("expected no array of objects in another")
            array[place] = item
        return array.reshape(places.shape)

    def _reconstruct(self, kind: Any, *_: Any) -> Array:
        name = expect(kind, Global).name
        if name != "numpy.ndarray":
            raise FormatError(f"it asks for an array of class {name!r}; {ONLY}")
        return Array()

    def _dtype(self, code: Any, *_: Any) -> DType:
        code = _text(code)
        return DType(np.dtype(object) if code in ("O", "O4", "O8") else plain_dtype(code))

    def _scalar(self, kind: Any, content: Any) -> Any:
        return self._array(self._copied(content), kind, (1,), "C")[0]

    def _frombuffer(self, content: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
        return self._array(expect(content, bytes, bytearray), kind, shape, _text(order))

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise FormatError("it asks for another encoding than latin1")
        return bytes(self._copied(expect(text, str)).encode("latin-1"))

    def _bytes(self) -> bytes:
        return b""

    def _bytearray(self, content: Any = b"", encoding: Any = "latin1") -> bytearray:
        if isinstance(content, str):
            return bytearray(self._encode(content, encoding))
        return bytearray(self._copied(expect(content, bytes)))

    def _complex(self, real: Any, imaginary: Any) -> complex:
        return complex(expect(real, float), expect(imaginary, float))

    def _set(self, items: Any = ()) -> set[Any]:
        return set(keys(self._copied(expect(items, list, tuple))))

    def frozenset(self, items: Any = ()) -> frozenset[Any]:
        """A frozen set, if its members can be keys."""
        return frozenset(self._set(items))

    def _ordered_dict(self, items: Any = ()) -> dict[Any, Any]:
        pairs = [expect(pair, list, tuple) for pair in self._copied(expect(items, list, tuple))]
        values = plain([value for _, value in pairs])
        return dict(zip(keys([key for key, _ in pairs]), values, strict=True))

    def _default_dict(self, factory: Any = None) -> dict[Any, Any]:
        if factory is not None:
            expect(factory, Global)
        return {}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(expect(value, str))


_NAMES = frozenset(
    {"numpy.ndarray", *(f"builtins.{name}" for name in ("list", "dict", "int", "float", "str"))}
)
_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": Calls._reconstruct,
    "numpy.core.multiarray.scalar": Calls._scalar,
    "numpy.core.numeric._frombuffer": Calls._frombuffer,
    "numpy.dtype": Calls._dtype,
    "_codecs.encode": Calls._encode,
    "builtins.bytes": Calls._bytes,
    "builtins.bytearray": Calls._bytearray,
    "builtins.complex": Calls._complex,
    "builtins.set": Calls._set,
    "builtins.frozenset": Calls.frozenset,
    "collections.OrderedDict": Calls._ordered_dict,
    "collections.defaultdict": Calls._default_dict,
}
