from __future__ import annotations

import gzip
import json

import pytest
import torch

from graphmatch.datasets.coco import read_coco
from graphmatch.errors import FormatError


def write(path, content):
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def image(id, **fields):
    return {"id": id, "file_name": f"{id:012}.jpg", "width": 200, "height": 100} | fields


def caption(id, image_id, text="A dog runs."):
    return {"id": id, "image_id": image_id, "caption": text}


def captions(folder, images, annotations, name="captions.json"):
    return write(folder / name, {"images": images, "annotations": annotations})


CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}]


def boxes(folder, images, annotations, name="instances.json", categories=CATEGORIES):
    content = {"images": images, "annotations": annotations, "categories": categories}
    return write(folder / name, content)


def box(image_id, corner=(10, 20, 30, 40), category=18, **fields):
    return {"image_id": image_id, "category_id": category, "bbox": list(corner)} | fields


def test_images_and_captions(tmp_path):
    path = captions(
        tmp_path, [image(9), image(7)], [caption(4, 7), caption(2, 9, "A cat."), caption(3, 7)]
    )
    data = read_coco(path)
    assert [(v.id, v.kind, v.split, v.file, v.size) for v in data.visuals] == [
        ("9", "image", None, "000000000009.jpg", (200, 100)),
        ("7", "image", None, "000000000007.jpg", (200, 100)),
    ]
    assert [(c.id, c.owner) for c in data.captions] == [("4", "7"), ("2", "9"), ("3", "7")]
    assert (data.errors, data.splits, data.labels) == ((), {}, ())
    assert data.visuals[0].regions is None


def test_files_by_split(tmp_path):
    train = captions(tmp_path, [image(1)], [caption(1, 1)], "train.json")
    val = write(tmp_path / "val.json.gz", gzip.compress(train.read_bytes().replace(b"1", b"2")))
    data = read_coco({"train": train, "val": val})
    assert data.splits == {"train": (1, 1, 0), "val": (1, 1, 0)}


@pytest.mark.parametrize(
    "content",
    [
        {"train": [1, "2"], "val": [3, 99]},
        {
            "images": [
                {"cocoid": 1, "split": "train"},
                {"cocoid": 2, "split": "train"},
                {"cocoid": 3, "split": "val"},
                {"cocoid": 99, "split": "val"},
                {"cocoid": 4},
                7,
            ]
        },
    ],
)
def test_splits_of_a_file_go_before_those_of_the_captions(tmp_path, content):
    path = captions(tmp_path, [image(n) for n in (1, 2, 3, 4)], [caption(n, n) for n in (1, 3)])
    data = read_coco({"old": path}, splits=write(tmp_path / "splits.json", content))
    assert data.splits == {"train": (2, 1, 0), "val": (2, 1, 1)}
    assert data.visual("4").split is None
    assert [record.id for record in data.errors] == ["99"]
    assert len(data.split("train", "val").captions) == 2


def test_boxes_become_regions(tmp_path):
    instances = boxes(
        tmp_path,
        [image(1), image(2), image(8)],
        [box(1), box(1, (0.5, 1, 2, 0), 1, iscrowd=1), box(8)],
    )
    path = captions(tmp_path, [image(1), image(2), image(3)], [caption(1, 1)])
    data = read_coco(path, instances=instances)
    assert data.labels == ("person", "dog")
    first, second, third = (visual.regions for visual in data.visuals)
    assert first.box.tolist() == [[10, 20, 40, 60], [0.5, 1, 2.5, 1]]
    assert [data.labels[label] for label in first.label] == ["dog", "person"]
    assert (first.size, first.score.tolist()) == ((200, 100), [1, 1])
    assert first.to_graph().box[0].tolist() == pytest.approx([0.05, 0.2, 0.2, 0.6])
    assert (len(second), third) == (0, None)
    alone = read_coco(path, instances=[instances], crowds=False)
    assert len(alone.visuals[0].regions) == 1


