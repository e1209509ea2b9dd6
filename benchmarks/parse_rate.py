"""Rate and peak memory of `graphmatch parse` against bare spaCy on the same captions.

python benchmarks/parse_rate.py CAPTIONS... [--rounds 1] [--processes 1 2]

Each measurement is a process of its own, timed from start to end, model loading included: bare
spaCy reads the captions and runs `nlp.pipe` with the pipeline that `SpacyParser` loads and its
batch size, and throws the trees away; `graphmatch parse` writes both graphs of every caption.
Memory is the sum of the resident sizes of the process and its children, sampled ten times a second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from graphmatch.datasets.captions import read_captions
from graphmatch.store import GraphStore

BARE = """
import sys
from graphmatch.datasets.captions import read_captions
from graphmatch.parsers.spacy import load_pipeline
texts = (c.text for path in sys.argv[1:] for c in read_captions(path))
print(sum(1 for _ in load_pipeline("en_core_web_sm").pipe(texts, batch_size=128)))
"""


def main() -> None:
    """Print a Markdown table of rates, ratios and peaks."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("captions", nargs="+", type=Path)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    chosen = options.parse_args()
    total = sum(1 for path in chosen.captions for _ in read_captions(path))
    print(f"{total:,} captions, {os.cpu_count()} cores, one thread a process\n")
    print("| round | what | s | captions/s | of bare spaCy | peak memory, MB | failed |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    for number in range(1, chosen.rounds + 1):
        files = list(map(str, chosen.captions))
        bare, peak = measure([sys.executable, "-c", BARE, *files])
        print(f"| {number} | bare `nlp.pipe` | {bare:.1f} | {total / bare:.0f} | | {peak:.0f} | |")
        for processes in chosen.processes:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "graphmatch.cli.main", "parse", *files]
                command += ["--out", folder, "--processes", str(processes)]
                seconds, peak = measure(command)
                store = GraphStore(folder)
                assert len(store) == total
                failed = store.manifest["counts"]["failed"]
            print(
                f"| {number} | `graphmatch parse`, {processes} processes | {seconds:.1f} | "
                f"{total / seconds:.0f} | {bare / seconds:.2f} | {peak:.0f} | {failed} |",
                flush=True,
            )


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds that a command takes, and its peak memory in MB."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **threads}, stdout=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(watched))
        time.sleep(0.1)
    if process.returncode not in (0, 3):  # 3: some captions failed
        raise RuntimeError(f"{command[:4]} ended with {process.returncode}")
    return time.perf_counter() - started, peak / 1e6


def resident(process: psutil.Process) -> int:
    """Resident bytes of a process and its children."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


if __name__ == "__main__":
    main()
