"""SCAN against its equations, pair by pair and word by word."""

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
from graphmatch.graphs.words import word_graph
from graphmatch.models.scan import SCAN, SCANConfig, official_keys

CONFIG = SCANConfig(vocabulary=12, feature_size=6, word_size=4, embed_size=5)
CAPTIONS = [[1, 7, 9, 4, 2], [5], [1, 2]]  # one of one word, one of the marks alone
REGIONS = [4, 1, 3]  # an image of one region
VARIANTS = [
    replace(CONFIG, direction=direction, aggregation=aggregation, first_norm=first_norm)
    for direction in ("t2i", "i2t")
    for aggregation, first_norm in (
        ("lse", "clipped_l2norm"), ("mean", "l2norm"), ("max", "softmax"), ("sum", "no_norm"),
        ("mean", "clipped"),
    )
]  # fmt: skip


@torch.no_grad()
def naive_score(image, caption, config):
    """Score of one image [R, d] and one caption [T, d]: the equations as they stand."""
    contexts, queries = (image, caption) if config.direction == "t2i" else (caption, image)
    z = queries @ contexts.T  # [queries, contexts]
    if config.first_norm.startswith("clipped"):
        z = torch.where(z > 0, z, 0.1 * z)
    if config.first_norm.endswith("l2norm"):
        z = z / (z.square().sum(dim=0, keepdim=True).sqrt() + 1e-8)
    if config.first_norm == "softmax":
        z = z.softmax(dim=0)
    cosines = []
    for query, row in zip(queries, z, strict=True):
        attended = (config.scale * row).softmax(dim=0) @ contexts
        length = float(query.norm() * attended.norm())
        cosines.append(float(query @ attended) / max(length, 1e-8))
    if config.aggregation == "lse":
        return math.log(sum(math.exp(config.lambda_lse * r) for r in cosines)) / config.lambda_lse
    total = {"mean": sum(cosines) / len(cosines), "max": max(cosines), "sum": sum(cosines)}
    return total[config.aggregation]


def build(config=CONFIG):
    torch.manual_seed(0)
    return SCAN(config)


def image(regions, seed):
    generator = torch.Generator().manual_seed(seed)
    return RegionGraph(
        x=torch.randn(regions, 6, generator=generator),
        box=torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(regions, 4),
        size=torch.tensor([[640.0, 480.0]]),
    )


def encode(model, captions=None, regions=None):
    graphs = [word_graph(ids) for ids in captions or CAPTIONS]
    images = [image(count, seed) for seed, count in enumerate(regions or REGIONS)]
    return (
        model.encode_visual(batch_graphs(images)),
        model.encode_text(batch_graphs(graphs, follow=("word",))),
    )


