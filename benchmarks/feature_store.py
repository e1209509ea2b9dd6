"""Random reads of a feature store against the bare memory map, and the time to open a large one.

python benchmarks/feature_store.py [--items 20000] [--reads 20000]

The store holds items of 36 regions x 2,048 numbers, float16. Both sides read the same items in the
same random order and copy them; once from a warm file, then with files far larger than the cache of
this process. `opens` is a store of 100,000 such items whose features are a sparse file, so that
nothing but the manifest, the headers and the offsets can have been read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter

REGIONS, WIDTH = 36, 2048


def main() -> None:
    """Print a Markdown table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--items", type=int, default=20_000)
    options.add_argument("--reads", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write(Path(folder) / "s", chosen.items)
        written = time.perf_counter() - started
        size = (Path(folder) / "s" / "feature.npy").stat().st_size
        print(f"{chosen.items:,} items, {size / 1e9:.2f} GB, written in {written:.1f} s\n")
        store = FeatureStore(Path(folder) / "s")
        bare = np.load(Path(folder) / "s" / "feature.npy", mmap_mode="r")
        order = np.random.default_rng(0).integers(0, chosen.items, chosen.reads).tolist()
        keys = [f"{position:012d}" for position in order]
        rows = []
        for _ in range(chosen.rounds):
            floor = timed(lambda k: np.array(bare[k * REGIONS : (k + 1) * REGIONS]), order)
            by_position = timed(lambda k: np.array(store.rows("feature", k)), order)
            by_id = timed(lambda k: np.array(store.rows("feature", store.position(k))), keys)
            record = timed(lambda k: np.array(store[k].columns["feature"]), keys)
            rows.append((floor, by_position, by_id, record))
        floor, by_position, by_id, record = np.median(rows, axis=0)
        print("| read | us an item | of the bare map |")
        print("|---|--:|--:|")
        print(f"| bare `np.load(mmap_mode='r')`, copied | {1e6 * floor:.1f} | 1.00 |")
        for name, seconds in (
            ("`rows` by position", by_position),
            ("`rows` by id", by_id),
            ("whole record by id", record),
        ):
            print(f"| {name} | {1e6 * seconds:.1f} | {seconds / floor:.2f} |")
    with tempfile.TemporaryDirectory() as folder:
        enlarge(Path(folder) / "s", 100_000)
        started = time.perf_counter()
        store = FeatureStore(Path(folder) / "s")
        opened = time.perf_counter() - started
        shape = store.arrays["feature"].shape
        last = store[f"{len(store) - 1:012d}"].columns["feature"].shape
        found = time.perf_counter() - started - opened
    print(f"\nopens {shape[0]:,} x {shape[1]:,} float16 ({len(store):,} items): {opened:.3f} s")
    print(f"first item by id, which reads all ids ({last[0]} regions): {found:.3f} s")


def timed(read: object, keys: list[object]) -> float:
    """Seconds a read takes on average."""
    started = time.perf_counter()
    for key in keys:
        read(key)
    return (time.perf_counter() - started) / len(keys)


def write(folder: Path, items: int) -> None:
    """A store of random features with boxes."""
    random = np.random.default_rng(1)
    feature = random.normal(size=(64, REGIONS, WIDTH)).astype(np.float16)
    box = np.tile(np.array([0, 0, 10, 10], np.float32), (REGIONS, 1))
    with FeatureWriter(folder, kind="regions", job={}) as writer:
        for number in range(items):
            columns = {"feature": feature[number % 64], "box": box, "size": [640, 480]}
            writer.add(FeatureRecord(id=f"{number:012d}", columns=columns))


def enlarge(folder: Path, items: int) -> None:
    """A store of many items whose features are holes in a sparse file."""
    write(folder, 1)
    manifest = json.loads((folder / "manifest.json").read_text())
    lines = [json.dumps({"id": f"{k:012d}", "rows": REGIONS}) + "\n" for k in range(items)]
    (folder / "items.jsonl").write_text("".join(lines))
    manifest["counts"].update(
        items=items, rows=items * REGIONS, bytes=(folder / "items.jsonl").stat().st_size
    )
    (folder / "manifest.json").write_text(json.dumps(manifest))
    np.save(folder / "offset.npy", np.arange(items + 1, dtype="<i8") * REGIONS)
    for name, column in manifest["columns"].items():
        if name != "offset":
            length = items if name == "size" else items * REGIONS
            shape = (length, *column["shape"])
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", column["dtype"], shape)


if __name__ == "__main__":
    main()
