"""The commands on good input."""

from __future__ import annotations

import json

import networkx as nx
import pytest

from graphmatch.datasets.role_graph_file import role_graph_from_json
from graphmatch.parsers.conllu import read_conllu
from graphmatch.parsers.dependencies import dependency_pairs
from graphmatch.store import GraphStore
from graphmatch.vocab import Vocabulary


def test_parse_writes_both_graphs(run, captions, tmp_path):
    code, out, _ = run("parse", captions, "--out", tmp_path / "a")
    assert code == 0
    assert "3 captions: 3 became graphs, 0 failed" in out
    rows = list(GraphStore(tmp_path / "a"))
    assert [row.id for row in rows] == ["1", "2", "3"]
    assert rows[0].roles.role == ("", "V", "ARG0", "ARG1")
    assert rows[0].dependencies.relation == ("det", "nsubj", "det", "obj", "punct")


@pytest.mark.parametrize("graph", ["roles", "dependencies"])
def test_parse_keeps_the_graph_that_was_asked_for(run, captions, tmp_path, graph):
    assert run("parse", captions, "--out", tmp_path / "a", "--graph", graph)[0] == 0
    row = GraphStore(tmp_path / "a")["1"]
    assert (row.roles is None) == (graph == "dependencies")
    assert (row.dependencies is None) == (graph == "roles")


def test_parse_reads_standard_input_and_several_files(run, captions, tmp_path):
    other = tmp_path / "more.jsonl"
    other.write_text('{"caption": "A cat sleeps.", "image": "7.jpg"}\n')
    code, out, err = run(
        "parse", captions, other, "-", "--out", tmp_path / "a", stdin=b"A bird sings.\n"
    )
    assert code == 0, out + err
    store = GraphStore(tmp_path / "a")
    assert store.ids == ["few:1", "few:2", "few:3", "more:1", "-:1"]
    assert store["more:1"].owner == "7.jpg"


def test_parse_again_keeps_what_is_there(run, captions, store):
    before = {path.name: path.stat().st_mtime_ns for path in store.glob("part-*")}
    code, out, _ = run("parse", captions, "--out", store)
    assert code == 0
    assert "3 captions were kept from an earlier run" in out
    assert before == {path.name: path.stat().st_mtime_ns for path in store.glob("part-*")}


def test_parse_of_another_job_needs_force(run, captions, store):
    code, _, err = run("parse", captions, "--out", store, "--graph", "roles")
    assert code == 1
    assert "graph: 'both' -> 'roles'" in err
    assert run("parse", captions, "--out", store, "--graph", "roles", "--force")[0] == 0
    assert GraphStore(store)["1"].dependencies is None


def test_parse_of_other_captions_needs_force(run, store, tmp_path):
    (tmp_path / "other.txt").write_text("A bird sings.\n")
    code, _, err = run("parse", tmp_path / "other.txt", "--out", store)
    assert code == 1
    assert "other captions" in err
    assert len(GraphStore(store)) == 3
    assert run("parse", tmp_path / "other.txt", "--out", store, "--force")[0] == 0
    assert len(GraphStore(store)) == 1


@pytest.mark.slow
def test_parse_with_two_processes_gives_the_same_bytes(run, tmp_path):
    text = "".join(f"{n} dogs chase a cat in the park.\n" for n in range(90))
    (tmp_path / "c.txt").write_text(text)
    for name, processes in (("one", 1), ("two", 2)):
        arguments = ("--part-rows", 20, "--processes", processes)
        assert run("parse", tmp_path / "c.txt", "--out", tmp_path / name, *arguments)[0] == 0
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_parse_with_a_conllu_file_as_parser(run, captions, store, tmp_path):
    conllu = tmp_path / "trees.conllu"
    assert run("export", store, conllu, "--format", "conllu")[0] == 0
    arguments = ("--parser", "conllu", "--model", conllu)
    assert run("parse", captions, "--out", tmp_path / "b", *arguments)[0] == 0
    rows, again = GraphStore(store), GraphStore(tmp_path / "b")
    for row in rows:
        assert again[row.id].roles == row.roles
        assert again[row.id].dependencies == row.dependencies


def test_show_prints_trees(run, store):
    code, out, _ = run("show", "A man rides a horse.", "--graph", "roles")
    assert code == 0
    assert out.splitlines() == [
        "event  A man rides a horse .",
        "└── V  rides",
        "    ├── ARG0  A man",
        "    └── ARG1  a horse",
    ]
    assert run("show", "1", "--store", store, "--graph", "roles")[1] == out
    assert run("show", "-", "--graph", "roles", stdin=b"A man rides a horse.\n")[1] == out
    both = run("show", "1", "2", "--store", store)[1]
    assert "nsubj  man" in both
    assert "ARGM-LOC  in the park" in both


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<svg "), ("html", b"<!doctype html>"), ("png", b"\x89PNG")]
)
def test_show_draws_a_file(run, store, tmp_path, suffix, start):
    path = tmp_path / f"graph.{suffix}"
    assert run("show", "1", "--store", store, "--graph", "roles", "-o", path)[0] == 0
    content = path.read_bytes()
    assert content.startswith(start)
    assert b"http://" not in content.replace(b"http://www.w3.org/2000/svg", b"")
    code, _, err = run("show", "1", "--store", store, "--graph", "roles", "-o", path)
    assert code == 1
    assert "--force" in err
    assert path.read_bytes() == content


