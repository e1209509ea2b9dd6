"""MARN: rows alone and together, padding, items once or often, missing modalities, saving."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from graphmatch.click_batch import all_items
from graphmatch.config import config_from_values, config_values
from graphmatch.models.marn import MARNConfig
from graphmatch.weights import new_model
from tests.marn_world import (
    CONFIG,
    assert_same,
    build,
    everything,
    random_batch,
    random_items,
    rows,
)

VARIANTS = [
    {},
    {"w_normalize": False},
    {"ddma_weighting": "loss", "invariant_fusion": "max"},
    {"adversarial_scope": "target", "invariant_fusion": "weighted_mean"},
    {"recurrent": "augru", "property_input": True, "attention": "mlp", "activation": "dice"},
    {"recurrent": "attention", "attention_norm": "sigmoid", "product": True},
]
each_variant = pytest.mark.parametrize("options", VARIANTS, ids=lambda o: "-".join(o) or "default")
seeds = st.integers(0, 10_000)


@each_variant
def test_items_once_or_often_give_the_same(options, assert_close):
    one, two = build(**options), build(**options)
    batch = random_batch()
    assert len(all_items(batch).items) == 25
    found = everything(one, batch), everything(two, all_items(batch))
    assert_same(*found, assert_close)
    if one.config.weighs:
        assert_close(one.items.w_mean, two.items.w_mean, "float64")


@settings(max_examples=15)
@given(seeds, st.integers(1, 6), st.integers(1, 5))
def test_items_once_or_often_in_any_batch(assert_close, seed, size, length):
    batch, model = random_batch(size, length, seed=seed), build(seed=seed)
    assert_same(everything(model, batch), everything(model, all_items(batch)), assert_close)


@each_variant
@torch.no_grad()
def test_rows_together_equal_rows_alone(options, assert_close):
    model, batch = build(**options).eval(), random_batch()
    together = model(batch)
    for place in range(len(batch)):
        assert_close(model(rows(batch, [place])), together[[place]], "float64")


@torch.no_grad()
def test_literal_weights_do_not_depend_on_the_batch(assert_close):
    model, batch = build(w_normalize=False).train(), random_batch()
    together = model(batch)
    for place in range(len(batch)):
        assert_close(model(rows(batch, [place])), together[[place]], "float64")


@each_variant
@pytest.mark.parametrize("more", [1, 3])
def test_more_padding_changes_nothing(options, more, assert_close):
    batch = random_batch()
    wide = replace(
        batch,
        history=torch.nn.functional.pad(batch.history, (0, more), value=-1),
        properties={name: torch.nn.functional.pad(value, (0, more))
                    for name, value in batch.properties.items()},
    )  # fmt: skip
    assert_same(
        everything(build(**options), batch), everything(build(**options), wide), assert_close
    )


@each_variant
def test_what_is_written_at_padding_changes_nothing(options, assert_close):
    batch, model = random_batch(), build(**options)
    other = replace(
        batch,
        properties={name: value.masked_fill(~batch.mask, 3)
                    for name, value in batch.properties.items()},
    )  # fmt: skip
    assert_same(everything(model, batch), everything(model, other), assert_close)


@each_variant
def test_rows_of_absent_modalities_and_unused_items_change_nothing(options, assert_close):
    batch = random_batch()
    items, present = batch.items, batch.items.present
    more = random_items(2, seed=9)
    modality = {}
    for place, (name, value) in enumerate(items.modality.items()):
        absent = ~present[:, place].unsqueeze(1)
        value = value.masked_fill(absent, torch.nan if value.is_floating_point() else 1)
        modality[name] = torch.cat([value, more.modality[name]])
    present = torch.cat([present, more.present])
    other = replace(batch, items=type(items)(modality=modality, present=present))
    assert_same(
        everything(build(**options), batch), everything(build(**options), other), assert_close
    )


def test_the_order_of_modalities_does_not_matter(assert_close):
    """Other names give another order; parameters are moved with them."""
    old = CONFIG.names
    new = dict(zip(old, ("z", "a", "m", "b"), strict=True))
    order = [old.index(name) for name in sorted(old, key=new.get)]  # new place -> old place
    config = replace(
        CONFIG, modalities=tuple(replace(m, name=new[m.name]) for m in CONFIG.modalities)
    )
    model, other, batch = build(), build(config), random_batch()
    state = model.state_dict()
    for name in state:
        parts = name.split(".")
        if parts[1] in ("embedding", "align", "specific", "fusion"):
            parts[2] = str(order.index(int(parts[2])))
            other.get_parameter(".".join(parts)).data = state[name].clone()
        elif name.endswith(("d0.2.weight", "d0.2.bias", "d1.2.weight", "d1.2.bias")):
            other.get_parameter(name).data = state[name][order].clone()
        elif name != "items.w_mean":
            other.get_parameter(name).data = state[name].clone()
    items = batch.items
    modality = {
        name: items.modality[old[place]] for name, place in zip(config.names, order, strict=True)
    }
    moved = type(items)(modality=modality, present=items.present[:, order])
    one, two = everything(model, batch), everything(other, replace(batch, items=moved))
    for name in ("logits", "ctr", "d0", "d1", "ds", "total", "grad items.invariant.weight"):
        assert_close(one[name], two[name], "float64")
    assert_close(one["grad d1.2.bias"][order], two["grad d1.2.bias"], "float64")


@torch.no_grad()
def test_without_a_history_properties_do_not_matter_and_with_one_they_do(assert_close):
    model, batch = build().eval(), random_batch()
    assert int(batch.mask[1].sum()) == 0
    changed = {name: (value % 3 + 1) * batch.mask for name, value in batch.properties.items()}
    one, two = model(batch), model(replace(batch, properties=changed))
    assert_close(one[1], two[1], "float64")
    assert (one[0] - two[0]).abs() > 1e-6
    open_gates = build().eval()
    open_gates.user.network.weight_p.zero_()  # the gates are the only way in
    assert_close(open_gates(batch), open_gates(replace(batch, properties=changed)), "float64")


@pytest.mark.parametrize("scope", ["all", "target"])
def test_discriminators_without_knowledge(scope, assert_close):
    model, batch = build(adversarial_scope=scope, w_normalize=False), random_batch(missing=0.2)
    for part in (model.items.d0, model.d1):
        for parameter in part.parameters():
            parameter.data.zero_()
    vectors, outcome = model.encode_items(batch.items), model.outcome(batch)
    assert_close(vectors.raw_weight, torch.full_like(vectors.raw_weight, 0.75), "float64")
    for name in ("d0", "d1", "ds"):
        assert_close(outcome.losses[name].item(), math.log(4), "float64")


@settings(max_examples=30)
@given(seeds)
def test_weights_are_probabilities(seed):
    model, batch = build(seed=seed), random_batch(seed=seed)
    for parameter in model.items.d0.parameters():
        parameter.data *= 30
    raw = model.encode_items(batch.items).raw_weight
    assert bool(((raw >= 0) & (raw <= 1)).all())


@pytest.mark.parametrize("place", range(4))
@each_variant
def test_a_modality_that_is_always_missing_is_not_trained(options, place):
    model, batch = build(**options), random_batch()
    batch.items.present[:, place] = False
    everything(model, batch)
    part = CONFIG.modalities[place]
    for prefix in ("embedding", "align", "specific", "fusion"):
        for name, parameter in model.items.get_submodule(f"{prefix}.{place}").named_parameters():
            assert parameter.grad is None or not parameter.grad.any(), (part.name, prefix, name)
    assert model.items.invariant.weight.grad.any()


def test_no_item_has_any_modality():
    model, batch = build(), random_batch()
    batch.items.present[:] = False
    outcome = model.outcome(batch)
    assert all(outcome.losses[name].item() == 0 for name in ("d0", "d1", "ds"))
    outcome.losses["total"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.items.w_mean == 0.75  # nothing was seen
    assert not model.encode_items(batch.items).rep.any()


def test_entry_0_of_tables_stays_zero():
    model = build()
    optimiser = torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.1)
    for seed in range(3):
        everything(model, random_batch(seed=seed))
        optimiser.step()
    tables = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    assert len(tables) == 7
    assert not any(table.weight[0].any() for table in tables)


def test_the_running_mean_of_w_is_what_evaluation_divides_by(assert_close):
    model, batch = build(), random_batch()
    vectors = model.encode_items(batch.items, batch.counts())
    pairs = batch.items.present * batch.counts().unsqueeze(1)
    mean = (vectors.raw_weight * pairs).sum() / pairs.sum()
    assert_close(vectors.weight, vectors.raw_weight / mean, "float64")
    assert_close(model.items.w_mean, 0.9 * torch.tensor(0.75).double() + 0.1 * mean, "float64")
    model.eval()
    before = model.items.w_mean.clone()
    vectors = model.encode_items(batch.items, batch.counts())
    assert_close(vectors.weight, vectors.raw_weight / before, "float64")
    assert torch.equal(model.items.w_mean, before)


@torch.no_grad()
@each_variant
def test_a_catalogue_scores_as_batches_do(options, assert_close):
    model, batch = build(**options).eval(), random_batch()
    expected = model(batch)
    model.train()
    rep = model.catalogue(batch.items, chunk=4)
    assert model.training
    model.eval()
    given = {"properties": batch.properties, "context": batch.context,
             "context_ids": batch.context_ids}  # fmt: skip
    assert_close(model.score(rep, batch.history, batch.candidate, **given), expected, "float64")
    every = torch.arange(len(rep)).expand(len(batch), -1)
    ranked = model.score(rep, batch.history, every, **given)  # [B, K]
    own = ranked.gather(1, batch.candidate.unsqueeze(1)).squeeze(1)
    assert_close(own, expected, "float64")
    for place in range(len(rep)):
        one = model.score(rep, batch.history, every[:, place], **given)
        assert_close(ranked[:, place], one, "float64")


@torch.no_grad()
def test_no_time_at_all(assert_close):
    model, batch = build().eval(), random_batch()
    none = replace(
        batch,
        history=batch.history[:, :0],
        properties={name: value[:, :0] for name, value in batch.properties.items()},
    )
    assert_close(model(none)[1], model(batch)[1], "float64")


@each_variant
def test_configuration_and_state_give_the_model_again(options, tmp_path):
    model, batch = build(**options), random_batch()
    everything(model, batch)  # the running mean is part of the state
    save_file(model.eval().state_dict(), tmp_path / "a.safetensors")
    values = json.loads(json.dumps(config_values(model.config)))
    config = config_from_values(MARNConfig, values)
    again = new_model("marn", config, load_file(tmp_path / "a.safetensors"))
    assert again.config == model.config
    assert torch.equal(model(batch), again(batch))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_vectors_of_other_dtypes_are_taken(dtype, assert_close):
    model, batch = build().float().eval(), random_batch()
    batch.items.modality["image"] = batch.items.modality["image"].to(dtype).double()
    expected = model(batch)
    batch.items.modality["image"] = batch.items.modality["image"].to(dtype)
    assert_close(model(batch), expected)
