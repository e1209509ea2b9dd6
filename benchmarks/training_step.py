"""Time and peak memory of one training step of each matcher at its published batch size.

python benchmarks/training_step.py [--captions ../shared/data/flickr30k_captions]
    [--matcher scan-t2i] [--batch 128] [--steps 2] [--threads 2]

A step encodes the batch, scores all its pairs by tiles whose activations are recomputed in the
backward pass, takes the hardest-negative loss, clips the gradient to length 2 and steps Adam.
Sizes and captions are those of `scoring.py`. Each matcher has a process of its own; its peak memory
is that of the whole process, parameters (13 to 21 million with gradients and Adam's averages) and
Python with its libraries included. The last of the steps is timed.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from machine import peak, processor
from matcher_cases import CASES, draw_batch


def main() -> None:
    """Print a Markdown table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--captions", type=Path, help="the folder flickr30k_captions")
    options.add_argument("--matcher", choices=list(CASES), nargs="+", default=list(CASES))
    options.add_argument("--batch", type=int, help="pairs of a batch; the published size if absent")
    options.add_argument("--steps", type=int, default=2)
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    print(f"{processor()}, {chosen.threads} threads, torch {torch.__version__}\n")
    print("| matcher | batch | loss | s a step | of which backward | before, MB | peak, MB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    context = get_context("spawn")
    for name in chosen.matcher:
        batch = chosen.batch or CASES[name].batch
        with ProcessPoolExecutor(1, context) as pool:
            row = pool.submit(
                measure, name, batch, chosen.captions, chosen.steps, chosen.threads
            ).result()
        print("| " + " | ".join(row) + " |", flush=True)


def measure(
    name: str, size: int, captions: Path | None, steps: int, threads: int
) -> tuple[str, ...]:
    """One line of the table."""
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    matcher = CASES[name].make().train()
    optimizer = torch.optim.Adam(matcher.parameters(), lr=2e-4)
    batch = draw_batch(CASES[name], size, captions)
    before = peak()
    for _ in range(steps):
        started = time.perf_counter()
        optimizer.zero_grad()
        loss = matcher(batch)
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(matcher.parameters(), 2.0)
        optimizer.step()
        ended = time.perf_counter()
    return (
        name,
        str(size),
        f"{float(loss.detach()):.3f}",
        f"{ended - started:.1f}",
        f"{backward - forward:.1f}",
        f"{before / 1e6:,.0f}",
        f"{peak() / 1e6:,.0f}",
    )


if __name__ == "__main__":
    main()
