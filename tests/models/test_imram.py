"""IMRAM against its equations, pair by pair and step by step."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.config import config_from_values, config_values
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.imram import IMRAM, IMRAMConfig, official_keys
from graphmatch.nn import ram_scores

CONFIG = IMRAMConfig(vocabulary=12, feature_size=6, word_size=4, embed_size=5)
CAPTIONS = [[1, 7, 9, 4, 2], [5], [1, 2]]  # one of one word, one of the marks alone
REGIONS = [4, 1, 3]  # an image of one region
VARIANTS = [
    CONFIG,
    replace(CONFIG, steps=1),
    replace(CONFIG, steps=2, normalise_memory=True, scale=11.0),
    replace(CONFIG, steps=4, mode="text", normalise_memory=True),
    replace(CONFIG, mode="image", first_norm="clipped"),
    replace(CONFIG, mode="text", steps=2, first_norm="softmax"),
]
each_variant = pytest.mark.parametrize(
    "config", VARIANTS, ids=lambda c: f"{c.mode}-{c.steps}-{c.first_norm}-{c.normalise_memory}"
)


def naive_direction(queries, contexts, gate, output, config):
    """Sum over the steps of one direction for queries [n, d] and contexts [m, d]."""
    memory, total = queries, 0
    for _ in range(config.steps):
        z = memory @ contexts.T  # [n, m]
        if config.first_norm.startswith("clipped"):
            z = torch.where(z > 0, z, 0.1 * z)
        if config.first_norm.endswith("l2norm"):
            z = z / (z.square().sum(dim=0, keepdim=True).sqrt() + 1e-8)
        if config.first_norm == "softmax":
            z = z.softmax(dim=0)
        attended = (config.scale * z).softmax(dim=1) @ contexts  # [n, d]
        cosines = [
            query @ context / (query.norm() * context.norm()).clamp(min=1e-8)
            for query, context in zip(queries, attended, strict=True)
        ]
        total = total + sum(cosines) / len(cosines)
        both = torch.cat([memory, attended], dim=1)  # [n, 2d]
        opened = torch.sigmoid(both @ gate.weight.T + gate.bias)
        memory = opened * memory + (1 - opened) * torch.tanh(both @ output.weight.T + output.bias)
        if config.normalise_memory:
            memory = memory / (memory.norm(dim=1, keepdim=True) + 1e-8)
    return total


def naive_scores(model, visual, text):
    """Scores pair by pair, with every attended context and concatenation."""
    config, rows = model.config, []
    for v in range(len(visual)):
        for t in range(len(text)):
            image, caption = visual.nodes[v][visual.mask[v]], text.nodes[t][text.mask[t]]
            score = 0
            if config.mode in ("full", "text"):
                block = model.text_memory
                score += naive_direction(caption, image, block.gate, block.output, config)
            if config.mode in ("full", "image"):
                block = model.image_memory
                score += naive_direction(image, caption, block.gate, block.output, config)
            rows.append(score)
    return torch.stack(rows).view(len(visual), len(text))


def build(config=CONFIG):
    torch.manual_seed(0)
    return IMRAM(config)


def image(regions, seed):
    generator = torch.Generator().manual_seed(seed)
    return RegionGraph(
        x=torch.randn(regions, 6, generator=generator),
        box=torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(regions, 4),
        size=torch.tensor([[640.0, 480.0]]),
    )


def batch():
    graphs = [word_graph(ids) for ids in CAPTIONS]
    images = [image(count, seed) for seed, count in enumerate(REGIONS)]
    return MatchBatch.collate(
        graphs, images, owner=[0, 1, 2], text_ids=list("abc"), visual_ids=list("ijk")
    )


def encode(model):
    pairs = batch()
    return model.encode_visual(pairs.visual), model.encode_text(pairs.text)


def random_items(count, nodes, size=5, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, nodes, size, generator=generator, dtype=dtype)
    return Encoded(nodes=x / x.norm(dim=-1, keepdim=True), mask=torch.ones(count, nodes) > 0)


@each_variant
def test_scores_and_gradients_equal_the_equations(config, assert_close):
    model = build(config).double()
    visual, text = encode(model)
    expected, scores = naive_scores(model, visual, text), model.score(visual, text)
    assert_close(scores, expected, "float64 looped")
    with torch.no_grad():
        assert_close(model.score(visual, text), expected, "float64 looped")
    weight, names = torch.rand_like(scores), [name for name, _ in model.named_parameters()]
    want, got = (
        torch.autograd.grad(
            (s * weight).sum(), list(model.parameters()), allow_unused=True, retain_graph=True
        )
        for s in (expected, scores)
    )
    for name, one, other in zip(names, got, want, strict=True):
        assert (one is None) == (other is None), name
        if one is not None:
            assert_close(one, other, "float64 looped")


@each_variant
def test_batch_equals_items_one_by_one_and_padding_does_not_matter(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    scores = model.score(visual, text)
    more = random_items(1, 9, dtype=torch.float32)
    wide = [Encoded.cat([replace(items, pooled=None), more]) for items in (visual, text)]
    assert_close(model.score(*wide)[:3, :3], scores)
    for row, regions in enumerate(REGIONS):
        for column, ids in enumerate(CAPTIONS):
            one = model.encode_visual(batch_graphs([image(regions, row)]))
            two = model.encode_text(batch_graphs([word_graph(ids)], follow=("word",)))
            assert_close(model.score(one, two), scores[row : row + 1, column : column + 1])


@each_variant
def test_order_of_regions_and_words_does_not_matter_to_the_head(config, assert_close):
    model = build(config).double()
    visual, text = random_items(2, 4), random_items(3, 6, seed=1)
    scores = model.score(visual, text)
    turned = (replace(items, nodes=items.nodes.flip(1)) for items in (visual, text))
    assert_close(model.score(*turned), scores, "float64")
    assert_close(model.score(visual[torch.tensor([1, 0])], text), scores.flip(0), "float64")


@pytest.mark.parametrize("rows", [1, 3, 7, 20])
def test_size_of_parts_does_not_matter(rows, monkeypatch, assert_close):
    model = build()
    visual, text = encode(model)
    scores = model.score(visual, text)
    monkeypatch.setattr(ram_scores, "_ROWS", rows)
    monkeypatch.setattr(ram_scores, "_PRODUCTS", rows)
    assert_close(model.score(visual, text), scores)
    one_step = build(replace(CONFIG, steps=1))
    assert_close(
        one_step.score(visual, text),
        sum(direction[0].scores for direction in (maps(model).text, maps(model).image)),
    )


@each_variant
def test_gradients_of_scores(config):
    model = build(replace(config, embed_size=3)).double()
    visual, text = random_items(2, 3, size=3), random_items(2, 2, size=3, seed=1)

    def score(one, two):
        return model.score(replace(visual, nodes=one), replace(text, nodes=two))

    assert gradcheck(score, (visual.nodes.requires_grad_(), text.nodes.requires_grad_()))


def maps(model):
    return model.align(*encode(model))


@each_variant
def test_alignment_explains_the_scores(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    for items in ((visual, text), (model.prepare_visual(visual), model.prepare_text(text))):
        found = model.align(*items)
        steps = [*found.text, *found.image]
        assert len(found.text) == (0 if config.mode == "image" else config.steps)
        assert len(found.image) == (0 if config.mode == "text" else config.steps)
        assert_close(sum(step.scores for step in steps), model.score(visual, text))
    for step in found.text:
        total = step.attention.sum(dim=2)  # [n_v, n_t, n]
        assert_close(total, text.mask.expand_as(total).float())
        attended = torch.einsum("vtmn,vmd->vtnd", step.attention, visual.nodes)
        assert_close(step.attended, attended)
        assert not step.memory[~text.mask.expand_as(total)].any()
    for step in found.image:
        total = step.attention.sum(dim=2)
        assert_close(total, visual.mask.unsqueeze(1).expand_as(total).float())
        assert_close(step.attended, torch.einsum("vtmn,tmd->vtnd", step.attention, text.nodes))


@given(
    nodes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    items=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    steps=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_scores_lie_within_steps_and_directions(nodes, items, steps, seed):
    model = build(replace(CONFIG, steps=steps))
    visual = random_items(items[0], nodes[0], seed=seed, dtype=torch.float32)
    text = random_items(items[1], nodes[1], seed=seed + 1, dtype=torch.float32)
    with torch.no_grad():
        scores = model.score(visual, text)
    assert scores.shape == items
    assert scores.abs().max() <= 2 * steps + 1e-4


def test_bfloat16_is_close_and_scores_are_float32():
    model = build(replace(CONFIG, embed_size=64))
    visual, text = (random_items(3, n, size=64, dtype=torch.float32) for n in (8, 6))
    with torch.no_grad():
        exact = model.score(visual, text)
        half = model.score(visual.to(dtype=torch.bfloat16), text.to(dtype=torch.bfloat16))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, atol=0.05, rtol=0)


def test_float64_items_with_float32_weights(assert_close):
    model = build()
    visual, text = random_items(2, 4), random_items(3, 2, seed=1)
    steps = model.align(visual, text)
    scores = model.score(visual, text)
    assert scores.dtype == torch.float64
    assert_close(scores, naive_scores(model.double(), visual, text), "float64 looped")
    assert_close(sum(s.scores for s in (*steps.text, *steps.image)), scores, "float64 looped")


def test_scores_need_no_unit_length(assert_close):
    model = build().double()
    visual, text = random_items(2, 4), random_items(3, 2, seed=1)
    visual = replace(visual, nodes=visual.nodes * 3)
    assert_close(model.score(visual, text), naive_scores(model, visual, text), "float64 looped")


def test_zero_vectors_have_finite_scores_and_gradients():
    model = build()
    visual, text = random_items(1, 3, dtype=torch.float32), random_items(1, 2, dtype=torch.float32)
    zero = [torch.zeros_like(i.nodes, requires_grad=True) for i in (visual, text)]
    scores = model.score(replace(visual, nodes=zero[0]), replace(text, nodes=zero[1]))
    assert scores.tolist() == [[0.0]]
    scores.sum().backward()
    assert all(nodes.grad.isfinite().all() for nodes in zero)


def test_training_recomputes_tiles_to_the_same_loss_and_gradients(assert_close):
    model, pairs = build(), batch()
    loss = model(pairs)
    loss.backward()
    got = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    scores = naive_scores(model, model.encode_visual(pairs.visual), model.encode_text(pairs.text))
    expected = model.loss(scores, pairs.owner)
    expected.backward()
    assert_close(loss, expected)
    for name, parameter in model.named_parameters():
        assert_close(got[name], parameter.grad, "float32 gradient")


def test_mixed_precision_trains():
    model = build()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(batch())
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_one_step_leaves_the_memory_weights_alone_and_prepares_no_projections():
    model = build(replace(CONFIG, steps=1))
    visual, text = encode(model)
    assert set(model.prepare_visual(visual).extra) == {"gram", "lengths"}
    model.score(visual, text).sum().backward()
    assert all(p.grad is None for p in model.text_memory.parameters())


def test_one_direction_prepares_only_its_own(assert_close):
    model = build(replace(CONFIG, mode="text"))
    visual, text = encode(model)
    assert set(model.prepare_visual(visual).extra) == {"gram", "context_part"}
    assert set(model.prepare_text(text).extra) == {"lengths", "memory_part"}
    other, both = build(replace(CONFIG, mode="image")), build()
    assert_close(model.score(visual, text) + other.score(visual, text), both.score(visual, text))


def test_pooled_vectors(assert_close):
    visual, text = encode(build())
    assert_close(visual.pooled[1], visual.nodes[1, 0])  # the image of one region
    assert_close(text.pooled.norm(dim=1), torch.ones(3))
    assert_close(text.pooled[1], text.nodes[1, 0])  # of one word


def test_state_dict_and_configuration_survive_saving(tmp_path):
    model = build()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    config = config_from_values(IMRAMConfig, json.loads(json.dumps(config_values(CONFIG))))
    assert config == CONFIG
    other = IMRAM(config)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(model.score(*encode(model)), other.score(*encode(other)))


@pytest.mark.parametrize(
    "options",
    [{}, {"weight_norm": True}, {"bidirectional": False}, {"mode": "text"}, {"steps": 1}],
)
def test_official_keys_name_every_parameter_once(options):
    config = replace(CONFIG, **options)
    keys = official_keys(config)
    assert sorted(keys.values()) == sorted(build(config).state_dict())
    assert all(name.startswith("module.") for name in keys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "txt"}, "unknown mode 'txt'"),
        ({"negatives": "none"}, "unknown negatives"),
        ({"first_norm": "l1norm"}, "calls a function that does not exist"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"embed_size": 0}, "embed_size: expected at least 1"),
        ({"scale": 0.0}, "scale: expected a number above 0"),
        ({"margin": -0.1}, "margin: expected a number from 0"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


def test_captions_without_word_ptr():
    with pytest.raises(GraphError, match="no word_ptr"):
        build().encode_text(batch_graphs([word_graph([1])]))
