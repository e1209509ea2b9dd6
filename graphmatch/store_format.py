"""The files of a graph store: Parquet parts with a footer, and a manifest.

A part is written under a temporary name and renamed when it is whole, so a store never holds half a
part. The footer of each part says which input it was made from; a rerun keeps the parts that fit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphmatch.parquet_part import part_name, read_footer, write_table_part
from graphmatch.rows import CaptionRow, rows_to_table
from graphmatch.store_folder import MANIFEST, StoreFormat, check_kinds, damaged_manifest

FORMAT = StoreFormat(
    name="graphmatch-graphs",
    version=1,
    what="a graph store",
    command="graphmatch parse",
    files=r"part-\d{5,}\.parquet",
    kinds=(("job", dict), ("counts", dict), ("parts", list), ("complete", bool)),
)
"""Folders of caption graphs."""
_LISTED = 1000  # failures that the manifest lists by id
_COUNTS = (("captions", int), ("failed", int), ("event_only", int))
_PART_KEYS = (("file", str), ("rows", int), ("digest", str))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSummary:
    """What a part holds; kept in its footer.

    Args:
        digest: hex digest of the input rows that it was made from.
        rows: number of captions.
        failed: captions without a parse.
        bare: role graphs with the event alone.
        failures: [id, error] of the failed captions.
    """

    digest: str
    rows: int
    failed: int = 0
    bare: int = 0
    failures: Sequence[Sequence[str]] = field(default=())


def summarise(rows: Sequence[CaptionRow], digest: str) -> PartSummary:
    """Counts of a part.

    Args:
        rows: its captions.
        digest: hex digest of its input.

    Returns:
        The summary.
    """
    failures = [[row.id, row.error] for row in rows if row.error is not None]
    return PartSummary(
        digest=digest,
        rows=len(rows),
        failed=len(failures),
        bare=sum(row.roles is not None and len(row.roles) == 1 for row in rows),
        failures=failures,
    )


def write_part(
    folder: str | Path, number: int, *, rows: Sequence[CaptionRow], digest: str
) -> PartSummary:
    """Write one part of a store: whole or not at all.

    Args:
        folder: the store.
        number: number of the part from 0.
        rows: its captions.
        digest: hex digest of the input rows, by which a rerun knows the part.

    Returns:
        What it holds.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    summary = summarise(rows, digest)
    content = {name: getattr(summary, name) for name in PartSummary.__slots__}
    path = Path(folder) / part_name(number)
    write_table_part(path, rows_to_table(rows), format=FORMAT, content=content)
    return summary


def read_summary(path: str | Path, *, verify: bool = False) -> PartSummary | None:
    """What a part holds, from its footer.

    Args:
        path: the part's file.
        verify: read every page and compare its checksum.

    Returns:
        The summary; None if there is no such file or it is damaged.

    Raises:
        FormatError: a part of a newer format version.
    """
    content = read_footer(path, format=FORMAT, names=PartSummary.__slots__, verify=verify)
    return None if content is None else PartSummary(**content)


def write_manifest(
    folder: str | Path, job: dict[str, Any], *, parts: Sequence[PartSummary], complete: bool
) -> None:
    """Write a store's manifest: whole or not at all.

    Args:
        folder: the store.
        job: what made the store: parser, options.
        parts: what the parts hold, in order.
        complete: whether all input is in.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    failures = [failure for part in parts for failure in part.failures]
    content = {
        "complete": complete,
        "job": job,
        "counts": {
            "captions": sum(part.rows for part in parts),
            "failed": sum(part.failed for part in parts),
            "event_only": sum(part.bare for part in parts),
        },
        "parts": [
            {"file": part_name(number), "rows": part.rows, "digest": part.digest}
            for number, part in enumerate(parts)
        ],
        "failures": failures[:_LISTED],
    }
    FORMAT.write_manifest(folder, content)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """A store's manifest.

    Args:
        folder: the store.

    Returns:
        Its content.

    Raises:
        FormatError: no store there, a damaged manifest, a newer version.
    """
    content = FORMAT.read_manifest(folder)
    try:
        check_kinds(content["counts"], _COUNTS)
        for part in content["parts"]:
            check_kinds(part, _PART_KEYS)
            if not re.fullmatch(FORMAT.files, part["file"]):
                raise TypeError(f"{part['file']!r} is no part of a store")
    except (KeyError, TypeError) as error:
        raise damaged_manifest(Path(folder) / MANIFEST, error) from error
    return content
