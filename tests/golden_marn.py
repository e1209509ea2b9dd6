"""MARN against golden vectors, in float64 and float32: values, losses and effective gradients."""

from __future__ import annotations

import numpy as np
import torch

from graphmatch.buckets import bucket_ids, time_gap_ids
from graphmatch.click_batch import ClickBatch, Items
from graphmatch.models.marn import MARN, MARNConfig, Modality, Table
from graphmatch.models.marn_keys import in_our_order, load_named, spec_keys
from graphmatch.nn.apgru import APGRU, step_gates
from graphmatch.nn.attention_fusion import AttentionFusion
from graphmatch.nn.behaviour_attention import BehaviourAttention
from graphmatch.nn.double_discriminator import (
    Discriminator,
    fuse_invariant,
    modality_weights,
    own_loss,
    weighted_mean,
)
from graphmatch.nn.gradient_reversal import reverse_gradient
from graphmatch.nn.text_cnn import TextCNN

DTYPES = (torch.float64, torch.float32)


class Values:
    """Tensors of a file in one dtype, and a comparison that keeps count."""

    def __init__(self, case, dtype, assert_close):
        self.tensors = {name: value.to(dtype) if value.is_floating_point() else value
                        for name, value in case.tensors.items()}  # fmt: skip
        self.dtype, self.assert_close, self.compared = dtype, assert_close, set()

    def __getitem__(self, name):
        return self.tensors[name]

    def close(self, name, actual, mask=None):
        expected = self[name]
        self.compared.add(name)
        actual = actual.reshape(expected.shape)
        if mask is not None:
            actual, expected = actual[mask], expected[mask]
        kind = str(self.dtype).removeprefix("torch.")
        if name.startswith("grad") and kind == "float32":
            kind = "float32 gradient"
        self.assert_close(actual, expected, kind)

    def parameters(self):
        return {name.removeprefix("param."): value for name, value in self.tensors.items()
                if name.startswith("param.")}  # fmt: skip

    def fill(self, module, prefix, names=()):
        found = {name.removeprefix(prefix): value for name, value in self.parameters().items()
                 if name.startswith(prefix)}  # fmt: skip
        for place, name in enumerate(names):
            for end in ("weight", "bias"):
                found[f"{place}.{end}"] = found.pop(f"{name}.{end}")
        module.to(self.dtype).load_state_dict(found)
        return module

    def check_all(self):
        names = {name for name in self.tensors if name.startswith(("out.", "grad."))}
        assert names == self.compared


def each_dtype(check):
    def run(case, assert_close):
        for dtype in DTYPES:
            values = Values(case, dtype, assert_close)
            check(values, case.content["config"])
            values.check_all()

    return run


def marn_config(config):
    """Our configuration of a golden file."""
    known = {
        "ids": lambda: Modality(
            name="ids",
            kind="ids",
            sizes=tuple(size for size, _ in config["id_vocab"]),
            widths=tuple(width for _, width in config["id_vocab"]),
        ),
        "image": lambda: Modality(name="image", kind="vector", sizes=(config["image_dim"],)),
        "title": lambda: Modality(
            name="title",
            kind="words",
            widths=(config["word_dim"],),
            kernels=tuple(config["title_kernels"]),
            channels=config["title_channels"],
        ),
        "stat": lambda: Modality(
            name="stat",
            kind="buckets",
            sizes=tuple(config["stat_buckets"]),
            widths=(config["stat_dim"],) * len(config["stat_buckets"]),
        ),
    }
    names = ("ddma_weighting", "invariant_fusion", "adversarial_scope", "w_normalize",
             "proj_activation", "disc_hidden", "hidden", "dim", "attention", "attention_norm",
             "ds_updates_discriminator")  # fmt: skip
    return MARNConfig(
        modalities=tuple(known[name]() for name in config["modalities"]),
        vocabulary=config["title_vocab"],
        properties=(
            Table(name="type", size=config["n_type"], width=config["type_dim"]),
            Table(name="time", size=config["n_time"], width=config["time_dim"]),
        ),
        context=config["user_dim"],
        units=tuple(config["mlp"]),
        eta=config["grl"],
        aux_weight=config["lambda"],
        **{name: config[name] for name in names if name in config},
    )


def click_batch_of(values, config):
    """Items 0 to B - 1 are the candidates, the next B T the behaviours, padding included."""
    size, length = values["in.hist.mask"].shape
    order = [config["modalities"].index(name) for name in sorted(config["modalities"])]
    modality = {
        name: torch.cat([values[f"in.target.{name}"], values[f"in.hist.{name}"].flatten(0, 1)])
        for name in sorted(config["modalities"])
    }
    present = torch.cat([values["in.target.presence"], values["in.hist.presence"].flatten(0, 1)])
    places = size + torch.arange(size * length).view(size, length)
    return ClickBatch(
        items=Items(modality=modality, present=present[:, order] > 0),
        history=places.masked_fill(values["in.hist.mask"] == 0, -1),
        candidate=torch.arange(size),
        properties={"type": values["in.hist.ptype"], "time": values["in.hist.ptime"]},
        context=values["in.user"],
        label=values["in.label"],
    )


