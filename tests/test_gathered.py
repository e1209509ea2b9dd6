"""Shares of a batch, and gathering them; `test_train_processes` has the processes."""

from __future__ import annotations

import pytest
import torch

from graphmatch.encoded import Encoded
from graphmatch.gathered import BatchLoss, gather_items, gather_rows
from graphmatch.graphs.batch import collate_pairs
from graphmatch.train_batches import Batches, split_batch
from tests.train_world import make_model, make_pairs


def test_gathering_alone_changes_nothing():
    nodes = torch.randn(3, 4, 2, requires_grad=True)
    items = Encoded(nodes=nodes, mask=torch.ones(3, 4) > 0, pooled=nodes[:, 0])
    gathered = gather_items(items)
    assert torch.equal(gathered.nodes, nodes)
    assert torch.equal(gathered.mask, items.mask)
    gather_rows(nodes, [3]).sum().backward()
    assert torch.equal(nodes.grad, torch.ones_like(nodes))
    half = gather_rows(nodes.detach().bfloat16(), [3])
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize("batch_size", [7, 13, 40])
@pytest.mark.parametrize("processes", [2, 3])
def test_shares_make_up_the_batch(tmp_path, batch_size, processes):
    pairs = make_pairs(tmp_path / "store", "scan")
    options = {"batch_size": batch_size, "seed": 3}
    whole = Batches(pairs, **options)
    parts = [
        Batches(pairs, **options, process=(rank, processes), gather=True)
        for rank in range(processes)
    ]
    seen = []
    for number in range(len(whole)):
        batch = whole[2, number]
        shares = [part[2, number] for part in parts]
        texts = [key for share in shares for key in share.text_ids[: share.texts]]
        items = [key for share in shares for key in share.visual_ids[: share.visuals]]
        assert texts == list(batch.text_ids)
        assert items == list(batch.visual_ids)
        assert all(torch.equal(share.owner, batch.owner) for share in shares)
        assert all(len(share.text_ids) and len(share.visual_ids) for share in shares)
        seen += texts
    assert sorted(seen) == sorted(pairs.text_ids)
    assert seen != [key for n in range(len(whole)) for key in whole[1, n].text_ids]


def test_small_batches_of_each_process_make_up_the_batch(tmp_path):
    pairs = make_pairs(tmp_path / "store", "scan")
    parts = [Batches(pairs, batch_size=13, process=(rank, 2)) for rank in range(2)]
    whole = Batches(pairs, batch_size=13)
    found = [part[0, 0].text_ids for part in parts]
    assert (*found[0], *found[1]) == whole[0, 0].text_ids
    assert [len(part[0, 3]) for part in parts] == [1, 1]  # one pair is left: the second repeats it
    assert split_batch(whole.positions(0, 3), (1, 2)).size == 0


def test_a_share_alone_is_the_batch(tmp_path, assert_close):
    pairs = make_pairs(tmp_path / "store", "hgr")
    model = make_model("hgr", level_weights=(1.0, 0.5, 0.2, 0.1))
    batches = Batches(pairs, batch_size=9)
    share = batches._share(batches.positions(0, 1))
    batch = collate_pairs([pairs[k] for k in batches.positions(0, 1).tolist()])
    loss = BatchLoss(model)
    assert_close(loss(share), loss(batch))
