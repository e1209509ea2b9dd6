"""Readers of annotated boxes: real COCO files, files written here, damaged and malicious ones."""

import gzip
import json

import numpy as np
import pytest

from graphmatch.datasets.boxes import image_size
from graphmatch.datasets.coco_boxes import read_coco_boxes
from graphmatch.datasets.xml_boxes import read_flickr_boxes, read_voc_boxes
from graphmatch.datasets.xml_file import read_xml
from graphmatch.errors import FormatError


@pytest.fixture
def coco(tmp_path):
    def read(*annotations, images=None, categories=None, packed=False):
        content = {
            "images": images or [{"id": 7, "file_name": "7.jpg", "width": 64, "height": 48}],
            "annotations": list(annotations),
            "categories": categories
            or [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
        }
        path = tmp_path / "instances.json"
        text = json.dumps(content).encode()
        path.write_bytes(gzip.compress(text) if packed else text)
        return read_coco_boxes(path)

    return read


def box(category=1, image=7, bbox=(1, 2, 3.5, 4), **more):
    return {"image_id": image, "category_id": category, "bbox": list(bbox), **more}


def test_official_subset_of_coco(data):
    boxes = read_coco_boxes(data / "coco_val2017" / "instances_val2017_official_subset.json.gz")
    with gzip.open(data / "coco_val2017" / "instances_val2017_official_subset.json.gz") as stream:
        content = json.load(stream)
    assert len(boxes.images) == len(content["images"])
    assert sum(len(image.box) for image in boxes.images.values()) == 1561
    assert all(image.error is None for image in boxes.images.values())
    crowds = sum(record["iscrowd"] for record in content["annotations"])
    assert sum(image.ignored.sum() for image in boxes.images.values()) == crowds > 0
    assert len(boxes.labels) == 80
    assert (boxes.labels[0], boxes.labels[79]) == ("person", "toothbrush")
    names = {c["id"]: c["name"] for c in content["categories"]}
    seen = dict.fromkeys(boxes.images, 0)
    for record in content["annotations"]:
        image, place = boxes.images[str(record["image_id"])], seen[str(record["image_id"])]
        seen[image.id] += 1
        x, y, width, height = record["bbox"]
        np.testing.assert_allclose(image.box[place], [x, y, x + width, y + height], rtol=1e-6)
        assert boxes.labels[image.label[place]] == names[record["category_id"]]


def test_all_of_coco(data):
    boxes = read_coco_boxes(data / "coco_val2017" / "instances_val2017.json.gz")
    assert len(boxes.images) == 4500
    assert sum(len(image.box) for image in boxes.images.values()) == 33080
    assert sum(len(image.box) == 0 for image in boxes.images.values()) == 48
    sides = np.concatenate([i.box[:, 2:] - i.box[:, :2] for i in boxes.images.values()])
    assert (sides.min(1) == 0).sum() == 1


@pytest.mark.parametrize("packed", [False, True])
def test_coco(coco, packed):
    boxes = coco(box(90), box(iscrowd=1), box(image=8), packed=packed)
    assert boxes.labels == ("person", "toothbrush")
    image = boxes.images["7"]
    assert (image.id, image.file, image.size) == ("7", "7.jpg", (64, 48))
    assert image.box.dtype == np.float32
    assert image.box.tolist() == [[1, 2, 4.5, 6]] * 2
    assert image.label.tolist() == [1, 0]
    assert image.ignored.tolist() == [False, True]
    other = boxes.images["8"]  # annotated, but not among the images: nothing is lost
    assert (other.file, other.size, len(other.box)) == (None, None, 1)


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (box(bbox=(1, 2, 3)), "expected x, y, width and height"),
        (box(bbox=(1, 2, "a", 3)), "expected x, y, width and height"),
        (box(bbox=(1, 2, float("nan"), 3)), "expected x, y, width and height"),
        (box(bbox=(1, 2, -3, 3)), "x1 <= x2"),
        (box(bbox=(1, 2, 1e300, 3)), "expected pixels"),
        ({"image_id": 7, "category_id": 1}, "got None"),
        (box(category=2), "category_id: expected an id of one"),
        (box(category=None), "category_id"),
    ],
)
def test_one_bad_box_is_an_error_of_its_image(coco, record, error):
    boxes = coco(box(), record, box(bbox=(1, 2, 3)), box(image=8))
    assert error in boxes.images["7"].error
    assert len(boxes.images["7"].box) == 0
    assert boxes.images["8"].error is None


