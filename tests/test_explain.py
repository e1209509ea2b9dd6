"""`explain`: contributions, attention and similarity against what scoring and loops give."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.errors import ConfigError, GraphError
from graphmatch.explain import explain
from graphmatch.explanation import Explanation, NodeMatch
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.models.ensemble import Ensemble
from graphmatch.scoring import score_matrix
from tests.tiny_models import WORDS, tiny_model

VARIANTS = [
    *(("scan", {"direction": d, "aggregation": a})
      for d in ("t2i", "i2t") for a in ("lse", "mean", "max", "sum")),
    *(("gsmn", {"graph": g, "propagation": p})
      for g in ("sparse", "dense") for p in ("paper", "official")),
    *(("imram", {"mode": m, "steps": k}) for m in ("full", "text", "image") for k in (1, 3)),
    *(("hgr", {"fusion": f}) for f in ("embed", "sim")),
    ("global-match", {}),
]  # fmt: skip


def image(regions=4, seed=0):
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(regions, 2, generator=random) / 2
    return RegionGraph(
        x=torch.randn(regions, 5, generator=random),
        box=torch.cat((corner, corner + torch.rand(regions, 2, generator=random) / 2), dim=1),
        size=torch.tensor([[200.0, 100.0]]),
        label=torch.arange(regions) % 3,
        score=torch.ones(regions),
    )


def video(frames=5, seed=0):
    random = torch.Generator().manual_seed(seed)
    starts = torch.arange(frames).float() * 2
    return ClipGraph(
        x=torch.randn(frames, 5, generator=random),
        time=torch.stack((starts, starts + 2), dim=1),
        duration=torch.tensor([2.0 * frames]),
    )


def caption(roles=False):
    """Five words; as roles an event, an action (word 2) and entities (words 0, 1 and 3, 4)."""
    word = torch.tensor([1, 2, 3, 4, 5]) % WORDS
    if roles:
        span = [[0] * 5 + [1] + [2, 2, 3, 3], [0, 1, 2, 3, 4, 2, 0, 1, 3, 4]]
        kind, edges, relation = [0, 1, 2, 2], [[0, 1, 1], [1, 2, 3]], [1, 2, 3]
        role = [-1, 1, 2, 3]
    else:
        span, kind, role = [[0, 1, 2, 3, 4]] * 2, [3] * 5, [-1] * 5
        edges, relation = [[1, 2, 2, 4], [0, 1, 4, 3]], [10, 26, 24, 10]
    return TextGraph(
        word=word,
        kind=torch.tensor(kind),
        role=torch.tensor(role),
        span=torch.tensor(span),
        edge_index=torch.tensor(edges),
        relation=torch.tensor(relation),
    )


NAMES = ["a", "man", "rides", "a", "horse"]


def pair(name, seed=0):
    roles = name in ("hgr", "global-match")
    return (video(seed=seed) if roles else image(seed=seed)), caption(roles)


def explained(name, options, seed=0):
    model = tiny_model(name, seed=seed, **options)
    visual, text = pair(name, seed)
    return model, visual, text, explain(model, visual, text, words=NAMES)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_contributions_add_up_to_the_score_of_scoring(name, options, assert_close):
    for seed in range(4):
        model, visual, text, found = explained(name, options, seed)
        encoded = encode_visuals(model, [visual]), encode_texts(model, [text])
        assert found.score == pytest.approx(float(score_matrix(model, *encoded)), abs=1e-6)
        for total in (found.contribution, found.region_contribution, found.pairs):
            assert_close(torch.tensor(total.sum()).float(), torch.tensor(found.score))
        for side in (found.text, found.visual):
            if side is None:
                continue
            np.testing.assert_allclose(side.attention.sum(axis=1), 1, rtol=1e-5)
            np.testing.assert_allclose(side.steps.mean(axis=0), side.attention, atol=1e-6)
            np.testing.assert_allclose(side.pairs.sum(axis=1), side.contribution, atol=1e-5)
            if side.parts:
                total = sum(side.parts.values())
                np.testing.assert_allclose(total, side.contribution, atol=1e-5)
            assert (np.abs(side.similarity) <= 1 + 1e-5).all()
        np.testing.assert_allclose(found.attention.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(found.region_attention.sum(axis=1), 1, rtol=1e-5)
        assert found.similarity.shape == (len(found.nodes),)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_regions_in_another_order_are_explained_in_that_order(name, options):
    model, visual, text, found = explained(name, options)
    if name in ("hgr", "global-match"):
        order = torch.tensor([4, 3, 2, 1, 0])
        other = ClipGraph(x=visual.x[order], time=visual.time, duration=visual.duration)
    else:
        order = torch.tensor([2, 0, 3, 1])
        other = RegionGraph(
            x=visual.x[order], box=visual.box[order], size=visual.size, label=visual.label[order],
            score=visual.score,
        )  # fmt: skip
    again = explain(model, other, text, words=NAMES)
    assert again.score == pytest.approx(found.score, abs=1e-5)
    np.testing.assert_allclose(again.attention, found.attention[:, order], atol=1e-5)
    np.testing.assert_allclose(again.pairs, found.pairs[:, order], atol=1e-5)
    np.testing.assert_allclose(again.contribution, found.contribution, atol=1e-5)
    if again.box is not None:
        np.testing.assert_allclose(again.box, found.box[order])


def test_scan_by_a_loop_over_words():
    model = tiny_model("scan", direction="t2i", aggregation="mean", scale=3.0)
    visual, text = pair("scan")
    found = explain(model, visual, text, words=NAMES)
    regions = encode_visuals(model, [visual])[0].nodes[0].double()
    words = encode_texts(model, [text])[0].nodes[0].double()
    products = (regions @ words.T).clamp(min=0) + 0.1 * (regions @ words.T).clamp(max=0)
    for word in range(5):
        logits = []
        for region in range(4):
            length = math.sqrt(sum(float(products[region, other]) ** 2 for other in range(5)))
            logits.append(3.0 * float(products[region, word]) / (length + 1e-8))
        total = sum(map(math.exp, logits))
        weights = [math.exp(logit) / total for logit in logits]
        np.testing.assert_allclose(found.text.attention[word], weights, rtol=1e-4)
        context = sum(w * regions[region] for region, w in enumerate(weights))
        cosine = float(context @ words[word] / (context.norm() * words[word].norm()))
        assert found.text.similarity[word] == pytest.approx(cosine, abs=1e-5)
        assert found.text.contribution[word] == pytest.approx(cosine / 5, abs=1e-5)


def test_shares_of_lse_are_those_of_the_derivative():
    model, _, _, found = explained("scan", {"aggregation": "lse"})
    cosine = torch.tensor(found.text.similarity, dtype=torch.float64, requires_grad=True)
    scale = model.config.lambda_lse
    score = torch.logsumexp(scale * cosine, dim=0) / scale
    (share,) = torch.autograd.grad(score, cosine)
    score, cosine = float(score.detach()), cosine.detach()
    np.testing.assert_allclose(found.text.contribution, share * score, rtol=1e-4)
    entropy = -(share * share.log()).sum()
    assert float((share * cosine).sum() + entropy / scale) == pytest.approx(score)


def test_the_largest_cosine_has_all_of_max():
    _, _, _, found = explained("scan", {"aggregation": "max"})
    best = int(found.text.similarity.argmax())
    assert found.text.contribution[best] == pytest.approx(found.score, abs=1e-6)
    assert np.count_nonzero(found.text.contribution) == 1


@pytest.mark.parametrize("propagation", ["paper", "official"])
def test_parts_of_gsmn_by_hand(propagation):
    """The equations of the module's head on the fields of `align`, one node at a time."""
    model = tiny_model("gsmn", propagation=propagation)
    visual, text = pair("gsmn")
    found = explain(model, visual, text, words=NAMES)
    encoded = encode_visuals(model, [visual])[0], encode_texts(model, [text])[0]
    with torch.no_grad():
        aligned = model.align(*encoded)
        x = aligned.word_x[0, 0]  # [5, t]
        edges = model.textual.edges(
            encoded[1].nodes, encoded[1].extra["adjacency"], scale=model.config.scale
        )[0]
        layer, bias = model.textual.convolution.weight, model.textual.convolution.bias

        def score(hidden):
            return float(model.textual.out_2(torch.tanh(model.textual.out_1(hidden))))

        for word in range(5):
            own = layer @ (edges[word, word] * x[word])
            others = [
                layer @ (edges[word, j] * x[j if propagation == "paper" else word])
                for j in range(5)
                if j != word
            ]
            constant, alone = score(bias), score(own + bias)
            whole = score(own + sum(others) + bias)
            parts = {name: value[word] * 5 for name, value in found.text.parts.items()}
            assert parts["constant"] == pytest.approx(constant, abs=1e-5)
            assert parts["node"] == pytest.approx(alone - constant, abs=1e-5)
            assert parts["structure"] == pytest.approx(whole - alone, abs=1e-5)
        assert found.text.contribution.sum() == pytest.approx(float(aligned.textual), abs=1e-5)
        assert found.visual.contribution.sum() == pytest.approx(float(aligned.visual), abs=1e-5)
    loop = found.text.attention @ encoded[0].nodes[0].numpy()
    words = encoded[1].nodes[0].numpy()
    cosine = (loop * words).sum(1) / np.linalg.norm(loop, axis=1) / np.linalg.norm(words, axis=1)
    np.testing.assert_allclose(found.text.similarity, cosine, atol=1e-5)


