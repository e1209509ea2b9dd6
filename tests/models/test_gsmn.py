"""GSMN against its equations, pair by pair and node by node."""

from __future__ import annotations

import json
import math
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
from graphmatch.models.gsmn import GSMN, GSMNConfig, official_keys
from graphmatch.parsers.dependencies import adjacency
from tests.golden_gsmn import caption_graph
from tests.naive_gsmn import naive_score, naive_visual_weights

CONFIG = GSMNConfig(
    vocabulary=12, feature_size=6, word_size=4, embed_size=8, blocks=2, hidden=6, kernels=3
)
# [governor, dependent] pairs, ROOT first; a word that depends on itself, a caption of one word
CAPTIONS = [
    ([1, 7, 9, 4, 2], [[0, 2], [2, 1], [2, 3], [3, 3]]),
    ([5], []),
    ([1, 2], [[0, 1]]),
]
REGIONS = [4, 1, 3]  # an image of one region
VARIANTS = [
    replace(CONFIG, graph=graph, propagation=propagation, blocks=blocks)
    for graph in ("sparse", "dense")
    for propagation in ("paper", "official")
    for blocks in (2, 8)  # 4 numbers a block: Gram matrices; 1 number: contexts
]


def name(config):
    return f"{config.graph}-{config.propagation}-{config.blocks}"


variants = pytest.mark.parametrize("config", VARIANTS, ids=name)


def build(config=CONFIG, model=GSMN):
    torch.manual_seed(0)
    return model(config)


