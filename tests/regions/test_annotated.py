"""Annotated boxes as a detector: scaling to resized copies, border, look-up, real photographs."""

import csv

import numpy as np
import pytest
import torch

from graphmatch.datasets.boxes import BoxAnnotations, ImageBoxes
from graphmatch.datasets.coco_boxes import read_coco_boxes
from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.annotated import AnnotatedDetector, annotated_regions
from graphmatch.regions.base import Detector, Photo


def image_of(box, id="7", size=(640, 480), **fields):
    count = len(box)
    return ImageBoxes(
        id=id,
        size=size,
        box=np.array(box, np.float32).reshape(-1, 4),
        label=np.arange(count),
        ignored=np.arange(count) % 2 == 1,
        **fields,
    )


def photo(id="7", size=(640, 480)):
    return Photo(id=id, pixels=np.zeros((2, 2, 3), np.uint8), size=size)


def detector(*images, **options):
    annotations = BoxAnnotations(labels=("a", "b", "c"), images={i.id: i for i in images})
    return AnnotatedDetector(annotations, **options)


def test_same_size():
    found = annotated_regions(image_of([[10, 20, 30, 40], [0, 0, 640, 480]]))
    assert found.box.tolist() == [[10, 20, 30, 40], [0, 0, 640, 480]]
    assert found.label.tolist() == [0, 1]
    assert found.score.tolist() == [1, 1]
    assert found.size == (640, 480)
    assert found.feature is None


def test_resized_copy():
    image = image_of([[10, 20, 30, 40]], size=(640, 427))
    found = annotated_regions(image, (400, 267))  # 267 is rounded
    expected = [10 * 400 / 640, 20 * 267 / 427, 30 * 400 / 640, 40 * 267 / 427]
    torch.testing.assert_close(found.box, torch.tensor([expected]))
    for size in ((480, 640), (640, 480), (400, 300)):
        with pytest.raises(GraphError, match=r"proportions of 640 x 427 pixels"):
            annotated_regions(image, size)


def test_border_is_cut_and_counted():
    image = image_of([[-5, 0, 10, 10], [0, 0, 5, 5], [600, 400, 700, 500], [650, 0, 660, 10]])
    whole = detector(image)
    (found,) = whole.detect([photo(size=(320, 240))])
    assert found.box.tolist() == [
        [0, 0, 5, 5],
        [0, 0, 2.5, 2.5],
        [300, 200, 320, 240],
        [320, 0, 320, 5],
    ]
    assert whole.clipped == 3
    whole.detect([photo()])
    assert whole.clipped == 6


def test_thin_and_ignored_boxes():
    box = [[0, 0, 5, 0], [0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 9, 9]]
    assert annotated_regions(image_of(box)).label.tolist() == [0, 1, 2, 3]
    assert annotated_regions(image_of(box), thinnest=0.5).label.tolist() == [1, 2, 3]
    # half the size: in pixels of the photograph
    assert annotated_regions(image_of(box), (320, 240), thinnest=2).label.tolist() == [1, 3]
    assert annotated_regions(image_of(box), ignored=False).label.tolist() == [0, 2]
    assert len(annotated_regions(image_of([]))) == 0


def test_unknown_size():
    image = image_of([[0, 0, 5, 50]], size=None)
    assert annotated_regions(image, (10, 10)).box.tolist() == [[0, 0, 5, 10]]
    with pytest.raises(GraphError, match="its annotation has none"):
        annotated_regions(image)


def test_look_up():
    images = [
        image_of([[0, 0, 1, 1]], id="139", file="000000000139.jpg"),
        image_of([[0, 0, 2, 2]], id="7", file="val/000000000007.v2.jpg"),
        image_of([[0, 0, 3, 3]], id="8", file="train/same.jpg"),
        image_of([[0, 0, 4, 4]], id="9", file="val/same.jpg"),
    ]
    found = detector(*images)
    for id, side in {
        "139": 1, "000000000139": 1, "full/000000000139": 1, "a/139": 1,
        "7": 2, "000000000007.v2": 2, "val/000000000007.v2": 2,
        "train/same": 3, "val/same": 4, "8": 3,
    }.items():  # fmt: skip
        assert found.detect([photo(id)])[0].box[0, 2] == side
    with pytest.raises(GraphError, match="expected one annotation"):
        found.detect([photo("same")])
    for id in ("139.jpg", "13", "", "val"):
        with pytest.raises(GraphError, match="no image of this id"):
            found.detect([photo(id)])


def test_photographs_without_annotation():
    with pytest.raises(GraphError, match="'5': no image of this id"):
        detector(image_of([])).detect([photo("5")])
    (found,) = detector(image_of([]), missing="empty").detect([photo("5", (3, 4))])
    assert found.size == (3, 4)
    assert found.box.shape == (0, 4)
    broken = ImageBoxes(id="7", error="bbox: expected numbers")
    with pytest.raises(GraphError, match="cannot be used: bbox: expected numbers"):
        detector(broken, missing="empty").detect([photo()])


def test_protocol_and_version():
    image = image_of([[0, 0, 1, 1]])
    first = detector(image)
    assert isinstance(first, Detector)
    assert first.version == detector(image_of([[0, 0, 1, 1]])).version
    others = [
        detector(image, thinnest=1), detector(image, ignored=False),
        detector(image, missing="empty"), detector(image_of([[0, 0, 1, 2]])),
        detector(image_of([[0, 0, 1, 1]], size=(64, 48))), detector(),
    ]  # fmt: skip
    assert len({first.version, *(one.version for one in others)}) == 7


def test_wrong_options():
    with pytest.raises(ConfigError, match="did you mean 'empty'"):
        detector(missing="emty")
    with pytest.raises(ConfigError, match="thinnest"):
        detector(thinnest=-1)


def test_real_photographs(data):
    """All photographs, reduced ones too: boxes lie inside, in the proportions of the original."""
    boxes = read_coco_boxes(data / "coco_val2017" / "instances_val2017.json.gz")
    annotated = AnnotatedDetector(boxes)
    with (data / "coco_photos" / "photos.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(rows) == 795
    for row in rows:
        size = (int(row["width"]), int(row["height"]))
        (found,) = annotated.detect([photo(row["image_id"], size)])
        image = boxes.images[row["image_id"]]
        assert image.size == (int(row["original_width"]), int(row["original_height"]))
        assert len(found) == len(image.box)
        scale = torch.tensor([*size, *size]) / torch.tensor([*image.size, *image.size])
        expected = torch.from_numpy(image.box) * scale
        # some annotated boxes end 0.01 pixels outside
        torch.testing.assert_close(found.box, expected, atol=0.02, rtol=0)
    assert annotated.clipped < 100
