"""`export_items`: vectors of a whole catalogue, computed once, for `graphmatch.click_scorer`.

out/manifest.json    format, version, job (digests of checkpoint, encoder and catalogue), counts
out/vectors.npy      [N + 1, d] float32: N items, then the item that stands for all unknown ones
out/items.parquet    key of each of the N items
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from graphmatch.checkpoint import checkpoint_digest, load_checkpoint
from graphmatch.click_batch import Items
from graphmatch.click_encoder import UNKNOWN, ClickEncoder
from graphmatch.click_samples import check_inputs
from graphmatch.click_spool import write_array
from graphmatch.click_store import ClickStore
from graphmatch.click_training_job import check_encoder
from graphmatch.device import check_device
from graphmatch.errors import ConfigError
from graphmatch.folder_lock import FolderLock
from graphmatch.models.marn import MARN
from graphmatch.models.marn_config import MARNConfig
from graphmatch.store_folder import MANIFEST, StoreFormat

VECTORS, KEYS = "vectors.npy", "items.parquet"
FORMAT = StoreFormat(
    name="graphmatch-item-vectors",
    version=1,
    what="vectors of items",
    command="graphmatch export-items",
    files=r"vectors\.npy|items\.parquet",
    kinds=(
        ("job", dict),
        ("items", int),
        ("without_key", int),
        ("dim", int),
        ("crc32", int),
        ("complete", bool),
    ),
)
"""Folders of item vectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemExport:
    """What `export_items` did.

    Args:
        out: the folder.
        items: how many items have a vector, the unknown one not among them.
        without_key: how many of these have no key, so that nobody can ask for them.
        dim: numbers of a vector.
        kept: whether an earlier run had done the same.
        seconds: that it took.
    """

    out: Path
    items: int
    without_key: int
    dim: int
    kept: bool
    seconds: float

    def lines(self) -> list[str]:
        """The report in words."""
        made = "kept from an earlier run" if self.kept else f"{self.seconds:.1f} s"
        lines = [f"{self.out}: {self.items:,} items, {self.dim} numbers each; {made}"]
        if self.without_key:
            lines.append(f"{self.without_key:,} items have no key of their own")
        return lines


def export_items(
    folder: str | Path,
    store: ClickStore,
    out: str | Path,
    *,
    chunk: int = 4096,
    device: str = "cpu",
    force: bool = False,
    progress: bool = False,
) -> ItemExport:
    """Encode all items of a store as a trained MARN does in evaluation, and keep the vectors.

    Statistics before an event are those of an item's last event in the store.

    Args:
        folder: checkpoint, or run of a training.
        store: its items are the catalogue; encoded as the clicks of the training.
        out: folder to write: new, empty, or of the same job.
        chunk: items at a time.
        device: where to compute.
        force: throw away vectors of another job.
        progress: show a bar, if the output is a terminal.

    Returns:
        What was done.

    Raises:
        CheckpointError: no checkpoint, or a damaged one.
        ConfigError: another model, clicks of another encoder, a folder of something else, vectors
            of another job, a device that is not there.
        OSError: the folder cannot be written.
    """
    started = time.perf_counter()
    check_device(device)
    if chunk < 1:
        raise ConfigError(f"chunk: expected at least 1 item (got {chunk})")
    model, encoder = load_checkpoint(folder, task="click")
    check_encoder(store, encoder.digest(), where=folder)
    check_inputs(store, model.config)
    manifest = json.dumps(store.manifest, sort_keys=True).encode()
    job = {
        "checkpoint": checkpoint_digest(folder),
        "encoder": encoder.digest(),
        "catalogue": hashlib.sha256(manifest).hexdigest(),
    }
    out = Path(out)
    if not out.exists():
        out.mkdir(parents=True)
    lock = FolderLock(out) if out.is_dir() else None
    try:
        FORMAT.prepare_folder(out, job, force=force)
        kept = (out / MANIFEST).exists() and FORMAT.read_manifest(out)["complete"]
        if not kept:
            start = {"items": 0, "without_key": 0, "dim": 0, "crc32": 0}
            FORMAT.write_manifest(out, {"job": job, **start, "complete": False})
            found = _write(model.to(device), store, out, chunk=chunk, progress=progress)
            FORMAT.write_manifest(out, {"job": job, **found, "complete": True})
        content = FORMAT.read_manifest(out)
    finally:
        if lock is not None:
            lock.release()
    return ItemExport(
        out=out,
        items=content["items"],
        without_key=content["without_key"],
        dim=content["dim"],
        kept=kept,
        seconds=time.perf_counter() - started,
    )