def random_items(count, nodes, size=5, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, nodes, size, generator=generator, dtype=dtype)
    return Encoded(nodes=x, mask=torch.ones(count, nodes, dtype=torch.bool))


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{c.direction}-{c.aggregation}")
def test_scores_of_ragged_items_equal_the_equations(config, assert_close):
    model = build(config).double()
    visual, text = encode(model)
    expected = torch.tensor(
        [
            [naive_score(v.nodes[0, : int(v.counts)], t.nodes[0, : int(t.counts)], config)
             for t in (text[n : n + 1] for n in range(3))]
            for v in (visual[n : n + 1] for n in range(3))
        ],
        dtype=torch.float64,
    )  # fmt: skip
    assert_close(model.score(visual, text).detach(), expected, "float64 looped")
    with torch.no_grad():
        assert_close(model.score(visual, text), expected, "float64 looped")


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{c.direction}-{c.aggregation}")
def test_batch_equals_items_one_by_one_and_padding_does_not_matter(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    scores = model.score(visual, text)
    more = random_items(1, 9, dtype=torch.float32)
    wide = (Encoded.cat([replace(items, pooled=None), more]) for items in (visual, text))
    assert_close(model.score(*wide)[:3, :3], scores)
    for row, regions in enumerate(REGIONS):
        for column, ids in enumerate(CAPTIONS):
            one = model.encode_visual(batch_graphs([image(regions, row)]))
            two = model.encode_text(batch_graphs([word_graph(ids)], follow=("word",)))
            assert_close(model.score(one, two), scores[row : row + 1, column : column + 1])


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{c.direction}-{c.aggregation}")
def test_order_of_regions_and_words_does_not_matter_to_the_head(config, assert_close):
    model = build(config)
    visual, text = random_items(2, 4), random_items(3, 6, seed=1)
    scores = model.score(visual, text)
    turned = (replace(items, nodes=items.nodes.flip(1)) for items in (visual, text))
    assert_close(model.score(*turned), scores, "float64")
    assert_close(model.score(visual[torch.tensor([1, 0])], text), scores.flip(0), "float64")


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{c.direction}-{c.aggregation}")
def test_gradients_of_scores(config):
    model = build(config)
    visual, text = random_items(2, 3, size=3), random_items(2, 2, size=3, seed=1)

    def score(one, two):
        return model.score(replace(visual, nodes=one), replace(text, nodes=two))

    assert gradcheck(score, (visual.nodes.requires_grad_(), text.nodes.requires_grad_()))


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_alignment_explains_the_score(direction, assert_close):
    config = replace(CONFIG, direction=direction, aggregation="sum")
    model = build(config)
    visual, text = encode(model)
    maps = model.align(visual, text)
    assert_close(maps.cosine.sum(dim=-1), model.score(visual, text))
    contexts, queries = (visual, text) if direction == "t2i" else (text, visual)
    total = maps.attention.sum(dim=2)  # [n_v, n_t, n]
    real = queries.mask.unsqueeze(0 if direction == "t2i" else 1).expand_as(total)
    assert_close(total, real.float())
    attended = torch.einsum("vtmn,vmd->vtnd" if direction == "t2i" else "vtmn,tmd->vtnd",
                            maps.attention, contexts.nodes)  # fmt: skip
    assert_close(maps.attended, attended)


@given(st.sampled_from(VARIANTS), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_scores_stay_in_their_bounds(config, regions, words, seed):
    model = build(config)
    scores = model.score(random_items(2, regions, seed=seed), random_items(3, words, seed=seed + 1))
    queries = words if config.direction == "t2i" else regions
    high = {"lse": 1 + math.log(queries) / config.lambda_lse, "sum": queries}
    assert scores.shape == (2, 3)
    assert float(scores.max()) <= high.get(config.aggregation, 1) + 1e-9
    assert float(scores.min()) >= -(queries if config.aggregation == "sum" else 1) - 1e-9


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{c.direction}-{c.aggregation}")
def test_items_without_nodes_have_finite_scores(config):
    empty = replace(random_items(1, 3), mask=torch.zeros(1, 3, dtype=torch.bool))
    empty = replace(empty, nodes=torch.zeros_like(empty.nodes))
    scores = build(config).score(Encoded.cat([empty, random_items(1, 3)]), random_items(2, 2))
    if config.direction == "i2t":  # no cosine
        expected = -1.0 if config.aggregation in ("lse", "max") else 0.0
    else:  # two cosines of 0
        expected = math.log(2) / config.lambda_lse if config.aggregation == "lse" else 0.0
    assert scores[0].tolist() == pytest.approx([expected] * 2)
    assert scores.isfinite().all()


def test_half_precision_is_near(assert_close):
    model = build(replace(CONFIG, embed_size=64))
    visual, text = (
        replace(items, nodes=torch.nn.functional.normalize(items.nodes, dim=-1).float())
        for items in (random_items(4, 6, size=64), random_items(5, 7, size=64, seed=1))
    )
    scores = model.score(visual, text)
    half = model.score(visual.to(dtype=torch.bfloat16), text.to(dtype=torch.bfloat16))
    assert half.dtype == torch.float32
    assert float((half - scores).abs().max()) < 0.02


@pytest.mark.parametrize("options", [{}, {"normalise_image": False, "normalise_text": False}])
def test_encoders_normalise_if_told_to(options, assert_close):
    visual, text = encode(build(replace(CONFIG, **options)))
    for items in (visual, text):
        lengths = items.nodes.detach().norm(dim=-1)[items.mask]
        assert bool(((lengths - 1).abs() < 1e-5).all()) != bool(options)
        mean = torch.stack([row[:n].mean(dim=0) for row, n in zip(items.nodes, items.counts)])  # noqa: B905
        assert_close(items.pooled, mean)


def test_training_lowers_the_loss():
    model = build()
    texts = [word_graph(ids) for ids in [*CAPTIONS, [1, 8, 2]]]
    images = [image(count, seed) for seed, count in enumerate(REGIONS)]
    batch = MatchBatch.collate(
        texts, images, owner=[0, 1, 2, 0], text_ids=list("abcd"), visual_ids=list("xyz")
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(15):
        scores = model.score(model.encode_visual(batch.visual), model.encode_text(batch.text))
        loss = model.loss(scores, batch.owner)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("weight_norm", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_official_keys_name_every_parameter_once(weight_norm, bidirectional):
    config = replace(CONFIG, weight_norm=weight_norm, bidirectional=bidirectional)
    keys = official_keys(config)
    model, other = build(config), SCAN(config)
    assert sorted(keys.values()) == sorted(model.state_dict())
    official = {name: model.state_dict()[ours] for name, ours in keys.items()}
    other.load_state_dict({keys[name]: value for name, value in official.items()})
    for one, two in zip(encode(model), encode(other), strict=True):
        assert torch.equal(one.nodes, two.nodes)


def test_published_size():
    with torch.device("meta"):
        model = SCAN(SCANConfig(vocabulary=8481))
    assert sum(p.numel() for p in model.parameters()) == 12_789_420


def test_config_survives_json():
    config = replace(CONFIG, direction="i2t", first_norm="clipped")
    assert config_from_values(SCANConfig, json.loads(json.dumps(config_values(config)))) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "i2"}, "did you mean 'i2t'"),
        ({"aggregation": "avg"}, "expected one of lse, mean, max, sum"),
        ({"first_norm": "clipped_l1norm"}, "the official code has the name"),
        ({"negatives": "hard"}, "did you mean 'hardest'"),
        ({"embed_size": 0}, "embed_size: expected at least 1"),
        ({"scale": 0.0}, "scale: expected a number above 0"),
        ({"lambda_lse": math.nan}, "lambda_lse: expected a number above 0"),
        ({"margin": -1.0}, "margin: expected a number from 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


def test_bad_input():
    model = build()
    with pytest.raises(GraphError, match="word_ptr"):
        model.encode_text(batch_graphs([word_graph([1, 2])]))
    with pytest.raises(GraphError, match="from 0 to 11"):
        model.encode_text(batch_graphs([word_graph([1, 12])], follow=("word",)))
