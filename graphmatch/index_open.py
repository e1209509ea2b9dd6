"""Indexes as the command line opens them: by folder, checkpoint and the address of Milvus."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from graphmatch.checkpoint import checkpoint_digest, find_checkpoint, load_checkpoint
from graphmatch.errors import CheckpointError, ConfigError
from graphmatch.index import MatchIndex
from graphmatch.index_schema import NodeType, Side, read_header
from graphmatch.lance_table import LanceTable

if TYPE_CHECKING:
    import pyarrow as pa

    from graphmatch.milvus_prefilter import MilvusPrefilter


def open_index(
    path: str | Path,
    checkpoint: str | Path | None = None,
    *,
    milvus: str | None = None,
    encodes: bool = True,
) -> MatchIndex:
    """An index that is there, with the checkpoint that it remembers if none is given.

    Args:
        path: its folder or address.
        checkpoint: of its matcher, if it is elsewhere now.
        milvus: address of Milvus, if the index was made with it.
        encodes: whether the matcher is needed.

    Returns:
        The index.

    Raises:
        FormatError: no index.
        CheckpointError: the checkpoint is not there, or another one.
        ConfigError: Milvus for an index that was made without.
    """
    header = read_header(LanceTable.open(path).schema, where=str(path))
    if encodes and checkpoint is None:
        try:
            checkpoint = find_checkpoint(header.checkpoint)
        except CheckpointError as error:
            raise CheckpointError(
                f"{path}: expected the checkpoint where it was when the index was made ({error}); "
                "say where it is by --checkpoint"
            ) from error
    prefilter = None
    if milvus is not None:
        if header.prefilter is None:
            raise ConfigError(f"{path}: the index was made without Milvus; leave --milvus out")
        prefilter = _milvus(milvus, header.prefilter.removeprefix("milvus:"))
    return MatchIndex.open(path, checkpoint if encodes else None, prefilter=prefilter)


def make_index(
    path: str | Path,
    checkpoint: str | Path,
    *,
    side: Side,
    dtype: NodeType | None = None,
    own_vectors: bool = False,
    metadata: pa.Schema | None = None,
    milvus: str | None = None,
) -> MatchIndex:
    """A new index, or the one that is there to go on with.

    Args:
        path: its folder or address.
        checkpoint: of its matcher.
        side: what the gallery is.
        dtype: numbers of nodes on disk; float16, or as the index has them, if None.
        own_vectors: whether the user brings vectors.
        metadata: the user's columns.
        milvus: address of Milvus.

    Returns:
        The index.

    Raises:
        ConfigError: the index that is there was made with other options.
        CheckpointError: another checkpoint.
    """
    if not LanceTable.exists(path):
        matcher, vocabulary = load_checkpoint(checkpoint, task="match")
        index = MatchIndex.create(
            path,
            matcher,
            digest=checkpoint_digest(checkpoint),
            checkpoint=find_checkpoint(checkpoint).absolute(),
            side=side,
            dtype=dtype or "float16",
            own_vectors=own_vectors,
            metadata=metadata,
            prefilter=None if milvus is None else _milvus(milvus, _collection(path)),
        )
        index.vocabulary = vocabulary
        return index
    index = open_index(path, checkpoint, milvus=milvus)
    header = index.header
    wanted = (side, dtype or header.dtype, own_vectors)
    there = (header.side, header.dtype, header.own_vectors)
    if wanted != there:
        raise ConfigError(
            f"{path}: expected the side, the numbers and the vectors (own or not) that the index "
            f"was made with, {there} (got {wanted}); choose another folder"
        )
    return index


def _collection(path: str | Path) -> str:
    """A name that indexes of other places do not have."""
    return "graphmatch_" + hashlib.sha256(str(Path(path).absolute()).encode()).hexdigest()[:16]


def _milvus(uri: str, collection: str) -> MilvusPrefilter:
    from graphmatch.milvus_prefilter import MilvusPrefilter

    return MilvusPrefilter(uri, collection=collection)
