"""Golden vectors: one test a file, found by listing a folder.

The folder is tests/golden, or the one that GRAPHMATCH_GOLDEN names. A case is
<system>/<name>.json, with <name>.safetensors beside it where tensors are involved. Its `family`
says what to compute. A family that this file does not know fails; a family whose system has no
code yet is listed in OPEN and is reported as skipped, never as passed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graphmatch.datasets.role_graph_file import role_graph_from_json, role_graph_to_json
from graphmatch.datasets.role_slots import role_slots
from graphmatch.errors import ParseError
from graphmatch.nn.textual_edges import kernel_edge_weight, sparse_edge_weight, word_similarity
from graphmatch.parse import ROLES, Parse
from graphmatch.parsers.dependencies import adjacency
from graphmatch.parsers.roles import role_graph_from_tags
from tests.golden_clips import check_frame_selection, check_moments
from tests.golden_drn import FAMILIES as DRN
from tests.golden_drn_data import FAMILIES as DRN_DATA
from tests.golden_drn_training import FAMILIES as DRN_TRAINING
from tests.golden_gsmn import FAMILIES as GSMN
from tests.golden_gsmn_polar import check_polar
from tests.golden_hgr import FAMILIES as HGR
from tests.golden_imram import FAMILIES as IMRAM
from tests.golden_interbert import (
    check_paper_rule,
    check_preprocess,
    check_region_mask,
    check_text_mask,
)
from tests.golden_marn import FAMILIES as MARN
from tests.golden_metrics import FAMILIES as METRICS
from tests.golden_scan import FAMILIES as SCAN

OPEN = {
    "interbert": "pretrain vltasks bertadam",
    "pixel_bert": "pretrain_features pretrain_image retrieval vqa nlvr2",
}


@dataclass(frozen=True)
class Case:
    path: Path
    content: dict
    problem: str = ""

    @property
    def system(self):
        return self.path.parent.name

    @property
    def family(self):
        return self.content.get("family", "unreadable")

    @property
    def tensors(self):
        return load_file(self.path.with_suffix(".safetensors"))


def folder():
    named = os.environ.get("GRAPHMATCH_GOLDEN")
    return Path(named) if named else Path(__file__).parent / "golden"


def read(path):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Case(path, {}, str(error))
    return Case(path, content) if isinstance(content, dict) else Case(path, {}, "no JSON object")


CASES = [read(path) for path in sorted(folder().glob("*/*.json"))]


def test_golden_cases_are_found():
    assert CASES, f"no <system>/<name>.json in {folder()}"


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.system}-{c.family}-{c.path.stem}")
def test_golden(case, assert_close):
    assert not case.problem, f"{case.path}: {case.problem}"
    check = FAMILIES.get((case.system, case.family))
    if check is None:
        assert case.family in OPEN.get(case.system, "").split(), (
            f"{case.path}: unknown family {case.family!r} of system {case.system!r}"
        )
        pytest.skip(f"open: no code yet for {case.system} {case.family}")
    check(case, assert_close)


def check_role_graphs(case, assert_close):
    ids = case.content["word2int"]
    config = case.content["reader_config"]
    assert tuple(config["ROLES"]) == ROLES
    assert case.content["cases"]
    for item in case.content["cases"]:
        check_role_graph(item, ids, config, assert_close)


def check_role_graph(item, ids, config, assert_close):
    words = item["srl"]["words"]
    tags = [frame["tags"] for frame in item["srl"]["verbs"]]
    flat = {"heads": [-1] * len(words), "deprels": ["root"] * len(words)}
    if "error" in item:
        with pytest.raises(ParseError):
            role_graph_from_tags(Parse.from_tree(words, **flat), tags, mode="strict")
    if "graph" in item:
        graph = role_graph_from_tags(Parse.from_tree(words, **flat), tags, mode="strict")
        check_same(role_graph_to_json(graph, words), item["graph"], item["id"])
        assert role_graph_from_json(item["graph"]) == (tuple(words), graph), item["id"]
    found = item.get("spacy", {})
    if "augment_error" in item:
        with pytest.raises(ParseError):
            Parse.from_tree(words, tags=found["tags"], **flat)
    if "graph_augmented" not in item:
        return
    parse = Parse.from_tree(words, tags=found.get("tags"), **flat)
    graph = role_graph_from_tags(parse, tags, chunks=found.get("noun_chunks"))
    check_same(role_graph_to_json(graph, words), item["graph_augmented"], item["id"])
    if "reader" not in item:
        return
    slots = role_slots(
        graph,
        [ids.get(word, 2) for word in words],
        max_words=config["max_words_in_sent"],
        actions=config["num_verbs"],
        entities=config["num_nouns"],
    )
    reader = item["reader"]
    assert slots.word.tolist() == reader["sent_ids"], item["id"]
    assert slots.length == reader["sent_len"], item["id"]
    assert [row.nonzero()[0].tolist() for row in slots.action_words] == reader["verb_words"]
    assert [row.nonzero()[0].tolist() for row in slots.entity_words] == reader["noun_words"]
    assert slots.role.tolist() == reader["node_roles"], item["id"]
    relation = torch.zeros(slots.relation.shape)
    for target, source, value in reader["rel_edges"]:
        relation[target, source] = value
    assert torch.equal(torch.from_numpy(slots.relation) > 0, relation > 0), item["id"]
    assert_close(torch.from_numpy(slots.relation), relation)


def check_same(graph, expected, name):
    assert graph == expected, name
    assert list(graph[0]) == list(expected[0]), name  # node order matters


def check_adjacency(case, assert_close):
    tensors = case.tensors
    scale = case.content["config"]["lambda_softmax"]
    kernels = tensors["param.graph_convolution_3.params"]
    assert len(kernels) == case.content["config"]["n_kernels"]
    for number, pairs in enumerate(case.content["dependencies"]):
        count = int(tensors["in.lens"][number])
        matrix = torch.from_numpy(adjacency(pairs, count))
        similarity = word_similarity(tensors["in.words"][number, :count], scale)
        sparse = sparse_edge_weight(similarity, matrix)
        outputs = {
            "adjacency": matrix,
            "word_sim": similarity,
            "edge_weight_sparse": sparse,
            "kernel_weight_sparse": kernel_edge_weight(sparse, kernels),
            "kernel_weight_dense": kernel_edge_weight(similarity, kernels),
        }
        assert torch.equal(matrix, tensors[f"out.cap{number}.adjacency"])
        for name, output in outputs.items():
            assert_close(output, tensors[f"out.cap{number}.{name}"])


FAMILIES = {
    ("hgr", "role_graphs"): check_role_graphs,
    ("hgr", "frame_selection"): check_frame_selection,
    ("gsmn", "adjacency"): check_adjacency,
    ("gsmn", "polar"): check_polar,
    ("drn", "preprocess"): check_moments,
    ("interbert", "text_mask"): check_text_mask,
    ("interbert", "region_mask"): check_region_mask,
    ("interbert", "paper_rule"): check_paper_rule,
    ("interbert", "preprocess"): check_preprocess,
    **GSMN,
    **SCAN,
    **METRICS,
    **IMRAM,
    **HGR,
    **DRN,
    **DRN_DATA,
    **DRN_TRAINING,
    **MARN,
}
