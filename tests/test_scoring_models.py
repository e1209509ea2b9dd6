"""Every model through the scoring loop: pairs one by one, and gradients of recomputed tiles."""

from __future__ import annotations

import pytest
import torch

from graphmatch.encoded import Encoded
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.models.table import MATCHERS
from graphmatch.scoring import recomputed_scores, score_matrix
from tests.tiny_models import WORDS, tiny_model

VIDEO = {"hgr", "global-match"}
OPTIONS = [
    ("scan", {}),
    ("scan", {"direction": "i2t", "aggregation": "mean"}),
    ("gsmn", {}),
    ("gsmn", {"graph": "dense", "propagation": "official"}),
    ("imram", {}),
    ("imram", {"steps": 1}),
    ("imram", {"normalise_memory": True}),
    ("hgr", {}),
    ("hgr", {"fusion": "sim"}),
    ("global-match", {}),
]
NAMES = [f"{name}-{number}" for number, (name, _) in enumerate(OPTIONS)]


def caption(words, seed):
    random = torch.Generator().manual_seed(seed)
    places = torch.arange(words)
    heads = [int(torch.randint(0, child, (1,), generator=random)) for child in range(1, words)]
    return TextGraph(
        word=torch.randint(WORDS, (words,), generator=random),
        kind=torch.full((words,), 3),
        role=torch.full((words,), -1),
        span=torch.stack((places, places)),
        edge_index=torch.tensor([heads, list(range(1, words))], dtype=torch.int64).view(2, -1),
        relation=torch.zeros(words - 1, dtype=torch.int64),
    )


def role_caption(words, actions, entities, seed):
    random = torch.Generator().manual_seed(seed)
    edges = [(0, 1 + k) for k in range(actions)]
    if actions:
        edges += [(1 + k % actions, 1 + actions + k) for k in range(entities)]
    ends = torch.tensor(edges, dtype=torch.int64).view(-1, 2).T.contiguous()
    span = [(0, k) for k in range(words)]
    span += [(node, node % words) for node in range(1, 1 + actions + entities)]
    return TextGraph(
        word=torch.randint(WORDS, (words,), generator=random),
        kind=torch.tensor([0] + [1] * actions + [2] * entities),
        role=torch.tensor([-1] + [0] * actions + [1] * entities),
        span=torch.tensor(span).T.contiguous(),
        edge_index=ends,
        relation=torch.where(ends[1] > actions, 1, 0),
    )


def visual(name, nodes, seed):
    random = torch.Generator().manual_seed(seed)
    x = torch.rand(nodes, 5, generator=random)
    if name in VIDEO:
        time = torch.arange(nodes, dtype=torch.float32)
        span = torch.stack((time, time + 1), dim=1)
        return ClipGraph(x=x, time=span, duration=torch.tensor([float(nodes)]))
    box = torch.rand(nodes, 2, 2, generator=random).sort(dim=1).values.flatten(1)
    return RegionGraph(x=x, box=box, size=torch.tensor([[4.0, 3.0]]))


def graphs(name):
    """Captions of one word and of several, without verbs and with; items of one node and more."""
    if name == "hgr":
        sizes = [(1, 0, 0), (3, 1, 2), (4, 0, 2), (6, 2, 3), (2, 1, 0), (5, 1, 4)]
        texts = [role_caption(*size, seed=k) for k, size in enumerate(sizes)]
    else:
        texts = [caption(words, seed=k) for k, words in enumerate((1, 3, 5, 3, 8, 2))]
    return texts, [visual(name, nodes, seed=k) for k, nodes in enumerate((4, 1, 6, 4, 3))]


def encode(model, texts, visuals):
    text = model.encode_text(batch_graphs(texts, follow=("word",)))
    return model.encode_visual(batch_graphs(visuals)), text


@pytest.fixture(params=OPTIONS, ids=NAMES)
def case(request):
    name, options = request.param
    model = tiny_model(name, **options).eval()
    model.tile = (2, 4)
    return model, *graphs(name)


def test_scores_equal_pairs_one_by_one(case, assert_close):
    model, texts, visuals = case
    with torch.no_grad():
        expected = torch.stack(
            [
                torch.stack([model.score(*encode(model, [t], [v]))[0, 0] for t in texts])
                for v in visuals
            ]
        )
        items = encode(model, texts, visuals)
    assert_close(score_matrix(model, *items), expected)
    chunks = [[part[:2], part[2:2], part[2:]] for part in items]
    assert_close(score_matrix(model, *chunks), expected)


def test_other_numbers_give_near_scores(case):
    model, texts, visuals = case
    with torch.no_grad():
        items = encode(model, texts, visuals)
    expected = score_matrix(model, *items)
    half = score_matrix(model, *items, dtype=torch.bfloat16)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, atol=0.05, rtol=0.05)


def test_recomputed_gradients_equal_those_of_one_tile(case, assert_close):
    model, texts, visuals = case
    model = model.double()
    for graph in visuals:
        graph.x = graph.x.double()
    found = []
    for tiled in (True, False):
        model.zero_grad()
        items = encode(model, texts, visuals)
        scores = recomputed_scores(model, *items) if tiled else model.score(*items)
        model.loss(scores, torch.tensor([0, 1, 2, 3, 4, 0])).backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        found.append((scores.detach(), gradients))
    (scores, gradients), (expected, whole) = found
    assert_close(scores, expected, "float64")
    assert gradients.keys() == whole.keys()
    for name, gradient in gradients.items():
        assert_close(gradient, whole[name], "float64")


@pytest.mark.parametrize("name", list(MATCHERS))
def test_a_batch_trains(name):
    model = tiny_model(name)
    texts, visuals = graphs(name)
    ids = [str(number) for number in range(6)]
    batch = MatchBatch.collate(
        texts, visuals, owner=[0, 1, 2, 3, 4, 0], text_ids=ids, visual_ids=ids[:5]
    )
    loss = model(batch)
    loss.backward()
    assert loss.shape == ()
    assert bool(loss.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_padding_of_chunks_changes_nothing(case, assert_close):
    model, texts, visuals = case
    with torch.no_grad():
        left, right = encode(model, texts, visuals)
    wide = Encoded.cat([right[:2].trim(), right[2:]])  # padded again
    assert_close(
        score_matrix(model, left, [wide[:3], wide[3:].trim()]), score_matrix(model, left, right)
    )
