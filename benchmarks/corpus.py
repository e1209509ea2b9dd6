"""Rate of `graphmatch corpus parse` on local processes and on Ray, of the same captions.

python benchmarks/corpus.py CAPTIONS... [--limit 10000] [--workers 2] [--shard-size 500]

Each measurement is a process of its own, timed from start to end: starting Ray, loading models in
every worker and stopping are part of it. The stores must be equal, file by file. Memory is the sum
of the resident sizes of the process and its children, which counts shared memory more than once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from itertools import chain, islice
from pathlib import Path

from parse_rate import measure

from graphmatch.datasets.captions import read_captions


def main() -> None:
    """Print a Markdown table of rates and peaks."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("captions", nargs="+", type=Path)
    options.add_argument("--limit", type=int, default=10_000, help="captions; 0 for all")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--shard-size", type=int, default=500)
    options.add_argument("--rounds", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "captions.jsonl"
        total = copy(chosen.captions, chosen.limit, source)
        print(f"{total:,} captions, {os.cpu_count()} cores, {chosen.workers} workers\n")
        print("| round | engine | s | captions/s | peak memory, MB |")
        print("|--:|---|--:|--:|--:|")
        for number in range(1, chosen.rounds + 1):
            stores = []
            for engine in ("local", "ray"):
                out = folder / f"{engine}{number}"
                command = [sys.executable, "-m", "graphmatch.cli.main", "corpus", "parse"]
                command += [str(source), "--out", str(out), "--engine", engine]
                command += ["--workers", str(chosen.workers)]
                command += ["--shard-size", str(chosen.shard_size)]
                seconds, peak = measure(command)
                rate = total / seconds
                print(
                    f"| {number} | {engine} | {seconds:.1f} | {rate:.0f} | {peak:.0f} |", flush=True
                )
                stores.append({path.name: path.read_bytes() for path in out.iterdir()})
            assert stores[0] == stores[1], "the stores differ"


def copy(paths: list[Path], limit: int, out: Path) -> int:
    """The first captions of files in one file; how many."""
    captions = chain.from_iterable(read_captions(path) for path in paths)
    count = 0
    with out.open("w", encoding="utf-8") as stream:
        for caption in islice(captions, limit or None):
            record = {"id": caption.id, "owner": caption.owner, "text": caption.text}
            stream.write(json.dumps(record) + "\n")
            count += 1
    return count


if __name__ == "__main__":
    main()
