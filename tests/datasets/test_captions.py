from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.datasets.captions import FORMATS, Caption, guess_format, read_captions
from graphmatch.errors import ConfigError, FormatError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def read(folder, name, content, **options):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_captions(path, **options))


def texts(found):
    return [caption.text for caption in found]


def errors(found):
    return [caption.error for caption in found]


def parquet(table):
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


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


@given(st.lists(TEXT, max_size=6))
@settings(deadline=None, max_examples=50)
def test_jsonl_csv_tsv_json_and_parquet_give_what_was_written(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("captions")
    records = [{"id": f"k{n}", "image": "i", "caption": text} for n, text in enumerate(written)]
    expected = [Caption(id=f"k{n}", owner="i", text=text) for n, text in enumerate(written)]
    assert read(folder, "a.jsonl", lines(*records)) == expected
    assert read(folder, "a.json", json.dumps(records, ensure_ascii=False)) == expected
    columns = ("id", "image", "caption")
    table = pa.table({n: pa.array([r[n] for r in records], pa.string()) for n in columns})
    assert read(folder, "a.parquet", parquet(table)) == expected
    for name, delimiter in (("a.csv", ","), ("a.tsv", "\t")):
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, columns, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(records)
        assert read(folder, name, stream.getvalue()) == expected


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


# JSON lines


def test_jsonl_fields_have_many_names(tmp_path):
    found = read(
        tmp_path,
        "a.jsonl",
        lines(
            {"text": "a", "caption_id": 0, "video": "v1"},
            {"sentence": "b", "sen_id": 9, "video_id": "v2"},
            {"raw": "c", "owner": 3, "id": None},
            "just text",
            {"captions": ["d", "e"], "image": "x.jpg"},
            {"captions": ["f"], "id": "k"},
            {"captions": ["g"]},
        ),
    )
    assert [(c.id, c.owner, c.text, c.error) for c in found] == [
        ("0", "v1", "a", None),
        ("9", "v2", "b", None),
        ("3", "3", "c", None),
        ("4", None, "just text", None),
        ("x.jpg#0", "x.jpg", "d", None),
        ("x.jpg#1", "x.jpg", "e", None),
        ("k#0", None, "f", None),
        ("7#0", None, "g", None),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        "null",
        "7",
        '{"caption": null}',
        '{"caption": 7}',
        '{"caption": ["ok", 7], "x": 1}',
        '{"caption": []}',
        '{"image": "x.jpg"}',
        '{"caption": "\\ud800 \\udc80"}',
        '{"caption": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"id": ' + "1" * 5000 + ', "caption": "x"}',
        "\x00",
    ],
)
def test_jsonl_line_that_is_none_is_a_caption_with_an_error(tmp_path, line):
    content = f'{{"caption": "before"}}\n{line}\n\n{{"caption": "after"}}\n'
    found = read(tmp_path, "a.jsonl", content)
    good = [caption for caption in found if caption.error is None]
    assert len(found) - len(good) == 1
    assert good[0] == Caption(id="1", text="before")
    assert good[-1] == Caption(id="4", text="after")
    for caption in found:
        caption.text.encode()  # whatever came, it can be stored


def test_jsonl_nested_to_the_limit_of_recursion_is_no_crash(tmp_path):
    depths = range(900, 1100)
    content = "".join(f'{{"caption": {"[" * depth}{"]" * depth}}}\n' for depth in depths)
    found = read(tmp_path, "a.jsonl", content)
    assert len(found) == len(depths)
    assert all(caption.error for caption in found)


# CSV


def test_csv_keeps_quotes_commas_and_line_breaks(tmp_path):
    content = 'id,caption\n1,"a ""big"" dog, running"\r\n2,"two\nlines"\n\n3,plain\n'
    found = read(tmp_path, "a.csv", content)
    assert found == [
        Caption(id="1", text='a "big" dog, running'),
        Caption(id="2", text="two\nlines"),
        Caption(id="3", text="plain"),
    ]


def test_csv_without_ids_counts_rows(tmp_path):
    found = read(tmp_path, "a.csv", 'id,caption\n,"a\nb"\n,c\n')
    assert [(c.id, c.text) for c in found] == [("1", "a\nb"), ("2", "c")]


def test_csv_row_with_other_columns_keeps_its_text(tmp_path):
    found = read(tmp_path, "a.csv", "id,caption\n1\n2,two\n3,a dog, running\n4,\n")
    assert [(c.id, c.text) for c in found] == [
        ("row-1", "1\n"),
        ("2", "two"),
        ("row-3", "3,a dog, running\n"),
        ("4", ""),
    ]
    assert errors(found)[::2] == ["expected 2 columns as in the header"] * 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,caption\n1,ok\n2,"open\n3,lost\n4,"lost too\n'),
        ("a.csv", 'id,caption\n1,ok\n2,"closed" early\n'),
        ("a.csv", "id,caption\n1,ok\n2,a\rb\n"),
        ("a.tsv", 'id\tcaption\n1\tok\n2\t"open\n3\tlost\n'),
    ],
)
def test_csv_with_a_bad_quote_is_an_error_with_all_of_its_text(tmp_path, name, content):
    found = read(tmp_path, name, content)
    assert found[0] == Caption(id="1", text="ok")
    assert all("expected a row of CSV" in caption.error for caption in found[1:])
    assert "".join(texts(found[1:])) == content.split("ok\n")[1]


