"""Files of captions: their format and encoding, lines of text, gzip, standard input."""

from __future__ import annotations

import gzip
import subprocess
import sys

import pyarrow as pa
import pytest

from graphmatch.datasets.captions import FORMATS, Caption, guess_format, read_captions
from graphmatch.errors import ConfigError, FormatError
from tests.datasets.caption_files import lines, parquet, read, texts

# names


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.txt", "txt"),
        ("captions", "txt"),
        ("a.JSONL", "jsonl"),
        ("a.ndjson.gz", "jsonl"),
        ("a.csv", "csv"),
        ("a.tsv.gz", "tsv"),
        ("a.json", "json"),
        ("a.parquet", "parquet"),
        ("results_20130124.token", "flickr"),
        ("Flickr8k.token.txt", "flickr"),
    ],
)
def test_guess_format(name, format):
    assert guess_format(name) == format


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown caption format 'jsnl'.*did you mean 'jsonl'"):
        read(tmp_path, "a.txt", "", format="jsnl")


def test_named_format_goes_before_the_file_name(tmp_path):
    assert texts(read(tmp_path, "a.dat", lines({"caption": "a dog"}), format="jsonl")) == ["a dog"]


def test_folder_and_missing_file_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"expected a file of captions \(got a folder\)"):
        list(read_captions(tmp_path))
    with pytest.raises(FormatError, match="no such file"):
        list(read_captions(tmp_path / "a.txt"))


# text lines


def test_txt_has_a_caption_a_line(tmp_path):
    found = read(tmp_path, "a.txt", "a dog\n\n  two\tcats \nlast")
    assert found == [
        Caption(id="1", text="a dog"),
        Caption(id="2", text=""),
        Caption(id="3", text="  two\tcats "),
        Caption(id="4", text="last"),
    ]


def test_txt_with_windows_line_ends_and_byte_order_mark(tmp_path):
    found = read(tmp_path, "a.txt", b"\xef\xbb\xbfa dog\r\n\r\ncaf\xc3\xa9\r\n")
    assert texts(found) == ["a dog", "", "café"]


def test_txt_keeps_other_line_separators_inside_a_caption(tmp_path):
    found = read(tmp_path, "a.txt", "a\u2028b\x0bc\x85d\ne\x00f")
    assert texts(found) == ["a\u2028b\x0bc\x85d", "e\x00f"]


def test_ids_that_are_places_get_the_prefix(tmp_path):
    assert [c.id for c in read(tmp_path, "a.txt", "x\ny", prefix="a:")] == ["a:1", "a:2"]
    records = lines({"caption": "x", "id": 7}, {"caption": "y"}, 5)
    assert [c.id for c in read(tmp_path, "a.jsonl", records, prefix="a:")] == [
        "7",
        "a:2",
        "a:record-3",
    ]


def test_flickr_lines_have_image_and_caption(tmp_path):
    content = "1.jpg#0\tA dog .\n1.jpg#1\tIt\truns .\nno tab here\n\n2.jpg#0\t\n"
    found = read(tmp_path, "f.token", content)
    assert found[:2] == [
        Caption(id="1.jpg#0", owner="1.jpg", text="A dog ."),
        Caption(id="1.jpg#1", owner="1.jpg", text="It\truns ."),
    ]
    assert found[4] == Caption(id="2.jpg#0", owner="2.jpg", text="")
    assert [c.id for c in found[2:4]] == ["line-3", "line-4"]
    assert all("image.jpg#number" in c.error for c in found[2:4])


# encodings and compression, in every format

RAW = {
    "a.txt": b"ok\ncaf\xe9\nok\n",
    "a.token": b"1#0\tok\n1#1\tcaf\xe9\n1#2\tok\n",
    "a.jsonl": b'{"caption": "ok"}\n{"caption": "caf\xe9"}\n{"caption": "ok"}\n',
    "a.csv": b"caption\nok\ncaf\xe9\nok\n",
    "a.tsv": b"caption\tx\nok\t1\ncaf\xe9\t2\nok\t3\n",
}


