"""AllenNLP's semantic roles as frames, and on a parse."""

from __future__ import annotations

import json

import pytest

from graphmatch.errors import FormatError, ParseError
from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.roles import role_graph
from graphmatch.parsers.srl.allennlp import (
    SrlRecord,
    attach_frames,
    flat_parse,
    read_srl,
    srl_record,
)

# a chef pours oil and stirs: the labeller's record, and its frames by hand
WORDS = ["a", "chef", "pours", "oil", "and", "stirs"]
RECORD = {
    "words": WORDS,
    "verbs": [
        {
            "verb": "pours",
            "description": "[ARG0: a chef] [V: pours] [ARG1: oil] and stirs",
            "tags": ["B-ARG0", "I-ARG0", "B-V", "B-ARG1", "O", "O"],
        },
        {"verb": "stirs", "tags": ["B-ARG0", "I-ARG0", "O", "O", "O", "B-V"]},
    ],
}
CHEF = Argument("ARG0", (0, 1))
FRAMES = (Frame((2,), (CHEF, Argument("ARG1", (3,)))), Frame((5,), (CHEF,)))


@pytest.fixture
def read(tmp_path):
    def records(content):
        path = tmp_path / "srl.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_srl(path))

    return records


@pytest.fixture
def tree():
    return Parse.from_tree(
        WORDS,
        heads=[1, 2, -1, 2, 5, 2],
        deprels=["det", "nsubj", "root", "obj", "cc", "conj"],
        tags=["DT", "NN", "VBZ", "NN", "CC", "VBZ"],
    )


def tagged(*sequences):
    return {"words": WORDS, "verbs": [{"tags": list(tags)} for tags in sequences]}


# records


def test_a_record_gives_its_frames():
    assert srl_record(RECORD, "7") == SrlRecord(id="7", words=tuple(WORDS), frames=FRAMES)


def test_a_frame_without_exactly_one_verb_is_dropped():
    none = ["B-ARG0", "O", "O", "O", "O", "O"]
    two = ["O", "O", "B-V", "O", "O", "B-V"]
    one = ["O", "O", "B-V", "I-V", "O", "O"]
    assert srl_record(tagged(none, two, one)).frames == (Frame((2, 3)),)


def test_full_labels_are_kept():
    tags = ["B-R-ARG1", "B-C-ARG0", "B-V", "B-ARGM-GOL", "O", "B-C-V"]
    roles = [argument.role for argument in srl_record(tagged(tags)).frames[0].arguments]
    assert roles == ["R-ARG1", "C-ARG0", "ARGM-GOL", "C-V"]


def test_a_record_without_verbs_has_no_frames():
    assert srl_record({"words": WORDS, "verbs": []}).frames == ()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"words": WORDS}, "verbs"),
        ({"verbs": []}, "words"),
        ({"words": WORDS, "verbs": [{"verb": "pours"}]}, "tags"),
        ({"words": WORDS, "verbs": ["pours"]}, "tags"),
        ({"words": 3, "verbs": []}, "words"),
        (tagged(["O"]), "expected 6 tags"),
        (tagged(["X-V", *"OOOOO"]), "expected a tag O, B-ROLE or I-ROLE"),
        (tagged(["B-", *"OOOOO"]), "expected a tag O, B-ROLE or I-ROLE"),
        (None, "words and verbs"),
    ],
)
def test_a_damaged_record_says_what_was_expected(record, message):
    with pytest.raises(ParseError, match=message):
        srl_record(record)


# files


def test_an_object_a_list_and_lines_are_read(read):
    line = json.dumps(RECORD)
    for content, ids in (
        (json.dumps({"b": RECORD, "a": RECORD}), ["b", "a"]),
        (json.dumps([RECORD, RECORD], indent=1), ["1", "2"]),
        (f"{line}\n\n{line}\r\n", ["1", "2"]),
        (json.dumps(RECORD, indent=1), ["1"]),
        ("\ufeff" + line, ["1"]),
        ("[]", []),
        ("", []),
    ):
        records = read(content)
        assert [record.id for record in records] == ids
        assert all(record.frames == FRAMES and record.error is None for record in records)


