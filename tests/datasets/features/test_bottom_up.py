"""TSV files of bottom-up-attention, ViLBERT and LXMERT."""

from __future__ import annotations

import base64
import gzip

import numpy as np
import pytest

from graphmatch.convert import convert_features
from graphmatch.datasets.features.bottom_up import read_bottom_up, write_bottom_up
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

COLUMNS = {
    "bottom-up": ("feature", "box", "size"),
    "vilbert": ("feature", "box", "size", "probability"),
    "lxmert": ("feature", "box", "size", "label", "score"),
}


def text(array, dtype="<f4"):
    return base64.b64encode(np.asarray(array, dtype).tobytes()).decode()


def line(record, sep="\t"):
    """A line as `tools/generate_tsv.py` writes it."""
    c = record.columns
    width, height = c["size"]
    cells = [record.id, width, height, len(record), text(c["box"]), text(c["feature"])]
    return sep.join(map(str, cells)) + "\r\n"


@pytest.fixture
def official(tmp_path, regions):
    records = regions(5)
    path = tmp_path / "karpathy_val_resnet101_faster_rcnn_genome.tsv"
    path.write_text("".join(map(line, records)), newline="")
    return path, records


def test_official_file(official, assert_same):
    assert_same(read_bottom_up(official[0]), official[1])


@pytest.mark.parametrize("layout", COLUMNS)
@pytest.mark.parametrize("zipped", [True, False])
def test_round_trip(tmp_path, regions, write, assert_same, layout, zipped):
    records = regions(6, extra=COLUMNS[layout])
    path = write(write_bottom_up, tmp_path / "a.tsv", records, layout=layout)
    if zipped:
        path = tmp_path / "a.tsv.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.tsv").read_bytes()))
    assert_same(read_bottom_up(path), records, COLUMNS[layout])


def test_lxmert_file(tmp_path, regions, assert_same):
    (record,) = regions(1, extra=("label", "score"))
    c = record.columns
    width, height = c["size"]
    cells = (
        record.id, height, width, text(c["label"], "<i8"), text(c["score"]),
        text(c["label"], "<i8"), text(c["score"]), len(record), text(c["box"]), text(c["feature"]),
    )  # fmt: skip
    (tmp_path / "a.tsv").write_text("\t".join(map(str, cells)) + "\n")
    assert_same(read_bottom_up(tmp_path / "a.tsv"), [record], COLUMNS["lxmert"])


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [0, 3, 1, 4, 2, 5]])
def test_header_gives_the_order(official, assert_same, order):
    path, records = official
    names = ["img_id", "img_w", "img_h", "num_boxes", "boxes", "features"]
    rows = [names, *(line(record).split() for record in records)]
    path.write_text("".join("\t".join(row[k] for k in order) + "\n" for row in rows))
    assert_same(read_bottom_up(path), records)


def test_header_without_sizes(tmp_path, regions, assert_same):
    records = regions(3)
    lines = ["image_id\tnum_boxes\tother\tboxes\tfeatures"]
    for r in records:
        box, feature = text(r.columns["box"]), text(r.columns["feature"])
        lines.append(f"{r.id}\t{len(r)}\tx\t{box}\t{feature}")
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    assert_same(read_bottom_up(tmp_path / "a.tsv"), records, ("feature", "box"))


def test_bytes_as_python_3_prints_them(official, assert_same):
    path, records = official
    rows = [line(record).split() for record in records]
    path.write_text(
        "".join("\t".join([*row[:4], f"b'{row[4]}'", f"b'{row[5]}'"]) + "\n" for row in rows)
    )
    assert_same(read_bottom_up(path), records)


