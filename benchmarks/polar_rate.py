"""Time of polar coordinates and kernel weights against the bare exponentials of the same size.

python benchmarks/polar_rate.py [--images 128] [--regions 36] [--kernels 8] [--rounds 30]

The floor is one `torch.exp` over images x regions x regions x kernels numbers: a Gaussian weight
cannot be had for less. Everything runs in turn, once a round, on one thread; times are medians.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from graphmatch.nn.polar_kernel import PolarKernels
from graphmatch.regions.polar import pairwise_polar


def main() -> None:
    """Print a Markdown table of times and ratios to the floor."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--images", type=int, default=128)
    options.add_argument("--regions", type=int, default=36)
    options.add_argument("--kernels", type=int, default=8)
    options.add_argument("--rounds", type=int, default=30)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    corners = torch.rand(chosen.images, chosen.regions, 2, 2).sort(dim=2).values
    box = corners.flatten(2)  # [B, R, 4]
    polar = pairwise_polar(box)
    safe = PolarKernels(chosen.kernels)
    official = PolarKernels(chosen.kernels, form="official")
    official.load_state_dict(safe.state_dict())
    exponent = -torch.rand(chosen.images, chosen.regions, chosen.regions, chosen.kernels)

    def train() -> None:
        safe(pairwise_polar(box)).square().sum().backward()

    def without_gradient(call: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                call()

        return run

    calls = {
        "bare `exp` (floor)": without_gradient(exponent.exp),
        "polar coordinates": without_gradient(lambda: pairwise_polar(box)),
        "kernel weights, safe": without_gradient(lambda: safe(polar)),
        "kernel weights, official": without_gradient(lambda: official(polar)),
        "both, safe": without_gradient(lambda: safe(pairwise_polar(box))),
        "both, safe, with gradients": train,
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(chosen.rounds + 2):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number >= 2:  # the first two warm up
                seconds[name].append(time.perf_counter() - started)
    floor = median(seconds["bare `exp` (floor)"])
    print(
        f"{chosen.images} images x {chosen.regions} regions, {chosen.kernels} kernels, "
        f"{exponent.numel():,} weights, one thread\n"
    )
    print("| what | ms | images/s | of the floor |")
    print("|---|--:|--:|--:|")
    for name, times in seconds.items():
        taken = median(times)
        rate = chosen.images / taken
        print(f"| {name} | {1e3 * taken:.1f} | {rate:,.0f} | {taken / floor:.1f} |")


if __name__ == "__main__":
    main()