@pytest.mark.parametrize("content", ["", "\n", "id,name\n1,x\n", '"id\n', "a dog\n"])
def test_csv_without_a_header_is_refused(tmp_path, content):
    with pytest.raises(FormatError, match="header"):
        read(tmp_path, "a.csv", content)


# JSON files


def test_coco_annotations(tmp_path):
    content = {
        "images": [{"id": 42, "file_name": "x.jpg"}],
        "annotations": [
            {"image_id": 42, "id": 7, "caption": "a dog"},
            {"image_id": 42, "id": 8, "caption": "a cat"},
            {"image_id": 42, "id": 9},
        ],
    }
    found = read(tmp_path, "captions_val2017.json", json.dumps(content))
    assert found[:2] == [
        Caption(id="7", owner="42", text="a dog"),
        Caption(id="8", owner="42", text="a cat"),
    ]
    assert (found[2].id, found[2].owner) == ("9", "42")
    assert "expected text in one of the fields caption" in found[2].error


def test_msrvtt_sentences(tmp_path):
    content = {
        "videos": [{"video_id": "video0"}],
        "sentences": [{"sen_id": 0, "video_id": "video0", "caption": "a car"}],
    }
    found = read(tmp_path, "a.json", json.dumps(content))
    assert found == [Caption(id="0", owner="video0", text="a car")]


def test_karpathy_images(tmp_path):
    content = {
        "images": [
            {"filename": "1.jpg", "sentences": [{"raw": "A dog.", "tokens": ["a"], "sentid": 4}]},
            {"filename": "2.jpg", "sentences": [{"raw": "A cat."}, {"tokens": []}, {"raw": "C"}]},
        ],
        "dataset": "flickr30k",
    }
    found = read(tmp_path, "a.json", json.dumps(content))
    assert [(c.id, c.owner, c.text) for c in found if c.error is None] == [
        ("4", "1.jpg", "A dog."),
        ("2.jpg#0", "2.jpg", "A cat."),
        ("2.jpg#2", "2.jpg", "C"),
    ]
    assert [c.id for c in found if c.error is not None] == ["2.jpg#1"]


def test_json_in_utf_16_is_read(tmp_path):
    found = read(tmp_path, "a.json", json.dumps(["café"], ensure_ascii=False).encode("utf-16"))
    assert texts(found) == ["café"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'["a", ',
        b"null",
        b"{}",
        b'{"annotations": {}}',
        b'["caf\xe9"]',
        b"[" * 100_000,
        b"[" + b"1" * 5000 + b"]",
        b"\x00",
    ],
)
def test_json_of_another_kind_is_refused(tmp_path, content):
    with pytest.raises(FormatError, match=r"a\.json: expected"):
        read(tmp_path, "a.json", content)


# Parquet


def test_parquet_with_nulls_lists_and_numbers(tmp_path):
    table = pa.table(
        {
            "caption_id": pa.array([5, None, 7]),
            "video": ["v", None, "w"],
            "captions": [["a", "b"], None, ["c"]],
        }
    )
    found = read(tmp_path, "a.parquet", parquet(table))
    assert [(c.id, c.owner, c.text) for c in found if c.error is None] == [
        ("5#0", "v", "a"),
        ("5#1", "v", "b"),
        ("7#0", "w", "c"),
    ]
    assert [c.id for c in found if c.error is not None] == ["record-2"]


def test_parquet_that_is_damaged_is_refused(tmp_path):
    whole = parquet(pa.table({"caption": [f"dog {number}" for number in range(5000)]}))
    for content in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], whole[1:]):
        with pytest.raises(FormatError, match=r"a\.parquet: the Parquet file is truncated"):
            read(tmp_path, "a.parquet", content)
    with pytest.raises(FormatError, match=r"one of the columns caption.*got text_"):
        read(tmp_path, "a.parquet", parquet(pa.table({"text_": ["a"]})))


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


def test_hgr_lists_by_video(tmp_path):
    path = tmp_path / "ref_captions.json"
    path.write_text('{"video1": ["a dog runs", "a cat"], "video2": []}')
    found = list(read_captions(path))
    assert [(c.id, c.owner, c.text) for c in found[:2]] == [
        ("video1#0", "video1", "a dog runs"),
        ("video1#1", "video1", "a cat"),
    ]
    assert "the list is empty" in found[2].error