def test_a_word_without_neighbours_gets_nothing_from_structure():
    text = caption()
    text.edge_index, text.relation = text.edge_index[:, :0], text.relation[:0]
    found = explain(tiny_model("gsmn"), image(), text, words=NAMES)
    np.testing.assert_allclose(found.text.parts["structure"], 0, atol=1e-7)
    assert np.abs(found.visual.parts["structure"]).max() > 1e-4


def test_imram_has_a_part_for_each_step():
    model, visual, text, found = explained("imram", {"steps": 3})
    aligned = model.align(encode_visuals(model, [visual])[0], encode_texts(model, [text])[0])
    assert list(found.text.parts) == ["step 1", "step 2", "step 3"]
    for number, step in enumerate(aligned.text):
        part = found.text.parts[f"step {number + 1}"]
        assert part.sum() == pytest.approx(float(step.scores.detach()), abs=1e-5)
        expected = step.attention[0, 0].T.detach()
        np.testing.assert_allclose(found.text.steps[number], expected, atol=1e-6)
    assert found.visual.attention.shape == (4, 5)


def test_hgr_explains_phrases_on_three_levels():
    model, visual, text, found = explained("hgr", {})
    assert found.nodes == ("a man rides a horse", "rides", "a man", "a horse")
    assert found.kinds == ("event", "action", "entity", "entity")
    assert found.regions[1] == "2.0 to 4.0 s"
    encoded = encode_visuals(model, [visual])[0], encode_texts(model, [text])[0]
    levels = model.levels(*encoded)[:, 0, 0] / 3
    assert found.contribution[0] == pytest.approx(float(levels.detach()[0]), abs=1e-5)
    assert found.contribution[1] == pytest.approx(float(levels.detach()[1]), abs=1e-5)
    assert found.contribution[2:].sum() == pytest.approx(float(levels.detach()[2]), abs=1e-5)
    for number, name in enumerate(("event", "action", "entity")):
        assert found.text.parts[name].sum() == pytest.approx(
            float(levels.detach()[number]), abs=1e-5
        )
    frames = model.frames[0](visual.x)
    pooled = torch.tensor(found.attention[0]) @ frames
    torch.testing.assert_close(pooled.detach(), encoded[0].pooled[0], atol=1e-5, rtol=1e-4)


