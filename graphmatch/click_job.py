"""`encode_clicks`: a click log becomes a store that a click model trains on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature, Statistic
from graphmatch.click_fit import fit_encoder
from graphmatch.click_histories import order_rows, split_rows
from graphmatch.click_items import ItemColumns
from graphmatch.click_layouts import Written, write_events, write_sequences
from graphmatch.click_log import SPLITS, ClickLog
from graphmatch.click_reading import RawLog, read_log
from graphmatch.click_spool import Spool
from graphmatch.click_store import FORMAT
from graphmatch.click_tuples import TupleItems
from graphmatch.click_writer import ClickWriter
from graphmatch.config import config_values
from graphmatch.errors import check_choice
from graphmatch.folder_lock import FolderLock
from graphmatch.store_folder import MANIFEST


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickReport:
    """What a run of `encode_clicks` did.

    Args:
        counts: rows that could be used, samples, behaviours, items, users, samples of each split.
        modalities: what the items have, see `graphmatch.click_writer.describe_modality`.
        skipped: rows that were left out: a line a reason.
        notes: values that were taken as missing, and more that is worth knowing: a line a reason.
        left_out: number of rows that were left out.
        kept: whether an earlier run had done the same.
    """

    counts: Mapping[str, int]
    modalities: list[dict[str, Any]] = field(repr=False)
    skipped: list[str] = field(repr=False)
    notes: list[str] = field(repr=False)
    left_out: int
    kept: bool


def encode_clicks(
    log: ClickLog,
    folder: str | Path,
    *,
    encoder: ClickEncoder | None = None,
    vectors: Mapping[str, str | Path] | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    force: bool = False,
) -> ClickReport:
    """Read a click log, fit what encodes it on its training rows, and write a store.

    Vocabularies, buckets and scales come from training rows alone; histories and statistics of a
    sample from what is before it. A row that cannot be used is left out, a value that is none is
    missing; both are counted with their reason. Memory holds the different values of each column,
    the table of items and about 100 bytes a row; the rows themselves go to the disk.

    Args:
        log: the log.
        folder: the store: new, empty, or of the same job.
        encoder: encodes as another store was; without, one is fitted.
        vectors: `.npy` files of vectors of items by feature, see `graphmatch.click_items`.
        dtype: of vectors of items in the store.
        force: throw away a store of another job.

    Returns:
        Counts and reasons.

    Raises:
        ConfigError: an impossible option, a folder of something else, a store of another job, an
            encoder of another schema.
        FormatError: a column of another type, a damaged file, no row that can be used.
        OSError: the folder cannot be written.
    """
    check_choice("dtype", dtype, ("float32", "float16"))
    if encoder is not None:
        encoder.check_schema(log.schema)
    folder = Path(folder)
    job = {
        "schema": config_values(log.schema),
        "sources": _digests((*log.sources, *map(Path, (vectors or {}).values()))),
        "options": dict(log.options),
        "dtype": dtype,
        "encoder": None if encoder is None else encoder.digest(),
    }
    job = json.loads(json.dumps(job))
    if not folder.exists():
        folder.mkdir(parents=True)
    lock = FolderLock(folder) if folder.is_dir() else None
    try:
        FORMAT.prepare_folder(folder, job, force=force)
        if (folder / MANIFEST).exists() and log.sources:
            manifest = FORMAT.read_manifest(folder)
            if manifest["complete"]:
                return _report(manifest, kept=True)
        _write_manifest(folder, {"job": job}, complete=False)
        with Spool(folder) as columns:
            content = _encode(log, folder, columns, encoder, vectors, dtype)
        _write_manifest(folder, {"job": job, **content}, complete=True)
        return _report(FORMAT.read_manifest(folder), kept=False)
    finally:
        if lock is not None:
            lock.release()


def _encode(
    log: ClickLog,
    folder: Path,
    columns: Spool,
    encoder: ClickEncoder | None,
    vectors: Mapping[str, str | Path] | None,
    dtype: str,
) -> dict[str, Any]:
    """Everything but the manifest; returns its content."""
    raw = read_log(log, columns)
    schema, writer = log.schema, ClickWriter(folder, dtype)
    user, time = raw.column("@user"), raw.column("@time")
    order = order_rows(user, time, raw.column("@order"), length=raw.rows)
    if schema.splitting.by in ("user", "time"):
        split = split_rows(
            schema.splitting,
            None if user is None else user[order],
            None if time is None else time[order],
        )
    else:
        stored = raw.column("@split")
        assert stored is not None
        split = np.asarray(stored[order])
    train = np.zeros(raw.rows, bool)
    train[order] = split == 0
    items = ItemColumns(raw, log.items, vectors) if schema.of_events else None
    if encoder is None:
        length = raw.column("@length")
        encoder = fit_encoder(raw, items, train, np.zeros(0, int) if length is None else length)
    written, keys = _write(raw, items, encoder, writer, order=order, split=split, train=train)
    encoder.save(folder / "encoder.json", force=True)
    writer.add_keys("items", keys)
    writer.add_keys("users", raw.codes["@user"].values)
    notes = raw.notes.lines()
    if items is not None and items.missing:
        notes.append(f"{items.missing} items of the log are not in the table of items")
    if items is not None and items.repeated:
        notes.append(f"{items.repeated} rows of the table of items repeat an item")
    counts = {
        "rows": raw.rows,
        "left_out": sum(raw.skipped.counts.values()),
        "samples": written.samples,
        "behaviours": written.behaviours,
        "items": len(keys),
        "users": len(raw.codes["@user"]),
        **dict(zip(SPLITS, written.splits, strict=True)),
    }
    return {
        "counts": counts,
        "arrays": writer.arrays,
        "modalities": writer.modalities,
        "properties": [{"name": f.name, "sizes": [encoder.size(f)]} for f in schema.properties],
        "context": writer.context,
        "skipped": raw.skipped.lines(),
        "notes": notes,
    }


def _write(
    raw: RawLog,
    items: ItemColumns | None,
    encoder: ClickEncoder,
    writer: ClickWriter,
    *,
    order: NDArray[np.int64],
    split: NDArray[np.int8],
    train: NDArray[np.bool_],
) -> tuple[Written, Any]:
    """Samples, behaviours and items; returns counts and the keys of the items."""
    schema = raw.schema
    feature: Callable[[Feature, slice], NDArray[Any]]
    counts: NDArray[Any]
    if items is None:
        found = TupleItems(raw, encoder)
        written = write_sequences(raw, encoder, writer, order=order, split=split, item=found.item)
        counts, length, keys, feature = found.counts(train), len(found), found.keys(), found.encoded
    else:
        written = write_events(raw, encoder, writer, order=order, split=split)
        item = raw.column("@item")
        assert item is not None
        length, keys, feature = len(items), items.keys, partial(items.encoded, encoder)
        counts = np.bincount(item[train], minlength=length)
    for statistic in schema.statistics:
        if statistic.over == "train" and statistic.name not in encoder.edges:
            encoder.fit_edges(statistic, np.repeat(counts, counts.astype(np.int64)))

    def statistic_ids(one: Statistic, piece: slice) -> NDArray[Any]:
        return encoder.buckets(one, counts[piece]).astype(np.int32)[:, None]

    writer.add_items(schema, encoder, length, feature=feature, statistic=statistic_ids)
    return written, keys


def _write_manifest(folder: Path, content: dict[str, Any], *, complete: bool) -> None:
    empty: dict[str, Any] = {
        "counts": {},
        "arrays": {},
        "modalities": [],
        "properties": [],
        "context": {},
        "skipped": [],
        "notes": [],
    }
    FORMAT.write_manifest(folder, {**empty, **content, "complete": complete})


def _report(manifest: dict[str, Any], *, kept: bool) -> ClickReport:
    counts = manifest["counts"]
    return ClickReport(
        counts=counts,
        modalities=manifest["modalities"],
        skipped=manifest["skipped"],
        notes=manifest["notes"],
        left_out=counts["left_out"],
        kept=kept,
    )


def _digests(paths: tuple[Path, ...]) -> list[list[Any]]:
    """Names, lengths and digests of files."""
    found = []
    for path in paths:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found.append([path.name, path.stat().st_size, digest])
    return found
