"""Polar coordinates against a loop, PyG's transform, and sentences about where things are."""

from __future__ import annotations

import gzip
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch_geometric.data import Data
from torch_geometric.transforms import Polar

from graphmatch.errors import GraphError
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.region import RegionGraph
from graphmatch.regions.neighbours import complete_edges, nearest_neighbours
from graphmatch.regions.polar import box_centre, edge_polar, neighbour_polar, pairwise_polar


def boxes(*shape, seed=1):
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(*shape, 2, 2, dtype=torch.float64, generator=random)
    return corners.sort(dim=-2).values.flatten(-2)  # [*shape, 4]


def naive(box):
    centre = [(x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2) for x1, y1, x2, y2 in box.tolist()]
    rows = []
    for xi, yi in centre:
        offsets = [(xi - xj, yi - yj) for xj, yj in centre]
        rows.append([(math.hypot(dx, dy), math.atan2(dx, dy)) for dx, dy in offsets])
    return torch.tensor(rows, dtype=box.dtype)


def test_pairs_equal_a_loop(assert_close):
    box = boxes(7)
    box[3] = box[5]  # equal centres
    assert_close(pairwise_polar(box), naive(box), "float64")
    assert_close(pairwise_polar(box.float()), naive(box).float())


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ((0.0, 0.0), (0, 0)),
        ((0.0, 2.0), (2, 0)),  # below
        ((2.0, 0.0), (2, math.pi / 2)),  # right
        ((0.0, -2.0), (2, math.pi)),  # above
        ((-2.0, 0.0), (2, -math.pi / 2)),  # left
        ((3e-40, 4e-40), (5e-40, math.atan2(3, 4))),  # a square would underflow
        ((3e37, 4e37), (5e37, math.atan2(3, 4))),  # and overflow here
    ],
)
def test_convention(offset, expected):
    x, y = offset
    rho, theta = pairwise_polar(torch.tensor([[x, y, x, y], [0.0, 0.0, 0.0, 0.0]]))[0, 1].tolist()
    assert rho == pytest.approx(expected[0], rel=1e-5, abs=0)
    assert theta == pytest.approx(expected[1], rel=1e-5)


def test_differs_from_pyg_in_axis_range_and_scale(assert_close):
    centre = torch.tensor([[0.0, 0.0], [0.3, 0.4], [-0.6, 0.8]])
    box = torch.cat((centre, centre), dim=1)
    edge_index = complete_edges(torch.tensor([0, 3]), loops=False)
    ours = edge_polar(box, edge_index)
    theirs = Polar(norm=False)(Data(pos=centre, edge_index=edge_index)).edge_attr
    assert_close(ours[:, 0], theirs[:, 0])
    assert theirs[:, 1].min() >= 0
    assert theirs[:, 1].max() > math.pi
    assert ours[:, 1].abs().max() <= torch.pi
    turned = math.pi / 2 - theirs[:, 1]
    assert_close(ours[:, 1], torch.where(turned <= -math.pi, turned + 2 * math.pi, turned))
    # by hand: region 1 seen from region 0 is 0.5 away, to the right and below
    edge = (edge_index == torch.tensor([[0], [1]])).all(dim=0)
    assert ours[edge].flatten().tolist() == pytest.approx([0.5, math.atan2(0.3, 0.4)])
    assert theirs[edge].flatten().tolist() == pytest.approx([0.5, math.atan2(0.4, 0.3)])
    scaled = Polar()(Data(pos=centre, edge_index=edge_index)).edge_attr
    assert scaled[edge].flatten().tolist() == pytest.approx([0.5, math.atan2(0.4, 0.3) / math.tau])
    alone = torch.tensor([[0], [1]])  # the same edge, another batch: another value
    assert Polar()(Data(pos=centre, edge_index=alone)).edge_attr[0, 0] == 1


def test_batch_equals_one_by_one():
    box = boxes(3, 5).float()
    together = pairwise_polar(box)
    assert together.shape == (3, 5, 5, 2)
    torch.testing.assert_close(together, torch.stack([pairwise_polar(one) for one in box]))
    deeper = pairwise_polar(box.view(3, 1, 5, 4))
    torch.testing.assert_close(deeper, together.unsqueeze(1))


def test_permuted_regions_give_permuted_pairs():
    box, order = boxes(6), torch.tensor([4, 0, 5, 2, 1, 3])
    moved = pairwise_polar(box[order])
    torch.testing.assert_close(moved, pairwise_polar(box)[order][:, order])


def test_padded_equals_ragged():
    graphs = [
        RegionGraph(x=torch.zeros(count, 1), box=boxes(count, seed=count).float(), size=size)
        for count, size in ((3, torch.ones(1, 2)), (0, torch.ones(1, 2)), (5, torch.ones(1, 2)))
    ]
    batch = batch_graphs(graphs)
    ragged = edge_polar(batch.box, complete_edges(batch.ptr, loops=True))
    padded = torch.full((3, 5, 4), torch.nan)  # whatever padding holds, it does not matter
    mask = torch.zeros(3, 5, dtype=torch.bool)
    for number, graph in enumerate(graphs):
        padded[number, : len(graph.box)] = graph.box
        mask[number, : len(graph.box)] = True
    dense = pairwise_polar(padded, mask)
    pairs = mask.unsqueeze(2) & mask.unsqueeze(1)
    torch.testing.assert_close(ragged, dense[pairs])
    assert torch.equal(dense[~pairs], torch.zeros(len(dense[~pairs]), 2))
    torch.testing.assert_close(ragged[:9].view(3, 3, 2), pairwise_polar(graphs[0].box))


