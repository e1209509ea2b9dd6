"""COCO's results and annotations."""

from __future__ import annotations

import contextlib
import gzip
import io
import json

import numpy as np
import pytest

from graphmatch.datasets.features.coco_results import read_coco_results, write_coco_results
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

RESULTS = [
    {"image_id": 139, "category_id": 90, "bbox": [10.5, 20, 30, 40.25], "score": 0.5},
    {"image_id": 285, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.25},
    {"image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.125},
]
ANNOTATIONS = {
    "images": [
        {"id": 285, "width": 640, "height": 480, "file_name": "000000000285.jpg"},
        {"id": 139, "width": 500, "height": 375, "file_name": "val/000000000139.jpg"},
        {"id": 632, "width": 20, "height": 10, "file_name": "000000000632.jpg"},
    ],
    "annotations": [{**one, "id": k, "area": 1} for k, one in enumerate(RESULTS)],
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
}
for _one in ANNOTATIONS["annotations"]:
    del _one["score"]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    (tmp_path / "instances.json").write_text(json.dumps(ANNOTATIONS))
    return tmp_path / "results.json", tmp_path / "instances.json"


def test_results(files):
    first, second = read_coco_results(files[0])
    assert (first.id, second.id) == ("139", "285")
    assert first.columns["feature"].shape == (2, 0)
    assert first.columns["box"].tolist() == [[10.5, 20, 40.5, 60.25], [1, 2, 4, 6]]
    assert first.columns["label"].tolist() == [90, 1]
    assert first.columns["score"].tolist() == [0.5, 0.125]
    assert "size" not in first.columns


def test_results_with_the_images(files):
    records = list(read_coco_results(files[0], annotations=files[1], labels="position"))
    assert [record.id for record in records] == ["285", "139", "632"]
    assert [record.columns["size"].tolist() for record in records] == [
        [640, 480], [500, 375], [20, 10]
    ]  # fmt: skip
    assert records[1].columns["label"].tolist() == [1, 0]
    assert records[2].columns["box"].shape == (0, 4)
    assert records[2].columns["score"].shape == (0,)


def test_annotations(files, tmp_path):
    files[1].write_bytes(gzip.compress(files[1].read_bytes()))
    records = list(read_coco_results(files[1]))
    assert [len(record) for record in records] == [1, 2, 0]
    assert {*records[0].columns} == {"feature", "box", "label", "size"}
    records[1].regions().to_graph().validate()


def test_positions_of_the_80_classes(files):
    first, _ = read_coco_results(files[0], labels="position")
    assert first.columns["label"].tolist() == [79, 0]


@pytest.mark.parametrize("labels", ["category_id", "position"])
def test_round_trip(files, tmp_path, regions, write, assert_same, labels):
    extra = ("label", "score")
    records = [
        FeatureRecord(
            id=key,
            columns={
                **r.columns,
                "feature": np.zeros((len(r), 0), "f4"),
                "label": (r.columns["label"] % 2).astype("i4"),
            },
        )
        for key, r in zip(("285", "139", "632"), regions(3, extra=extra), strict=True)
    ]
    for image, record in zip(ANNOTATIONS["images"], records, strict=True):
        image["width"], image["height"] = record.columns["size"].tolist()
    files[1].write_text(json.dumps(ANNOTATIONS))
    options = {"annotations": files[1], "labels": labels}
    path = write(write_coco_results, tmp_path / "r.json", records, **options)
    assert_same(
        read_coco_results(path, **options), records, ("feature", "box", "size", "label", "score")
    )
    assert {one["category_id"] for one in json.loads(path.read_text())} == (
        {0, 1} if labels == "category_id" else {1, 90}
    )


def test_pycocotools_evaluates_what_is_written(files, tmp_path, write):
    coco_module = pytest.importorskip("pycocotools.coco")
    evaluation_module = pytest.importorskip("pycocotools.cocoeval")
    for one in ANNOTATIONS["annotations"]:
        one.update(area=one["bbox"][2] * one["bbox"][3], iscrowd=0, id=one["id"] + 1)
    files[1].write_text(json.dumps(ANNOTATIONS))
    found = [
        FeatureRecord(id=record.id, columns={**record.columns, "score": np.ones(len(record), "f4")})
        for record in read_coco_results(files[1])
    ]
    path = write(write_coco_results, tmp_path / "r.json", found, annotations=files[1])
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_module.COCO(str(files[1]))
        evaluation = evaluation_module.COCOeval(truth, truth.loadRes(str(path)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_ids_and_labels_that_are_written(tmp_path, regions, write, files):
    (record,) = regions(1, rows=3, extra=("label", "score"))
    columns = {**record.columns, "label": np.array([-1, 5, 7], "i4")}
    named = [FeatureRecord(id=key, columns=columns) for key in ("000000000139", "a/b", "7")]
    path = write(write_coco_results, tmp_path / "a.json", named)
    content = json.loads(path.read_text())
    assert [one["image_id"] for one in content] == [139, 139, "a/b", "a/b", 7, 7]
    assert [one["category_id"] for one in content] == [5, 7] * 3
    named = [
        FeatureRecord(id=key, columns=columns)
        for key in ("val/000000000139", "000000000285.jpg", "632")
    ]
    path = write(write_coco_results, tmp_path / "b.json", named, annotations=files[1])
    assert [one["image_id"] for one in json.loads(path.read_text())] == [
        139,
        139,
        285,
        285,
        632,
        632,
    ]
    del columns["score"]
    path = write(write_coco_results, tmp_path / "c.json", named)
    assert {one["score"] for one in json.loads(path.read_text())} == {1.0}
    path = write(write_coco_results, tmp_path / "d.json", [])
    assert json.loads(path.read_text()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": "box"}, "bbox"),
        ({"bbox": [1, 2, -3, 4]}, "x1 <= x2"),
        ({"bbox": [1, 2, 1e300, 4]}, "bbox"),
        ({"bbox": [1, 2, None, 4]}, "bbox"),
        ({"bbox": [True, 2, 3, 4]}, "bbox"),
        ({"category_id": "dog"}, "category_id"),
        ({"category_id": 10**30}, "category_id"),
        ({"category_id": 1.5}, "category_id"),
        ({"score": "high"}, "score"),
        ({"score": None}, "score"),
    ],
)
def test_a_damaged_detection_fails_its_image(tmp_path, change, message):
    content = [*RESULTS[:2], {**RESULTS[2], **change}]
    (tmp_path / "a.json").write_text(json.dumps(content))
    first, second = read_coco_results(tmp_path / "a.json")
    assert message in first.error
    assert second.error is None


def test_detections_of_no_image(files, tmp_path):
    content = [*RESULTS, {"bbox": [1, 2, 3, 4]}, 7, {**RESULTS[0], "image_id": 8}]
    files[0].write_text(json.dumps(content))
    records = list(read_coco_results(files[0], annotations=files[1]))
    assert [record.id for record in records[3:]] == ["detection-3", "detection-4", "8"]
    assert all("expected an image of `images`" in record.error for record in records[3:])
    records = list(read_coco_results(files[0]))
    assert [record.error is None for record in records] == [True, True, False, False, True]


def test_position_of_an_unknown_category(files, tmp_path):
    files[0].write_text(json.dumps([{**RESULTS[0], "category_id": 12}]))
    (record,) = read_coco_results(files[0], labels="position")
    assert "expected one of `categories` (got 12)" in record.error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "list of results"),
        ("7", "list of results"),
        ('{"annotations": 3}', "list of results"),
        ("[1, 2", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ('{"annotations": [], "images": [1]}', "images: expected"),
        ('{"annotations": [], "images": [{}]}', "id of an image"),
    ],
)
def test_other_files(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FormatError, match=message):
        list(read_coco_results(tmp_path / "a.json"))


