"""Several processes: gathered negatives equal one process, resuming is exact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graphmatch.encoded import Encoded
from graphmatch.gathered import BatchLoss, gather_items, gather_rows
from graphmatch.graphs.batch import collate_pairs
from graphmatch.train_batches import Batches, split_batch
from tests.train_forks import CASES
from tests.train_world import make_model, make_pairs

# what these get is rounding noise, which Adam makes steps of: softmax does not see them
NO_GRADIENT = ("event.linear.bias", "key.bias")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All trainings of `together`, in processes that are forked from one."""
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "tests.train_forks", "together", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def lines(run):
    """The log without times."""
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in found]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_with_gathered_negatives_equal_one(runs, case, assert_close):
    one, two = (load_file(runs / f"{case}-{n}" / "last" / "model.safetensors") for n in (1, 2))
    assert one.keys() == two.keys()
    for name, value in one.items():
        if not name.endswith(NO_GRADIENT):
            assert_close(two[name], value)
    for left, right in zip(lines(runs / f"{case}-1"), lines(runs / f"{case}-2"), strict=True):
        assert left.keys() == right.keys()
        for name in ("loss", "norm", "lr", "step"):
            if name in left:
                assert_close(torch.tensor(right[name]), torch.tensor(left[name]))


def test_two_processes_killed_and_started_again_equal_two_that_were_not(runs):
    whole, parts = runs / "ranks-whole", runs / "ranks-parts"
    for name in ("best", "last"):
        files = [(run / name / "model.safetensors").read_bytes() for run in (whole, parts)]
        assert files[0] == files[1]
    assert lines(whole) == lines(parts)


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
