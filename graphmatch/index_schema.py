"""`IndexHeader`: what an index says of itself, and the columns of its table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa

from graphmatch.errors import ConfigError, FormatError, GraphError, check_choice
from graphmatch.store_folder import check_kinds

if TYPE_CHECKING:
    from graphmatch.encoded import Encoded

FORMAT, VERSION = "graphmatch-index", 1
ID, VECTOR, COUNT = "id", "vector", "_count"
"""Columns that every index has: ids, [D] float32 of length 1, numbers of nodes."""
Side = Literal["visual", "text"]
"""What the gallery is: images or videos, or captions."""
NodeType = Literal["float16", "float32"]
"""Numbers of nodes on disk."""
_KEY = b"graphmatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorColumn:
    """One tensor of `Encoded` as a column of bytes, padding left out.

    Args:
        name: `nodes`, `pooled`, or a name of `Encoded.extra`.
        column: of the table.
        dtype: of the numbers on disk, little-endian.
        axes: how many axes after the first count nodes.
        rest: sizes of the axes after those.
    """

    name: str
    column: str
    dtype: str
    axes: int
    rest: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexHeader:
    """What belongs to the whole index; kept in the table's metadata.

    Args:
        digest: of the checkpoint that encoded the items, see `checkpoint_digest`.
        checkpoint: where that checkpoint was.
        side: what the gallery is.
        dtype: numbers of nodes on disk.
        own_vectors: whether the user brought the vectors, and brings those of queries.
        prefilter: name of another prefilter than the table's own vector index.
        tensors: columns of `Encoded`; known with the first items.
    """

    digest: str
    checkpoint: str
    side: Side = "visual"
    dtype: NodeType = "float16"
    own_vectors: bool = False
    prefilter: str | None = None
    tensors: tuple[TensorColumn, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_choice("side", self.side, get_args(Side))
        check_choice("dtype", self.dtype, get_args(NodeType))

    def schema(self, *, vector_size: int, metadata: pa.Schema) -> pa.Schema:
        """The columns of the table.

        Args:
            vector_size: numbers of a vector.
            metadata: the user's columns.

        Returns:
            All columns, with this header as metadata.
        """
        values = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return pa.schema(
            [
                pa.field(ID, pa.string(), nullable=False),
                pa.field(VECTOR, pa.list_(pa.float32(), vector_size)),
                pa.field(COUNT, pa.int32()),
                *(pa.field(tensor.column, pa.large_binary()) for tensor in self.tensors),
                *metadata,
            ],
            metadata={_KEY: json.dumps(values)},
        )


def read_header(schema: pa.Schema, *, where: str) -> IndexHeader:
    """The header of a table.

    Args:
        schema: of the table.
        where: the index, for messages.

    Returns:
        The header.

    Raises:
        FormatError: no table of an index, a damaged header, a newer version.
    """
    try:
        values = json.loads((schema.metadata or {})[_KEY])
        check_kinds(values, (("format", str), ("version", int), ("digest", str)))
        kind, version = values.pop("format"), values.pop("version")
        if kind != FORMAT or version < 1:
            raise ValueError(f"format {kind!r}, version {version}")
        if version <= VERSION:
            tensors = [
                TensorColumn(**{**tensor, "rest": tuple(tensor["rest"])})
                for tensor in values.pop("tensors")
            ]
            return IndexHeader(**values, tensors=tuple(tensors))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(
            f"{where}: expected an index of graphmatch (its header is missing or damaged: {error})"
        ) from error
    raise FormatError(
        f"{where}: expected index version {VERSION} or older (got {version}); it was written by a "
        "newer graphmatch: upgrade"
    )


def metadata_schema(schema: pa.Schema, header: IndexHeader) -> pa.Schema:
    """The user's columns of a table.

    Args:
        schema: of the table.
        header: of the table.

    Returns:
        Those that are not the index's own.
    """
    own = {ID, VECTOR, COUNT, *(tensor.column for tensor in header.tensors)}
    return pa.schema([entry for entry in schema if entry.name not in own])


def check_metadata(schema: pa.Schema) -> None:
    """Raise `ConfigError` if columns cannot be metadata.

    Args:
        schema: names and types.

    Raises:
        ConfigError: a name that is taken or cannot be used in conditions, a nested type.

    Example:
        >>> check_metadata(pa.schema([("year", pa.int64()), ("vector", pa.string())]))
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: metadata: expected other names than id, ... (got 'vector')
    """
    names = schema.names
    for entry in schema:
        name, kind = entry.name, entry.type
        if name in (ID, VECTOR) or name.startswith("_"):
            raise ConfigError(
                f"metadata: expected other names than {ID}, {VECTOR} and those that begin with _ "
                f"(got {name!r})"
            )
        if not name.isidentifier() or names.count(name) > 1:
            raise ConfigError(
                f"metadata: expected column names of letters, digits and _, each once "
                f"(got {name!r})"
            )
        simple = kind.value_type if pa.types.is_list(kind) else kind
        if not (pa.types.is_primitive(simple) or simple in (pa.string(), pa.large_string())):
            raise ConfigError(
                f"metadata: expected numbers, truth values, dates, texts or lists of them in "
                f"{name!r} (got {kind})"
            )


def tensor_columns(encoded: Encoded, dtype: NodeType) -> tuple[TensorColumn, ...]:
    """How items are kept.

    Args:
        encoded: some items.
        dtype: of nodes, pooled vectors, and of whatever else has a vector a node.

    Returns:
        One column a tensor.

    Raises:
        GraphError: a tensor whose node axes do not come first.
    """
    size = encoded.nodes.size(-1)
    found = [TensorColumn(name="nodes", column="_nodes", dtype=dtype, axes=1, rest=(size,))]
    extra: Mapping[str, Any] = encoded.extra
    if encoded.pooled is not None:
        rest = tuple(encoded.pooled.shape[1:])
        found.append(TensorColumn(name="pooled", column="_pooled", dtype=dtype, axes=0, rest=rest))
    for number, (name, value) in enumerate(sorted(extra.items())):
        axes = encoded.node_axes.get(name, ())
        if axes != tuple(range(1, len(axes) + 1)):
            raise GraphError(f"{name}: expected its node axes to be the first (got {axes})")
        rest = tuple(value.shape[1 + len(axes) :])
        wide = len(axes) == 1 and rest == (size,)
        kind = str(value.detach()[:0].cpu().numpy().dtype)
        if np.issubdtype(kind, np.floating):
            kind = dtype if wide else "float32"
        found.append(
            TensorColumn(name=name, column=f"_extra{number}", dtype=kind, axes=len(axes), rest=rest)
        )
    return tuple(found)