def test_records_without_an_image_are_not_lost(coco):
    image = {"id": 7, "width": 0, "height": 5}
    boxes = coco({"bbox": [1, 2, 3, 4]}, 5, box(), images=[image, "x", {"id": 8}, {"id": 8}])
    assert boxes.images["7"].size is None
    errors = {key: one.error for key, one in boxes.images.items() if one.error}
    assert errors == {
        "image-2": "expected an object with the `id` of an image",
        "8": "duplicate id '8': an earlier image has it",
        "annotation-1": "expected an object with the `image_id` of an annotation",
        "annotation-2": "expected an object with the `image_id` of an annotation",
    }


def test_files_that_are_no_coco(coco, tmp_path):
    for categories in (
        ["x"],
        [{"id": "1", "name": "a"}],
        [{"id": 1}],
        [{"id": 1, "name": "a"}] * 2,
    ):
        with pytest.raises(FormatError, match="expected categories"):
            coco(box(), categories=categories)
    path = tmp_path / "a.json"
    for content, error in {
        b"": "expected JSON", b"[" * 100_000: "expected JSON", b"[7]": "got a JSON list",
        b"{}": "expected COCO", b'{"images": [], "annotations": 5, "categories": []}': "got 'imag",
        gzip.compress(b"{}")[:-5]: "truncated or damaged",
    }.items():  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(FormatError, match=error):
            read_coco_boxes(path)
    with pytest.raises(FormatError, match="no such file"):
        read_coco_boxes(tmp_path / "none.json")


def annotation(*objects, size="<size><width>500</width><height>375</height></size>"):
    return f"<annotation><filename>a.jpg</filename>{size}{''.join(objects)}</annotation>"


def thing(names, corners=None, more=""):
    tags = "".join(f"<name>{name}</name>" for name in names)
    sides = ("xmin", "ymin", "xmax", "ymax")
    values = "".join(f"<{s}>{v}</{s}>" for s, v in zip(sides, corners or (), strict=False))
    return f"<object>{tags}{more}" + (f"<bndbox>{values}</bndbox>" if corners else "") + "</object>"


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            (tmp_path / f"{name}.xml").write_bytes(content)
        return tmp_path

    return write


def test_voc(folder):
    part = "<part><name>head</name><bndbox><xmin>9</xmin></bndbox></part>"
    path = folder(
        b=annotation(
            thing(["dog"], (1, 1, 500, 375), "<difficult>1</difficult>" + part),
            thing(["cat"], ("10.5", 20, 10.5, 21)),
        ),
        a=annotation(thing(["person"], (2, 3, 4, 5)), size=""),
        c=annotation(size="<size><width>0</width><height>0</height></size>"),
    )
    (path / "notes.txt").write_text("no annotation")
    boxes = read_voc_boxes(path)
    assert boxes.labels == ("cat", "dog", "person")
    assert list(boxes.images) == ["a", "b", "c"]
    image = boxes.images["b"]
    assert (image.file, image.size) == ("a.jpg", (500, 375))
    assert image.box.tolist() == [[0, 0, 500, 375], [9.5, 19, 10.5, 21]]
    assert image.label.tolist() == [1, 0]
    assert image.ignored.tolist() == [True, False]
    assert boxes.images["a"].size is None
    assert boxes.images["c"].size is None
    assert boxes.images["c"].box.shape == (0, 4)
    zero = read_voc_boxes(path, first_pixel=0).images["a"]
    assert zero.box.tolist() == [[2, 3, 5, 6]]


