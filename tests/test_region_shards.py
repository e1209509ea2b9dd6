"""Regions found shard by shard are those found in one go."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from graphmatch.datasets.coco_boxes import read_coco_boxes
from graphmatch.errors import ConfigError
from graphmatch.region_job import extract_regions
from graphmatch.region_shards import extract_region_shards
from graphmatch.regions.annotated import AnnotatedDetector
from graphmatch.regions.describe import load_lite0_describer
from graphmatch.regions.efficientnet import packaged_weights
from graphmatch.regions.photo_sources import read_sources


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Eleven images, of which one is broken, and boxes as COCO JSON."""
    folder = tmp_path_factory.mktemp("scenes")
    random = np.random.default_rng(5)
    images, annotations = [], []
    for number in range(11):
        size = {"width": 60 + number, "height": 50}
        images.append({"id": number, "file_name": f"{number:02d}.png", **size})
        pixels = random.integers(0, 255, (50, 60 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        if number % 3:
            box = {"bbox": [5, 10, 15, 30], "area": 450, "iscrowd": 0, "category_id": 3}
            annotations.append({"id": number, "image_id": number, **box})
    (folder / "06.png").write_bytes(b"no image")
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 3, "name": "ball"}],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder


def load(scenes):
    return AnnotatedDetector(read_coco_boxes(scenes / "boxes.json")), load_lite0_describer(
        packaged_weights()
    )


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def expected(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected") / "s"
    detector, describer = load(scenes)
    report = extract_regions(
        read_sources(scenes), out, detector=detector, describer=describer, batch_size=2
    )
    assert (report.items, report.failed) == (11, 1)
    return content(out)


def test_the_store_is_the_same_after_an_interruption_too(scenes, expected, tmp_path):
    out = tmp_path / "s"
    options = {"models": partial(load, scenes), "batch_size": 2, "shard_size": 4}

    def broken(function, blocks):
        """An engine that dies after two shards, of which one is stored."""
        first, second, *_ = blocks
        yield function(first)
        function(second)
        (tmp_path / "s.shards" / f"shard-00002-{'0' * 32}.7.tmp").mkdir()
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        extract_region_shards(read_sources(scenes), out, engine=broken, **options)
    assert len(list((tmp_path / "s.shards").iterdir())) == 2
    seen = []
    report = extract_region_shards(read_sources(scenes), out, progress=seen.append, **options)
    assert (report.items, report.failed, report.kept, report.added) == (11, 1, 8, 3)
    assert sum(seen) == 11
    assert content(out) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
    report = extract_region_shards(read_sources(scenes), out, **options)
    assert (report.kept, report.added) == (11, 0)
    assert content(out) == expected


def test_wrong_options(scenes, tmp_path):
    with pytest.raises(ConfigError, match="shard_size"):
        extract_region_shards([], tmp_path / "s", models=partial(load, scenes), shard_size=0)
