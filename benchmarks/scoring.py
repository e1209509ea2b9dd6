"""Scores a second of each matcher, and their time over the time of the bare arithmetic.

python benchmarks/scoring.py [--captions ../shared/data/flickr30k_captions] [--matcher scan-t2i]
    [--pairs 100000] [--rounds 20] [--whole]

Published sizes, random weights: 36 regions or 20 frames, 1,024 numbers a node; captions have the
lengths of Flickr30K's test captions (words, punctuation and two marks), role graphs HGR's mean
numbers of nodes. The floor is the operations of the cheapest exact formulation, stated in
`matcher_cases.py`, over the rate of a float32 matrix product 2,048 x 2,048 x 2,048 on one thread.
Everything runs in turn, once a round: the product and the scores, each on one thread, on two and in
bfloat16 on one; best of all rounds each. Preparation of items is inside the time, and is shared by
fewer pairs than in a real gallery. `--whole` scores 1,000 x 5,000 instead, once, in a
process for each matcher, and prints its peak memory with all encoded items inside.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from machine import peak, processor
from matcher_cases import CASES, draw_counts, encode_all

from graphmatch.scoring import score_matrix

# about half a second on one thread; others 40,000
PAIRS = {"hgr": 400_000, "gsmn-paper": 10_000, "gsmn-official": 10_000, "imram-3": 1_000}
SIDE = 2048


def main() -> None:
    """Print a Markdown table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--captions", type=Path, help="the folder flickr30k_captions")
    options.add_argument("--matcher", choices=list(CASES), nargs="+", default=list(CASES))
    options.add_argument("--pairs", type=int, help="pairs a round; half a second's work if absent")
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--whole", action="store_true", help="1,000 x 5,000 on all threads")
    chosen = options.parse_args()
    print(f"{processor()}, torch {torch.__version__}\n")
    context = get_context("spawn")
    for number, name in enumerate(chosen.matcher):
        with ProcessPoolExecutor(
            1, context
        ) as pool:  # a process each: nothing of the last one is in its memory
            if chosen.whole:
                row = pool.submit(measure_whole, name, chosen.captions).result()
            else:
                pairs = chosen.pairs or PAIRS.get(name, 40_000)
                row = pool.submit(
                    measure_rates, name, chosen.captions, pairs, chosen.rounds
                ).result()
        if number == 0:
            print("| " + " | ".join(row) + " |\n|---|" + "--:|" * (len(row) - 1))
        print("| " + " | ".join(row.values()) + " |", flush=True)


def measure_rates(name: str, captions: Path | None, pairs: int, rounds: int) -> dict[str, str]:
    """One line of the table of rates."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    case = CASES[name]
    matcher = case.make().eval()
    images = max(1, round(math.sqrt(pairs / 4)))  # 4 captions an image
    counts = draw_counts(max(1, pairs // images), captions)
    visual, text = encode_all(case, matcher, images, counts)
    pairs = images * len(counts)
    one, other = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    half = one.bfloat16(), other.bfloat16()
    best: dict[str, float] = {}
    scores: dict[str, torch.Tensor] = {}

    def run(key: str, threads: int, work: Callable[[], torch.Tensor]) -> None:
        torch.set_num_threads(threads)
        started = time.perf_counter()
        scores[key] = work()
        best[key] = min(best.get(key, math.inf), time.perf_counter() - started)

    for _ in range(rounds):
        run("sgemm", 1, lambda: one @ other)
        run("one", 1, lambda: score_matrix(matcher, visual, text))
        run("sgemm two", 2, lambda: one @ other)
        run("two", 2, lambda: score_matrix(matcher, visual, text))
        run("half gemm", 1, lambda: half[0] @ half[1])
        run("half", 1, lambda: score_matrix(matcher, visual, text, dtype=torch.bfloat16))
    rate = 2 * SIDE**3 / best["sgemm"]  # operations a second
    operations = float(case.floor(counts).mean())
    floor = operations * pairs / rate
    change = (scores["half"] - scores["one"]).abs()
    return {
        "matcher": name,
        "pairs": f"{images} x {len(counts):,}",
        "MFLOP a pair": f"{operations / 1e6:.2f}",
        "sgemm GFLOP/s": f"{rate / 1e9:.0f}",
        "pairs/s": f"{pairs / best['one']:,.0f}",
        "of the floor": f"{best['one'] / floor:.2f}",
        "limit": f"{case.limit:.1f}",
        "two threads": f"{best['one'] / best['two']:.2f} x",
        "sgemm's": f"{best['sgemm'] / best['sgemm two']:.2f} x",
        "bf16": f"{best['one'] / best['half']:.2f} x",
        "gemm's": f"{best['sgemm'] / best['half gemm']:.2f} x",
        "bf16 change, mean / largest": f"{change.mean():.1e} / {change.max():.1e}",
        "spread of scores": f"{scores['one'].std():.1e}",
    }


def measure_whole(name: str, captions: Path | None) -> dict[str, str]:
    """One line of the table of whole matrices."""
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # recurrent layers: threads would mostly wait for each other
    matcher = CASES[name].make().eval()
    visual, text = encode_all(CASES[name], matcher, 1000, draw_counts(5000, captions))
    torch.set_num_threads(threads)
    held = sum(chunk.nodes.nbytes for chunk in (*visual, *text))
    before = peak()
    started = time.perf_counter()
    matrix = score_matrix(matcher, visual, text, progress=True)
    seconds = time.perf_counter() - started
    return {
        "matcher": name,
        "matrix": f"{matrix.size(0):,} x {matrix.size(1):,}",
        "threads": str(torch.get_num_threads()),
        "s": f"{seconds:,.0f}",
        "pairs/s": f"{matrix.numel() / seconds:,.0f}",
        "nodes in memory, MB": f"{held / 1e6:,.0f}",
        "peak before scoring, MB": f"{before / 1e6:,.0f}",
        "peak, MB": f"{peak() / 1e6:,.0f}",
    }


if __name__ == "__main__":
    main()