def test_neighbours_are_a_choice_of_pairs():
    box, mask = boxes(2, 6), torch.ones(2, 6, dtype=torch.bool)
    mask[1, 2:] = False
    index, present = nearest_neighbours(box, 3, loops=True, mask=mask)
    chosen = pairwise_polar(box, mask).gather(2, index.unsqueeze(-1).expand(-1, -1, -1, 2))
    expected = chosen * present.unsqueeze(-1)
    torch.testing.assert_close(neighbour_polar(box, index, present), expected)
    torch.testing.assert_close(neighbour_polar(box[0], index[0]), chosen[0])


def test_gradients(assert_close):
    box = boxes(2, 4).requires_grad_()
    assert gradcheck(pairwise_polar, (box,))
    edge_index = torch.tensor([[0, 1, 3], [2, 0, 1]])
    assert gradcheck(lambda leaf: edge_polar(leaf, edge_index), (box[0].detach().requires_grad_(),))
    far = (box.detach() * 1e-200).requires_grad_()  # squares would underflow
    grad = torch.autograd.grad(pairwise_polar(far)[..., 1].square().sum(), far)[0]
    near = torch.autograd.grad(pairwise_polar(box)[..., 1].square().sum(), box)[0]
    assert_close(grad * 1e-200, near, "float64")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [0.0, 1e-44, 1e-38, 1e-30, 1e-15])
def test_gradients_are_finite_where_centres_meet(dtype, distance):
    box = torch.zeros(3, 4, dtype=dtype)
    box[1] += distance
    box.requires_grad_()
    mask = torch.tensor([True, True, False])
    with (
        pytest.warns(UserWarning, match="Anomaly Detection"),
        torch.autograd.detect_anomaly(check_nan=True),
    ):
        pairwise_polar(box, mask).sum().backward()
    assert torch.isfinite(box.grad).all()
    if distance == 0:
        assert not box.grad.any()


def test_gradient_of_padding_is_zero():
    box = boxes(4)
    box[3] = torch.nan
    box.requires_grad_()
    pairwise_polar(box, torch.tensor([True, True, True, False])).square().sum().backward()
    assert not box.grad[3].any()
    assert box.grad[:3].all()


COORDINATE = st.floats(-(2.0**100), 2.0**100, width=32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[COORDINATE] * 4), min_size=1, max_size=5))
def test_invariants(corners):
    box = torch.tensor(corners)
    rho, theta = pairwise_polar(box).unbind(-1)
    assert torch.isfinite(rho).all()
    assert torch.isfinite(theta).all()
    assert torch.equal(rho, rho.T)
    assert (rho >= 0).all()
    assert (theta.abs() <= torch.pi).all()
    assert not rho.diagonal().any()
    assert not theta.diagonal().any()
    apart = rho > 0
    opposite = (theta - theta.T).abs()[apart]  # the other way round: half a turn further
    torch.testing.assert_close(opposite, torch.full_like(opposite, math.pi))
    x, y = box_centre(box).unbind(-1)
    dx, dy = x.unsqueeze(1) - x, y.unsqueeze(1) - y
    torch.testing.assert_close(rho * theta.sin(), dx, atol=float(rho.max()) * 1e-6, rtol=0)
    torch.testing.assert_close(rho * theta.cos(), dy, atol=float(rho.max()) * 1e-6, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pairwise_polar(torch.zeros(4)), r"expected shape \[..., R, 4\] \(got \[4\]\)"),
        (lambda: pairwise_polar(torch.zeros(3, 5)), r"got \[3, 5\]"),
        (lambda: pairwise_polar(torch.zeros(3, 4), torch.ones(2).bool()), r"of shape \[3\]"),
        (lambda: pairwise_polar(torch.zeros(3, 4), torch.ones(3)), "got torch.float32"),
        (lambda: edge_polar(torch.zeros(3, 4), torch.zeros(3, 2).long()), r"edge_index \[2, E\]"),
        (lambda: edge_polar(torch.zeros(1, 3, 4), torch.zeros(2, 2).long()), r"boxes \[N, 4\]"),
        (lambda: neighbour_polar(torch.zeros(3, 4), torch.zeros(2, 1).long()), r"\[3, 'M'\]"),
        (
            lambda: neighbour_polar(
                torch.zeros(1, 4), torch.zeros(1, 2).long(), torch.ones(1, 1).bool()
            ),
            r"of shape \[1, 2\]",
        ),
    ],
)
def test_other_shapes_are_refused(call, message):
    with pytest.raises(GraphError, match=message):
        call()


def relations(data, split):
    """Relation and boxes of each sentence of NSR-1K that names a side and has boxes."""
    with gzip.open(data / "nsr1k" / f"spatial.{split}.json.gz", "rt") as file:
        items = json.load(file)
    sided = [item for item in items if item["relation"] in ("left", "right", "top", "bottom")]
    box = torch.tensor([[item["obj1"][1], item["obj2"][1]] for item in sided])  # x y w h
    drawn = (box[..., 2:] > 0).all(dim=-1).all(dim=-1)  # 19 of val have zeros only
    box[..., 2:] += box[..., :2]
    names = [item["relation"] for item, there in zip(sided, drawn, strict=True) if there]
    return names, box[drawn], len(sided)


@pytest.mark.parametrize(("split", "sided", "drawn"), [("train", 523, 523), ("val", 249, 230)])
def test_angle_says_which_side_a_sentence_names(data, split, sided, drawn):
    names, box, total = relations(data, split)
    assert (total, len(names)) == (sided, drawn)
    theta = pairwise_polar(box)[:, 0, 1, 1]  # of the first object's centre minus the second's
    quarter = (theta / (math.pi / 2)).round().long() % 4
    read = [("bottom", "right", "top", "left")[turn] for turn in quarter]
    # all that have boxes: the sentences were made for pairs that lie that way
    assert read == names
