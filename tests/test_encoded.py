"""`Encoded`: shapes are checked; items are cut, padded and joined with all their tensors."""

from __future__ import annotations

import pytest
import torch

from graphmatch.encoded import Encoded
from graphmatch.errors import GraphError


def make(counts, *, width, start=0.0):
    mask = torch.arange(width) < torch.tensor(counts)[:, None]
    nodes = (start + torch.arange(len(counts) * width * 2.0)).view(len(counts), width, 2)
    nodes = nodes * mask[..., None]
    encoded = Encoded(nodes=nodes, mask=mask, pooled=nodes.sum(1))
    return encoded.with_extra(
        axes={"gram": (1, 2), "length": (1,)},
        gram=nodes @ nodes.mT,
        length=nodes.norm(dim=2),
        number=torch.arange(len(counts)),
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": torch.zeros(2, 3)}, "expected nodes"),
        ({"mask": torch.ones(2, 4) > 0}, "expected nodes"),
        ({"pooled": torch.zeros(3, 4)}, "pooled: expected 2 items"),
        ({"extra": {"a": torch.zeros(1)}}, "a: expected 2 items"),
        ({"node_axes": {"a": (1,)}}, "no tensor 'a'"),
        ({"extra": {"a": torch.zeros(2, 4)}, "node_axes": {"a": (1,)}}, "a: expected 3 nodes"),
    ],
)
def test_shapes_that_do_not_fit_are_errors(wrong, message):
    right = {"nodes": torch.zeros(2, 3, 4), "mask": torch.ones(2, 3) > 0}
    with pytest.raises(GraphError, match=message):
        Encoded(**{**right, **wrong})


def test_slices_are_views_of_every_tensor():
    encoded = make([1, 3, 2], width=3)
    part = encoded[1:]
    assert len(part) == 2
    assert part.nodes.data_ptr() == encoded.nodes[1].data_ptr()
    assert part.extra["number"].tolist() == [1, 2]
    assert part.pooled.shape == (2, 2)


def test_positions_choose_items():
    encoded = make([1, 3, 2], width=3)
    part = encoded[torch.tensor([2, 0, 2])]
    assert part.counts.tolist() == [2, 1, 2]
    assert part.extra["number"].tolist() == [2, 0, 2]


def test_counts_and_repr():
    encoded = make([1, 3, 0], width=3)
    assert encoded.counts.tolist() == [1, 3, 0]
    assert repr(encoded) == "Encoded(3 items, 3 nodes, 2 features)"


def test_narrow_cuts_node_axes_only():
    part = make([1, 2], width=4).narrow(2)
    assert part.extra["gram"].shape == (2, 2, 2)
    assert part.extra["length"].shape == (2, 2)
    assert part.extra["number"].shape == (2,)


@pytest.mark.parametrize(("counts", "width"), [([1, 2], 2), ([4, 2], 4), ([0, 0], 1)])
def test_trim_leaves_the_widest_item(counts, width):
    assert make(counts, width=4).trim().nodes.size(1) == width


def test_cat_pads_to_the_widest_part():
    one, other = make([1, 2], width=2), make([4], width=4, start=5.0)
    both = Encoded.cat([one, other])
    assert both.counts.tolist() == [1, 2, 4]
    assert torch.equal(both.extra["gram"], both.nodes @ both.nodes.mT)
    assert torch.equal(both[:2].trim().nodes, one.nodes)
    assert torch.equal(both[2:].nodes, other.nodes)


def test_cat_wants_the_same_tensors():
    one = make([1], width=1)
    bare = Encoded(nodes=one.nodes, mask=one.mask)
    with pytest.raises(GraphError, match="expected parts with the tensors"):
        Encoded.cat([one, bare])
    with pytest.raises(GraphError, match="at least one part"):
        Encoded.cat([])


def test_dtype_changes_nodes_and_pooled():
    encoded = make([1, 2], width=2).to(dtype=torch.bfloat16)
    assert encoded.nodes.dtype == encoded.pooled.dtype == torch.bfloat16
    assert encoded.extra["gram"].dtype == torch.float32
    assert encoded.extra["number"].dtype == torch.int64
    assert encoded.mask.dtype == torch.bool


def test_new_tensors_replace_none_of_the_old_items():
    encoded = make([1, 2], width=2)
    more = encoded.with_extra(axes={}, number=torch.tensor([7, 8]))
    assert encoded.extra["number"].tolist() == [0, 1]
    assert more.extra["number"].tolist() == [7, 8]
