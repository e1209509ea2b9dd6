"""Queries a second of DRN, and its time over the time of the bare arithmetic; suppression, metrics.

python benchmarks/drn.py [--features C3D I3D MFnet] [--batch 16 32 64] [--rounds 10] [--queries 64]

Published sizes, random weights, 32 clips a video, 2.8 queries a video as in Charades-STA's test
part, queries as long as there. Videos are encoded once, then all queries about them: words,
interaction, pyramid, heads, moments. The floor is the operations stated in `drn_floor.py` over the
rate of a float32 matrix product 512 x 2,048 x 1,024 of the same run, one thread. Everything runs in
turn: the product, videos, queries by batch size, each in float32 and with the model in bfloat16;
the best of all rounds counts, for each batch. Then suppression and metrics of 1,000 queries with 56
moments, beside the plain loop of `tests/naive_moments.py`. What bfloat16 does to recalls is
measured on trained models, by `charades.py`.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from drn_floor import query_operations, video_operations
from machine import processor

from graphmatch.encoded import Encoded
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.moment_decoding import Moments
from graphmatch.moment_metrics import evaluate_moments

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the loops that tests keep
from tests import naive_moments as naive

FEATURES = {"C3D": 4096, "I3D": 2048, "MFnet": 768}
VOCABULARY = 1302
PER_VIDEO = 2.8  # queries
# share of Charades-STA's test queries by number of words, percent
LENGTHS = {3: 4.2, 4: 15.9, 5: 20.5, 6: 18.7, 7: 14.9, 8: 10.7, 9: 9.0, 10: 6.1}
LIMIT, HALF_LIMIT, LOOP_LIMIT = 1.6, 1.8, 20
PRODUCT = 512, 2048, 1024  # rows, inner, columns of the bare product: about 25 ms


def main() -> None:
    """Print Markdown tables."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--features", choices=list(FEATURES), nargs="+", default=list(FEATURES))
    options.add_argument("--batch", type=int, nargs="+", default=[16, 32, 64])
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--queries", type=int, default=64, help="a round")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, torch {torch.__version__}, one thread\n")
    head = True
    for name in chosen.features:
        for row in measure(FEATURES[name], chosen.batch, chosen.queries, chosen.rounds):
            row = {"features": name, **row}
            if head:
                print("| " + " | ".join(row) + " |\n|---|" + "--:|" * (len(row) - 1))
            print("| " + " | ".join(row.values()) + " |", flush=True)
            head = False
    print(f"\nlimits: of the floor {LIMIT}, bf16 {HALF_LIMIT} x\n")
    fast, loop = time_metrics()
    print(
        f"suppression and metrics of 1,000 queries: {1e3 * fast:.1f} ms, plain loop "
        f"{1e3 * loop:,.0f} ms: {loop / fast:.0f} x (limit {LOOP_LIMIT})"
    )


