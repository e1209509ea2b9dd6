"""PicoDet: its decoding against a loop over cells, and the stored regions of real photographs."""

import csv
import gzip
import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphmatch.errors import ConfigError, FormatError
from graphmatch.regions.base import Photo
from graphmatch.regions.coco_classes import COCO_CLASSES
from graphmatch.regions.nms import box_iou, drop_overlapping
from graphmatch.regions.picodet import decode_picodet, picodet


def outputs_of(seed, grids=(5, 3, 2, 1), classes=4):
    random = np.random.default_rng(seed)
    scores = [random.random((1, n * n, classes), np.float32) ** 4 for n in grids]
    logits = [random.normal(0, 3, (1, n * n, 32)).astype(np.float32) for n in grids]
    return [*scores, *logits]


def loop(outputs, least_score):
    """Cell by cell, side by side, bin by bin."""
    for k, stride in enumerate((8, 16, 32, 64)):
        scores, logits = outputs[k][0], outputs[4 + k][0]
        n = int(math.sqrt(len(scores)))
        for cell in range(n * n):
            if max(scores[cell]) <= least_score:
                continue
            sides = []
            for side in range(4):
                weights = [math.exp(z) for z in logits[cell].tolist()[8 * side : 8 * side + 8]]
                sides.append(stride * sum(b * w for b, w in enumerate(weights)) / sum(weights))
            x, y = (cell % n + 0.5) * stride, (cell // n + 0.5) * stride
            yield [x - sides[0], y - sides[1], x + sides[2], y + sides[3]], scores[cell].tolist()


@pytest.mark.parametrize("least_score", [0.0, 0.4, 0.999, 1.0])
def test_decoding_against_a_loop(least_score):
    outputs = outputs_of(1)
    expected = list(loop(outputs, least_score))
    box, score = decode_picodet(outputs, least_score)
    assert box.dtype == score.dtype == torch.float32
    assert len(expected) == len(box) == len(score)
    torch.testing.assert_close(
        box, torch.tensor([b for b, _ in expected]).reshape(-1, 4), atol=1e-4, rtol=1e-5
    )
    torch.testing.assert_close(score, torch.tensor([s for _, s in expected]).reshape(-1, 4))


def test_any_order_of_outputs_and_large_logits():
    outputs = outputs_of(2)
    outputs[7][0, 0, :] = [1000.0] + [-1000.0] * 7 + [0.0] * 24  # left side is bin 0: 0 pixels
    box, score = decode_picodet(outputs, 0)
    assert box[-1, 0] == 32
    order = [6, 3, 0, 5, 7, 1, 4, 2]
    again = decode_picodet([outputs[k] for k in order], 0)
    assert torch.equal(box, again[0])
    assert torch.equal(score, again[1])


def test_other_outputs_are_an_error():
    outputs = outputs_of(3)
    for wrong in (
        outputs[:7],
        [*outputs[:7], outputs[7][0]],
        [*outputs[:3], outputs[2], *outputs[4:]],  # two grids of one size
        [*outputs[:7], np.zeros((1, 9, 32), np.float32)],
        [np.zeros((1, 300, 4)), np.zeros((1, 300))],
        outputs_of(3, grids=(5, 3, 2, 2)),
    ):
        with pytest.raises(FormatError, match="of four grids"):
            decode_picodet(wrong, 0.1)


def test_classes_of_coco(data):
    with gzip.open(data / "coco_val2017" / "instances_val2017.json.gz") as stream:
        categories = json.load(stream)["categories"]
    assert {c["id"]: c["name"] for c in categories} == dict(COCO_CLASSES)
    assert list(COCO_CLASSES) == sorted(COCO_CLASSES)


@pytest.fixture(scope="module")
def detector(data):
    return picodet(data / "detector_picodet" / "picodet_s_416_coco.onnx", threads=1)


def load(path):
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"))
    return Photo(id=path.stem, pixels=pixels, size=(pixels.shape[1], pixels.shape[0]))


def full_photos(data, limit):
    with (data / "coco_photos" / "photos.tsv").open() as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["kind"] == "full"]
    for row in rows[:limit]:
        yield int(row["image_id"]), row["split"], load(data / "coco_photos" / row["file"])


def stored_regions(data, split, image):
    with np.load(data / "coco_regions" / f"regions_{split}.npz") as file:
        place = int(np.flatnonzero(file["image_id"] == image)[0])
        start = int(file["num_regions"][:place].astype(int).sum())
        rows = slice(start, start + int(file["num_regions"][place]) - 1)  # no whole image
        return tuple(
            torch.from_numpy(file[name][rows].astype(np.float32))
            for name in ("boxes", "score", "category")
        )


@pytest.mark.slow
def test_average_precision_of_the_bare_recipe(data):
    """The benchmark's independent recipe and ours, whose resizes are not the same."""
    path = Path(__file__).parents[2] / "benchmarks" / "detector_ap.py"
    spec = importlib.util.spec_from_file_location("detector_ap", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    photos = [row for row in benchmark.read_photos(data) if row["kind"] == "small"][:40]
    contents = [(data / "coco_photos" / row["file"]).read_bytes() for row in photos]
    precision = [
        benchmark.average_precision(data, photos, list(map(detect, contents)))["AP"]
        for detect in (
            benchmark.BareRecipe(data / benchmark.MODEL).detect,
            benchmark.our_detector(data / benchmark.MODEL),
        )
    ]
    assert min(precision) > 0.3
    assert abs(precision[0] - precision[1]) < 0.01  # BGR for RGB costs 0.02, a kept aspect 0.04


@pytest.mark.slow
def test_stored_regions_of_real_photographs(data, detector):
    overlaps, differences = [], []
    for image, split, photo in full_photos(data, 25):
        (found,) = detector.detect([photo])
        found = found.select(drop_overlapping(found.box, found.score)[:20])
        box, score, category = stored_regions(data, split, image)
        overlap = box_iou(box / 2, found.box) * (category[:, None] == found.label)
        best, place = overlap.max(1)
        overlaps.append(best)
        differences.append((score - found.score[place]).abs())
    overlap, difference = torch.cat(overlaps), torch.cat(differences)
    assert len(overlap) > 400
    assert (overlap > 0.9).float().mean() > 0.99  # boxes are stored in half pixels
    assert difference.median() < 2e-4  # scores are stored as float16


def test_one_real_photograph(data, detector):
    assert len(detector.labels) == 80
    _, _, photo = next(full_photos(data, 1))
    (found,) = detector.detect([photo])
    assert 1 <= len(found) <= 100
    assert (found.score > 0.05).all()
    assert (found.score.diff() <= 0).all()
    width, height = photo.size
    assert (found.box >= 0).all()
    assert (found.box <= torch.tensor([width, height, width, height])).all()
    assert (found.box[:, 2:] >= found.box[:, :2]).all()
    for label in found.label.unique():
        same = found.box[found.label == label]
        assert (box_iou(same, same).fill_diagonal_(0) <= 0.6).all()


def test_odd_sizes(detector):
    for width, height in ((1, 1), (3, 900), (2000, 2)):
        pixels = np.full((height, width, 3), 128, dtype=np.uint8)
        (found,) = detector.detect([Photo(id="odd", pixels=pixels, size=(width, height))])
        assert found.size == (width, height)
        assert found.box.isfinite().all()


def test_wrong_size(data):
    path = data / "detector_picodet" / "picodet_s_416_coco.onnx"
    with pytest.raises(ConfigError, match=r"\[1, 3, 320, 320\] as OnnxInput says"):
        picodet(path, size=320)
