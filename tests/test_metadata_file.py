"""`MetadataFile`: types, ids, errors."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphmatch.errors import ConfigError, FormatError
from graphmatch.metadata_file import MetadataFile


def test_kinds_of_files_have_types(tmp_path):
    day = datetime.date(2020, 1, 2)
    table = pa.table(
        {"id": ["007", "b"], "year": [7, None], "day": [day, day], "sold": [True, None]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("id,year,day,sold\n007,7,2020-01-02,true\nb,,2020-01-02,\n")
    (tmp_path / "a.jsonl").write_text(
        '{"id": "007", "year": 7, "day": "2020-01-02", "sold": true}\n'
        '{"id": "b", "day": "2020-01-02"}\n'
    )
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        file = MetadataFile(tmp_path / name)
        assert file.schema.names == ["year", "day", "sold"]
        assert file.schema.field("year").type == pa.int64()
        found = file.take(["b", "zz", "007"])
        assert found["year"].to_pylist() == [None, None, 7]
        assert found["sold"].to_pylist() == [None, None, True]
        assert str(found["day"].to_pylist()[2])[:10] == "2020-01-02"
        assert len(file) == 2


def test_whole_numbers_are_ids_too(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 5, "tags": ["a", "b"]}\n')
    assert MetadataFile(tmp_path / "a.jsonl").take(["5"])["tags"].to_pylist() == [["a", "b"]]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.csv", "id,year\n1,2\n1,3\n", "each item once"),
        ("a.csv", "id,year\n,2\n", "an empty id"),
        ("a.csv", "key,year\n1,2\n", "a column 'id'"),
        ("a.csv", "id,year\n1\n", "expected a table"),
        ("a.jsonl", "{", "expected a table"),
        ("a.jsonl", '{"id": "1", "a": {"b": 1}}', "lists of them in 'a'"),
        ("a.csv", "id,vector\n1,2\n", "other names"),
        ("a.csv", "id,_x\n1,2\n", "other names"),
        ("a.csv", "id,a b\n1,2\n", "letters, digits"),
        ("a.csv", "id,a,a\n1,2,3\n", "each once"),
        ("a.parquet", "no", "expected a table"),
    ],
)
def test_what_is_no_metadata(tmp_path, name, content, error):
    (tmp_path / name).write_text(content)
    with pytest.raises((ConfigError, FormatError), match=error):
        MetadataFile(tmp_path / name)


def test_another_suffix(tmp_path):
    with pytest.raises(ConfigError, match=r"'\.parquet'"):
        MetadataFile(tmp_path / "a.parqet")
