"""HGR against its equations, caption by caption and node by node."""

from __future__ import annotations

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
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.hgr import HGR, HGRConfig, official_keys
from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.roles import role_graph
from graphmatch.scoring import score_matrix

CONFIG = HGRConfig(vocabulary=20, feature_size=6, word_size=4, embed_size=8, attention=4)
VARIANTS = [
    CONFIG,
    replace(CONFIG, fusion="sim", cell="lstm", word_layers=2, layers=2, scale=9.0),
    replace(CONFIG, attention=0, roles=0, share_levels=True, bidirectional=False),
    replace(CONFIG, layers=0, scale=50.0),
]
variants = pytest.mark.parametrize("config", VARIANTS, ids=range(len(VARIANTS)))
FRAMES = [4, 1, 6]  # a video of one frame


def caption(words, *frames, bare=()):
    """Role graph of the word ids; frames are (verb, [(role, words)]), bare are loose entities."""
    made = [Frame((v,), tuple(Argument(role, span) for role, span in a)) for v, a in frames]
    names = [f"w{word}" for word in words]
    flat = {"heads": [-1] * len(words), "deprels": ["root"] * len(words)}
    graph = role_graph(Parse.from_tree(names, frames=made, **flat))
    if bare:
        graph = replace(
            graph,
            kind=(*graph.kind, *["entity"] * len(bare)),
            role=(*graph.role, *["NOUN"] * len(bare)),
            span_node=(*graph.span_node, *range(len(graph), len(graph) + len(bare))),
            span_word=(*graph.span_word, *bare),
        )
    return TextGraph.from_columns(graph, words)


CAPTIONS = [
    caption([3, 4, 5, 6, 7], (1, [("ARG0", (0,)), ("ARG1", (2, 3))]), (3, [("ARG1", (2, 3))])),
    caption([8]),  # one word; neither actions nor entities
    caption([9, 3], (1, [])),  # no entities
    caption([5, 7, 9, 11], bare=(1, 3)),  # no actions
    caption(  # more than the official slots
        list(range(3, 13)),
        *[(verb, [("ARG1", (word,)) for word in range(verb)]) for verb in range(1, 8)],
    ),
]


def clips(frames, seed, size=6):
    x = torch.randn(frames, size, generator=torch.Generator().manual_seed(seed))
    time = torch.arange(frames + 1.0).unfold(0, 2, 1) if frames else torch.zeros(0, 2)
    return ClipGraph(x=x, time=time, duration=torch.tensor([float(frames)]))


VIDEOS = [clips(count, seed) for seed, count in enumerate(FRAMES)]


def build(config=CONFIG):
    torch.manual_seed(0)
    return HGR(config).double().eval()


def encode(model, captions=None, videos=None):
    texts = batch_graphs(captions or CAPTIONS, follow=("word",))
    return model.encode_visual(batch_graphs(videos or VIDEOS)), model.encode_text(texts)


@torch.no_grad()
def naive_levels(visual, text, config):
    """Level scores of one video and one caption: the equations as they stand."""
    frames = {1: visual.nodes[0], 2: visual.extra["entity"][0]}
    frames = {kind: rows[visual.mask[0]] for kind, rows in frames.items()}
    scores = {0: [cosine(visual.pooled[0], text.nodes[0, 0])], 1: [], 2: []}
    nodes = zip(text.nodes[0], text.extra["kind"][0].tolist(), text.mask[0], strict=True)
    for node, kind, real in nodes:
        if real and kind:
            scores[kind].append(naive_node(frames[kind], node, config))
    return [sum(level) / max(len(level), 1) for level in scores.values()]


def naive_node(frames, node, config):
    cosines = [cosine(frame, node) for frame in frames]
    length = max(math.sqrt(sum(max(s, 0) ** 2 for s in cosines)), 1e-10)
    weights = [math.exp(config.scale * max(s, 0) / length) for s in cosines]
    phi = [weight / sum(weights) for weight in weights]
    if config.fusion == "sim":
        return sum(p * s for p, s in zip(phi, cosines, strict=True))
    return cosine(sum(p * frame for p, frame in zip(phi, frames, strict=True)), node)


def cosine(one, two):
    return float(one @ two / (one.norm() * two.norm()))