class Layout:
    """Our tensors of items as the files have them: [B, ...], [B, T, ...] or [B, 1 + T, ...]."""

    def __init__(self, batch, config):
        self.size, self.length = batch.history.shape
        names = sorted(config["modalities"])
        self.order = [names.index(name) for name in config["modalities"]]
        mask = batch.mask
        present = batch.items.present[:, self.order]
        self.target_present, hist = self.target(present), self.hist(present)
        self.hist_present = hist & mask.unsqueeze(-1)
        self.present = torch.cat([self.target_present.unsqueeze(1), self.hist_present], dim=1)

    def target(self, x):
        return x[: self.size]

    def hist(self, x):
        return x[self.size :].unflatten(0, (self.size, self.length))

    def both(self, x):
        return torch.cat([self.target(x).unsqueeze(1), self.hist(x)], dim=1)


@each_dtype
def check_full(values, config):
    ours = marn_config(config)
    model = MARN(ours).to(values.dtype)
    load_named(model, values.parameters(), config["modalities"])
    batch = click_batch_of(values, config)
    batch.check()
    if any(name.startswith("out.eval.") for name in values.tensors):
        check_evaluation(values, config, model.eval(), batch)
        model.train()
    kept = {}
    hook = model.head.register_forward_pre_hook(lambda _, given: kept.update(mlp_in=given[0]))
    vectors = model.encode_items(batch.items, batch.counts())
    check_items(values, config, model, batch, vectors)
    check_user(values, model, batch, vectors.rep)
    outcome = model.outcome(batch)
    hook.remove()
    values.close("out.mlp_in", kept["mlp_in"])
    values.close("out.logit", outcome.logits)
    values.close("out.prob", outcome.logits.sigmoid())
    for name, loss in outcome.losses.items():
        values.close(f"out.loss.{name}", loss)
    outcome.losses["total"].backward()
    keys = spec_keys(ours)
    for name in [name for name in values.tensors if name.startswith("grad.")]:
        theirs = name.removeprefix("grad.")
        expected = in_our_order(theirs, values[name], config["modalities"], ours)
        values.tensors[name] = expected
        values.close(name, model.get_parameter(keys[theirs]).grad)


def check_items(values, config, model, batch, vectors):
    layout, order = Layout(batch, config), Layout(batch, config).order
    mask = batch.mask
    embedded = dict(zip(sorted(config["modalities"]), model.items.embed(batch.items), strict=True))
    for place, name in enumerate(config["modalities"]):
        there = layout.target_present[:, place]
        values.close(f"out.target.e.{name}", layout.target(embedded[name]), there)
    attention = model.items.fusion.attention(vectors.specific, vectors.present)
    per_modality = {"s": vectors.specific, "c": vectors.invariant, "atten": attention}
    for name, value in per_modality.items():
        value = value[:, order]
        values.close(f"out.target.{name}", layout.target(value), layout.target_present)
        values.close(f"out.hist.{name}", layout.hist(value), layout.hist_present)
    fused = {
        "s_fused": vectors.fused_specific,
        "c_fused": vectors.fused_invariant,
        "rep": vectors.rep,
    }
    for name, value in fused.items():
        values.close(f"out.target.{name}", layout.target(value))
        values.close(f"out.hist.{name}", layout.hist(value), mask)
    weighted = vectors.weight.unsqueeze(-1) * vectors.invariant
    values.close("out.w", layout.both(vectors.weight[:, order]), layout.present)
    values.close("out.c_weighted", layout.both(weighted[:, order]), layout.present)
    if "out.w_raw" in values.tensors:
        values.close("out.w_raw", layout.both(vectors.raw_weight[:, order]), layout.present)
        pairs = batch.items.present * batch.counts().unsqueeze(1)
        values.close("out.w_batch_mean", weighted_mean(vectors.raw_weight, pairs))


def check_user(values, model, batch, rep):
    user, mask = model.user, batch.mask
    place = batch.history.clamp(min=0)
    properties = user.embed(batch.properties)
    values.close("out.hist.prop", properties, mask)
    attention = user.attend(rep, place, batch.candidate, mask)
    values.close("out.attention", attention)
    _, gates = user.behaviours(rep, place, properties)
    states, last = user.network(gates, attention)
    values.close("out.apgru.states", states)
    values.close("out.user", last)


@torch.no_grad()
def check_evaluation(values, config, model, batch):
    model.items.w_mean.fill_(config["w_mean"])
    layout = Layout(batch, config)
    vectors = model.encode_items(batch.items)
    values.close("out.eval.w", layout.both(vectors.weight[:, layout.order]), layout.present)
    values.close("out.eval.target.rep", layout.target(vectors.rep))
    values.close("out.eval.logit", model(batch))


