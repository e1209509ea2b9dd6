"""From images to a store of regions, in one go and interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from PIL import Image

from graphmatch.datasets.coco_boxes import read_coco_boxes
from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore
from graphmatch.region_job import RegionChoice, _decode, extract_regions
from graphmatch.regions.annotated import AnnotatedDetector
from graphmatch.regions.base import Regions
from graphmatch.regions.describe import RegionDescriber, load_lite0_describer, with_whole_image
from graphmatch.regions.efficientnet import load_efficientnet_lite0, packaged_weights
from graphmatch.regions.nms import box_iou
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.photo_sources import read_sources
from graphmatch.regions.picodet import picodet

COUNT = 7


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Drawn photographs and their boxes as COCO JSON."""
    folder = tmp_path_factory.mktemp("scenes")
    random = np.random.default_rng(5)
    images, annotations = [], []
    for number in range(COUNT):
        width, height = 80 + 10 * number, 60 + 5 * number
        pixels = random.integers(0, 60, (height, width, 3), dtype=np.uint8)
        images.append(
            {"id": number, "file_name": f"{number}.png", "width": width, "height": height}
        )
        for place in range(number % 4):
            x, y = 5 + 20 * place, 10
            pixels[y : y + 30, x : x + 15] = random.integers(100, 255, 3)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": 3 + place % 2,
                 "bbox": [x, y, 15, 30], "area": 450, "iscrowd": 0}
            )  # fmt: skip
        Image.fromarray(pixels).save(folder / f"{number}.png")
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 3, "name": "ball"}, {"id": 4, "name": "box"}],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def detector(scenes):
    return AnnotatedDetector(read_coco_boxes(scenes / "boxes.json"))


@pytest.fixture(scope="module")
def describer():
    return RegionDescriber(load_efficientnet_lite0(packaged_weights()))


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_store_holds_what_single_calls_give(scenes, detector, describer, tmp_path):
    report = extract_regions(
        read_sources(scenes), tmp_path / "s", detector=detector, describer=describer, batch_size=3
    )
    assert (report.items, report.failed, report.kept) == (COUNT, 0, 0)
    store = FeatureStore(tmp_path / "s")
    assert store.ids == [str(number) for number in range(COUNT)]
    assert store.labels == ("ball", "box")
    for number in range(COUNT):
        photo = decode_photo((scenes / f"{number}.png").read_bytes(), str(number))
        regions = with_whole_image(detector.detect([photo])[0])
        (feature,) = describer.describe([photo], [regions])
        found = store[str(number)].regions()
        assert found.size == photo.size == (80 + 10 * number, 60 + 5 * number)
        assert torch.equal(found.box, regions.box)
        assert torch.equal(found.label, regions.label)
        assert torch.equal(found.score, regions.score)
        torch.testing.assert_close(found.feature, feature, atol=1e-4, rtol=1e-4)
        store.graph(str(number)).validate()