def test_labels_of_voc_may_be_given(folder):
    path = folder(
        a=annotation(thing(["dog"], (1, 1, 2, 2))), b=annotation(thing(["cow"], (1, 1, 2, 2)))
    )
    boxes = read_voc_boxes(path, labels=("person", "dog"))
    assert boxes.labels == ("person", "dog")
    assert boxes.images["a"].label.tolist() == [1]
    assert boxes.images["b"].error == "object: expected one of the labels (got 'cow')"


def test_flickr30k_entities(folder):
    path = folder(
        **{
            "1000092795": annotation(
                thing(["1", "2"], (10, 20, 30, 40)),
                thing(["1"], (50, 60, 70, 80)),
                thing(["3"], None, "<scene>1</scene><nobndbox>0</nobndbox>"),
                thing(["4", "5"], None, "<scene>0</scene><nobndbox>1</nobndbox>"),
            )
        }
    )
    boxes = read_flickr_boxes(path)
    assert boxes.labels == ()
    image = boxes.images["1000092795"]
    assert image.box.tolist() == [[9, 19, 30, 40], [49, 59, 70, 80]]
    assert image.phrases == (("1", "2"), ("1",))
    assert image.label.tolist() == [-1, -1]
    assert (image.scenes, image.unseen) == (("3",), ("4", "5"))


LAUGHS = """<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "ha">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<annotation><filename>&c;</filename></annotation>"""
OUTSIDE = """<!DOCTYPE annotation [<!ENTITY file SYSTEM "file:///etc/hostname">]>
<annotation><filename>&file;</filename></annotation>"""


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (LAUGHS, "without a document type"),
        (OUTSIDE, "without a document type"),
        ("<annotation><filename>&b;</filename></annotation>", "expected XML"),
        ("<annotation><object></annotation>", "expected XML"),
        ("<annotation>", "expected XML"),
        ("", "expected XML"),
        (b"\x00\xff\xfe", "expected XML"),
        (b'<?xml version="1.0" encoding="no-such"?><annotation/>', "expected XML"),
        ("<html/>", "expected <annotation>"),
        (b"<annotation>" + b" " * 2**24 + b"</annotation>", "of at most"),
        (annotation(thing(["dog"], (5, 5, 3, 9))), "x1 <= x2"),
        (annotation(thing(["dog"], (5, 5, "x", 9))), "expected xmin"),
        (annotation(thing(["dog"], (5, 5))), "expected xmin"),
        (annotation(thing([], (1, 1, 2, 2))), "expected the"),
    ],
)
def test_damaged_and_malicious_xml(folder, content, error):
    path = folder(bad=content, good=annotation(thing(["dog"], (1, 1, 2, 2))))
    for read in (read_voc_boxes, read_flickr_boxes):
        boxes = read(path)
        assert error in boxes.images["bad"].error
        assert len(boxes.images["bad"].box) == 0
        assert boxes.images["good"].box.tolist() == [[0, 0, 2, 2]]


def test_xml_alone(folder):
    path = folder(bad=LAUGHS, good='<?xml version="1.0" encoding="latin-1"?><a>caf\xe9</a>')
    with pytest.raises(FormatError, match="without a document type"):
        read_xml(path / "bad.xml", "annotation")
    (path / "good.xml").write_bytes(
        '<?xml version="1.0" encoding="latin-1"?><a>é</a>'.encode("latin-1")
    )
    assert read_xml(path / "good.xml", "a").text == "é"


def test_folders_without_annotation(tmp_path):
    for read in (read_voc_boxes, read_flickr_boxes):
        with pytest.raises(FormatError, match="got none"):
            read(tmp_path)
        with pytest.raises(FormatError, match="no such folder"):
            read(tmp_path / "none")
    (tmp_path / "folder.xml").mkdir()
    assert "Is a directory" in read_voc_boxes(tmp_path).images["folder"].error


def test_sizes():
    assert image_size("640.0", 480) == (640, 480)
    for wrong in ((0, 5), (None, 5), ("x", 5), (-3, 5), (True, 5), (1e300, 5), ([], {})):
        assert image_size(*wrong) is None
