"""Readers of SugarCrepe, Visual Spatial Reasoning and Crisscrossed Captions."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from graphmatch.datasets.cxc import read_cxc
from graphmatch.datasets.sugarcrepe import CATEGORIES, read_sugarcrepe
from graphmatch.datasets.vsr import read_vsr
from graphmatch.errors import FormatError

ITEM = {"filename": "000000000139.jpg", "caption": "A dog.", "negative_caption": "A red dog."}


def write(path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_sugarcrepe_as_released_and_in_one_file(tmp_path):
    one = write(tmp_path / "add_att.json", {"0": ITEM, "7": ITEM})
    two = write(tmp_path / "swap_obj.json", {"0": ITEM})
    apart = read_sugarcrepe([one, two])
    together = write(
        tmp_path / "all.json.gz", {"add_att": {"0": ITEM, "7": ITEM}, "swap_obj": [ITEM]}
    )
    assert apart == read_sugarcrepe(together)
    assert [item.id for item in apart] == ["add_att:0", "add_att:7", "swap_obj:0"]
    assert (apart[0].image, apart[0].category) == ("000000000139", "add_att")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (None, "filename"),
        ({**ITEM, "filename": []}, "filename"),
        ({**ITEM, "caption": " "}, "caption"),
        ({**ITEM, "negative_caption": 3}, "negative_caption"),
    ],
)
def test_items_that_cannot_be_used_are_kept(tmp_path, item, message):
    found = read_sugarcrepe(write(tmp_path / "add_obj.json", {"0": ITEM, "1": item}))
    assert [one.error is None for one in found] == [True, False]
    assert message in found[1].error


def test_no_item_at_all(tmp_path):
    for content in ({}, {"0": {"a": 1}}, {"add_att": []}):
        with pytest.raises(FormatError, match="got none"):
            read_sugarcrepe(write(tmp_path / "a.json", content))
    with pytest.raises(FormatError, match="JSON"):
        read_sugarcrepe(write(tmp_path / "a.json", "no"))


def test_vsr_names_and_ids(tmp_path):
    released = {
        "image": "000000085637.jpg",
        "caption": "It is on it.",
        "label": 0,
        "relation": "on",
    }
    ours = {"image_id": 9, "caption": "It is in it.", "label": 1, "relation": "in"}
    lines = [json.dumps(released), "", json.dumps(ours)]
    found = read_vsr(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert [(one.id, one.image, one.true) for one in found] == [
        ("1", "000000085637", False),
        ("3", "9", True),
    ]
    both = read_vsr([tmp_path / "a.jsonl", write(tmp_path / "b.jsonl", lines[0])])
    assert [one.id for one in both] == ["a.jsonl:1", "a.jsonl:3", "b.jsonl:1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "JSON"),
        ("[]", "image"),
        ('{"image_id": 1, "label": 1}', "caption"),
        ('{"image_id": 1, "caption": "x", "label": 2}', "label of 0 or 1"),
        ('{"image_id": 1, "caption": "x"}', "label of 0 or 1"),
    ],
)
def test_statements_that_cannot_be_used_are_kept(tmp_path, line, message):
    good = '{"image_id": 1, "caption": "x", "label": 1, "relation": "on"}'
    found = read_vsr(write(tmp_path / "a.jsonl", f"{good}\n{line}\n"))
    assert [one.error is None for one in found] == [True, False]
    assert message in found[1].error
    with pytest.raises(FormatError, match="got none"):
        read_vsr(write(tmp_path / "a.jsonl", line))


def test_cxc_as_released_and_in_one_file(tmp_path):
    names = "COCO_val2014:sentid:7", "COCO_val2014_000000000139.jpg", "COCO_val2014:sentid:8"
    sits = f"caption,image,agg_score,sampling_method\n{names[0]},{names[1]},4.5,c2i_original\n"
    sts = f"caption1,caption2,agg_score,sampling_method\n{names[0]},{names[2]},2,c2c_isim\n"
    sis = f"image1,image2,agg_score,sampling_method\n{names[1]},{names[1]},5,i2i_csim\n"
    paths = [
        write(tmp_path / f"{name}.csv", text)
        for name, text in (("sits", sits), ("sts", sts), ("sis", sis))
    ]
    ours = (
        "kind,a,b,score,sampling\nsits,7,139,4.5,c2i_original\nsts,7,8,2,c2c_isim\n"
        "sis,139,139,5,i2i_csim\n"
    )
    together = read_cxc(write(tmp_path / "cxc.csv.gz", ours))
    apart = read_cxc(paths)
    for one, other in zip(apart, together, strict=True):
        assert (one.kind, one.a, one.b, one.score) == (other.kind, other.a, other.b, other.score)
        assert one.sampling == other.sampling


@pytest.mark.parametrize(
    "row", ["sits,7,139", "sets,7,139,1,x", "sits,7,139,nan,x", "sits,,139,1,x"]
)
def test_ratings_that_cannot_be_used_are_kept(tmp_path, row):
    text = f"kind,a,b,score,sampling\nsits,7,139,1,x\n{row}\n"
    found = read_cxc(write(tmp_path / "a.csv", text))
    assert [one.error is None for one in found] == [True, False]


def test_another_header(tmp_path):
    for text in ("", "a,b\n1,2\n", "caption,image,score\n"):
        with pytest.raises(FormatError, match="expected a header"):
            read_cxc(write(tmp_path / "a.csv", text))


def test_real_files_hold_what_is_known_of_them(data):
    folder = data / "coco_val2017"
    items = read_sugarcrepe(folder / "sugarcrepe.json.gz")
    counts = Counter(item.category for item in items)
    assert len(items) == 6745
    assert tuple(sorted(counts)) == CATEGORIES
    assert dict(counts) == {
        "add_att": 615,
        "add_obj": 1866,
        "replace_att": 705,
        "replace_obj": 1480,
        "replace_rel": 1267,
        "swap_att": 592,
        "swap_obj": 220,
    }
    statements = read_vsr(folder / "vsr_val2017.jsonl.gz")
    assert len(statements) == 375
    ratings = read_cxc(folder / "cxc.csv.gz")
    kinds = Counter(rating.kind for rating in ratings)
    assert kinds == {"sits": 5795, "sts": 5808, "sis": 1005}
    assert not [one for one in (*items, *statements, *ratings) if one.error is not None]
    content = json.loads(gzip.decompress((folder / "captions_val2017.json.gz").read_bytes()))
    images = {str(image["id"]) for image in content["images"]}
    captions = {str(one["id"]) for one in content["annotations"]}
    assert {str(int(item.image)) for item in items} <= images
    assert {one.image for one in statements} <= images
    assert {one.a for one in ratings if one.kind != "sis"} <= captions
    assert {one.b for one in ratings if one.kind != "sts"} <= images