@torch.inference_mode()
def measure(
    features: int, batches: list[int], queries: int, rounds: int
) -> Iterator[dict[str, str]]:
    """A line of the table for each batch size."""
    torch.manual_seed(1)
    config = DRNConfig(vocabulary=VOCABULARY, feature_size=features)
    model = _with_candidates(DRN(config).eval())
    rounded_model = copy.deepcopy(model).bfloat16()
    videos, texts, owner = make_input(features, queries)
    words = sum(len(text.word) for text in texts) / queries
    visual = batch_graphs(videos)
    one, other = torch.randn(PRODUCT[:2]), torch.randn(PRODUCT[1:])
    halves = one.bfloat16(), other.bfloat16()
    best: dict[Any, float] = {}

    def run(key: Any, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        found = work()
        best[key] = min(best.get(key, float("inf")), time.perf_counter() - started)
        return found

    for _ in range(rounds):
        for half, network in ((False, model), (True, rounded_model)):
            encoded = run(("videos", half), lambda: network.encode_visual(visual))  # noqa: B023
            for size in batches:
                for first in range(0, queries, size):
                    some = slice(first, first + size)
                    work = partial(answer, network, encoded, texts[some], owner[some])
                    run((size, half, first), work)
                    run("sgemm", lambda: one @ other)
                    run("half gemm", lambda: halves[0] @ halves[1])
    rate = 2 * math.prod(PRODUCT) / best["sgemm"]  # operations a second
    work_videos = len(videos) * video_operations(config)
    work_query = sum(query_operations(config, words).values())
    for size in batches:
        asked, rounded = (
            sum(best[size, half, first] for first in range(0, queries, size))
            for half in (False, True)
        )
        whole = asked + best["videos", False]
        yield {
            "batch": str(size),
            "MFLOP a query": f"{work_query / 1e6:.0f}",
            "MFLOP a video": f"{work_videos / len(videos) / 1e6:.0f}",
            "sgemm GFLOP/s": f"{rate / 1e9:.0f}",
            "queries/s": f"{queries / asked:.1f}",
            "of the floor": f"{asked * rate / (queries * work_query):.2f}",
            "with videos": f"{whole * rate / (queries * work_query + work_videos):.2f}",
            "bf16": f"{asked / rounded:.2f} x",
            "bf16 with videos": f"{whole / (rounded + best['videos', True]):.2f} x",
            "gemm's": f"{best['sgemm'] / best['half gemm']:.2f} x",
        }


def answer(model: DRN, visual: Encoded, texts: list[Any], owner: torch.Tensor) -> Moments:
    """Moments of a batch of queries."""
    text = model.encode_text(batch_graphs(texts, follow=("word",)))
    return model.decode(model.ground(visual, text, owner))


def make_input(features: int, queries: int) -> tuple[list[ClipGraph], list[Any], torch.Tensor]:
    """Videos of 30 seconds, queries, and the video of each."""
    bounds = torch.linspace(0, 30, 33)
    time = torch.stack((bounds[:-1], bounds[1:]), dim=1)
    videos = [
        ClipGraph(x=torch.randn(32, features).relu(), time=time, duration=torch.tensor([30.0]))
        for _ in range(max(1, round(queries / PER_VIDEO)))
    ]
    shares = torch.tensor([*LENGTHS.values()])
    drawn = torch.multinomial(shares, queries, replacement=True)
    lengths = torch.tensor([*LENGTHS])[drawn].tolist()
    texts = [word_graph(torch.randint(1, VOCABULARY, (length,)).tolist()) for length in lengths]
    return videos, texts, torch.arange(queries) * len(videos) // queries


def _with_candidates(model: DRN) -> DRN:
    """Matches are likely enough that every point is a candidate: the most there is to decode."""
    assert model.heads.match.bias is not None
    torch.nn.init.zeros_(model.heads.match.bias)
    return model


def time_metrics(queries: int = 1000, moments: int = 56, repeats: int = 10) -> tuple[float, float]:
    """Seconds of suppression, recalls and mIoU for all queries at once, and of the plain loop."""
    generator = torch.Generator().manual_seed(0)
    middle, width, score = torch.rand(3, queries, moments, generator=generator)
    segment = torch.stack((middle - width / 4, middle + width / 4), dim=-1).clamp(0, 1)
    truth = segment[:, 0] + 0.05 * torch.rand(queries, 2, generator=generator)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        report = evaluate_moments(segment, score, truth)
        best = min(best, time.perf_counter() - started)
    rows = torch.cat((segment, score.unsqueeze(-1)), dim=-1).tolist()
    truths = truth.tolist()
    started = time.perf_counter()
    for level in report.protocol.ious:  # one suppression serves every n
        picks = [naive.nms(row, level - report.protocol.margin) for row in rows]
        for n in report.protocol.at:
            found = [
                any(naive.iou(row[k], one) >= level for k in pick[:n])
                for row, one, pick in zip(rows, truths, picks, strict=True)
            ]
            assert abs(report.recall_at(n, level) - 100 * sum(found) / queries) < 1e-6
    assert abs(report.miou - 100 * naive.mean_iou(rows, truths)) < 1e-3
    return best, time.perf_counter() - started


if __name__ == "__main__":
    main()