def test_boxes_are_those_of_the_image(tmp_path):
    files = [image(1), image(2), image(3, width=0)]
    path = captions(tmp_path, files, [caption(n, n) for n in (1, 2, 3)])
    annotated = [image(1, width=400, height=200), image(2, width=100, height=200), image(3)]
    outside = box(3, (-1, 20, 300, 40))
    instances = boxes(tmp_path, annotated, [box(1), box(2), outside])
    one, two, three = read_coco(path, instances=instances).visuals
    half = [5, 10, 20, 30]  # the captions' image is half as large as the annotated one
    assert one.regions.box[0].tolist() == pytest.approx(half)
    assert "expected an image in the proportions of 100 x 200" in two.error
    assert (three.size, three.regions.box.tolist()) == ((200, 100), [[0, 20, 200, 60]])


def test_boxes_of_several_files(tmp_path):
    path = captions(tmp_path, [image(1), image(2)], [])
    files = [boxes(tmp_path, [image(n)], [box(n)], f"{n}.json") for n in (1, 2)]
    data = read_coco(path, instances=files)
    assert [len(visual.regions) for visual in data.visuals] == [1, 1]
    other = boxes(tmp_path, [image(1)], [], "c.json", categories=CATEGORIES[:1])
    with pytest.raises(FormatError, match=r"c\.json: expected the categories of the other files"):
        read_coco(path, instances=[*files, other])


def test_images_whose_boxes_cannot_be_used_keep_their_error(tmp_path):
    unsized = image(3, width=0)
    path = captions(tmp_path, [image(1), image(2), unsized], [caption(n, n) for n in (1, 2, 3)])
    broken = [box(1), box(2, (1, 2, -3, 4)), box(3)]
    data = read_coco(path, instances=boxes(tmp_path, [image(1), image(2), unsized], broken))
    assert [record.id for record in data.errors] == ["2", "3"]
    assert "x1 <= x2" in data.errors[0].error
    assert "expected the size of the image" in data.errors[1].error
    assert [c.id for c in data.usable().captions] == ["1"]


def test_records_that_cannot_be_used_keep_their_error(tmp_path):
    images = [image(1), image(1), {"file_name": "x.jpg"}, 7, image(True)]
    annotations = [caption(1, 1), caption(1, 1), caption(2, 5), 7, caption(3, 1, None)]
    data = read_coco(captions(tmp_path, images, annotations))
    assert [record.id for record in data.errors] == [
        "1",
        "captions.json:3",
        "captions.json:4",
        "captions.json:5",
        "1",
        "2",
        "captions.json:record-4",
        "3",
    ]
    assert [c.id for c in data.usable().captions] == ["1"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"images": [], "annotations": []},
        {"images": [image(1)]},
        {"images": [image(1)], "annotations": {}},
        "{",
        "",
    ],
)
def test_captions_of_another_kind_are_refused(tmp_path, content):
    with pytest.raises(FormatError, match=r"a\.json: expected"):
        read_coco(write(tmp_path / "a.json", content))


@pytest.mark.parametrize("content", [{}, [], {"train": [5]}, {"train": {"1": 1}}, {"images": []}])
def test_splits_of_another_kind_are_refused(tmp_path, content):
    path = captions(tmp_path, [image(1)], [])
    with pytest.raises(FormatError, match=r"s\.json: expected"):
        read_coco(path, splits=write(tmp_path / "s.json", content))


@pytest.mark.slow
def test_coco_counts(data):
    folder = data / "coco_val2017"
    found = read_coco(
        folder / "captions_val2017.json.gz",
        instances=folder / "instances_val2017.json.gz",
        splits=folder / "splits.json",
    )
    assert {name: counts.visuals for name, counts in found.splits.items()} == {
        "train": 3000,
        "val": 1000,
        "test": 500,
    }
    assert (len(found.visuals), len(found.captions), found.errors) == (4500, 22514, ())
    regions = [visual.regions for visual in found.visuals]
    assert sum(map(len, regions)) == 33080
    bare = [visual for visual in found.visuals if not len(visual.regions)]
    assert len(bare) == 48
    assert {visual.split for visual in bare} == {"train"}
    # people are the commonest class; no box leaves its image
    labels = torch.cat([one.label for one in regions])
    assert found.labels[int(labels.bincount().argmax())] == "person"
    assert len(found.labels) == 80
    for one in regions:
        width, height = one.size
        assert (one.box <= torch.tensor([width, height, width, height])).all()
