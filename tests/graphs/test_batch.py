"""`MatchBatch`: captions with their images."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from graphmatch.errors import GraphError
from graphmatch.graphs.batch import MatchBatch, collate_pairs


def make(caption, image, **changes):
    fields = {"owner": [0, 1, 0], "text_ids": ["a", "b", "c"], "visual_ids": ["x", "y"]}
    return MatchBatch.collate([caption] * 3, [image, image], **{**fields, **changes})


def test_match_batch_holds_items_and_owners(caption, image):
    batch = make(caption, image, moment=torch.tensor([[0.0, 1], [1, 2], [0, 3]]))
    assert batch.validate()
    assert repr(batch) == "MatchBatch(3 captions, 2 visual items, with moments)"
    assert batch.text.word_ptr.tolist() == [0, 5, 10, 15]
    assert batch.text.word_batch.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert all(item.equals(caption) for item in batch.text.to_data_list())
    moved = batch.to("cpu")
    assert moved.text is not batch.text
    assert torch.equal(moved.owner, batch.owner)
    assert torch.equal(moved.text.span, batch.text.span)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"owner": [0, 2, 0]}, "owner"),
        ({"owner": [0, 1]}, "shape of owner"),
        ({"text_ids": ["a"]}, "text_ids"),
        ({"visual_ids": ["x"]}, "visual_ids"),
        ({"moment": torch.zeros(2, 2)}, "shape of moment"),
        ({"moment": torch.tensor([[1.0, 0], [0, 1], [0, 1]])}, "start before end"),
    ],
)
def test_match_batch_refuses_what_does_not_fit(caption, image, changes, message):
    with pytest.raises(GraphError, match=message):
        make(caption, image, **changes)


def test_dataloader_shares_the_image_of_two_captions(caption, image):
    pairs = [(caption, f"t{n}", image, f"v{n // 2}") for n in range(4)]
    batches = list(DataLoader(pairs, batch_size=4, collate_fn=collate_pairs))
    assert len(batches) == 1
    assert batches[0].visual_ids == ("v0", "v1")
    assert batches[0].owner.tolist() == [0, 0, 1, 1]
    assert batches[0].visual.num_graphs == 2
