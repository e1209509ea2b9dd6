"""`read_word_vectors`, `read_queries`, `hold_out`."""

from __future__ import annotations

import gzip
import json

import pytest
import torch
from safetensors.torch import save_file

from graphmatch.errors import ConfigError, FormatError
from graphmatch.query_file import hold_out, read_queries
from graphmatch.query_vocabulary import query_vocabulary
from graphmatch.word_vectors import read_word_vectors
from tests.moment_world import data_set

WORDS = query_vocabulary(["the Door opens the cup"])


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_lines_of_text(tmp_path, name):
    text = "3 2\nthe 1 2\ndoor 3 4\ncup 5 6\nthe 9 9\n. . 0 0\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    rows = read_word_vectors(path, WORDS)
    assert WORDS.words == ("<pad>", "the", "Door", "opens", "cup")
    assert rows.tolist() == [[0, 0], [1, 2], [3, 4], [0, 0], [5, 6]]


def test_a_matrix_in_the_order_of_the_words(tmp_path):
    matrix = torch.arange(10.0).view(5, 2)
    save_file({"weight": matrix.half()}, tmp_path / "a.safetensors")
    rows = read_word_vectors(tmp_path / "a.safetensors", WORDS)
    assert torch.equal(rows, torch.cat((torch.zeros(1, 2), matrix[1:])))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("the 1 2\ndoor 3\n", r"line 2: expected 2 numbers \(got 1\)"),
        ("the 1 x\n", "line 1: expected numbers"),
        ("cat 1 2\n", "got none"),
        ("the 1 nan\n", "expected finite"),
        ("", "got none"),
        (torch.zeros(4, 2), r"expected 5 rows.*\(got 4\)"),
        (torch.zeros(5), "expected one matrix"),
    ],
)
def test_other_files_are_errors(tmp_path, content, problem):
    path = tmp_path / ("a.txt" if isinstance(content, str) else "a.safetensors")
    if isinstance(content, str):
        path.write_text(content)
    else:
        save_file({"x": content}, path)
    with pytest.raises(FormatError, match=problem):
        read_word_vectors(path, WORDS)


def test_queries_are_told_by_their_form(tmp_path):
    record = {"timestamps": [[2, 5]], "sentences": ["A dog."]}
    (tmp_path / "net.json").write_text(json.dumps({"v": {**record, "duration": 9.0}}))
    (tmp_path / "tacos.json").write_text(json.dumps({"v": {**record, "fps": 2, "num_frames": 20}}))
    (tmp_path / "sta.txt").write_text("v 2.0 5.0##a dog.")
    (tmp_path / "seconds.json").write_text('{"v": 4.0}')
    found = {name: read_queries(tmp_path / name) for name in ("net.json", "tacos.json", "sta.txt")}
    assert [data.captions[0].moment for data in found.values()] == [(2, 5), (1, 2.5), (2, 5)]
    assert [data.visuals[0].duration for data in found.values()] == [9, 10, None]
    assert not found["sta.txt"].errors
    timed = read_queries(tmp_path / "sta.txt", durations=tmp_path / "seconds.json")
    assert timed.captions[0].moment == (2, 4)
    with pytest.raises(ConfigError, match="no durations"):
        read_queries(tmp_path / "net.json", durations=tmp_path / "seconds.json")


def test_videos_are_held_out_whole():
    data = data_set(range(10))
    rest, held = hold_out(data, 0.3)
    assert (len(rest.visuals), len(held.visuals)) == (7, 3)
    assert {v.id for v in held.visuals} == {c.owner for c in held.captions}
    assert not {c.owner for c in rest.captions} & {c.owner for c in held.captions}
    assert len(rest.captions) + len(held.captions) == len(data.captions)
    again, other = (hold_out(data, 0.3, seed=seed)[1] for seed in (0, 1))
    assert again.visuals == held.visuals != other.visuals
    for share in (0.0, 1.0, 0.99):
        with pytest.raises(ConfigError):
            hold_out(data, share)
