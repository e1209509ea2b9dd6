"""COCO average precision of PicoDet: our detector against the bare recipe, on the same photographs.

python benchmarks/detector_ap.py DATA [--photos 795]

DATA holds `coco_photos`, `coco_val2017` and `detector_picodet`. The bare recipe is written out
below with pillow, numpy and onnxruntime, and shares nothing with the library: stretch, normalise,
run, decode, suppress class by class. Boxes are compared with the annotated ones, scaled where the
photograph is a reduced copy. Both run on one core, turn by turn; seconds are a photograph's, from
the bytes of the file to the boxes. The exit code is 1 if precision differs by more than 0.003.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from graphmatch.regions.coco_classes import COCO_CLASSES
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.picodet import picodet

MODEL = Path("detector_picodet", "picodet_s_416_coco.onnx")
CATEGORIES = list(COCO_CLASSES)
ALLOWED = 0.003
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes [R, 4], scores [R], classes [R]


class BareRecipe:
    """PicoDet as its documentation describes it."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model, options)
        self.network_seconds = 0.0

    def detect(self, content: bytes) -> Found:
        """Boxes, scores and classes of a photograph, best first."""
        image = Image.open(io.BytesIO(content)).convert("RGB")
        pixels = np.asarray(image.resize((416, 416), Image.Resampling.BILINEAR), np.float32) / 255
        pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        batch = pixels.transpose(2, 0, 1)[None].astype(np.float32)
        started = time.perf_counter()
        outputs = self.session.run(None, {"image": batch})
        self.network_seconds += time.perf_counter() - started
        boxes, scores = [], []
        for stride in (8, 16, 32, 64):
            n = -(-416 // stride)
            score, bins = (
                next(o[0] for o in outputs if o.shape[1:] == (n * n, width)) for width in (80, 32)
            )
            bins = np.exp(bins.reshape(n * n, 4, 8))
            side = (bins / bins.sum(2, keepdims=True) * np.arange(8)).sum(2) * stride
            y, x = (np.indices((n, n)).reshape(2, -1) + 0.5) * stride
            boxes.append(np.stack([x, y, x, y], 1) + side * [-1, -1, 1, 1])
            scores.append(score)
        box, score = np.concatenate(boxes), np.concatenate(scores)
        width, height = image.size
        limits = np.array([width, height, width, height])
        box = (box * limits / 416).clip(0, limits)
        kept = [(s, k, c) for c in range(80) for s, k in suppress(box, score[:, c])]
        kept = sorted(kept, reverse=True)[:100]
        return (
            box[[k for _, k, _ in kept]],
            np.array([s for s, _, _ in kept]),
            np.array([c for _, _, c in kept], int),
        )


def suppress(box: np.ndarray, score: np.ndarray) -> list[tuple[float, int]]:
    """Scores and numbers of the boxes of a class that stay."""
    left = [k for k in np.argsort(-score) if score[k] > 0.05]
    kept = []
    while left:
        best, *left = left
        kept.append((float(score[best]), int(best)))
        if left:
            other = box[left]
            low, high = (
                np.maximum(box[best, :2], other[:, :2]),
                np.minimum(box[best, 2:], other[:, 2:]),
            )
            common = (high - low).clip(0).prod(1)
            area = (other[:, 2:] - other[:, :2]).prod(1) + (box[best, 2:] - box[best, :2]).prod()
            iou = common / (area - common + 1e-9)
            left = [k for k, overlap in zip(left, iou, strict=True) if overlap <= 0.6]
    return kept


def our_detector(model: Path) -> Callable[[bytes], Found]:
    """The library's detector with the same options."""
    detector = picodet(model, threads=1)

    def detect(content: bytes) -> Found:
        (regions,) = detector.detect([decode_photo(content, "")])
        return regions.box.numpy(), regions.score.numpy(), regions.label.numpy()

    return detect


def read_photos(data: Path, limit: int | None = None) -> list[dict[str, str]]:
    """Rows of the table of photographs."""
    with (data / "coco_photos" / "photos.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))[:limit]


def average_precision(
    data: Path, photos: Sequence[dict[str, str]], found: Sequence[Found]
) -> dict[str, float]:
    """COCO's AP, AP50 and AR100 on photographs, reduced ones too."""
    with gzip.open(data / "coco_val2017" / "instances_val2017.json.gz") as stream:
        truth = json.load(stream)
    scale = {
        int(row["image_id"]): [
            int(row["width"]) / int(row["original_width"]),
            int(row["height"]) / int(row["original_height"]),
        ]
        for row in photos
    }
    truth["images"] = [image for image in truth["images"] if image["id"] in scale]
    truth["annotations"] = [one for one in truth["annotations"] if one["image_id"] in scale]
    for one in truth["annotations"]:
        across, down = scale[one["image_id"]]
        one["bbox"] = [n * s for n, s in zip(one["bbox"], (across, down) * 2, strict=True)]
        one["area"] *= across * down
    results: list[dict[str, Any]] = []
    for row, (box, score, label) in zip(photos, found, strict=True):
        for (x1, y1, x2, y2), s, c in zip(box.tolist(), score.tolist(), label, strict=True):
            results.append(
                {
                    "image_id": int(row["image_id"]),
                    "category_id": CATEGORIES[c],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": s,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: float(evaluation.stats[k]) for name, k in (("AP", 0), ("AP50", 1), ("AR100", 8))}


def main() -> int:
    """Print a Markdown table; 1 if the two differ."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path)
    options.add_argument("--photos", type=int, help="how many; all if not given")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    photos = read_photos(chosen.data, chosen.photos)
    bare, ours = BareRecipe(chosen.data / MODEL), our_detector(chosen.data / MODEL)
    found: dict[str, list[Found]] = {"bare recipe": [], "graphmatch": []}
    seconds = dict.fromkeys(found, 0.0)
    for row in photos:
        content = (chosen.data / "coco_photos" / row["file"]).read_bytes()
        for name, detect in (("bare recipe", bare.detect), ("graphmatch", ours)):
            started = time.perf_counter()
            found[name].append(detect(content))
            seconds[name] += time.perf_counter() - started
    print(f"{len(photos)} photographs, one core\n")
    print("| | AP | AP50 | AR100 | boxes | ms a photograph | photographs/s |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    precision = {}
    for name, boxes in found.items():
        scores = average_precision(chosen.data, photos, boxes)
        precision[name] = scores["AP"]
        columns = " | ".join(f"{value:.4f}" for value in scores.values())
        each = seconds[name] / len(photos)
        count = sum(len(box) for box, _, _ in boxes)
        print(f"| {name} | {columns} | {count} | {each * 1e3:.1f} | {1 / each:.1f} |")
    each = bare.network_seconds / len(photos)
    print(f"| the network alone | | | | | {each * 1e3:.1f} | {1 / each:.1f} |")
    difference = precision["graphmatch"] - precision["bare recipe"]
    print(f"\nAP differs by {difference:+.4f} (allowed: {ALLOWED})")
    return int(abs(difference) > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