def test_an_interrupted_run_goes_on_to_the_same_bytes(scenes, detector, tmp_path):
    sources = list(read_sources(scenes))
    extract_regions(sources, tmp_path / "once", detector=detector)

    def failing():
        yield from sources[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_regions(failing(), tmp_path / "s", detector=detector, batch_size=2)
    assert 0 < len(FeatureStore(tmp_path / "s", partial=True)) < COUNT
    report = extract_regions(sources, tmp_path / "s", detector=detector)
    assert report.kept > 0
    assert content(tmp_path / "s") == content(tmp_path / "once")
    report = extract_regions(sources, tmp_path / "s", detector=detector)
    assert (report.items, report.kept) == (COUNT, COUNT)
    assert content(tmp_path / "s") == content(tmp_path / "once")


KILLED = """
import os, signal, sys
from graphmatch.datasets.coco_boxes import read_coco_boxes
from graphmatch.region_job import extract_regions
from graphmatch.regions.annotated import AnnotatedDetector
from graphmatch.regions.photo_sources import read_sources
done = 0
def progress(count):
    global done
    done += count
    if done > 600:
        os.kill(os.getpid(), signal.SIGKILL)
sources = list(read_sources(sys.argv[1])) * 150  # repeated: failed items in store
extract_regions(sources, sys.argv[2], detector=AnnotatedDetector(read_coco_boxes(
    sys.argv[1] + "/boxes.json")), progress=progress)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_a_store_to_go_on_with(scenes, detector, tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(scenes), str(tmp_path / "s")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    committed = FeatureStore(tmp_path / "s", partial=True)
    assert len(committed) >= 512
    assert committed["1"].error is None
    report = extract_regions(read_sources(scenes), tmp_path / "s", detector=detector)
    assert report.kept == COUNT
    FeatureStore(tmp_path / "s").verify()


class Fussy:
    """A detector that cannot stand one image."""

    name, version, labels = "fussy", "1", ()

    def __init__(self, error):
        self.error = error

    def detect(self, photos):
        if any(photo.id == "3" for photo in photos):
            raise self.error
        return [
            Regions(
                size=photo.size, box=torch.tensor([[1.0, 1, 9, 9]]), label=torch.tensor([0]),
                score=torch.tensor([0.5]),
            )
            for photo in photos
        ]  # fmt: skip


def test_one_image_that_a_detector_cannot_stand_fails_alone(scenes, tmp_path):
    report = extract_regions(
        read_sources(scenes), tmp_path / "s", detector=Fussy(ArithmeticError("no")), batch_size=4
    )
    assert report.failures == [("3", "ArithmeticError: no")]
    store = FeatureStore(tmp_path / "s")
    assert [len(record) for record in store] == [2, 2, 2, 0, 2, 2, 2]


def test_a_wrong_option_stops_the_run(scenes, tmp_path):
    with pytest.raises(ConfigError, match="no such phrase"):
        extract_regions(
            read_sources(scenes), tmp_path / "s", detector=Fussy(ConfigError("no such phrase"))
        )


class Broken:
    """A describer whose numbers are none for one image."""

    name, version, width = "broken", "1", 2

    def describe(self, photos, regions):
        return [
            torch.full((len(one), 2), float("nan") if photo.id == "2" else 1.0)
            for photo, one in zip(photos, regions, strict=True)
        ]


def test_features_that_are_no_numbers_are_an_error_of_their_image(scenes, detector, tmp_path):
    report = extract_regions(
        read_sources(scenes), tmp_path / "s", detector=detector, describer=Broken()
    )
    ((key, error),) = report.failures
    assert key == "2"
    assert "finite" in error


def test_choice_keeps_the_best_regions_that_differ():
    regions = Regions(
        size=(100, 100),
        box=torch.tensor(
            [[0.0, 0, 50, 50], [0, 0, 50, 48], [60, 60, 90, 90], [10, 10, 90, 11], [60, 0, 90, 30]]
        ),
        label=torch.tensor([0, 1, 2, 3, 4]),
        score=torch.tensor([0.5, 0.9, 0.3, 0.8, 0.4]),
    )
    chosen = RegionChoice(top=2)(regions)
    assert chosen.label.tolist() == [1, 4, -1]
    assert chosen.score.tolist()[-1] == 1
    assert chosen.box[-1].tolist() == [0, 0, 100, 100]
    every = RegionChoice(top=None, overlap=None, whole_image=False)(regions)
    assert every.label.tolist() == [1, 3, 0, 4, 2]
    with pytest.raises(ConfigError, match="overlap"):
        RegionChoice(overlap=2)
    with pytest.raises(ConfigError, match="top"):
        RegionChoice(top=-1)


def test_large_photographs_make_small_batches(tmp_path):
    Image.new("RGB", (6000, 3000)).save(tmp_path / "large.png")
    Image.new("RGB", (60, 30)).save(tmp_path / "small.png")
    sources = {source.id: source for source in read_sources(tmp_path)}
    order = [sources[name] for name in ("small", "large", "small", "small")]
    assert [len(batch) for batch in _decode(iter(order), 8)] == [2, 2]


@pytest.mark.slow
def test_stored_regions_of_real_photographs_are_found_again(data, tmp_path):
    extract_regions(
        read_sources(data / "coco_photos" / "full"),
        tmp_path / "s",
        detector=picodet(data / "detector_picodet" / "picodet_s_416_coco.onnx"),
        describer=load_lite0_describer(packaged_weights(), data / "coco_regions" / "pca.npz"),
    )
    store = FeatureStore(tmp_path / "s")
    assert len(store) == 75
    overlaps, cosines = [], []
    for split in ("train", "val", "test"):
        stored = np.load(data / "coco_regions" / f"regions_{split}.npz")
        ends = np.cumsum(stored["num_regions"].astype(int))
        for key, count, end in zip(stored["image_id"], stored["num_regions"], ends, strict=True):
            if f"{key:012d}" not in store:
                continue
            rows = slice(end - count, end)
            found = store[f"{key:012d}"].regions()
            box = torch.from_numpy(stored["boxes"][rows].astype(np.float32) / 2)
            best, match = box_iou(box, found.box).max(dim=1)
            overlaps += best.tolist()
            feature = torch.from_numpy(stored["features"][rows].astype(np.float32))
            cosine = torch.cosine_similarity(feature, found.feature[match], dim=1)
            cosines += cosine[best > 0.9].tolist()
    assert len(overlaps) > 1500
    assert np.mean(np.array(overlaps) > 0.9) >= 0.95
    assert np.mean(cosines) >= 0.98


def test_other_images_join_a_store_and_are_counted_alone(scenes, detector, tmp_path):
    sources = list(read_sources(scenes))
    extract_regions(sources[:5], tmp_path / "s", detector=detector)
    calls = []
    report = extract_regions(sources[3:], tmp_path / "s", detector=detector, progress=calls.append)
    assert (report.items, report.kept, report.added) == (COUNT, 2, COUNT - 5)
    assert sum(calls) == len(sources[3:])
    calls.clear()
    extract_regions(sources, tmp_path / "s", detector=detector, progress=calls.append)
    assert sum(calls) == COUNT


def test_features_that_require_gradients_are_stored(scenes, detector, tmp_path):
    class Trained:
        name, version, width = "trained", "1", 1
        weight = torch.ones(4, 1, requires_grad=True)

        def describe(self, _photos, regions):
            return [one.box @ self.weight for one in regions]

    extract_regions(read_sources(scenes), tmp_path / "s", detector=detector, describer=Trained())
    regions = FeatureStore(tmp_path / "s")["1"].regions()
    assert torch.equal(regions.feature[:, 0], regions.box.sum(1))