@each_dtype
def check_apgru(values, config):
    network = values.fill(
        APGRU(config["d"], hidden=config["H"], property_size=config["dp"]), "apgru."
    )
    attend = values.fill(BehaviourAttention(config["d"]), "attn.")
    given = {name: values[f"in.{name}"].requires_grad_() for name in ("x", "p", "q")}
    attention = attend(given["x"], given["q"], values["in.mask"] > 0)
    states, last = network(network.gates(given["x"], given["p"]), attention)
    loss = (last * values["in.coef"]).sum()
    for name, value in {"attention": attention, "states": states, "final": last,
                        "loss": loss}.items():  # fmt: skip
        values.close(f"out.{name}", value)
    loss.backward()
    for name, value in given.items():
        values.close(f"grad.{name}", value.grad)
    for prefix, module in {"apgru": network, "attn": attend}.items():
        for name, parameter in module.named_parameters():
            values.close(f"grad.{prefix}.{name}", parameter.grad)
    with torch.no_grad():
        state, opened = values["in.step.h"], values["in.step.a"].unsqueeze(1)
        gates = network.gates(given["x"][:, 0], given["p"][:, 0])
        update, reset, candidate, _ = step_gates(gates, state, network.weight_h.T)
        values.close("out.step.u", update)
        values.close("out.step.r", reset)
        values.close("out.step.n", candidate)
        values.close("out.step.u_attended", opened * update)
        values.close("out.step.h", state + opened * update * (candidate - state))


@each_dtype
def check_ddma(values, config):
    sizes = {"hidden": config["hidden"], "modalities": config["M"]}
    first = values.fill(Discriminator(config["d"], **sizes), "d0.")
    second = values.fill(Discriminator(config["d"], **sizes), "d1.")
    c, s = values["in.c"].requires_grad_(), values["in.s"].requires_grad_()
    present = values["in.presence"] > 0
    logits = first(c.detach())
    weight = modality_weights(logits)
    if config["w_normalize"]:
        weight = weight / weighted_mean(weight, present)
    values.close("out.d0_logits", logits, present)
    values.close("out.w", weight, present)
    values.close("out.wc", weight.unsqueeze(-1) * c, present)
    values.close("out.fused", fuse_invariant(c, weight, present, config["invariant_fusion"]))

    def adversarial(c):
        if config["ddma_weighting"] == "loss":
            return weighted_mean(weight * second.loss(c), present)
        return weighted_mean(second.loss(weight.unsqueeze(-1) * c), present)

    def specific(s):
        return weighted_mean(second.loss(s), present)

    d0 = weighted_mean(own_loss(logits), present)
    d1, ds = adversarial(reverse_gradient(c, config["grl"])), specific(s)
    total = d0 + config["lambda"] * (d1 + ds)
    for name, loss in {"d0": d0, "d1": d1, "ds": ds, "total": total}.items():
        values.close(f"out.loss.{name}", loss)
    total.backward()
    values.close("grad.c", c.grad)
    values.close("grad.s", s.grad)
    for prefix, module in {"d0": first, "d1": second}.items():
        for name, parameter in module.named_parameters():
            values.close(f"grad.{prefix}.{name}", parameter.grad)
    step = 1e-3 / config["lambda"]
    with torch.no_grad():
        found = [adversarial(c), adversarial(c - step * c.grad)]
        before = {name: value.clone() for name, value in second.state_dict().items()}
        for parameter in second.parameters():
            parameter -= step * parameter.grad
        found.append(adversarial(c))
        second.load_state_dict(before)
        found += [specific(s), specific(s - step * s.grad)]
        values.close("out.direction", torch.stack(found))
        if values.dtype == torch.float64:
            assert found[1] > found[0] > found[2]
            assert found[4] < found[3]


@each_dtype
def check_maf_title_buckets(values, config):
    fusion = AttentionFusion(len(config["modalities"]), config["d"])
    values.fill(fusion, "maf.", config["modalities"])
    present = values["in.presence"] > 0
    values.close("out.atten", fusion.attention(values["in.s"], present))
    values.close("out.fused", fusion(values["in.s"], present))
    vocabulary, width = values["param.emb.title.word.weight"].shape
    title = TextCNN(vocabulary, width=width, kernels=config["title_kernels"],
                    channels=config["title_channels"])  # fmt: skip
    values.tensors["param.emb.title.word.weight"][0] = 0
    values.fill(title, "emb.title.")
    for name in ("title", "title_short"):
        values.close(f"out.{name}", title(values[f"in.{name}"]))
    if values.dtype == torch.float64:
        ids = bucket_ids(values["in.stat_values"].numpy(), values["in.stat_edges"].numpy())
        assert np.array_equal(ids, values["out.stat_ids"].numpy())
        gaps = time_gap_ids(values["in.gap_seconds"].numpy(), config["time_buckets"])
        assert np.array_equal(gaps, values["out.gap_ids"].numpy())
    values.compared |= {"out.stat_ids", "out.gap_ids"}


FAMILIES = {
    ("marn", "full"): check_full,
    ("marn", "apgru"): check_apgru,
    ("marn", "ddma"): check_ddma,
    ("marn", "maf_title_buckets"): check_maf_title_buckets,
}