def test_what_is_refused(files, tmp_path, regions, write):
    with pytest.raises(FormatError, match="object with `images`"):
        list(read_coco_results(files[0], annotations=files[0]))
    with pytest.raises(ConfigError, match="did you mean 'position'"):
        list(read_coco_results(files[0], labels="positions"))
    (record,) = regions(1, extra=("label",))
    for path, options, message in (
        ("a", {"annotations": files[1]}, "image of the annotations"),
        ("b", {}, "broken"),
    ):
        one = record if message != "broken" else FeatureRecord(id="1", error="broken")
        with pytest.raises(FormatError, match=message):
            write(write_coco_results, tmp_path / path, [one], **options)
        assert not (tmp_path / path).exists()
    high = FeatureRecord(id="1", columns={**record.columns, "label": record.columns["label"] + 80})
    with pytest.raises(FormatError, match="positions below 80"):
        write(write_coco_results, tmp_path / "c", [high], labels="position")
    (tmp_path / "bad.json").write_text('{"images": [], "categories": 4}')
    with pytest.raises(FormatError, match="categories: expected"):
        write(
            write_coco_results, tmp_path / "d", [], annotations=tmp_path / "bad.json",
            labels="position",
        )  # fmt: skip


def test_two_items_of_one_image_are_not_mixed(tmp_path, regions):
    one, other = regions(2, rows=2, extra=("label", "score"))
    with write_coco_results(tmp_path / "r.json") as add:
        add(FeatureRecord(id="007", columns=one.columns))
        with pytest.raises(FormatError, match="'7': an earlier item is image 7 too"):
            add(FeatureRecord(id="7", columns=other.columns))
    (record,) = read_coco_results(tmp_path / "r.json")
    assert len(record) == 2