def test_global_match_has_one_node_and_sees_all_frames_alike():
    _, _, _, found = explained("global-match", {})
    assert found.nodes == ("a man rides a horse",)
    np.testing.assert_allclose(found.attention, np.full((1, 5), 0.2))


def test_marks_are_words():
    model, visual, text, _ = explained("scan", {})
    found = explain(model, visual, text, words=NAMES[1:4])
    assert found.words == ("<start>", "man", "rides", "a", "<end>")
    assert len(found.contribution) == 5


def test_names_of_regions():
    model, visual, text, _ = explained("scan", {})
    visual.label = torch.tensor([0, 1, -1, -1])
    visual.box[3] = torch.tensor([0.0, 0, 1, 1])
    found = explain(model, visual, text, words=NAMES, labels=("dog", "cat"))
    assert found.regions == ("dog", "cat", "region 2", "whole image")
    assert found.size == (200, 100)
    np.testing.assert_allclose(found.box[3], [0, 0, 200, 100])
    assert sorted(found.best(0, 2)) == sorted(np.argsort(-found.attention[0])[:2].tolist())


def test_training_mode_changes_nothing_and_is_kept():
    model, visual, text, found = explained("hgr", {"dropout": (0.5, 0.5, 0.5)})
    model.train()
    again = explain(model, visual, text, words=NAMES)
    assert model.training
    assert not model.eval().training
    np.testing.assert_array_equal(again.pairs, explain(model, visual, text, words=NAMES).pairs)
    assert again.score == found.score


def test_what_cannot_be_explained():
    model, visual, text, found = explained("scan", {})
    with pytest.raises(GraphError, match="5 words"):
        explain(model, visual, text, words=["a"])
    with pytest.raises(GraphError, match="got none"):
        explain(model, image(0), text, words=NAMES)
    with pytest.raises(ConfigError, match="one by one"):
        explain(Ensemble([model]), visual, text, words=NAMES)
    with pytest.raises(GraphError, match="one direction"):
        Explanation(
            model="SCAN", score=0.0, words=(), nodes=(), kinds=(), spans=(), regions=(), text=None,
            visual=None,
        )  # fmt: skip
    side = found.text
    with pytest.raises(GraphError, match="similarity"):
        NodeMatch(
            attention=side.attention, similarity=side.similarity[:2], pairs=side.pairs,
            contribution=side.contribution, steps=side.steps,
        )  # fmt: skip


@settings(max_examples=15)
@given(st.sampled_from(VARIANTS), st.integers(1, 6), st.integers(0, 99))
def test_any_number_of_regions_and_weights(variant, regions, seed):
    name, options = variant
    roles = name in ("hgr", "global-match")
    visual = video(regions, seed) if roles else image(regions, seed)
    found = explain(tiny_model(name, seed=seed, **options), visual, caption(roles), words=NAMES)
    assert found.contribution.sum() == pytest.approx(found.score, abs=3e-5)
    assert np.isfinite(found.pairs).all()
    np.testing.assert_allclose(found.attention.sum(axis=1), 1, rtol=1e-5)
