"""Gaussian kernel weights: both forms against a loop, and against each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.polar_kernel import PolarKernels, gaussian_weights, neighbour_sum
from graphmatch.regions.neighbours import complete_edges
from graphmatch.regions.polar import edge_polar, pairwise_polar

NAMES = ("mean_rho", "mean_theta", "precision_rho", "precision_theta")
FORMS = ["safe", "official"]


def random(*shape, seed=1, low=0.0, high=1.0):
    draw = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64, generator=draw)


@pytest.fixture
def polar():
    rho = random(3, 4, 4, seed=1, high=1.4)
    theta = random(3, 4, 4, seed=2, low=-math.pi, high=math.pi)
    return torch.stack((rho, theta), dim=-1)


@pytest.fixture
def kernels():
    return {
        "mean_rho": random(5, seed=3),
        "mean_theta": random(5, seed=4, low=-8, high=8),  # training does not wrap it
        "precision_rho": random(5, seed=5, low=0.2),
        "precision_theta": -random(5, seed=6, low=0.2),
    }


def naive(rho, theta, kernels):
    values = []
    for m_rho, m_theta, p_rho, p_theta in zip(*[kernels[n].tolist() for n in NAMES], strict=True):
        turn = abs(theta - m_theta)
        angle = min(turn, abs(2 * math.pi - turn))
        values.append(
            math.exp(-0.5 * (rho - m_rho) ** 2 / (1e-14 + p_rho**2))
            * math.exp(-0.5 * angle**2 / (1e-14 + p_theta**2))
        )
    return [value / sum(values) for value in values]


@pytest.mark.parametrize("form", FORMS)
def test_weights_equal_a_loop(polar, kernels, form, assert_close):
    expected = [naive(*pair, kernels) for pair in polar.view(-1, 2).tolist()]
    expected = torch.tensor(expected, dtype=torch.float64).view(3, 4, 4, 5)
    assert_close(gaussian_weights(polar, **kernels, form=form), expected, "float64")
    columns = {name: value.view(-1, 1) for name, value in kernels.items()}
    assert_close(gaussian_weights(polar, **columns, form=form), expected, "float64")
    floats = {name: value.float() for name, value in kernels.items()}
    assert_close(gaussian_weights(polar.float(), **floats, form=form), expected.float())


@pytest.mark.parametrize("form", FORMS)
def test_angles_wrap(form):
    arguments = {name: torch.tensor([0.0, 1.0]) for name in NAMES}
    arguments |= {"mean_theta": torch.tensor([3.1, 0.0]), "precision_rho": torch.ones(2)}
    arguments["precision_theta"] = torch.full((2,), 0.5)
    near = gaussian_weights(torch.tensor([0.0, -3.1]), **arguments, form=form)
    assert near[0] > 0.99  # 0.08 away across pi, not 6.2


@pytest.mark.parametrize("form", FORMS)
def test_gradients(polar, kernels, form):
    leaves = [polar[0, :2].clone(), *[kernels[name].clone() for name in NAMES]]

    def weights(edges, *parameters):
        return gaussian_weights(edges, **dict(zip(NAMES, parameters, strict=True)), form=form)

    assert gradcheck(weights, [leaf.requires_grad_() for leaf in leaves])


def test_safe_form_goes_on_where_the_official_one_ends():
    far = torch.tensor([1.0, 0.0])
    narrow = dict.fromkeys(("precision_rho", "precision_theta"), torch.full((2,), 0.01))
    means = {"mean_rho": torch.tensor([0.0, 0.1]), "mean_theta": torch.zeros(2)}
    assert gaussian_weights(far, **means, **narrow, form="official").isnan().all()
    leaf = means["mean_rho"].clone().requires_grad_()
    safe = gaussian_weights(far, leaf, means["mean_theta"], **narrow)
    assert safe.tolist() == [0, 1]  # the nearer kernel, by exp(-950)
    safe[1].backward()
    assert torch.isfinite(leaf.grad).all()


def test_official_form_leaves_out_a_kernel_that_is_not_a_number(polar, kernels, assert_close):
    broken = {name: torch.cat((value, value[:1])) for name, value in kernels.items()}
    broken["mean_rho"][5] = torch.nan
    weight = gaussian_weights(polar, **broken, form="official")
    assert not weight[..., 5].any()
    assert_close(weight[..., :5], gaussian_weights(polar, **kernels, form="official"), "float64")


def test_batch_equals_one_by_one_and_any_shape(polar, kernels):
    together = gaussian_weights(polar, **kernels)
    torch.testing.assert_close(together[1], gaussian_weights(polar[1], **kernels))
    torch.testing.assert_close(together[1, 2, 3], gaussian_weights(polar[1, 2, 3], **kernels))
    flat = gaussian_weights(polar.view(-1, 2), **kernels)
    torch.testing.assert_close(together.reshape(-1, 5), flat)
    assert gaussian_weights(polar[:0], **kernels).shape == (0, 4, 4, 5)


def test_permuted_kernels_give_permuted_weights(polar, kernels):
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = gaussian_weights(polar, **{name: value[order] for name, value in kernels.items()})
    torch.testing.assert_close(moved, gaussian_weights(polar, **kernels)[..., order])


@pytest.mark.parametrize("form", FORMS)
def test_padded_sum_equals_ragged_sum(kernels, form, assert_close):
    box = random(2, 4, 4, seed=7)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    pairs = mask.unsqueeze(2) & mask.unsqueeze(1)
    weight = gaussian_weights(pairwise_polar(box, mask), **kernels, mask=pairs, form=form)
    assert not weight[~pairs].any()
    dense = neighbour_sum(weight)
    assert not dense[~mask].any()
    # K kernels share out R neighbours
    assert_close(dense.sum(-1), (mask.sum(-1, keepdim=True) * mask).double(), "float64")
    edge_index = complete_edges(torch.tensor([0, 4, 6]), loops=True)
    ragged = gaussian_weights(edge_polar(box[mask], edge_index), **kernels, form=form)
    assert_close(neighbour_sum(ragged, edge_index, nodes=6), dense[mask], "float64")


def test_region_without_neighbours_sums_to_zero():
    edge_index = torch.tensor([[0], [2]])
    total = neighbour_sum(torch.ones(1, 3), edge_index, nodes=4)
    assert total.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_module_has_the_official_names_shapes_and_start():
    torch.manual_seed(1)
    module = PolarKernels(400)
    assert sorted(module.state_dict()) == sorted(NAMES)
    assert all(value.shape == (400, 1) for value in module.state_dict().values())
    low, high = module.mean_theta.min(), module.mean_theta.max()
    assert -math.pi < low < -3
    assert 3 < high < math.pi
    for name in ("mean_rho", "precision_rho", "precision_theta"):
        value = getattr(module, name)
        assert 0 < value.min() < 0.05
        assert 0.95 < value.max() < 1
    before = module.mean_rho.clone()
    module.reset_parameters()
    assert not torch.equal(before, module.mean_rho)
    assert repr(PolarKernels(3, form="official")) == "PolarKernels(3, form='official')"


@pytest.mark.parametrize("form", FORMS)
def test_module_equals_the_function(polar, kernels, form):
    module = PolarKernels(5, form=form).double()
    module.load_state_dict({name: value.view(-1, 1) for name, value in kernels.items()})
    mask = random(3, 4, 4, seed=8) > 0.5
    expected = gaussian_weights(polar, **kernels, mask=mask, form=form)
    result = module(polar, mask)
    assert torch.equal(result, expected)
    result.square().sum().backward()
    assert all(parameter.grad.any() for parameter in module.parameters())


def test_masked_edges_have_no_gradient(polar, kernels):
    mask = torch.zeros(3, 4, 4, dtype=torch.bool)
    mask[0] = True
    leaf = polar.clone().requires_grad_()
    gaussian_weights(leaf, **kernels, mask=mask).square().sum().backward()
    assert leaf.grad[0].any()
    assert not leaf.grad[1:].any()


ANY = st.floats(-(2.0**127), 2.0**127, width=32)
SOME = st.floats(-4, 4, width=32)


@settings(max_examples=80, deadline=None)
@given(ANY, ANY, st.lists(st.tuples(ANY, ANY, ANY, ANY), min_size=1, max_size=4))
def test_safe_weights_are_never_nan_and_sum_to_one(rho, theta, kernels):
    arguments = dict(zip(NAMES, torch.tensor(kernels).T, strict=True))
    weight = gaussian_weights(torch.tensor([rho, theta]), **arguments)
    assert ((weight >= 0) & (weight <= 1)).all()
    assert float(weight.sum()) == pytest.approx(1, abs=1e-5)


@settings(max_examples=80, deadline=None)
@given(SOME, SOME, st.lists(st.tuples(SOME, SOME, SOME, SOME), min_size=1, max_size=4))
def test_safe_equals_official_where_that_is_finite(rho, theta, kernels):
    polar = torch.tensor([rho, theta], dtype=torch.float64)
    arguments = dict(zip(NAMES, torch.tensor(kernels, dtype=torch.float64).T, strict=True))
    safe = gaussian_weights(polar, **arguments)
    official = gaussian_weights(polar, **arguments, form="official")
    if not official.isnan().any():
        torch.testing.assert_close(safe, official, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"form": "officail"}, ConfigError, "did you mean 'official'"),
        ({"polar": torch.zeros(3)}, GraphError, r"expected shape \[..., 2\] \(got \[3\]\)"),
        ({"mean_rho": torch.zeros(2)}, GraphError, r"got \[\[2\], \[1\], \[1\], \[1\]\]"),
        ({"mask": torch.ones(3).bool()}, GraphError, r"expected torch.bool of shape \[4\]"),
        ({"mask": torch.ones(4)}, GraphError, "got torch.float32"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    arguments = {"polar": torch.zeros(4, 2), **{name: torch.ones(1) for name in NAMES}, **change}
    with pytest.raises(error, match=message):
        gaussian_weights(**arguments)


def test_bad_modules_and_sums_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        PolarKernels(0)
    with pytest.raises(ConfigError, match="unknown form"):
        PolarKernels(form="fast")
    with pytest.raises(ConfigError, match="together"):
        neighbour_sum(torch.ones(1, 2), torch.zeros(2, 1).long())
