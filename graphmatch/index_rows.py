"""`Encoded` items to rows of an index's table and back."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError
from graphmatch.index_schema import COUNT, ID, VECTOR, TensorColumn


def encoded_to_rows(
    ids: Sequence[str],
    encoded: Encoded,
    vectors: NDArray[np.float32],
    *,
    schema: pa.Schema,
    tensors: Sequence[TensorColumn],
    metadata: pa.Table | None = None,
) -> pa.Table:
    """Items as rows.

    Args:
        ids: of n items.
        encoded: the n items.
        vectors: [n, D] vectors of length 1.
        schema: of the table.
        tensors: columns of the items.
        metadata: n rows of the user's columns; what is missing is null.

    Returns:
        n rows.

    Raises:
        GraphError: other tensors than the table has, numbers that are not finite (or too large for
            float16), with the id.
    """
    mask = encoded.mask.cpu().numpy()
    counts = mask.sum(axis=1)  # [n]
    if (mask != (np.arange(mask.shape[1]) < counts[:, None])).any():
        raise GraphError("expected the real nodes of each item before its padding")
    columns: dict[str, Any] = {
        ID: pa.array(ids, pa.string()),
        VECTOR: pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), vectors.shape[1]),
        COUNT: pa.array(counts, pa.int32()),
    }
    held = {"nodes", *encoded.extra, *(() if encoded.pooled is None else ("pooled",))}
    if held != {tensor.name for tensor in tensors}:
        known = sorted(tensor.name for tensor in tensors)
        raise GraphError(f"expected items with the tensors {known} (got {sorted(held)})")
    for tensor in tensors:
        value = _tensor(encoded, tensor.name).detach().cpu().numpy()
        if value.shape[1 + tensor.axes :] != tensor.rest:
            got = list(value.shape[1 + tensor.axes :])
            raise GraphError(f"{tensor.name}: expected {list(tensor.rest)} numbers (got {got})")
        columns[tensor.column] = _pack(ids, value, mask, tensor)
    for entry in schema:
        if metadata is not None and entry.name in metadata.column_names:
            columns[entry.name] = metadata[entry.name].cast(entry.type)
        elif entry.name not in columns:
            columns[entry.name] = pa.nulls(len(ids), entry.type)
    return pa.table([columns[entry.name] for entry in schema], schema=schema)


def rows_to_encoded(rows: pa.Table, tensors: Sequence[TensorColumn]) -> Encoded:
    """The items of rows, the inverse of `encoded_to_rows`.

    Args:
        rows: n rows with the columns of the items.
        tensors: those columns.

    Returns:
        The n items on the CPU; what float16 was kept for is float32.
    """
    counts = rows[COUNT].to_numpy()  # [n]
    width = max(1, int(counts.max(initial=0)))
    mask = np.arange(width) < counts[:, None]  # [n, M]
    found = {tensor.name: _unpack(rows, mask, tensor) for tensor in tensors}
    axes = {tensor.name: tuple(range(1, 1 + tensor.axes)) for tensor in tensors if tensor.axes}
    nodes, pooled = found.pop("nodes"), found.pop("pooled", None)
    axes.pop("nodes")
    return Encoded(
        nodes=nodes, mask=torch.from_numpy(mask), pooled=pooled, extra=found, node_axes=axes
    )


def unit_vectors(ids: Sequence[str], vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Vectors of length 1.

    Args:
        ids: of n items, for messages.
        vectors: [n, D] numbers.

    Returns:
        [n, D] float32.

    Raises:
        GraphError: numbers that are not finite, or a vector of length 0; with the id.

    Example:
        >>> unit_vectors(["a"], np.array([[3.0, 4.0]]))
        array([[0.6, 0.8]], dtype=float32)
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    good = np.isfinite(lengths) & (lengths > 0)
    if not good.all():
        place = int(np.argmin(good))
        what = "numbers that are not finite" if not np.isfinite(lengths[place]) else "length 0"
        raise GraphError(f"item {ids[place]!r}: expected a vector with a direction (got {what})")
    unit: NDArray[np.float32] = (vectors / lengths[:, None]).astype(np.float32)
    return unit


def pooled_vectors(encoded: Encoded) -> NDArray[Any]:
    """The matcher's own vectors.

    Args:
        encoded: n items.

    Returns:
        [n, D] `pooled`.

    Raises:
        ConfigError: the matcher has none.
    """
    if encoded.pooled is None:
        raise ConfigError(
            "expected a matcher with one vector an item (this one has none); bring vectors, for "
            "example of CLIP"
        )
    found: NDArray[Any] = encoded.pooled.detach().float().cpu().numpy()
    return found


def _tensor(encoded: Encoded, name: str) -> torch.Tensor:
    if name == "nodes":
        return encoded.nodes
    if name == "pooled" and encoded.pooled is not None:
        return encoded.pooled
    return encoded.extra[name]


def _places(mask: NDArray[np.bool_], axes: int) -> NDArray[np.bool_] | None:
    """[n, M, ...] where a tensor with so many node axes has numbers; None: everywhere."""
    if not axes:
        return None
    places = mask
    for axis in range(1, axes):
        places = places[..., None] & mask.reshape(len(mask), *[1] * axis, -1)
    return places


def _pack(
    ids: Sequence[str], value: NDArray[Any], mask: NDArray[np.bool_], tensor: TensorColumn
) -> pa.Array:
    places = _places(mask, tensor.axes)
    flat = value if places is None else value[places]  # [entries, ...]
    with np.errstate(over="ignore"):  # too large for float16: found below
        flat = np.ascontiguousarray(flat, dtype=np.dtype(tensor.dtype).newbyteorder("<"))
    each = mask.sum(axis=1, dtype=np.int64) ** tensor.axes  # [n] entries of each item
    if np.issubdtype(flat.dtype, np.floating):
        good = np.isfinite(flat).all(axis=tuple(range(1, flat.ndim)))  # [entries]
        if not good.all():
            bad = ids[int(np.repeat(np.arange(len(ids)), each)[np.argmin(good)])]
            why = ", or too large for float16: use float32" if tensor.dtype == "float16" else ""
            raise GraphError(
                f"item {bad!r}: {tensor.name}: expected finite numbers (got NaN or infinite ones"
                f"{why})"
            )
    size = prod(tensor.rest) * flat.dtype.itemsize
    offsets = np.concatenate([[0], np.cumsum(each * size)]).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(flat.tobytes())]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ids), buffers)


def _unpack(rows: pa.Table, mask: NDArray[np.bool_], tensor: TensorColumn) -> torch.Tensor:
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    content = bytearray().join(memoryview(value.as_buffer()) for value in rows[tensor.column])
    flat = np.frombuffer(content, dtype=dtype).astype(tensor.dtype, copy=False)
    values = torch.from_numpy(flat.reshape(-1, *tensor.rest))
    if tensor.dtype == "float16":
        values = values.float()
    places = _places(mask, tensor.axes)
    if places is None or places.all():  # no padding: a view
        shape = (len(rows),) if places is None else places.shape
        return values.reshape(*shape, *tensor.rest)
    padded = values.new_zeros((*places.shape, *tensor.rest))
    padded[torch.from_numpy(places)] = values
    return padded