GOOD = ["7", "640", "480", "2", text(np.arange(8)), text(np.ones((2, 3)))]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (1, "0", "image_w: expected a whole number from 1"),
        (1, "wide", "image_w"),
        (2, "1e99", "image_h"),
        (2, "", "image_h"),
        (3, "-2", "num_boxes: expected a whole number from 0"),
        (3, "3", "num_boxes = 3"),
        (3, "0", "num_boxes = 0"),
        (3, "nan", "num_boxes"),
        (4, "!!!!", "boxes: expected base64"),
        (4, text(np.arange(8))[:-3], "boxes: expected base64"),
        (4, text(np.arange(6)), "4 numbers a box"),
        (4, text([5, 5, 1, 1, 0, 0, 1, 1]), "x1 <= x2"),
        (4, text([0, 0, 0.5, 0.5, 0, 0, 1, 1]), "pixels"),
        (4, text([0, 0, np.inf, 5, 0, 0, 1, 1]), "finite"),
        (5, text(np.ones(5)), "features: expected num_boxes = 2 rows"),
        (5, text([np.nan] * 6), "finite"),
        (5, "ü", "features: expected base64"),
        (0, "", "image_id"),
    ],
)
def test_a_damaged_line_is_a_failed_record(tmp_path, place, value, message):
    cells = [value if k == place else cell for k, cell in enumerate(GOOD)]
    lines = ["\t".join(GOOD), "\t".join(cells), "\t".join(["8", *GOOD[1:]])]
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    records = list(read_bottom_up(tmp_path / "a.tsv"))
    assert [record.error is None for record in records] == [True, False, True]
    assert message in records[1].error
    assert records[1].id == ("line-2" if place == 0 else "7")


def test_a_truncated_line_is_a_failed_record(official):
    path, _ = official
    path.write_bytes(path.read_bytes()[:-50])
    records = list(read_bottom_up(path))
    assert [record.error is None for record in records] == [True] * 4 + [False]
    path.write_bytes(path.read_bytes() + b"\r\n\r\n7\t8\r\n")
    assert "expected 6 columns (got 2)" in list(read_bottom_up(path))[-1].error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\tc\n", "expected 6, 7 or 10 columns"),
        (b"\xff\xfe\x00\x01" * 50, "expected 6, 7 or 10 columns"),
        (gzip.compress(b"abc", mtime=0)[:-6], "gzip"),
        (b"\x1f\x8bnonsense", "gzip"),
    ],
)
def test_other_files(tmp_path, content, message):
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        list(read_bottom_up(tmp_path / "a.tsv"))


def test_missing_field(tmp_path):
    (tmp_path / "a.tsv").write_text("image_id\tboxes\tfeatures\n7\tAAAA\tAAAA\n")
    (record,) = read_bottom_up(tmp_path / "a.tsv")
    assert "expected a field 'num_boxes'" in record.error


def test_no_line_and_no_file(tmp_path):
    (tmp_path / "a.tsv").write_text("")
    assert list(read_bottom_up(tmp_path / "a.tsv")) == []
    for path, message in ((tmp_path, "folder"), (tmp_path / "b.tsv", "no such file")):
        with pytest.raises(FormatError, match=message):
            list(read_bottom_up(path))


def test_what_a_layout_cannot_hold(tmp_path, regions, write):
    (record,) = regions(1)
    for layout, name in (("vilbert", "probability"), ("lxmert", "label")):
        with pytest.raises(FormatError, match=name):
            write(write_bottom_up, tmp_path / layout, [record], layout=layout)
    with write_bottom_up(tmp_path / "a") as add:
        with pytest.raises(FormatError, match="tabs"):
            add(FeatureRecord(id="a\tb", columns=record.columns))
        with pytest.raises(FormatError, match="column 'box'"):
            add(FeatureRecord(id="a", columns={"feature": np.zeros((1, 2))}))
        with pytest.raises(FormatError, match="broken"):
            add(FeatureRecord(id="a", error="broken"))
    assert (tmp_path / "a").read_text() == ""
    with pytest.raises(ConfigError, match="did you mean 'lxmert'"):
        write_bottom_up(tmp_path / "b", layout="lxmrt").__enter__()


def test_an_image_without_boxes_does_not_fail_the_others(tmp_path, regions):
    none, one = regions(1, rows=0)[0], regions(1, seed=1)[0]
    with write_bottom_up(tmp_path / "a.tsv") as add:
        add(FeatureRecord(id="none", columns=none.columns))
        add(one)
    report = convert_features(tmp_path / "a.tsv", tmp_path / "store")
    assert (report.items, report.failed) == (2, 1)
    assert "num_boxes = 0" in report.failures[0][1]
