from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.ensemble import Ensemble
from graphmatch.models.gsmn import GSMN, GSMNConfig
from graphmatch.models.scan import SCAN, SCANConfig
from graphmatch.scoring import score_matrix

SIZES = {"vocabulary": 9, "feature_size": 6, "word_size": 4, "embed_size": 8}


def matchers():
    torch.manual_seed(0)
    gsmn = GSMNConfig(**SIZES, blocks=2, hidden=8)
    return [GSMN(gsmn), GSMN(replace(gsmn, graph="dense")), SCAN(SCANConfig(**SIZES))]


def batches():
    texts = [word_graph(ids) for ids in ([1, 3, 2], [5], [1, 2])]
    box, size = torch.tensor([[0.0, 0.0, 0.5, 1.0]]), torch.tensor([[640.0, 480.0]])
    images = [RegionGraph(x=torch.randn(n, 6), box=box.expand(n, 4), size=size) for n in (2, 4)]
    return batch_graphs(images), batch_graphs(texts, follow=("word",))


@torch.no_grad()
def test_scores_are_the_mean_of_the_matchers_scores(assert_close):
    models = matchers()
    images, texts = batches()
    scores = [m.score(m.encode_visual(images), m.encode_text(texts)) for m in models]
    both = Ensemble(models)
    visual, text = both.encode_visual(images), both.encode_text(texts)
    expected = torch.stack(scores).mean(dim=0)
    assert_close(both.score(visual, text), expected)
    assert_close(score_matrix(both, visual, text), expected)
    chunks = [visual[:1].trim(), visual[1:]]
    assert_close(score_matrix(both, chunks, text), expected)


def test_one_matcher_is_itself_and_the_smallest_tile_counts(assert_close):
    models = matchers()
    images, texts = batches()
    one = Ensemble(models[2:])
    assert_close(
        one.score(one.encode_visual(images), one.encode_text(texts)),
        models[2].score(models[2].encode_visual(images), models[2].encode_text(texts)),
    )
    sizes = [model.tile for model in models]
    assert Ensemble(models).tile == tuple(min(column) for column in zip(*sizes, strict=True))
    scores, owner = torch.tensor([[0.3, 0.2], [0.1, 0.0]]), torch.tensor([0, 1])
    assert one.loss(scores, owner) == models[2].loss(scores, owner)


def test_bad_members():
    with pytest.raises(ConfigError, match="at least one matcher"):
        Ensemble([])
    images, _ = batches()
    other = SCAN(SCANConfig(**{**SIZES, "embed_size": 4}))
    with pytest.raises(GraphError, match="same nodes, of the same size"):
        Ensemble([matchers()[0], other]).encode_visual(images)


def test_members_keep_their_own_tensors():
    items = Ensemble(matchers()).encode_visual(batches()[0])
    assert sorted(items.extra) == ["0.box", "1.box"]
    assert items.nodes.shape == (2, 4, 24)
    assert Encoded.cat([items[:1], items[1:]]).extra["1.box"].shape == (2, 4, 4)
