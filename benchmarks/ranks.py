"""Time of ranks in both directions against one pass over the same score matrix.

python benchmarks/ranks.py [--sizes 1000x5000,5000x25000] [--rounds 7]

The floor is `scores.sum()`: every score has to be read once. Sorting as the official code of SCAN
does is shown for the first size. Everything runs in turn, once a round, on one thread; times are
the smallest.
"""

from __future__ import annotations

import argparse
import time

import torch

from graphmatch.ranks import ranks


def main() -> None:
    """Print a Markdown table of times and ratios to the floor."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--sizes", default="1000x5000,5000x25000")
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    print("| scores | what | ms | x one pass |\n|---|---|---|---|")
    for number, size in enumerate(chosen.sizes.split(",")):
        rows, columns = map(int, size.split("x"))
        scores = torch.rand(rows, columns)
        owner = torch.arange(columns) * rows // columns
        scores[owner, torch.arange(columns)] += 0.5  # a model that has learnt something
        shuffled = owner[torch.randperm(columns)]
        coarse = (scores * 100).round() / 100  # many equal scores
        calls = {
            "one pass (floor)": scores.sum,
            "ranks": lambda s=scores, o=owner: ranks(s, o),
            "ranks, captions shuffled": lambda s=scores, o=shuffled: ranks(s, o),
            "ranks, many equal scores": lambda s=coarse, o=owner: ranks(s, o),
        }
        if number == 0:
            calls["ranks, sorted as in SCAN"] = lambda s=scores, o=owner: ranks(s, o, ties="scan")
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(chosen.rounds):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                best[name] = min(best[name], time.perf_counter() - start)
        floor = best["one pass (floor)"]
        for name, seconds in best.items():
            print(f"| {size} | {name} | {1000 * seconds:.1f} | {seconds / floor:.1f} |")


if __name__ == "__main__":
    main()