@variants
def test_levels_of_ragged_items_equal_the_equations(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    expected = torch.tensor(
        [[naive_levels(visual[v : v + 1], text[t : t + 1], config) for t in range(len(text))]
         for v in range(len(visual))],
        dtype=torch.float64,
    ).movedim(-1, 0)  # fmt: skip
    levels = model.levels(visual, text)
    assert_close(levels.detach(), expected, "float64")
    assert_close(model.score(visual, text).detach(), expected.mean(dim=0), "float64")
    assert not levels[1, :, [1, 3]].any()  # captions without actions
    assert not levels[2, :, [1, 2]].any()  # captions without entities
    with torch.no_grad():
        assert_close(model.levels(visual, text), expected, "float64")
        assert_close(score_matrix(model, visual, text), expected.mean(dim=0), "float64")


@variants
def test_batch_equals_items_one_by_one_and_padding_does_not_matter(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    scores = model.score(visual, text)
    for row, video in enumerate(VIDEOS):
        for column, graph in enumerate(CAPTIONS):
            one = model.score(*encode(model, [graph], [video]))
            assert_close(one, scores[row : row + 1, column : column + 1], "float64")
    wide = [items[:2].widen(40) for items in (visual, text)]
    assert_close(model.score(*wide), scores[:2, :2], "float64")


def test_order_of_nodes_and_items_does_not_matter(assert_close):
    model = build()
    visual, text = encode(model, CAPTIONS[:1] * 2)
    scores = model.score(visual, text)
    order = torch.tensor([0, 3, 1, 4, 2])  # the event stays the first
    moved = replace(
        text,
        nodes=text.nodes[:, order],
        mask=text.mask[:, order],
        extra={"kind": text.extra["kind"][:, order]},
    )
    assert_close(model.score(visual, moved), scores, "float64")
    assert_close(model.score(visual[torch.tensor([2, 0, 1])], text), scores[[2, 0, 1]], "float64")


@variants
def test_order_of_nodes_in_the_graph_does_not_matter(config, assert_close):
    model, graph = build(config), CAPTIONS[0]
    order = torch.tensor([0, 4, 2, 1, 3])
    place = order.argsort()
    span = torch.stack([place[graph.span[0]], graph.span[1]])
    other = TextGraph(
        word=graph.word,
        kind=graph.kind[order],
        role=graph.role[order],
        span=span[:, (span[0] * 100 + span[1]).argsort()],
        edge_index=place[graph.edge_index],
        relation=graph.relation,
    )
    assert other.validate()
    _, one = encode(model, [graph])
    _, two = encode(model, [other])
    assert_close(two.nodes, one.nodes[:, order], "float64")


def test_roles_gate_nodes_but_not_the_event(assert_close):
    model = build()
    texts = batch_graphs(CAPTIONS, follow=("word",))
    gated = model.text.initial_nodes(texts)
    roles, model.text.roles = model.text.roles.weight, None
    plain = model.text.initial_nodes(texts)
    factor = torch.where((texts.role < 0).unsqueeze(1), 1, roles[texts.role.clamp(min=0)])
    assert_close(gated, plain * factor, "float64")
    words, mask, _ = model.text.words(texts.word, texts.word_ptr)
    assert_close(plain[texts.ptr[:-1]], model.text.event(words, mask), "float64")
    assert_close(plain[3], words[0, 2:4].amax(dim=0), "float64")  # "ARG1" over two words


@variants
def test_gradients_of_scores(config):
    model = build(config)
    visual, text = encode(model, CAPTIONS[:4])
    tensors = [visual.nodes, visual.extra["entity"], visual.pooled, text.nodes]

    def score(action, entity, event, nodes):
        one = replace(visual, nodes=action, pooled=event, extra={"entity": entity})
        return model.score(one, replace(text, nodes=nodes))

    assert gradcheck(score, [value.detach().requires_grad_() for value in tensors])


@variants
def test_alignment_explains_the_scores(config, assert_close):
    model = build(config)
    visual, text = encode(model)
    maps = model.align(visual, text)
    assert_close(maps.levels, model.levels(visual, text), "float64")
    inner = text.mask & (text.extra["kind"] > 0)  # [C, M]
    total = maps.attention.sum(dim=2)  # [V, C, M]
    assert_close(total, inner.double().expand_as(total), "float64")
    assert not maps.attention.transpose(1, 2)[~visual.mask].any()
    assert not maps.similarity[:, ~text.mask].any()


def test_videos_without_frames_and_zeros_have_finite_scores():
    model = build()
    for layer in model.frames:
        torch.nn.init.zeros_(layer.bias)
    zeros = clips(3, 0)
    zeros.x = torch.zeros_like(zeros.x)
    visual, text = encode(model, videos=[clips(0, 0), zeros, clips(3, 1)])
    scores = model.score(visual, text)
    assert not scores[:2].any()
    assert scores[2].all()
    scores.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@given(st.integers(1, 6), st.integers(0, 99), st.sampled_from(VARIANTS))
def test_scores_stay_in_their_bounds(frames, seed, config):
    model = build(config)
    visual, text = encode(model, videos=[clips(frames, seed), clips(2, seed)])
    levels = model.levels(visual, text)
    assert levels.shape == (3, 2, len(CAPTIONS))
    assert levels.abs().max() <= 1 + 1e-9


def test_half_precision_is_near():
    model = HGR(replace(CONFIG, embed_size=64)).eval()
    visual, text = encode(model)
    scores = model.score(visual, text)
    half = model.score(*(items.to(dtype=torch.bfloat16) for items in (visual, text)))
    assert scores.dtype == half.dtype == torch.float32
    assert (half - scores).abs().max() < 0.02


def match(owner=(0, 1, 2, 0, 2)):
    return MatchBatch.collate(
        CAPTIONS, VIDEOS, owner=owner, text_ids=list("abcde"), visual_ids=list("xyz")
    )


@pytest.mark.parametrize("weights", [None, (1.0, 0.2, 0.3, 0.4)])
def test_loss_and_its_gradients(weights, assert_close):
    model, batch = build(replace(CONFIG, level_weights=weights)), match()
    loss = model(batch)
    loss.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    levels = model.levels(model.encode_visual(batch.visual), model.encode_text(batch.text))
    terms = [model.loss(scores, batch.owner) for scores in (levels.mean(dim=0), *levels)]
    expected = sum(w * term for w, term in zip(weights or (1, 0, 0, 0), terms, strict=True))
    assert_close(loss, expected, "float64")
    expected.backward()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert_close(gradient, parameter.grad, "float64")


def test_options_of_the_loss(assert_close):
    scores, owner = torch.tensor([[0.5, 0.6], [0.1, 0.4]]), torch.tensor([0, 1])
    expected = {  # i2t: 0.3 and 0; t2i: 0 and 0.4
        "both": 0.35, "i2t": 0.15, "t2i": 0.2,
    }  # fmt: skip
    for direction, value in expected.items():
        loss = build(replace(CONFIG, direction=direction)).loss(scores, owner)
        assert_close(loss, torch.tensor(value))
    assert build(replace(CONFIG, top_k=2)).loss(scores, owner) == pytest.approx(0.175)


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model, batch = HGR(replace(CONFIG, level_weights=(1.0, 0.2, 0.2, 0.2))), match()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(25):
        loss = model(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@variants
def test_official_keys_name_every_parameter_once(config):
    keys, model, other = official_keys(config), build(config), HGR(config).double().eval()
    assert sorted(keys.values()) == sorted(model.state_dict())
    official = {name: model.state_dict()[ours] for name, ours in keys.items()}
    other.load_state_dict({keys[name]: value for name, value in official.items()})
    for one, two in zip(encode(model), encode(other), strict=True):
        assert torch.equal(one.nodes, two.nodes)


def test_published_size():
    with torch.device("meta"):
        model = HGR(HGRConfig(vocabulary=10510))
    assert sum(p.numel() for p in model.parameters()) == 19_713_130


def test_initial_values():
    model = HGR(replace(CONFIG, cell="lstm"))
    rnn = model.text.words.rnn
    assert rnn.bias_ih_l0.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    assert not rnn.bias_hh_l0_reverse.any()
    square = rnn.weight_hh_l0.T @ rnn.weight_hh_l0
    torch.testing.assert_close(square, torch.eye(8), atol=1e-5, rtol=0)
    assert model.text.words.embedding.weight.abs().max() <= 0.5


@variants
def test_config_survives_json(config):
    config = replace(config, level_weights=(1.0, 0.2, 0.2, 0.2))
    assert config_from_values(HGRConfig, config_values(config)) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "gruu"}, "did you mean 'gru'"),
        ({"fusion": "mean"}, "expected one of embed, sim"),
        ({"negatives": "hard"}, "did you mean 'hardest'"),
        ({"direction": "bi"}, "expected one of both, i2t, t2i"),
        ({"embed_size": 0}, "embed_size: expected at least 1"),
        ({"layers": -1}, "layers: expected at least 0"),
        ({"roles": 4}, "roles: expected 0, or at least 16"),
        ({"scale": 0.0}, "scale: expected a number above 0"),
        ({"margin": math.nan}, "margin: expected a number from 0"),
        ({"dropout": (0.2, 0.2, 1.0)}, r"dropout: expected three shares in \[0, 1\)"),
        ({"level_weights": (1.0, 2.0, 3.0)}, "level_weights: expected four numbers"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


def test_bad_input():
    model = build()
    with pytest.raises(GraphError, match="word_ptr"):
        model.encode_text(batch_graphs(CAPTIONS))
    with pytest.raises(GraphError, match="expected role graphs"):
        model.encode_text(batch_graphs([CAPTIONS[0], word_graph([1, 2])], follow=("word",)))
    with pytest.raises(GraphError, match="from 0 to 19"):
        model.encode_text(batch_graphs([caption([20])], follow=("word",)))
    with pytest.raises(GraphError, match="frames of 6 numbers"):
        model.encode_visual(batch_graphs([clips(2, 0, size=5)]))
    bare = Encoded(nodes=torch.zeros(1, 2, 8), mask=torch.ones(1, 2) > 0)
    with pytest.raises(GraphError, match="event as `pooled`"):
        model.prepare_visual(bare)