def test_show_names_the_nearest_id(run, store):
    code, _, err = run("show", "11", "--store", store)
    assert code == 1
    assert "did you mean '1'?" in err


def test_export_jsonl_holds_everything(run, store):
    code, out, err = run("export", store, "-")
    assert code == 0
    assert "3 captions as jsonl" in err
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[0]["words"] == ["A", "man", "rides", "a", "horse", "."]
    assert rows[0]["offsets"][1] == [2, 5]
    assert rows[0]["roles"]["kind"] == ["event", "action", "entity", "entity"]
    assert rows[0]["frames"][0]["arguments"][0] == {"role": "ARG0", "words": [0, 1]}


def test_export_graphml_is_read_by_networkx(run, store, tmp_path):
    path = tmp_path / "graphs.graphml"
    assert run("export", store, path, "--format", "graphml")[0] == 0
    graph = nx.read_graphml(path)
    rows = list(GraphStore(store))
    assert graph.number_of_nodes() == sum(len(r.roles) + len(r.dependencies) for r in rows)
    assert graph.nodes["1/roles/2"]["words"] == "A man"
    assert graph.edges["1/roles/1", "1/roles/2"]["relation"] == "ARG0"


def test_export_hgr_is_read_back(run, store, tmp_path):
    assert run("export", store, tmp_path / "hgr.json", "--format", "hgr")[0] == 0
    content = json.loads((tmp_path / "hgr.json").read_text())
    for row in GraphStore(store):
        assert role_graph_from_json(content[row.text]) == (row.parse.words, row.roles)


@pytest.mark.parametrize("numbering", ["caption", "sentence"])
def test_export_gsmn_numbers_words(run, tmp_path, numbering):
    (tmp_path / "two.txt").write_text("A dog runs. It barks.\n")
    assert run("parse", tmp_path / "two.txt", "--out", tmp_path / "s")[0] == 0
    code, out, _ = run("export", tmp_path / "s", "-", "--format", "gsmn", "--numbering", numbering)
    assert code == 0
    parse = GraphStore(tmp_path / "s")["1"].parse
    assert json.loads(out) == [dependency_pairs(parse, numbering=numbering)]
    assert max(map(max, json.loads(out)[0])) == (7 if numbering == "caption" else 4)


def test_export_conllu_and_tokens_are_read_back(run, store, tmp_path):
    assert run("export", store, tmp_path / "a.conllu", "--format", "conllu")[0] == 0
    for row, caption in zip(GraphStore(store), read_conllu(tmp_path / "a.conllu"), strict=True):
        assert caption.id == row.id
        assert caption.parse == row.parse.with_frames(())
    out = run("export", store, "-", "--format", "tokens", "--id", "2")[1]
    assert out == "Two dogs run in the park .\n"


def test_info_counts(run, store):
    code, out, _ = run("info", store, "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary["captions"] == 3
    assert summary["roles"]["graphs"] == 3
    assert summary["entity_roles"] == {"ARG0": 2, "ARG1": 1, "ARGM-LOC": 1, "NOUN": 1}
    assert summary["relations"]["det"] == 4
    code, out, _ = run("info", store)
    assert code == 0
    assert "ARGM-LOC" in out


def test_vocab_is_built_from_a_store(run, store, tmp_path):
    arguments = ("--style", "scan", "--min-count", 2)
    code, _, err = run("vocab", store, tmp_path / "v.json", *arguments)
    assert code == 0
    assert "3 captions" in err
    vocabulary = Vocabulary.load(tmp_path / "v.json")
    assert vocabulary.words == ("<pad>", "<start>", "<end>", "<unk>", ".", "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("parse", "x.txt"), "--out"),
        (("parse", "x.txt", "--out", "s", "--processes", "0"), "processes"),
        (("explode",), "explode"),
    ],
)
def test_wrong_options_exit_with_2(run, arguments, message):
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--parser", "spcy"), "did you mean 'spacy'"),
        (("--graph", "role"), "did you mean 'roles'"),
        (("--mode", "augment"), "did you mean 'augmented'"),
        (("--format", "jsn"), "did you mean 'json"),
        (("--model", "en_core_web_xx"), "expected an installed spaCy pipeline"),
    ],
)
def test_wrong_choices_name_the_nearest(run, captions, tmp_path, arguments, message):
    code, _, err = run("parse", captions, "--out", tmp_path / "s", *arguments)
    assert code == 1
    assert message in err
