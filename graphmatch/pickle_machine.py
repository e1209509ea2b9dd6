"""`PickleMachine`: the pickle machine, without what makes anything but plain values."""

from __future__ import annotations

import codecs
import io
import pickletools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from graphmatch.errors import FormatError
from graphmatch.pickle_calls import HIDDEN, ONLY, Arguments, Array, Calls, expect, keys, plain

_MOST = 2_000_000  # containers, and remembered values, of one pickle


class PickleMachine:
    """Reads the opcodes of one pickle.

    Args:
        data: the pickle.
        keep_bytes: whether strings of Python 2 become bytes, not text.
        start: byte where the pickle starts.

    Attributes:
        place: byte of the opcode that is being read; after `run`, of the last one.
        calls: class of what stands for calls.
        more: further opcodes that a derived class knows, with what each does.
    """

    calls: ClassVar[type[Calls]] = Calls
    more: ClassVar[Mapping[str, Callable[[Any, Any], object]]] = {}

    def __init__(self, data: bytes, *, keep_bytes: bool = False, start: int = 0) -> None:
        self.place = start
        self._stream = io.BytesIO(data)
        self._stream.seek(start)
        self._keep_bytes = keep_bytes
        self._calls = self.calls(2 * len(data))  # bytes of a string of numpy are copied twice
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._containers = 0

    def run(self) -> Any:
        """The value of the pickle.

        Raises:
            FormatError: it asks for anything but plain values.
            ArithmeticError, LookupError, TypeError, ValueError, Warning: it is damaged.
        """
        stream = self._stream
        while True:
            self.place = stream.tell()
            code = stream.read(1)
            if code == b".":
                return plain([self._stack.pop()])[0]
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise FormatError("this is no pickle" if code else "the pickle is truncated")
            if opcode.name == "STRING":
                argument: Any = _quoted(stream.readline())
            else:
                argument = None if opcode.arg is None else opcode.arg.reader(stream)
            action = _ACTIONS.get(opcode.name) or self.more.get(opcode.name)
            if action is None:
                what = f" for {argument.replace(' ', '.')!r:.200}" if opcode.name == "INST" else ""
                raise FormatError(f"it asks{what} with opcode {opcode.name}; {ONLY}")
            action(self, argument)

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _push_string(self, text: str) -> None:
        self._push(text.encode("latin-1") if self._keep_bytes else text)

    def _push_new(self, value: Any) -> None:
        self._containers += 1
        if self._containers > _MOST:
            raise FormatError(f"expected at most {_MOST:,} containers")
        self._push(value)

    def _mark(self, _: None) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _drop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _put(self, index: int) -> None:
        if len(self._memo) >= _MOST:
            raise FormatError(f"expected at most {_MOST:,} remembered values")
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        value = self._memo[index]
        if isinstance(value, Array):
            value = value.value
            if value is None:
                raise FormatError("expected no array that holds itself")
        self._push(value)

    def _tuple(self, items: Iterable[Any]) -> None:
        items = tuple(items)
        hidden = any(type(item) in HIDDEN for item in items)
        self._push_new(Arguments(items) if hidden else items)

    def _tuple_of(self, count: int) -> None:
        self._tuple([self._stack.pop() for _ in range(count)][::-1])

    def _dict(self, _: None) -> None:
        items = self._to_mark()
        self._push_new({})
        self._update(items)

    def _extend(self, items: Sequence[Any]) -> None:
        expect(self._stack[-1], list).extend(plain(items))

    def _update(self, items: Sequence[Any]) -> None:
        target = expect(self._stack[-1], dict)
        for key, value in zip(keys(items[::2]), plain(items[1::2]), strict=True):
            target[key] = value

    def _include(self, _: None) -> None:
        items = self._to_mark()
        expect(self._stack[-1], set).update(keys(items))

    def _pair(self) -> tuple[Any, Any]:
        second, first = self._stack.pop(), self._stack.pop()
        return first, second

    def _call(self, _: None) -> None:
        function, arguments = self._pair()
        self._push_new(self._calls.call(function, expect(arguments, tuple, Arguments)))

    def _build(self, _: None) -> None:
        target, state = self._pair()
        self._push(self._calls.build(target, state))


def _quoted(line: bytes) -> str:
    """The string of a line: a literal of Python 2."""
    line = line.strip()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise FormatError("expected a string in quotes")
    return bytes(codecs.escape_decode(line[1:-1])[0]).decode("latin-1")


_M = PickleMachine
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_NUMBERS = "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT"
_TEXT = "UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8"
_BYTES = "SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8"
_ACTIONS: dict[str, Callable[[PickleMachine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME", "READONLY_BUFFER"), lambda _machine, _argument: None),
    **dict.fromkeys(f"{_NUMBERS} {_TEXT} {_BYTES}".split(), _M._push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _M._push_string),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _M._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _M._get),
    "MEMOIZE": lambda m, _: m._put(len(m._memo)),
    "NONE": _M._push,
    "NEWTRUE": lambda m, _: m._push(True),
    "NEWFALSE": lambda m, _: m._push(False),
    "MARK": _M._mark,
    "POP": _M._drop,
    "POP_MARK": lambda m, _: m._to_mark(),
    "DUP": lambda m, _: m._push(m._stack[-1]),
    "EMPTY_TUPLE": lambda m, _: m._push(()),
    "EMPTY_LIST": lambda m, _: m._push_new([]),
    "EMPTY_DICT": lambda m, _: m._push_new({}),
    "EMPTY_SET": lambda m, _: m._push_new(set()),
    "TUPLE1": lambda m, _: m._tuple_of(1),
    "TUPLE2": lambda m, _: m._tuple_of(2),
    "TUPLE3": lambda m, _: m._tuple_of(3),
    "TUPLE": lambda m, _: m._tuple(m._to_mark()),
    "LIST": lambda m, _: m._push_new(list(plain(m._to_mark()))),
    "FROZENSET": lambda m, _: m._push_new(m._calls.frozenset(m._to_mark())),
    "DICT": _M._dict,
    "APPEND": lambda m, _: m._extend([m._stack.pop()]),
    "APPENDS": lambda m, _: m._extend(m._to_mark()),
    "SETITEM": lambda m, _: m._update(m._pair()),
    "SETITEMS": lambda m, _: m._update(m._to_mark()),
    "ADDITEMS": _M._include,
    "GLOBAL": lambda m, names: m._push(m._calls.known(*names.split(" ", 1))),
    "STACK_GLOBAL": lambda m, _: m._push(m._calls.known(*m._pair())),
    "REDUCE": _M._call,
    "BUILD": _M._build,
}
"""What each opcode does; one that is not here is refused."""
