"""Hand-annotated captions and odd inputs of the real data, and objects."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphmatch.parse import Parse
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.objects import caption_objects
from graphmatch.parsers.roles import role_graph

ROOT = Path(__file__).resolve().parents[2]


def test_every_edge_case_holds(parser, data):
    cases = json.loads((data / "caption_edge_cases.json").read_text(encoding="utf-8"))
    assert len(cases) == 22
    for case in cases:
        text = case["text"]
        parse = parser.parse(text)
        graph = role_graph(parse)
        name = case["why"]
        assert parse.text == text
        assert len(dependency_graph(parse)) == len(parse), name
        assert graph.kind[0] == "event", name
        if "tokens" in case:
            assert len(parse) == case["tokens"], name
        if "roots" in case:
            assert parse.heads.count(-1) == case["roots"], name
        if "predicates" in case:
            assert sum(bool(frame.arguments) for frame in parse.frames) == case["predicates"], name
        if "role_nodes" in case:
            assert len(graph) == case["role_nodes"], name
        if "objects" in case:
            found = sorted(object_name for object_name, _ in caption_objects(parse))
            also = {"panama", "nobody"}  # the notes of the cases allow these
            assert [n for n in found if n not in also] == sorted(case["objects"]), name


def test_lower_case_gives_the_same_graph_on_almost_all_captions(parser, data):
    cases = json.loads((data / "caption_graph_cases.json").read_text(encoding="utf-8"))
    same = 0
    for case in cases:
        parse, lower = (
            parser.parse_words(case["tokens"]),
            parser.parse_words([token.lower() for token in case["tokens"]]),
        )
        same += role_graph(parse) == role_graph(lower)
    assert same >= 0.95 * len(cases)


@pytest.mark.slow
def test_caption_cases_reach_their_floors(data):
    command = [sys.executable, str(ROOT / "benchmarks" / "caption_cases.py")]
    done = subprocess.run(
        [*command, str(data / "caption_graph_cases.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    values = dict(re.findall(r"^\| ([^|]+?) \| ([\d.]+)", done.stdout, re.MULTILINE))
    assert float(values["dependencies, UAS"]) >= 96
    assert float(values["dependencies, LAS (base labels)"]) >= 94
    assert float(values["argument span F1 (P, R)"]) >= 91
    assert int(values["role graphs exactly right"]) >= 34


def test_objects_are_nouns_that_modify_no_noun(parser):
    def names(text):
        return [name for name, _ in caption_objects(parser.parse(text))]

    assert names("A group of people watch a tennis match.") == ["people", "tennis match"]
    assert names("He rides it.") == []
    assert names("A man and two dogs") == ["man", "dogs"]


def test_objects_of_a_long_compound_need_no_recursion():
    count = 3000
    heads = [*range(1, count), -1]
    deprels = ["compound"] * (count - 1) + ["root"]
    parse = Parse.from_tree(["man"] * count, heads=heads, deprels=deprels, pos=["NOUN"] * count)
    assert [position for _, position in caption_objects(parse)] == [count - 1]
