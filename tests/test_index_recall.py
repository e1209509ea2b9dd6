"""The measured recall of a prefilter against a count by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from graphmatch.errors import ConfigError, FormatError
from graphmatch.index_recall import measure_recall, store_recall, stored_recall
from graphmatch.lance_files import connect
from tests.index_world import exhaustive, gallery, make, picture, text


@pytest.mark.parametrize("side", ["visual", "text"])
def test_recall_is_what_a_loop_counts(tmp_path, side):
    index, model = make(tmp_path / "index", count=30, side=side)
    queries = [text(4, n) if side == "visual" else picture(3, n) for n in range(8)]
    ids, graphs = gallery(30, "scan", side)
    measured = measure_recall(index, queries, prefilter=6, ks=(1, 5, 100), batch=7)
    share = {1: 0.0, 5: 0.0}
    for query in queries:
        scores = exhaustive(model, graphs, query, side)
        hits = {hit.id for hit in index.search(query, top_k=6, prefilter=6)}
        for k in share:
            best = {ids[place] for place in scores.topk(k).indices.tolist()}
            share[k] += 100 * len(best & hits) / k / len(queries)
    assert measured.recall == pytest.approx(share)
    assert 0 < measured.recall[5] < 100
    assert measured.recall.keys() == {1, 5}
    everything = measure_recall(index, queries, prefilter=30)
    assert everything.recall == {1: 100, 5: 100, 10: 100}


def test_it_is_kept_beside_the_items(tmp_path):
    index, _ = make(tmp_path / "index")
    assert stored_recall(index) is None
    measured = measure_recall(index, [text(3, 0)], prefilter=10)
    for found in (dataclasses.replace(measured, queries=3), measured):
        store_recall(index, found)
        assert stored_recall(index) == found
    assert measured.name == "exact scan"
    index.delete(["item 0"])
    assert stored_recall(index).version != index.table.version
    connect(index.path).open_table("recall").delete("true")
    with pytest.raises(FormatError, match="measure it again"):
        stored_recall(index)


def test_nothing_to_measure(tmp_path):
    index, _ = make(tmp_path / "index", count=2)
    with pytest.raises(ConfigError, match="queries and items"):
        measure_recall(index, [])
    with pytest.raises(ConfigError, match="at most 2"):
        measure_recall(index, [text(2, 0)], ks=(5,))
    assert torch.is_grad_enabled()
