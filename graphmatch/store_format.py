"""The files of a graph store: Parquet parts with a footer, and a manifest.

A part is written under a temporary name and renamed when it is whole, so a store never holds half a
part. The footer of each part says which input it was made from; a rerun keeps the parts that fit.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graphmatch.errors import ConfigError, FormatError
from graphmatch.rows import CaptionRow, rows_to_table

FORMAT = "graphmatch-graphs"
VERSION = 1
MANIFEST = "manifest.json"
FOOTER = b"graphmatch"
"""Key of a part's footer: JSON of its format version and its `PartSummary`."""
ROW_GROUP = 256
"""Rows that one random access reads."""
_LISTED = 1000  # failures that the manifest lists by id
_PART = re.compile(r"part-\d{5,}\.parquet")
_LEFTOVER = re.compile(rf"(?:{_PART.pattern}|{re.escape(MANIFEST)})\.\d+\.tmp")


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


def part_name(number: int) -> str:
    """File name of a part.

    Args:
        number: from 0.

    Returns:
        `part-00000.parquet` and so on.
    """
    return f"part-{number:05d}.parquet"


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
    footer = {"version": VERSION, **content}
    table = rows_to_table(rows).replace_schema_metadata({FOOTER: json.dumps(footer).encode()})
    path = Path(folder) / part_name(number)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            row_group_size=ROW_GROUP,
            write_page_checksum=True,
        )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
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
    try:
        metadata = pq.read_metadata(path)
        footer = json.loads(metadata.metadata[FOOTER])
        check_version(footer["version"], path)
        summary = PartSummary(**{name: footer[name] for name in PartSummary.__slots__})
        if verify:
            pq.read_table(path, page_checksum_verification=True)
    except FormatError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    return summary if metadata.num_rows == summary.rows else None


def check_version(version: object, path: str | Path) -> None:
    """Raise `FormatError` if a file was written by a newer version of the format.

    Args:
        version: the version that it states.
        path: the file, for the message.

    Raises:
        FormatError: a newer version, or none at all.
    """
    if not isinstance(version, int) or version < 1:
        raise FormatError(f"{path}: expected a format version from 1 (got {version!r})")
    if version > VERSION:
        raise FormatError(
            f"{path}: expected format version {VERSION} or older (got {version}); "
            "it was written by a newer graphmatch: upgrade, or make the store again"
        )


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
        "format": FORMAT,
        "version": VERSION,
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
    path = Path(folder) / MANIFEST
    temporary = path.with_name(f"{MANIFEST}.{os.getpid()}.tmp")
    try:
        text = json.dumps(content, ensure_ascii=False, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """A store's manifest.

    Args:
        folder: the store.

    Returns:
        Its content.

    Raises:
        FormatError: no store there, a damaged manifest, a newer version.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FormatError(f"{folder}: expected a graph store (no {MANIFEST}); see graphmatch parse")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise FormatError(f"{path}: expected format {FORMAT} (got {content['format']!r})")
        check_version(content["version"], path)
        _check_kinds(content, job=dict, counts=dict, parts=list, complete=bool)
        _check_kinds(content["counts"], captions=int, failed=int, event_only=int)
        for part in content["parts"]:
            _check_kinds(part, file=str, rows=int, digest=str)
            if not _PART.fullmatch(part["file"]):
                raise TypeError(f"{part['file']!r} is no part of a store")
    except FormatError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(
            f"{path}: the manifest is damaged ({error}); make the store again"
        ) from error
    return dict(content)


def _check_kinds(record: dict[str, Any], **kinds: type) -> None:
    for name, kind in kinds.items():
        if not isinstance(record[name], kind):
            raise TypeError(f"{name} is {record[name]!r:.100}")


def prepare_folder(path: str | Path, job: dict[str, Any], *, force: bool = False) -> None:
    """Make a folder ready for a job: new, or the same job's to go on with.

    Args:
        path: the store.
        job: what is going to be stored: parser, options.
        force: throw away a store of another job. Only files of a store are ever removed.

    Raises:
        ConfigError: a folder with something else in it, or a store of another job without
            `force`.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{path}: expected a folder for the store (got a file)")
    folder.mkdir(parents=True, exist_ok=True)
    leftovers = [entry for entry in folder.iterdir() if _LEFTOVER.fullmatch(entry.name)]
    present = sorted({entry.name for entry in folder.iterdir()} - {e.name for e in leftovers})
    if present and not _is_ours(folder / MANIFEST):
        raise ConfigError(f"{path}: expected a new or empty folder, or a store (got {present[:3]})")
    for leftover in leftovers:
        leftover.unlink()
    if not present:
        return
    if force:
        for entry in folder.iterdir():
            if _PART.fullmatch(entry.name):
                entry.unlink()
        (folder / MANIFEST).unlink()
        return
    stored = read_manifest(folder)["job"]
    different = sorted(name for name in {*stored, *job} if stored.get(name) != job.get(name))
    if different:
        changes = ", ".join(f"{n}: {stored.get(n)!r} -> {job.get(n)!r}" for n in different)
        raise ConfigError(
            f"{path}: the store was made by another job ({changes}); choose another folder, "
            "or --force to throw it away"
        )


def _is_ours(manifest: Path) -> bool:
    """Whether a manifest is a store's, damaged or not: web pages have a manifest.json too."""
    return manifest.is_file() and FORMAT.encode() in manifest.read_bytes()[:100]