def bad_parquet():
    raw = pa.array([b"ok", b"caf\xe9", b"ok"], pa.binary())
    column = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    return parquet(pa.table({"caption": column}))


@pytest.mark.parametrize("name", [*RAW, "a.parquet"])
def test_bytes_that_are_no_utf8_are_one_caption_with_an_error(tmp_path, name):
    found = read(tmp_path, name, RAW.get(name) or bad_parquet())
    assert [caption.error is None for caption in found] == [True, False, True]
    assert texts(found)[::2] == ["ok", "ok"]
    assert "invalid UTF-8" in found[1].error
    assert "caf\ufffd" in found[1].text


def test_bad_bytes_in_an_id_do_not_lose_the_caption(tmp_path):
    found = read(tmp_path, "a.csv", b"id,image,caption\ncaf\xe9,\xff.jpg,ok\n")
    assert found == [Caption(id="caf\ufffd", owner="\ufffd.jpg", text="ok")]


@pytest.mark.parametrize("name", list(RAW))
def test_utf_16_is_refused_with_the_reason(tmp_path, name):
    for encoding in ("utf-16", "utf-16-be"):
        content = "\ufeffcaption\na dog\n".encode(encoding)
        with pytest.raises(FormatError, match=r"expected UTF-8 \(got UTF-16\)"):
            read(tmp_path, name, content)


@pytest.mark.parametrize("name", [*RAW, "a.parquet", "a.json"])
def test_gzip_is_read_by_content_not_by_name(tmp_path, name):
    plain = RAW.get(name) or (b'["ok", "x", "ok"]' if name == "a.json" else bad_parquet())
    expected = read(tmp_path, name, plain)
    packed = gzip.compress(plain)
    assert read(tmp_path, name, packed) == expected
    assert read(tmp_path, f"{name}.gz", packed) == expected
    assert read(tmp_path, f"{name}.gz", plain) == expected
    assert len(expected) == 3


def test_damaged_gzip_is_refused(tmp_path):
    packed = bytearray(gzip.compress("".join(f"dog {n * n}\n" for n in range(3000)).encode()))
    with pytest.raises(FormatError, match="gzip file is truncated or damaged"):
        read(tmp_path, "a.txt.gz", bytes(packed[:-20]))
    for place in (10, 30, len(packed) // 2, len(packed) - 6):
        damaged = bytearray(packed)
        damaged[place] ^= 0xFF
        with pytest.raises(FormatError, match="gzip file is truncated or damaged"):
            read(tmp_path, "a.txt.gz", bytes(damaged))


# standard input, laziness


@pytest.mark.parametrize(
    ("format", "content"),
    [
        (None, b"ok\nok\n"),
        ("jsonl", b'"ok"\n"ok"\n'),
        ("csv", b"caption,x\nok,\nok,\n"),
        ("json", b'["ok", "ok"]'),
        ("parquet", parquet(pa.table({"caption": ["ok", "ok"]}))),
    ],
)
def test_standard_input_is_read(format, content):
    code = (
        "from graphmatch.datasets.captions import read_captions\n"
        f"print([c.text for c in read_captions('-', {format!r})])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True)
    assert (done.stdout.decode().strip(), done.stderr) == ("['ok', 'ok']", b"")


def test_pipe_is_read(tmp_path):
    code = (
        "from graphmatch.datasets.captions import read_captions\n"
        "print([c.text for c in read_captions('/dev/stdin')])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"a\nb", capture_output=True)
    assert done.stdout.decode().strip() == "['a', 'b']"


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.token"])
def test_lines_are_read_as_they_are_needed(tmp_path, name):
    head = "caption\tx\n" if name == "a.tsv" else "caption\n" if name == "a.csv" else ""
    line = {"a.jsonl": '"ok"', "a.tsv": "ok\t1", "a.token": "1#0\tok"}.get(name, "ok")
    path = tmp_path / name
    path.write_text(head + f"{line}\n" * 1000)
    with path.open("rb") as stream:
        reader = iter(FORMATS[guess_format(name)](stream, name))
        next(reader)
        assert stream.tell() < 50
