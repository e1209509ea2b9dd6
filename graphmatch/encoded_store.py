"""Folders of encoded captions, images or videos: Parquet parts and a manifest.

encoded/manifest.json        format, version, job, counts, parts, failures
encoded/part-00000.parquet   a row an item: id, error, width, mask, nodes, pooled, extra.NAME

`nodes` is [width, D] in one list, up to the last node of the item; so is each tensor of `extra`. A
part holds its good items in order, then the failed ones. Its footer says with which checkpoint it
was made and which shape the lists have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from graphmatch.checkpoint import checkpoint_digest
from graphmatch.encoded import Encoded
from graphmatch.encoded_columns import read_columns, write_columns
from graphmatch.errors import CheckpointError, FormatError
from graphmatch.parquet_part import part_name, read_footer, write_table_part
from graphmatch.store_folder import StoreFormat

FORMAT = StoreFormat(
    name="graphmatch-encoded",
    version=1,
    what="a folder of encoded items",
    command="graphmatch corpus encode",
    files=r"part-\d{5,}\.parquet",
    kinds=(("job", dict), ("counts", dict), ("parts", list), ("complete", bool)),
)
"""Folders of encoded items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPart:
    """What a part holds; kept in its footer.

    Args:
        checkpoint: digest of the checkpoint that encoded it.
        source: digest of the items that it was made from.
        rows: items, failed ones included.
        failures: [id, error] of the failed items.
        layout: shapes and types of the lists; None if all items failed.
    """

    checkpoint: str
    source: str
    rows: int
    failures: Sequence[Sequence[str]] = ()
    layout: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedItems:
    """Encoded items of a folder.

    Args:
        ids: n ids in order.
        chunks: the items, for `score_matrix`; n in all.
        failures: (id, error) of the items that could not be encoded.
        checkpoint: digest of the checkpoint that encoded them.
    """

    ids: list[str]
    chunks: list[Encoded]
    failures: list[tuple[str, str]] = field(repr=False)
    checkpoint: str


def read_encoded(
    folder: str | Path,
    *,
    checkpoint: str | Path | None = None,
    device: torch.device | str | None = None,
) -> EncodedItems:
    """The items that `graphmatch corpus encode` wrote.

    Args:
        folder: the folder.
        checkpoint: the checkpoint or run with which they are going to be scored; it must be the one
            that encoded them.
        device: where the chunks are put; the CPU if None.

    Returns:
        Ids and chunks, as `encode_texts` and `encode_visuals` give them; all in memory.

    Raises:
        CheckpointError: another checkpoint encoded them.
        FormatError: no such folder, an unfinished one, a damaged part, parts of different
            checkpoints.
    """
    folder = Path(folder)
    manifest = FORMAT.read_manifest(folder)
    if not manifest["complete"]:
        raise FormatError(
            f"{folder}: expected a finished run (this one was interrupted); run the same command "
            "again, it goes on where it stopped"
        )
    digest = str(manifest["job"].get("checkpoint"))
    if checkpoint is not None and (wanted := checkpoint_digest(checkpoint)) != digest:
        raise CheckpointError(
            f"{folder}: expected items of the checkpoint {checkpoint}, {wanted[:12]}... (got those "
            f"of {digest[:12]}...); encode them again"
        )
    items = EncodedItems(ids=[], chunks=[], failures=[], checkpoint=digest)
    for number in range(len(manifest["parts"])):
        path = folder / part_name(number)
        part = read_part(path)
        if part is None:
            raise FormatError(
                f"{path}: expected a part of the folder (missing, truncated or damaged); run the "
                "same graphmatch corpus encode command again to make it anew"
            )
        if part.checkpoint != digest:
            raise FormatError(
                f"{path}: expected a part of the checkpoint {digest[:12]}... (got one of "
                f"{part.checkpoint[:12]}...); encode the items again"
            )
        items.failures.extend((str(key), str(error)) for key, error in part.failures)
        _read_items(path, part, items, device)
    return items


def _read_items(
    path: Path, part: EncodedPart, items: EncodedItems, device: torch.device | str | None
) -> None:
    """Add a part's good items; a chunk a row group."""
    good = part.rows - len(part.failures)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group).slice(0, good)
                good -= len(table)
                if len(table):
                    items.ids.extend(table["id"].to_pylist())
                    items.chunks.append(read_columns(table, part.layout or {}).to(device))
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{path}: damaged ({error}); delete the file and run the same graphmatch corpus encode "
            "command again"
        ) from error


def write_part(
    path: Path, chunks: Sequence[Encoded], ids: Sequence[str], part: EncodedPart
) -> EncodedPart:
    """Write one part: whole or not at all.

    Args:
        path: its file.
        chunks: the good items.
        ids: of the good items.
        part: what it holds, without the layout.

    Returns:
        What it holds.

    Raises:
        FormatError: numbers of a type that the format has not.
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    table, layout = write_columns(chunks, ids, part.failures)
    whole = EncodedPart(
        checkpoint=part.checkpoint,
        source=part.source,
        rows=part.rows,
        failures=part.failures,
        layout=layout,
    )
    footer = {name: getattr(whole, name) for name in EncodedPart.__slots__}
    write_table_part(path, table, format=FORMAT, content=footer)
    return whole


def read_part(path: str | Path, *, verify: bool = False) -> EncodedPart | None:
    """What a part holds, from its footer.

    Args:
        path: the part's file.
        verify: read every page and compare its checksum.

    Returns:
        What it holds; None if there is no such file or it is damaged.

    Raises:
        FormatError: a part of a newer format version.
    """
    content = read_footer(path, format=FORMAT, names=EncodedPart.__slots__, verify=verify)
    return None if content is None else EncodedPart(**content)
