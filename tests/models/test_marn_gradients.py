"""MARN's effective gradients against finite differences, and what a step along them does."""

from __future__ import annotations

import pytest
import torch

from tests.marn_world import assert_same, build, everything, random_batch

VARIANTS = [
    {},
    {"w_normalize": False, "eta": 1.0},
    {"ddma_weighting": "loss", "eta": 0.7},
    {"ddma_weighting": "loss", "w_normalize": False, "adversarial_scope": "target", "eta": 0.5},
    {"ds_updates_discriminator": False, "eta": 0.3, "proj_activation": "tanh"},
    {"adversary": "single", "eta": 0.6},
    {"invariant_fusion": "weighted_sum", "eta": 0.4},
]
each_variant = pytest.mark.parametrize(
    "options", VARIANTS, ids=lambda o: "-".join(map(str, o.values())) or "default"
)
STEP = 1e-5


def freeze_weights(model, batch):
    """Make w a constant, so that finite differences see what gradients are defined by."""
    found = model.items._weigh(model.encode_items(batch.items, batch.counts()).invariant.detach(),
                               batch.items.present, batch.counts())  # fmt: skip
    model.items._weigh = lambda *_: tuple(x if x is None else x.detach() for x in found)


def slopes(model, batch, way, names):
    """Central differences of losses along directions of parameters, by name."""
    values = []
    for sign in (1, -2):
        for name, direction in way.items():
            model.get_parameter(name).data += sign * STEP * direction
        with torch.no_grad():
            values.append({name: model.outcome(batch).losses[name] for name in names})
    for name, direction in way.items():
        model.get_parameter(name).data += STEP * direction
    return {name: (values[0][name] - values[1][name]) / (2 * STEP) for name in names}


GROUPS = {
    "items.d0.": "d0",
    "d1.": "d1",
    "items.invariant.": "invariant",
    "items.specific.": "specific",
    "items.align.": "shared",
    "items.embedding.": "shared",
}


def effective(group, slope, config):
    """Section 8 of the specification: what each part of the model follows."""
    adversarial = -config.aux_weight * config.eta * slope["d1"]
    cooperative = config.aux_weight * slope["ds"]
    if group == "d1":
        own = cooperative if config.ds_updates_discriminator else 0
        return config.aux_weight * slope["d1"] + own
    parts = {
        "invariant": adversarial,
        "specific": cooperative,
        "shared": adversarial + cooperative,
    }
    return slope["ctr"] + parts.get(group, 0)


def directions(model):
    """A direction for each parameter, by group; entry 0 of tables does not move."""
    g, groups = torch.Generator().manual_seed(5), {}
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=g, dtype=torch.float64)
        if id(parameter) in tables:
            direction[0] = 0
        group = next((GROUPS[start] for start in GROUPS if name.startswith(start)), "rest")
        groups.setdefault(group, {})[name] = direction
    return groups


@each_variant
def test_gradients_are_those_of_the_specification(options, assert_close):
    model, batch = build(**options, aux_weight=0.5), random_batch()
    gradients = everything(model, batch)
    frozen = build(**options, aux_weight=0.5)
    freeze_weights(frozen, batch)
    groups = directions(model)
    assert groups.keys() >= {"d1", "invariant", "specific", "shared", "rest"}
    for group, way in groups.items():
        if group == "d0":
            expected = slopes(model, batch, way, ["d0"])["d0"]
        else:
            slope = slopes(frozen, batch, way, ["ctr", "d1", "ds"])
            expected = effective(group, slope, model.config)
        got = sum((gradients[f"grad {name}"] * direction).sum() for name, direction in way.items())
        assert expected.abs() > 1e-4, group
        assert_close(got, expected, "float64 looped")


def test_the_first_discriminator_only_measures():
    model, batch = build(), random_batch()
    first = list(model.items.d0.parameters())
    losses = model.outcome(batch).losses
    for name in ("ctr", "d1", "ds"):
        found = torch.autograd.grad(losses[name], first, retain_graph=True, allow_unused=True)
        assert all(gradient is None for gradient in found), name
    rest = [p for name, p in model.named_parameters() if not name.startswith("items.d0")]
    found = torch.autograd.grad(losses["d0"], rest, allow_unused=True)
    assert all(gradient is None for gradient in found)


@each_variant
def test_a_step_along_the_gradients(options):
    """The invariant projection raises L_D1, its discriminator lowers it; S lowers L_Ds."""
    model, batch = build(**options), random_batch(8, 5, 8)
    freeze_weights(model, batch)
    weight = model.config.aux_weight

    def change(loss, prefix, followed):
        """Of a loss, by a step of some parameters against the gradient of what they follow."""
        parameters = [p for name, p in model.named_parameters() if name.startswith(prefix)]
        losses = model.outcome(batch).losses
        gradients = torch.autograd.grad(followed(losses), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.data -= 1e-3 * gradient
        after = model.outcome(batch).losses[loss].item()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.data += 1e-3 * gradient
        return after - losses[loss].item()

    def auxiliary(losses):
        return weight * (losses["d1"] + losses["ds"])

    assert change("d1", "items.invariant.", auxiliary) > 0
    assert change("d1", "d1.", lambda losses: losses["d1"]) < 0
    assert change("ds", "items.specific.", auxiliary) < 0


def test_without_lambda_it_is_an_ordinary_network(assert_close):
    one, two, batch = build(aux_weight=0.0), build(), random_batch()
    plain = everything(one, batch)
    two.zero_grad()
    two.outcome(batch).losses["ctr"].backward()
    for name, parameter in two.named_parameters():
        if not name.startswith(("items.d0", "d1")):
            assert_close(plain[f"grad {name}"], parameter.grad, "float64")
    for name, value in plain.items():
        if name.startswith("grad d1"):
            assert not value.any()


def test_without_eta_nothing_is_adversarial(assert_close):
    batch = random_batch()
    one = everything(build(), batch, eta=0.0)
    two = everything(build(eta=0.0), batch)
    assert_same(one, two, assert_close)
    losses = build().outcome(batch, eta=0.0).losses
    weight = build()
    found = weight.outcome(batch, eta=0.0).losses["d1"]
    gradient = torch.autograd.grad(found, weight.items.invariant.weight)[0]
    assert not gradient.any()
    assert losses["d1"] > 0
