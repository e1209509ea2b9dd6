"""`Encoded` as columns of a table, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from graphmatch.encoded import Encoded
from graphmatch.errors import FormatError

_TYPES = {
    "float32": (torch.float32, pa.float32()),
    "float64": (torch.float64, pa.float64()),
    "float16": (torch.float16, pa.float16()),
    "int64": (torch.int64, pa.int64()),
    "int32": (torch.int32, pa.int32()),
    "bool": (torch.bool, pa.bool_()),
}
_NAMES = {dtype: name for name, (dtype, _) in _TYPES.items()}
_EXTRA = "extra."


def write_columns(
    chunks: Sequence[Encoded], ids: Sequence[str], failures: Sequence[Sequence[str]]
) -> tuple[pa.Table, dict[str, Any] | None]:
    """A table of items: the good ones in order, then the failed ones.

    Args:
        chunks: the n good items; every tensor is copied to the CPU, which synchronises a device.
        ids: n ids.
        failures: [id, error] of the failed ones.

    Returns:
        The table, and what `read_columns` must know of it: type, sizes of one item and node axes of
        each list, by column; None without a good item. A size that counts nodes is -1.

    Raises:
        FormatError: a tensor of bfloat16 or another type that the table has not.

    Example:
        >>> items = Encoded(nodes=torch.ones(1, 3, 2), mask=torch.tensor([[True, True, False]]))
        >>> table, layout = write_columns([items], ["a"], [["b", "empty caption"]])
        >>> table["nodes"].to_pylist(), table["error"].to_pylist()
        ([[1.0, 1.0, 1.0, 1.0], None], [None, 'empty caption'])
        >>> read_columns(table.slice(0, 1), layout)
        Encoded(1 items, 2 nodes, 2 features)
    """
    failed = len(failures)
    columns: dict[str, Any] = {
        "id": pa.array([*ids, *(key for key, _ in failures)], pa.string()),
        "error": pa.array([None] * len(ids) + [error for _, error in failures], pa.string()),
    }
    if not chunks:
        return pa.table(columns), None
    layout = {name: _layout(chunks[0], name) for name in _tensors(chunks[0])}
    widths: list[int] = []
    values: dict[str, list[Any]] = {name: [] for name in layout}
    for chunk in chunks:
        places = torch.arange(1, 1 + chunk.mask.size(1), device=chunk.mask.device)
        ends = (chunk.mask * places).amax(dim=1).tolist()  # behind each item's last node
        widths += ends
        for name, tensor in _tensors(chunk).items():
            if _layout(chunk, name) != layout[name]:
                raise FormatError(f"{name}: expected {layout[name]} (got {_layout(chunk, name)})")
            axes = [axis - 1 for axis in layout[name]["axes"]]
            for item, end in zip(tensor.numpy(force=True), ends, strict=True):
                cut = [slice(None)] * item.ndim
                for axis in axes:
                    cut[axis] = slice(end)
                values[name].append(item[tuple(cut)].reshape(-1))
    columns["width"] = pa.array([*widths, *[None] * failed], pa.int32())
    for name, lists in values.items():
        kind = pa.list_(_TYPES[layout[name]["dtype"]][1])
        columns[name] = pa.array([*lists, *[None] * failed], kind)
    return pa.table(columns), layout


def read_columns(table: pa.Table, layout: Mapping[str, Any]) -> Encoded:
    """The items of a table without failed ones, padded to the widest.

    Args:
        table: rows of good items, at least one.
        layout: as `write_columns` returned it.

    Returns:
        The items, on the CPU.

    Raises:
        FormatError: lists that do not have the layout's sizes.
        KeyError: a column is missing.
    """
    widths = table["width"].to_pylist()
    tensors = {
        name: _read_tensor(table[name], widths, name, column) for name, column in layout.items()
    }
    extra = {
        name.removeprefix(_EXTRA): value
        for name, value in tensors.items()
        if name.startswith(_EXTRA)
    }
    axes = {name: tuple(layout[_EXTRA + name]["axes"]) for name in extra}
    return Encoded(
        nodes=tensors["nodes"],
        mask=tensors["mask"],
        pooled=tensors.get("pooled"),
        extra=extra,
        node_axes={name: of for name, of in axes.items() if of},
    )


def _tensors(items: Encoded) -> dict[str, Tensor]:
    tensors = {"mask": items.mask, "nodes": items.nodes}
    if items.pooled is not None:
        tensors["pooled"] = items.pooled
    return tensors | {_EXTRA + name: value for name, value in items.extra.items()}


def _layout(items: Encoded, name: str) -> dict[str, Any]:
    tensor = _tensors(items)[name]
    if tensor.dtype not in _NAMES:
        raise FormatError(f"{name}: expected numbers of {', '.join(_TYPES)} (got {tensor.dtype})")
    axes = [1] if name in ("mask", "nodes") else items.node_axes.get(name.removeprefix(_EXTRA), ())
    shape = [-1 if axis in axes else size for axis, size in enumerate(tensor.shape)]
    return {"dtype": _NAMES[tensor.dtype], "shape": shape[1:], "axes": list(axes)}


def _read_tensor(
    column: pa.ChunkedArray, widths: Sequence[int], name: str, layout: Mapping[str, Any]
) -> Tensor:
    lists = column.combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    ends = np.cumsum(lists.value_lengths().to_numpy())
    shape = layout["shape"]
    most = max([1, *widths])
    full = [most if size == -1 else size for size in shape]
    result = np.zeros((len(widths), *full), layout["dtype"])
    for number, (width, end) in enumerate(zip(widths, ends, strict=True)):
        sizes = [width if size == -1 else size for size in shape]
        start = ends[number - 1] if number else 0
        if end - start != int(np.prod(sizes)):
            raise FormatError(f"{name}: expected {sizes} numbers (got {end - start})")
        part = tuple(slice(size) for size in sizes)
        result[number][part] = flat[start:end].reshape(sizes)
    return torch.from_numpy(result)
