"""An index of synthetic items: rate of building, times of searches, recall, disk, memory.

python benchmarks/index.py [--items 10000] [--regions 36] [--size 1024] [--out FOLDER]

Items have as many regions as real ones, and vectors in clusters as real ones have them: a region is
the vector of its cluster, that of its item and noise. A query is a caption of 12 words, each near a
region of one item. SCAN scores; searches find 200 items by the prefilter and 10 by the matcher, on
one core, each of them twice: items that a search needs for the first time may have to come from the
disk. Each stage is a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from machine import peak, processor

from graphmatch.encoded import Encoded
from graphmatch.index import MatchIndex
from graphmatch.index_recall import measure_recall
from graphmatch.models.scan import SCAN, SCANConfig

BATCH, WORDS, PREFILTER = 4096, 12, 200


def main() -> None:
    """Print a Markdown table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--items", type=int, default=10_000)
    options.add_argument("--regions", type=int, default=36)
    options.add_argument("--size", type=int, default=1024, help="numbers of a region")
    options.add_argument(
        "--subset", type=int, default=20_000, help="items of the exhaustive search"
    )
    options.add_argument("--queries", type=int, default=200)
    options.add_argument("--scan", action="store_true", help="no index of vectors")
    options.add_argument("--out", type=Path, help="where to keep the index; nowhere by default")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, part = (chosen.out or Path(folder)) / "whole", Path(folder) / "part"
        shape = chosen.regions, chosen.size
        built = run(build, whole, chosen.items, *shape, chosen.scan)
        found = run(search, whole, chosen.items, *shape, chosen.queries)
        smaller = min(chosen.subset, chosen.items)
        run(build, part, smaller, *shape, chosen.scan)
        recall = run(compare, part, smaller, *shape, chosen.queries)
        disk = size(whole)
        packages = ", ".join(f"{name} {version(name)}" for name in ("lancedb", "torch"))
        print(f"{processor()}; Python {platform.python_version()}, {packages}\n")
        print(f"{chosen.items:,} items of {chosen.regions} x {chosen.size} float16\n")
        print("| what | |\n|---|--:|")
        print(f"| items a second, written | {chosen.items / built['seconds']:,.0f} |")
        print(f"| index of vectors, s | {built['index']:.1f} |")
        print(f"| disk, GB (of which nodes {shape_bytes(chosen):.2f}) | {disk / 1e9:.2f} |")
        print(f"| peak memory of building, GB | {built['peak'] / 1e9:.2f} |")
        print(f"| search, one core: first, ms | {found['first']:.0f} |")
        print(f"| p50 / p95, ms | {found['p50']:.1f} / {found['p95']:.1f} |")
        print(f"| again, items in memory, ms | {found['warm']:.1f} / {found['warm95']:.1f} |")
        print(f"| of which prefilter and reading, p50, ms | {found['near']:.1f} |")
        print(f"| peak memory of searching, GB | {found['peak'] / 1e9:.2f} |")
        shares = ", ".join(f"{value:.1f} % at {k}" for k, value in recall["recall"].items())
        print(f"| recall against exhaustive, {smaller:,} items, {recall['name']} | {shares} |")


def run(stage: object, *arguments: object) -> dict[str, object]:
    """A stage in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(stage, *arguments).result()


def build(path: Path, items: int, regions: int, width: int, scan: bool) -> dict[str, float]:
    """Write the items; the time to make them up is not counted."""
    index = MatchIndex.create(path, matcher(width), digest="0" * 64)
    seconds = 0.0
    for start in range(0, items, BATCH):
        count = min(BATCH, items - start)
        encoded = make_items(start // BATCH, count, regions, width)
        ids = [f"{number:09d}" for number in range(start, start + count)]
        started = time.perf_counter()
        index.add_encoded(ids, encoded)
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    if not scan:
        index.build_vector_index()
    return {"seconds": seconds, "index": time.perf_counter() - started, "peak": peak()}


def search(path: Path, items: int, regions: int, width: int, queries: int) -> dict[str, float]:
    """Times of searches on one core."""
    os.sched_setaffinity(0, {0})
    torch.set_num_threads(1)
    index = MatchIndex.open(path, matcher=matcher(width))
    texts = make_queries(items, regions, width, queries)
    first, again, near = [], [], []
    for number in range(queries):
        query = texts[number : number + 1]
        for times in (first, again):
            started = time.perf_counter()
            index.search(query, prefilter=PREFILTER)
            times.append(1000 * (time.perf_counter() - started))
        vector = query.pooled[0].numpy()
        started = time.perf_counter()
        index.table.nearest(vector, limit=PREFILTER, columns=index.columns())
        near.append(1000 * (time.perf_counter() - started))
    p50, p95 = np.percentile(first[1:], [50, 95])
    warm, warm95 = np.percentile(again[1:], [50, 95])
    return {
        "first": first[0], "p50": p50, "p95": p95, "warm": warm, "warm95": warm95,
        "near": np.median(near[1:]), "peak": peak(),
    }  # fmt: skip


def compare(path: Path, items: int, regions: int, width: int, queries: int) -> dict[str, object]:
    """Recall of the prefilter against scoring every item."""
    index = MatchIndex.open(path, matcher=matcher(width))
    texts = make_queries(items, regions, width, queries)
    chosen = [texts[number : number + 1] for number in range(queries)]
    measured = measure_recall(index, chosen, prefilter=PREFILTER)
    return {"recall": measured.recall, "name": measured.name}


def matcher(width: int) -> SCAN:
    """SCAN; only its scores are used."""
    torch.manual_seed(0)
    return SCAN(SCANConfig(vocabulary=2, feature_size=2, word_size=2, embed_size=width)).eval()


def make_items(batch: int, count: int, regions: int, width: int) -> Encoded:
    """Items of a batch: [n, regions, width] unit vectors."""
    random = torch.Generator().manual_seed(1 + batch)
    centres = torch.randn(1000, width, generator=torch.Generator().manual_seed(0))
    items = centres[torch.randint(1000, (count,), generator=random)]
    items = items + torch.randn(count, width, generator=random)
    nodes = items[:, None] + 1.5 * torch.randn(count, regions, width, generator=random)
    nodes = torch.nn.functional.normalize(nodes, dim=-1)
    return Encoded(
        nodes=nodes, mask=torch.ones(count, regions, dtype=torch.bool), pooled=nodes.mean(dim=1)
    )


def make_queries(items: int, regions: int, width: int, count: int) -> Encoded:
    """Captions: words near regions of items that are drawn at random."""
    random = torch.Generator().manual_seed(12345)
    batches = -(-items // BATCH)
    parts = []
    for batch in torch.randint(batches, (min(batches, 4),), generator=random).tolist():
        made = make_items(batch, min(BATCH, items - batch * BATCH), regions, width).nodes
        rows = torch.randint(len(made), (-(-count // min(batches, 4)),), generator=random)
        parts.append(made[rows])
    nodes = torch.cat(parts)[:count]  # [q, regions, width]
    words = nodes[:, torch.randint(regions, (WORDS,), generator=random)]
    words = words + torch.randn(words.shape, generator=random) / width**0.5
    words = torch.nn.functional.normalize(words, dim=-1)
    return Encoded(
        nodes=words, mask=torch.ones(count, WORDS, dtype=torch.bool), pooled=words.mean(dim=1)
    )


def shape_bytes(chosen: argparse.Namespace) -> float:
    """GB of the items' nodes in float16."""
    return 2e-9 * chosen.items * chosen.regions * chosen.size


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
