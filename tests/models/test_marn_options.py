"""MARN's ablations, its configuration, its specification's names, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphmatch.config import config_from_values, config_values
from graphmatch.errors import CheckpointError, ConfigError, GraphError
from graphmatch.models.marn import MARN, MARNConfig, Modality, Table
from graphmatch.models.marn_keys import load_named, spec_keys
from tests.marn_world import CONFIG, build, everything, random_batch

IDS = CONFIG.modalities[:1]


@pytest.mark.parametrize(
    ("options", "losses", "measured"),
    [
        ({}, {"d0", "d1", "ds"}, {"accuracy", "weight", "specific", "invariant"}),
        ({"adversary": "single"}, {"d1", "ds"}, {"specific", "invariant"}),
        ({"adversary": "none"}, {"ds"}, {"specific", "invariant"}),
        ({"adversary": "none", "specific_loss": False}, set(), {"specific", "invariant"}),
        ({"specific_loss": False}, {"d0", "d1"}, {"accuracy", "weight", "specific", "invariant"}),
        ({"item": "invariant"}, {"d0", "d1"}, {"accuracy", "weight", "invariant"}),
        ({"item": "fusion"}, set(), {"specific"}),
        ({"item": "concat"}, set(), set()),
        ({"item": "concat", "modalities": IDS}, set(), set()),
    ],
)
def test_ablations(options, losses, measured):
    model = build(**options)
    batch = random_batch(config=model.config)
    outcome = model.outcome(batch)
    found = {name for name in ("d0", "d1", "ds") if outcome.losses[name].item() > 0}
    assert found == losses
    assert outcome.measured.keys() == measured
    everything(model, batch)
    unused = [name for name, p in model.named_parameters() if p.grad is None]
    assert not unused  # what an ablation leaves out is not there
    assert ("d1.0.weight" in model.state_dict()) == bool(losses & {"d1", "ds"})


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"recurrent": "gru"}, 6),
        ({"recurrent": "augru"}, 6),
        ({"recurrent": "gru", "property_input": True, "hidden": 4}, 4),
        ({"recurrent": "attention"}, 6),
        ({"recurrent": "mean", "property_input": True}, 11),
        ({"recurrent": "attention", "property_input": True, "attention": "mlp"}, 11),
    ],
)
def test_users_of_ablations(options, size):
    model, batch = build(**options), random_batch()
    assert model.config.user_size == size
    everything(model, batch)
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    rep = model.encode_items(batch.items).rep
    user = model.user(rep, batch.history, batch.candidate, batch.properties)
    assert user.shape == (5, size)
    assert not user[1].any()  # no history
    asks = options["recurrent"] == "attention"
    other = model.user(rep, batch.history, (batch.candidate + 1) % 6, batch.properties)
    assert torch.equal(user, other) != asks or options["recurrent"] == "augru"


@torch.no_grad()
def test_means_of_histories(assert_close):
    model, batch = build(recurrent="mean"), random_batch()
    rep = model.encode_items(batch.items).rep
    user = model.user(rep, batch.history, batch.candidate, {})
    for row in (0, 2, 3, 4):
        expected = rep[batch.history[row][batch.mask[row]]]
        if len(expected):
            assert_close(user[row], expected.mean(0), "float64")


@torch.no_grad()
def test_representations_of_ablations(assert_close):
    batch = random_batch()
    model = build(item="concat")
    embedded = torch.cat(model.items.embed(batch.items), dim=1)
    rep = model.encode_items(batch.items).rep
    assert_close(rep, model.items.concat(embedded), "float64")
    assert not embedded[0].any()  # it has no modality
    model = build(adversary="single", invariant_fusion="weighted_mean")
    vectors = model.encode_items(batch.items)
    assert_close(vectors.weight, torch.ones_like(vectors.weight), "float64")
    assert_close(vectors.rep, vectors.fused_specific + vectors.fused_invariant, "float64")
    for item in range(1, 6):
        c = vectors.invariant[item][batch.items.present[item]]
        assert_close(vectors.fused_invariant[item], c.mean(0), "float64")


def test_configurations_come_back():
    config = replace(CONFIG, eta_schedule="dann", units=(3,), dropout=0.5)
    assert config_from_values(MARNConfig, config_values(config)) == config
    assert config.names == ("ids", "image", "stat", "title")
    assert config.eta_at(0) == 0
    assert CONFIG.eta_at(123) == 0.1
    backwards = replace(CONFIG, modalities=CONFIG.modalities[::-1])
    assert backwards == CONFIG


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": IDS}, "expected at least 2 with item='marn'"),
        ({"modalities": (), "item": "concat"}, "expected at least 1"),
        ({"modalities": IDS * 2}, r"different names \(got \['ids', 'ids'\]\)"),
        ({"properties": (Table(name="a", size=2),) * 2}, "properties: expected different"),
        ({"vocabulary": 1}, "vocabulary"),
        ({"dim": 0}, "dim"),
        ({"context": -1}, "context"),
        ({"aux_weight": -0.1}, "aux_weight"),
        ({"dropout": 1.0}, "dropout"),
        ({"w_momentum": 0.0}, "w_momentum"),
        ({"units": ()}, "units"),
        ({"units": (3, 0)}, "units"),
        ({"property_input": True}, "property_input"),
        ({"product": True, "hidden": 5}, r"product: expected a user of 6 numbers \(got 5\)"),
        ({"item": "marm"}, "did you mean 'marn'"),
        ({"adversary": "dubble"}, "adversary"),
        ({"recurrent": "agru"}, "did you mean"),
        ({"invariant_fusion": "weighted"}, "invariant_fusion"),
        ({"eta_schedule": "iwann"}, "did you mean 'iwan'"),
        ({"attention": "dot"}, "attention"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


@pytest.mark.parametrize("options", [{"size": 0}, {"width": 0}, {"name": "a b"}])
def test_impossible_tables_are_refused(options):
    with pytest.raises(ConfigError):
        Table(**{"name": "a", "size": 2, **options})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": None}, r"context: expected \[5, 2\] \(got none\)"),
        ({"context": torch.zeros(5, 3)}, r"context: expected \[5, 2\] \(got \[5, 3\]\)"),
        ({"context_ids": None}, r"context_ids: expected \[5, 1\]"),
        ({"context_ids": torch.zeros(5, 2).long()}, r"context_ids: expected \[5, 1\]"),
        ({"properties": {}}, r"expected the properties \['type', 'time'\] \(got \[\]\)"),
        ({"label": None}, "labels"),
    ],
)
def test_batches_that_do_not_fit_are_refused(change, message):
    with pytest.raises(GraphError, match=message):
        build().outcome(replace(random_batch(), **change))


def test_items_that_do_not_fit_are_refused():
    model, batch = build(), random_batch()
    items = batch.items
    del items.modality["stat"]
    with pytest.raises(
        GraphError, match=r"expected items with \['ids', 'image', 'stat', 'title'\]"
    ):
        model(batch)
    plain = build(context=0)
    with pytest.raises(GraphError, match=r"context: expected \[5, 0\]"):
        plain(random_batch())
    with pytest.raises(ConfigError, match="chunk"):
        model.catalogue(items, chunk=0)


def named(model, order):
    """The model's parameters under the specification's names, modalities in another order."""
    rows = [model.config.names.index(name) for name in order]
    found = {}
    for theirs, ours in spec_keys(model.config).items():
        value = model.state_dict()[ours]
        found[theirs] = value[rows] if theirs[:4] in ("d0.2", "d1.2") else value.clone()
    return found


def test_names_of_the_specification():
    model, order = build(context_tables=()), ["ids", "image", "title", "stat"]
    names = spec_keys(model.config)
    assert sorted([*names.values(), "items.w_mean"]) == sorted(model.state_dict())
    other = MARN(model.config).double()
    tensors = named(model, order)
    tensors["emb.ids.0.weight"][0] = 5.0  # entry 0 is never used
    load_named(other, tensors, order)
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    before = {name: value.clone() for name, value in other.state_dict().items()}
    del tensors["attn.weight"]
    with pytest.raises(CheckpointError, match=r"missing attn\.weight"):
        load_named(other, tensors, order)
    with pytest.raises(CheckpointError, match=r"apgru\.bias: expected \[18\]"):
        load_named(other, {**named(build(hidden=5), order)}, order)
    with pytest.raises(CheckpointError, match="expected the order"):
        load_named(other, named(model, order), ["ids", "image", "title"])
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_any_modalities_will_do():
    """Five of any names, also such as torch's modules have themselves."""
    names = ("keys", "type", "float", "values", "train")
    modalities = tuple(Modality(name=name, kind="vector", sizes=(3,)) for name in names)
    config = replace(
        CONFIG, modalities=modalities, properties=(Table(name="forward", size=4, width=2),)
    )
    model = build(config)
    found = everything(model, random_batch(config=config))
    assert found["logits"].isfinite().all()
    assert model.items.w_mean > 0.75