def _write(
    model: MARN, store: ClickStore, out: Path, *, chunk: int, progress: bool
) -> dict[str, Any]:
    count, dim = store.counts["items"], model.config.dim
    keys = store.item_keys()
    pyarrow.parquet.write_table(pa.table({"key": pa.array(keys, pa.string())}), out / KEYS)
    latest = latest_statistics(store)

    def parts() -> Iterator[NDArray[np.float32]]:
        with tqdm(total=count, unit=" items", disable=None if progress else True) as bar:
            for start in range(0, count, chunk):
                piece = slice(start, min(start + chunk, count))
                items = store_items(store, model.config, piece, latest=latest)
                yield model.catalogue(items, chunk=chunk).float().cpu().numpy()
                bar.update(len(items))
        unknown = unknown_item(store, store.encoder, model.config)
        yield model.catalogue(unknown).float().cpu().numpy()

    checksum = write_array(out / VECTORS, parts(), dtype=np.float32, shape=(count + 1, dim))
    without = sum(key is None for key in keys)
    return {"items": count, "without_key": without, "dim": dim, "crc32": checksum}


def store_items(
    store: ClickStore,
    config: MARNConfig,
    piece: slice,
    *,
    latest: NDArray[np.int64] | None = None,
) -> Items:
    """Items of a store as a model reads them.

    Args:
        store: an encoded log.
        config: of the model.
        piece: which items.
        latest: [N, J] what `latest_statistics` gives.

    Returns:
        The items.
    """
    names = [record["name"] for record in store.modalities]
    present = np.array(store.item("present")[piece])
    modality: dict[str, Any] = {}
    start = 0
    for number, record in enumerate(store.modalities):
        rows = np.asarray(store.item(record["name"])[piece])
        if record["before"]:
            assert latest is not None
            rows = np.concatenate([rows, latest[piece, start : start + record["before"]]], axis=1)
            present[:, number] = (rows != 0).any(axis=1)
            start += record["before"]
        dtype = np.float32 if rows.dtype.kind == "f" else np.int64
        modality[record["name"]] = torch.from_numpy(rows.astype(dtype))
    places = [names.index(name) for name in config.names]
    return Items(
        modality={name: modality[name] for name in config.names},
        present=torch.from_numpy(present[:, places]),
    )


def latest_statistics(store: ClickStore) -> NDArray[np.int64] | None:
    """Statistics of items before their last event in a store.

    Args:
        store: an encoded log.

    Returns:
        [N, J] ids, 0 for an item without an event; None if the store has no such statistics.
        Sorts all samples and behaviours by time.
    """
    if not any(record["before"] for record in store.modalities):
        return None
    found: NDArray[np.int64] = np.zeros(
        (store.counts["items"], store.sample("statistic").shape[1]), np.int64
    )
    item = np.concatenate([store.behaviour("item"), store.sample("item")])
    moment = np.concatenate([store.behaviour("time"), store.sample("time")])
    order = np.lexsort((moment, item))
    last = np.flatnonzero(np.append(np.diff(item[order]) != 0, True)) if len(order) else order
    rows = order[last]
    behaviours = rows < len(store.behaviour("item"))
    acts, samples = rows[behaviours], rows[~behaviours] - len(store.behaviour("item"))
    found[item[rows[behaviours]]] = store.behaviour("statistic")[acts]
    found[item[rows[~behaviours]]] = store.sample("statistic")[samples]
    return found


def unknown_item(store: ClickStore, encoder: ClickEncoder, config: MARNConfig) -> Items:
    """The item that stands for all that no one has seen.

    It is what an item of a log is that neither the table of items nor the training rows have: its
    id is that of unknown values, it has no event, and nothing else is known.

    Args:
        store: says of which columns modalities consist.
        encoder: of the store.
        config: of the model.

    Returns:
        One item.
    """
    schema = encoder.schema
    features = {feature.name: feature for feature in schema.items}
    statistics = {one.name: one for one in schema.statistics}
    records: Mapping[str, Any] = {record["name"]: record for record in store.modalities}
    modality, present = {}, []
    for part in config.modalities:
        record = records[part.name]
        if part.kind in ("vector", "words"):
            width = part.sizes[0] if part.kind == "vector" else record["sizes"][1]
            dtype = torch.float32 if part.kind == "vector" else torch.int64
            modality[part.name] = torch.zeros(1, width, dtype=dtype)
            present.append(False)
            continue
        row = []
        for name in record["features"]:
            if name in statistics:
                one = statistics[name]
                none = np.array([np.nan if one.of == "mean" else 0.0])
                row.append(int(encoder.buckets(one, none)[0]))
            else:
                own = features[name].source == schema.item and features[name].kind == "ids"
                row.append(UNKNOWN if own and features[name].size is None else 0)
        modality[part.name] = torch.tensor([row], dtype=torch.int64)
        present.append(any(row))
    return Items(modality=modality, present=torch.tensor([present]))