def image(regions, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(regions, 2, 2, generator=generator).sort(dim=1).values
    return RegionGraph(
        x=torch.randn(regions, 6, generator=generator),
        box=corner.flatten(1),
        size=torch.tensor([[640.0, 480.0]]),
    )


def encode(model, captions=CAPTIONS, regions=REGIONS):
    graphs = [caption_graph(*caption) for caption in captions]
    images = [image(count, seed) for seed, count in enumerate(regions)]
    return (
        model.encode_visual(batch_graphs(images)),
        model.encode_text(batch_graphs(graphs, follow=("word",))),
    )


def random_items(count, nodes, side, *, seed=0, size=8, dtype=torch.float64):
    """Images with boxes, or captions with a symmetric adjacency."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, nodes, size, generator=generator, dtype=dtype)
    items = Encoded(nodes=x / x.norm(dim=-1, keepdim=True), mask=torch.ones(count, nodes) > 0)
    if side == "visual":
        box = torch.rand(count, nodes, 4, generator=generator, dtype=dtype).sort(dim=-1).values
        return items.with_extra(axes={"box": (1,)}, box=box)
    edges = (torch.rand(count, nodes, nodes, generator=generator) < 0.3).to(dtype)
    matrix = torch.maximum(edges, edges.mT) + torch.eye(nodes, dtype=dtype)
    return items.with_extra(axes={"adjacency": (1, 2)}, adjacency=matrix)


@variants
def test_scores_of_ragged_items_equal_the_equations(config, assert_close):
    model = build(config).double()
    visual, text = encode(model)
    expected = torch.tensor(
        [
            [
                naive_score(
                    model,
                    v.nodes[0, : int(v.counts)],
                    v.extra["box"][0, : int(v.counts)],
                    t.nodes[0, : int(t.counts)],
                    pairs,
                )
                for t, (_, pairs) in zip((text[n : n + 1] for n in range(3)), CAPTIONS, strict=True)
            ]
            for v in (visual[n : n + 1] for n in range(3))
        ],
        dtype=torch.float64,
    )
    assert_close(model.score(visual, text).detach(), expected, "float64 looped")
    with torch.no_grad():
        assert_close(model.score(visual, text), expected, "float64 looped")


@variants
def test_batch_equals_items_one_by_one_and_padding_does_not_matter(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    scores = model.score(visual, text)
    longer = [*CAPTIONS, ([3] * 9, [[0, 1], [1, 2]])]
    wide = encode(model, longer, [*REGIONS, 9])
    assert_close(model.score(*wide)[:3, :3], scores)
    for row, regions in enumerate(REGIONS):
        for column, caption in enumerate(CAPTIONS):
            one = model.encode_visual(batch_graphs([image(regions, row)]))
            two = model.encode_text(batch_graphs([caption_graph(*caption)], follow=("word",)))
            assert_close(model.score(one, two), scores[row : row + 1, column : column + 1])


@variants
def test_steps_of_any_size_give_the_same(config, monkeypatch, assert_close):
    model = build(config)
    visual, text = random_items(5, 4, "visual"), random_items(3, 6, "text", seed=1)
    scores = model.double().score(visual, text)
    monkeypatch.setattr("graphmatch.models.gsmn_matching.CHUNK", config.blocks * 4 * 18 * 2)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            assert_close(model.score(visual, text), scores, "float64")


@variants
def test_order_of_regions_and_words_does_not_matter_to_the_head(config, assert_close):
    model = build(config).double()
    visual, text = random_items(2, 4, "visual"), random_items(3, 6, "text", seed=1)
    scores = model.score(visual, text)
    turned = replace(visual, nodes=visual.nodes.flip(1), extra={"box": visual.extra["box"].flip(1)})
    assert_close(model.score(turned, text), scores, "float64")
    matrix = text.extra["adjacency"].flip(1, 2)
    turned = replace(text, nodes=text.nodes.flip(1), extra={"adjacency": matrix})
    assert_close(model.score(visual, turned), scores, "float64")
    assert_close(model.score(visual[torch.tensor([1, 0])], text), scores.flip(0), "float64")


@variants
def test_gradients_of_scores(config):
    model = build(config).double()
    visual, text = random_items(2, 3, "visual"), random_items(2, 2, "text", seed=1)

    def score(one, two, box):
        return model.score(replace(visual, nodes=one, extra={"box": box}), replace(text, nodes=two))

    inputs = (visual.nodes, text.nodes, visual.extra["box"])
    assert gradcheck(score, tuple(value.clone().requires_grad_() for value in inputs))


@variants
def test_alignment_explains_the_score(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    for prepared in (False, True):
        if prepared:
            visual, text = model.prepare_visual(visual), model.prepare_text(text)
        maps = model.align(visual, text)
        assert_close(maps.textual + maps.visual, build(config).score(*encode(model)))
        words, regions = text.mask.expand(3, -1, -1), visual.mask.unsqueeze(1).expand(-1, 3, -1)
        assert_close(maps.word_attention.sum(dim=-1), words.float())
        assert_close(maps.region_attention.sum(dim=-1), regions.float())


def test_official_propagation_has_its_closed_forms(assert_close):
    model = build(replace(CONFIG, propagation="official")).double()
    visual, text = encode(model)
    maps, text_conv = model.align(visual, text), model.textual.convolution
    dense = text.counts < 5  # the first caption has a word that depends on itself
    expected = maps.word_x @ text_conv.weight.T + text_conv.bias
    assert_close(maps.word_hidden[:, dense], expected[:, dense], "float64")
    weight = naive_visual_weights(visual.extra["box"][0], model.visual.kernels)
    sums = torch.tensor(weight, dtype=torch.float64).sum(dim=1)
    mapped = maps.region_x[0] @ model.visual.convolution.weight.T  # [n_t, R, H]
    expected = mapped * sums.repeat_interleave(2, dim=1)
    assert_close(maps.region_hidden[0], expected, "float64")


def test_official_sparse_and_dense_are_one_function_but_for_words_of_themselves(assert_close):
    sparse = build(replace(CONFIG, propagation="official"))
    dense = build(replace(CONFIG, propagation="official", graph="dense"))
    one, two = (model.score(*encode(model)) for model in (sparse, dense))
    assert_close(one[:, 1:], two[:, 1:])
    assert (one - two)[:, 0].abs().max().item() > 1e-4


def test_published_propagation_sees_edges_and_boxes():
    model = build(CONFIG)
    visual, text = encode(model)
    scores = model.score(visual, text)
    matrix = text.extra["adjacency"].clone()
    matrix[0, 0, 4] = matrix[0, 4, 0] = 1
    changed = model.score(visual, text.with_extra(axes={}, adjacency=matrix))
    assert (changed - scores)[:, 0].abs().max().item() > 1e-5
    moved = visual.with_extra(axes={}, box=visual.extra["box"].flip(-1) / 2)
    assert (model.score(moved, text) - scores)[0].abs().max().item() > 1e-5


def test_adjacency_is_the_official_one():
    _, text = encode(build())
    for number, (ids, pairs) in enumerate(CAPTIONS):
        n = len(ids)
        expected = torch.from_numpy(adjacency(pairs, n))
        assert torch.equal(text.extra["adjacency"][number, :n, :n], expected)
        assert text.extra["adjacency"][number].sum() == expected.sum()


def test_kernels_that_are_far_from_every_edge_stay_finite():
    model = build()
    with torch.no_grad():
        model.visual.kernels.precision_rho.fill_(1e-6)
        model.visual.kernels.mean_rho.fill_(9)
    assert bool(model.score(*encode(model)).isfinite().all())


@given(st.sampled_from(VARIANTS), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_scores_are_bounded_by_the_last_layer(config, regions, words, seed):
    model = build(config).double()
    visual = random_items(2, regions, "visual", seed=seed)
    text = random_items(3, words, "text", seed=seed + 1)
    scores = model.score(visual, text)
    graphs = (model.textual, model.visual)
    bound = sum(g.out_2.weight.abs().sum() + g.out_2.bias.abs() for g in graphs).item()
    assert scores.shape == (2, 3)
    assert scores.detach().abs().max().item() <= bound


@variants
def test_items_without_nodes_have_finite_scores(config):
    model = build(config).double()
    visual, text = random_items(2, 3, "visual"), random_items(2, 3, "text")
    mask = torch.tensor([[False] * 3, [True] * 3])
    visual, text = (
        replace(items, nodes=items.nodes * mask.unsqueeze(-1), mask=mask)
        for items in (visual, text)
    )
    assert bool(model.score(visual, text).isfinite().all())
    assert model.score(visual[:0], text).shape == (0, 2)
    assert model.score(visual, text[:0]).shape == (2, 0)


@pytest.mark.parametrize("propagation", ["paper", "official"])
def test_half_precision_is_near(propagation):
    model = build(replace(CONFIG, embed_size=64, propagation=propagation))
    visual, text = (
        random_items(4, 6, side, size=64, dtype=torch.float32) for side in ("visual", "text")
    )
    half = [items.to(dtype=torch.bfloat16) for items in (visual, text)]
    with torch.no_grad():
        scores, rounded = model.score(visual, text), model.score(*half)
    assert rounded.dtype == torch.float32
    assert float((rounded - scores).abs().max()) < 0.02


@pytest.mark.parametrize("graph", ["sparse", "dense"])
def test_training_lowers_the_loss(graph):
    model = build(replace(CONFIG, graph=graph))
    images = [image(count, seed) for seed, count in enumerate(REGIONS)]
    batch = MatchBatch.collate(
        [caption_graph(*caption) for caption in [*CAPTIONS, ([1, 8, 2], [])]],
        images,
        owner=[0, 1, 2, 0],
        text_ids=list("abcd"),
        visual_ids=list("xyz"),
    )
    optimiser = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.02)
    losses = []
    for _ in range(20):
        loss = model(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("weight_norm", [True, False])
@pytest.mark.parametrize("june_2020", [True, False])
def test_official_keys_name_every_parameter_once(weight_norm, june_2020):
    config = replace(CONFIG, weight_norm=weight_norm)
    keys = official_keys(config, june_2020=june_2020)
    model, other = build(config), GSMN(config)
    assert sorted(keys.values()) == sorted(model.state_dict())
    assert any("tGNN" in key for key in keys) == june_2020
    official = {key: model.state_dict()[ours] for key, ours in keys.items()}
    other.load_state_dict({keys[key]: value for key, value in official.items()})
    assert torch.equal(model.score(*encode(model)), other.score(*encode(other)))


def test_published_size():
    with torch.device("meta"):
        model = GSMN(GSMNConfig(vocabulary=8481))
    graphs = (model.visual, model.textual)
    assert sum(p.numel() for graph in graphs for p in graph.parameters()) == 3340
    assert sum(p.numel() for p in model.parameters()) == 12_789_420 + 3340


def test_config_survives_json():
    config = replace(CONFIG, graph="dense", propagation="official")
    assert config_from_values(GSMNConfig, json.loads(json.dumps(config_values(config)))) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": "spare"}, "did you mean 'sparse'"),
        ({"propagation": "code"}, "expected one of paper, official"),
        ({"negatives": "hard"}, "did you mean 'hardest'"),
        ({"kernels": 0}, "kernels: expected at least 1"),
        ({"kernels": 4}, "kernels: expected a divisor of 6"),
        ({"blocks": 3}, "blocks: expected a divisor of 8"),
        ({"scale": math.inf}, "scale: expected a number above 0"),
        ({"margin": math.nan}, "margin: expected a number from 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


def test_bad_input():
    model = build()
    graph = caption_graph(*CAPTIONS[0])
    with pytest.raises(GraphError, match="word_ptr"):
        model.encode_text(batch_graphs([graph]))
    roles = caption_graph([1, 2], [])
    roles.kind, roles.role = torch.tensor([0, 1, 2]), torch.tensor([-1, 0, 1])
    with pytest.raises(GraphError, match="needs dependency graphs"):
        model.encode_text(batch_graphs([roles], follow=("word",)))
    visual, text = encode(model)
    with pytest.raises(GraphError, match="extra\\['box'\\]"):
        model.prepare_visual(replace(visual, extra={}, node_axes={}))
    with pytest.raises(GraphError, match="extra\\['adjacency'\\]"):
        model.prepare_text(replace(text, extra={}, node_axes={}))
