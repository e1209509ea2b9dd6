"""Recalls of trained models with float32 and with bfloat16 products.

python benchmarks/bf16_recall.py DATA [--matcher scan] [--seconds 150] [--size 512] [--threads 2]

DATA holds `coco_regions` and `coco_val2017`: 1,681 COCO photographs to train on and 852 to test on
(val and test together), each with up to 21 detected regions of 128 numbers and five captions, which
spaCy parses. HGR takes the regions as the frames of a video. Each model is trained for some seconds
(all negatives for a third of the time, then the hardest) and scores the test images against two
captions of each, 852 x 1,704 pairs, in float32 and bfloat16. One image more or less among the first
changes an image -> text recall by 0.12 points, one caption a text -> image recall by 0.06.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import processor

from graphmatch.encoded import Encoded
from graphmatch.evaluate import evaluate_scores
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import add_marks
from graphmatch.models.gsmn import GSMN, GSMNConfig
from graphmatch.models.hgr import HGR, HGRConfig
from graphmatch.models.imram import IMRAM, IMRAMConfig
from graphmatch.models.matcher import Matcher
from graphmatch.models.scan import SCAN, SCANConfig
from graphmatch.nn.hinge_loss import hinge_loss
from graphmatch.parse import Parse
from graphmatch.parsers import load_parser
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import role_graph
from graphmatch.scoring import recomputed_scores, score_matrix
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

FEATURES, CAPTIONS, TEST_CAPTIONS = 128, 5, 2
MATCHERS = ("scan", "gsmn", "imram", "hgr")
SIZE = {"scan": 512, "gsmn": 256, "imram": 128, "hgr": 512}  # numbers of a node; 1,024 published
BATCH = {"scan": 64, "gsmn": 48, "imram": 32, "hgr": 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Photographs as arrays by name, and the parses of five captions of each."""

    images: list[dict[str, np.ndarray]]
    parses: list[list[Parse]]


