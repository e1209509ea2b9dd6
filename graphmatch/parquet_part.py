"""Parquet files that are parts of a folder: whole or not at all; the footer says what they hold."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graphmatch.errors import FormatError
from graphmatch.store_folder import StoreFormat

FOOTER = b"graphmatch"
"""Key of the Parquet footer under which a part says what it holds."""
ROW_GROUP = 256
"""Rows that one random access reads."""


def part_name(number: int) -> str:
    """File name of a part.

    Args:
        number: of the part, from 0.

    Returns:
        The name.
    """
    return f"part-{number:05d}.parquet"


def write_table_part(
    path: Path, table: pa.Table, *, format: StoreFormat, content: dict[str, Any]
) -> None:
    """Write a part: whole or not at all.

    Args:
        path: its file.
        table: its rows.
        format: of the folder; its version goes into the footer.
        content: what the part holds, as values of JSON.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    footer = json.dumps({"version": format.version, **content}).encode()
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(
            table.replace_schema_metadata({FOOTER: footer}),
            temporary,
            compression="zstd",
            row_group_size=ROW_GROUP,
            write_page_checksum=True,
        )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_footer(
    path: str | Path, *, format: StoreFormat, names: Sequence[str], verify: bool = False
) -> dict[str, Any] | None:
    """What a part says that it holds.

    Args:
        path: its file.
        format: of the folder.
        names: of the values, `rows` among them.
        verify: read every page and compare its checksum.

    Returns:
        Values by name; None if there is no such file, if it is damaged or has another number of
        rows.

    Raises:
        FormatError: a part of a newer format version.
    """
    try:
        metadata = pq.read_metadata(path)
        footer = json.loads(metadata.metadata[FOOTER])
        format.check_version(footer["version"], path)
        content = {name: footer[name] for name in names}
        if verify:
            pq.read_table(path, page_checksum_verification=True)
    except FormatError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    return content if metadata.num_rows == content["rows"] else None