def test_damaged_records_of_a_file_stop_nothing(read):
    good = json.dumps(RECORD)
    lines = [good, "{", "3", "null", "[" * 100_000, json.dumps(tagged(["O"])), good]
    records = read("\n".join(lines))
    assert [record.id for record in records] == [str(n) for n in range(1, 8)]
    assert [record.error is None for record in records] == [True, *[False] * 5, True]
    assert all(record.frames == () for record in records[1:-1])


def test_a_damaged_record_of_an_object_keeps_its_key(read):
    bad, good = read(json.dumps({"x": {"words": WORDS}, "y": RECORD}))
    assert (bad.id, good.id) == ("x", "y")
    assert "verbs" in bad.error
    assert good.frames == FRAMES


def test_a_missing_or_foreign_file_is_refused(tmp_path, read):
    with pytest.raises(FormatError, match="no such file"):
        list(read_srl(tmp_path / "none.json"))
    with pytest.raises(FormatError, match="UTF-8"):
        read(b"\xff\xfe{")


# frames on a parse


def test_frames_are_attached_to_a_parse_of_the_same_words(tree):
    parse = attach_frames(tree, srl_record(RECORD))
    assert parse.frames == FRAMES
    assert parse.with_frames(()) == tree
    graph = role_graph(parse)
    assert graph.kind == ("event", "action", "entity", "entity", "action")
    assert [graph.words_of(node) for node in range(1, 5)] == [(2,), (0, 1), (3,), (5,)]
    edges = set(zip(graph.source, graph.target, graph.relation, strict=True))
    # the chef is one node with two edges
    assert edges == {(0, 1, "V"), (0, 4, "V"), (1, 2, "ARG0"), (1, 3, "ARG1"), (4, 2, "ARG0")}


@pytest.mark.parametrize(
    ("words", "place"),
    [(["a", "cook", *WORDS[2:]], 1), (WORDS[:-1], 5), ([*WORDS, "."], 6), ([], 0)],
)
def test_other_words_are_refused_with_the_first_difference(tree, words, place):
    with pytest.raises(ParseError, match=f"differ from word {place} on"):
        attach_frames(tree, SrlRecord(id="7", words=tuple(words)))


def test_a_flat_parse_has_the_frames_and_no_tree():
    parse = flat_parse(srl_record(RECORD))
    assert parse.frames == FRAMES
    assert parse.heads == (-1,) * 6
    assert set(parse.deprels) == {"root"}
    assert role_graph(parse).relation == ("V", "V", "ARG0", "ARG1", "ARG0")


def test_a_failed_record_goes_nowhere(tree):
    failed = SrlRecord(id="7", error="expected tags")
    with pytest.raises(ParseError, match="'7' has no frames: expected tags"):
        attach_frames(tree, failed)
    with pytest.raises(ParseError, match="'7' has no frames: expected tags"):
        flat_parse(failed)


@pytest.mark.parametrize("words", ["ab", [None, 3], [["a"], "b"]])
def test_words_that_are_no_strings_are_a_parse_error(words):
    with pytest.raises(ParseError):
        srl_record({"words": words, "verbs": []})


def test_tags_in_one_string_are_a_parse_error():
    with pytest.raises(ParseError):
        srl_record({"words": ["a", "b"], "verbs": [{"tags": "OO"}]})


def test_a_record_may_be_named_words(read):
    assert [record.id for record in read(json.dumps({"words": RECORD}))] == ["words"]


def test_a_line_separator_inside_a_string_does_not_end_a_line(read):
    line = json.dumps({**RECORD, "caption": "a\u2028b"}, ensure_ascii=False)
    assert [record.error for record in read(f"{line}\n{line}")] == [None, None]