def main() -> None:
    """Print a Markdown table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path)
    options.add_argument("--matcher", choices=MATCHERS, nargs="+", default=list(MATCHERS))
    options.add_argument("--seconds", type=float, default=150, help="of training, a model")
    options.add_argument("--size", type=int, help="numbers of a node, instead of 128 to 512")
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    train, test = (read_split(chosen.data, names) for names in (("train",), ("val", "test")))
    vocabulary = Vocabulary.build(
        [parse.words for parses in train.parses for parse in parses],
        specials=SCAN_SPECIALS,
        unknown="<unk>",
    )
    print(f"{processor()}, {chosen.threads} threads, torch {torch.__version__}")
    print(f"{len(train.images):,} images to train, {len(test.images)} to test")
    print("d numbers a node; recalls at 1, 5, 10\n")
    print(
        "| matcher | d | batches | products | image -> text | text -> image | rsum | most changed |"
    )
    print("|---|--:|--:|---|--:|--:|--:|--:|")
    context = get_context("spawn")
    for name in chosen.matcher:
        with ProcessPoolExecutor(1, context) as pool:
            size = chosen.size or SIZE[name]
            task = (name, train, test, vocabulary, chosen.seconds, size, chosen.threads)
            for row in pool.submit(measure, *task).result():
                print("| " + " | ".join(row) + " |", flush=True)


def measure(
    name: str,
    train: Split,
    test: Split,
    vocabulary: Vocabulary,
    seconds: float,
    size: int,
    threads: int,
) -> list[tuple[str, ...]]:
    """Two lines of the table: float32 and bfloat16."""
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    matcher = make(name, len(vocabulary), size)
    batches = fit(matcher, *graphs_of(name, train, vocabulary), seconds=seconds, size=BATCH[name])
    images, captions = graphs_of(name, test, vocabulary)
    texts = [caption for five in captions for caption in five[:TEST_CAPTIONS]]
    visual, text = encode(matcher.eval(), images, texts)
    owner = torch.arange(len(images)).repeat_interleave(TEST_CAPTIONS)
    rows, recalls = [], []
    for dtype in (torch.float32, torch.bfloat16):
        report = evaluate_scores(score_matrix(matcher, visual, text, dtype=dtype), owner)
        sides = [[side.r1, side.r5, side.r10] for side in (report.i2t, report.t2i)]
        recalls.append(np.array(sides))
        change = np.abs(recalls[-1] - recalls[0]).max()
        numbers = [" ".join(f"{value:.2f}" for value in side) for side in sides]
        kind = str(dtype).removeprefix("torch.")
        rows.append(
            (name, str(size), str(batches), kind, *numbers, f"{report.rsum:.2f}", f"{change:.2f}")
        )
    return rows


def make(name: str, words: int, size: int) -> Matcher:
    """A model with random weights."""
    if name == "scan":
        return SCAN(SCANConfig(vocabulary=words, feature_size=FEATURES, embed_size=size))
    if name == "gsmn":
        return GSMN(GSMNConfig(vocabulary=words, feature_size=FEATURES, embed_size=size))
    if name == "imram":
        return IMRAM(IMRAMConfig(vocabulary=words, feature_size=FEATURES, embed_size=size))
    return HGR(
        HGRConfig(
            vocabulary=words, feature_size=FEATURES, embed_size=size, attention=max(1, size // 2)
        )
    )


def fit(
    matcher: Matcher,
    images: list[Any],
    captions: list[list[TextGraph]],
    *,
    seconds: float,
    size: int,
) -> int:
    """Train for some seconds; the number of batches.

    A batch is some images with one caption each.
    """
    random = np.random.default_rng(1)
    optimizer = torch.optim.Adam(matcher.parameters(), lr=5e-4)
    matcher.train()
    started, batches = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < seconds:
        chosen = random.choice(len(images), size, replace=False).tolist()
        names = [str(number) for number in chosen]
        batch = MatchBatch.collate(
            [captions[number][random.integers(CAPTIONS)] for number in chosen],
            [images[number] for number in chosen],
            owner=list(range(size)),
            text_ids=names,
            visual_ids=names,
        )
        visual, text = matcher.encode_visual(batch.visual), matcher.encode_text(batch.text)
        loss = hinge_loss(
            recomputed_scores(matcher, visual, text),
            batch.owner,
            negatives="all" if spent < seconds / 3 else "hardest",
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(matcher.parameters(), 2.0)
        optimizer.step()
        batches += 1
    return batches


@torch.no_grad()
def encode(
    matcher: Matcher, images: list[Any], texts: list[TextGraph]
) -> tuple[list[Encoded], list[Encoded]]:
    """Encoded images and captions in chunks."""
    visual = [
        matcher.encode_visual(batch_graphs(images[start : start + 128]))
        for start in range(0, len(images), 128)
    ]
    text = [
        matcher.encode_text(batch_graphs(texts[start : start + 256], follow=("word",)))
        for start in range(0, len(texts), 256)
    ]
    return visual, text


def graphs_of(
    name: str, split: Split, vocabulary: Vocabulary
) -> tuple[list[Any], list[list[TextGraph]]]:
    """What a matcher reads: regions and marked dependency graphs, or "frames" and role graphs."""
    start, end = vocabulary.encode(["<start>", "<end>"])

    def caption(parse: Parse) -> TextGraph:
        word = vocabulary.encode(parse.words)
        if name == "hgr":
            return TextGraph.from_columns(role_graph(parse), word)
        return add_marks(TextGraph.from_columns(dependency_graph(parse), word), start, end)

    images = [video(arrays) if name == "hgr" else photo(arrays) for arrays in split.images]
    return images, [[caption(parse) for parse in parses] for parses in split.parses]


def photo(arrays: dict[str, np.ndarray]) -> RegionGraph:
    """The regions of an image; boxes relative to its last one, which is the whole image."""
    box = torch.from_numpy(arrays["boxes"].astype(np.float32))
    size = box[-1:, 2:]  # [1, 2]
    box = (box / size.repeat(1, 2)).clamp(0, 1)
    return RegionGraph(
        x=torch.from_numpy(arrays["features"].astype(np.float32)), box=box, size=size
    )


def video(arrays: dict[str, np.ndarray]) -> ClipGraph:
    """The regions of an image as frames of one second."""
    x = torch.from_numpy(arrays["features"].astype(np.float32))
    start = torch.arange(len(x), dtype=torch.float32)
    time = torch.stack((start, start + 1), dim=1)
    return ClipGraph(x=x, time=time, duration=torch.tensor([float(len(x))]))


def read_split(data: Path, names: tuple[str, ...]) -> Split:
    """Regions and parsed captions of some splits."""
    with gzip.open(data / "coco_val2017" / "captions_val2017.json.gz", "rt") as stream:
        content = json.load(stream)
    captions: dict[int, list[str]] = {}
    for row in content["annotations"]:
        captions.setdefault(row["image_id"], []).append(row["caption"])
    images, texts = [], []
    for name in names:
        with np.load(data / "coco_regions" / f"regions_{name}.npz") as archive:
            arrays = {key: archive[key] for key in ("boxes", "features", "num_regions", "image_id")}
        ends = np.cumsum(arrays["num_regions"].astype(np.int64))
        starts = ends - arrays["num_regions"]
        for image, start, end in zip(arrays["image_id"].tolist(), starts, ends, strict=True):
            images.append({key: arrays[key][start:end] for key in ("boxes", "features")})
            texts += captions[image][:CAPTIONS]
    parses = list(load_parser("spacy").pipe(texts, batch_size=256))
    per_image = [parses[at : at + CAPTIONS] for at in range(0, len(parses), CAPTIONS)]
    return Split(images=images, parses=per_image)


if __name__ == "__main__":
    main()
