"""Captions in records: JSON lines, CSV, JSON files of many shapes, Parquet."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.datasets.captions import Caption, read_captions
from graphmatch.errors import FormatError
from tests.datasets.caption_files import errors, lines, parquet, read, texts

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


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


def test_hgr_lists_by_video(tmp_path):
    path = tmp_path / "ref_captions.json"
    path.write_text('{"video1": ["a dog runs", "a cat"], "video2": []}')
    found = list(read_captions(path))
    assert [(c.id, c.owner, c.text) for c in found[:2]] == [
        ("video1#0", "video1", "a dog runs"),
        ("video1#1", "video1", "a cat"),
    ]
    assert "the list is empty" in found[2].error


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
