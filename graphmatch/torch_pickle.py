"""`TorchPickle`: the pickles in files of `torch.save`, whose tensors stay descriptions.

As `graphmatch.safe_pickle` reads plain values, without running anything, plus what checkpoints
hold: tensors, ordered dicts with a note of torch, and `argparse.Namespace`, which becomes a dict.
Nothing is allocated for a tensor; `graphmatch.torch_file` does that when its size is known to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from graphmatch.errors import FormatError
from graphmatch.pickle_calls import Arguments, Calls, Global, expect
from graphmatch.pickle_machine import PickleMachine

STORAGES = {
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
"""Types of storages, with the dtype of their numbers."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers that lie elsewhere in the file.

    Args:
        dtype: name of their type in torch.
        key: the name under which they lie.
        numel: how many there are.
        view: first number and count, if only a part is meant.
    """

    dtype: str
    key: str
    numel: int
    view: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as a file describes it; nothing about it is checked but the types.

    Args:
        storage: its numbers.
        offset: where in the storage it starts.
        size: its shape.
        stride: numbers from one entry to the next, by axis.
    """

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(expect(value, int) for value in expect(values, tuple))


class _TorchCalls(Calls):
    def _tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any
    ) -> StoredTensor:  # what follows: gradient wanted, hooks, notes
        return StoredTensor(
            expect(storage, Storage), expect(offset, int), _integers(size), _integers(stride)
        )

    def _parameter(self, tensor: Any, *_: Any) -> StoredTensor:
        return expect(tensor, StoredTensor)  # type: ignore[no-any-return]

    def _size(self, values: Any) -> tuple[int, ...]:
        return _integers(values)

    def new(self, kind: object, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """A new object: only a namespace."""
        if kind != Global("argparse.Namespace") or arguments:
            name = kind.name if isinstance(kind, Global) else type(kind).__name__
            raise FormatError(f"it makes an object of {name!r:.200}")
        return {}

    def build(self, target: object, state: Any) -> Any:
        if type(target) is dict and type(state) is dict:
            if state.keys() == {"_metadata"}:  # versions of modules, beside a state dict
                return target
            if not target:  # the options in a namespace
                target.update(state)
                return target
        return super().build(target, state)

    more: ClassVar[Mapping[str, Callable[..., Any] | None]] = {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.Size": _size,
        "argparse.Namespace": None,
        **dict.fromkeys(STORAGES, None),
    }


class TorchPickle(PickleMachine):
    """Reads one pickle of a file of `torch.save`; see `PickleMachine`."""

    calls = _TorchCalls

    def _new(self, _: None) -> None:
        kind, arguments = self._pair()
        assert isinstance(self._calls, _TorchCalls)
        self._push_new(self._calls.new(kind, expect(arguments, tuple, Arguments)))

    def _storage(self, _: None) -> None:
        what, *about = expect(self._stack.pop(), tuple, Arguments)
        if what != "storage":
            raise FormatError(f"it holds a whole {what!r:.50}, not only its tensors")
        kind, key, _location, numel, *view = about
        dtype = STORAGES.get(expect(kind, Global).name)
        if dtype is None:
            raise FormatError(f"it holds tensors of type {kind.name!r}")
        part = view[0] if view else None
        self._push_new(
            Storage(
                dtype,
                expect(key, str),
                expect(numel, int),
                None if part is None else _view(*expect(part, tuple)),
            )
        )

    more: ClassVar[Mapping[str, Callable[[Any, Any], object]]] = {
        "NEWOBJ": _new,
        "BINPERSID": _storage,
    }


def _view(_key: Any, offset: Any, size: Any) -> tuple[int, int]:
    return expect(offset, int), expect(size, int)
