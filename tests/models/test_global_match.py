"""The global baseline against its equations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphmatch.config import config_from_values, config_values
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.global_match import GlobalMatch, GlobalMatchConfig, official_keys
from graphmatch.scoring import score_matrix

CONFIG = GlobalMatchConfig(vocabulary=12, feature_size=6, word_size=4, embed_size=8)
CAPTIONS = [[3, 7, 9, 4], [5], [6, 2]]
FRAMES = [4, 1, 3]


def build(config=CONFIG):
    torch.manual_seed(0)
    return GlobalMatch(config).double().eval()


def clips(frames, seed):
    x = torch.randn(frames, 6, generator=torch.Generator().manual_seed(seed))
    time = torch.arange(frames + 1.0).unfold(0, 2, 1)
    return ClipGraph(x=x, time=time, duration=torch.tensor([float(frames)]))


def videos():
    return [clips(count, seed) for seed, count in enumerate(FRAMES)]


def encode(model, captions=CAPTIONS, items=None):
    texts = batch_graphs([word_graph(ids) for ids in captions], follow=("word",))
    return model.encode_visual(batch_graphs(items or videos())), model.encode_text(texts)


@torch.no_grad()
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_scores_equal_the_equations(cell, assert_close):
    model = build(replace(CONFIG, cell=cell))
    scores = model.score(*encode(model))
    for row, video in enumerate(videos()):
        vector = model.frames(video.x.double().mean(dim=0))
        for column, ids in enumerate(CAPTIONS):
            embedded = model.words.embedding(torch.tensor(ids)).unsqueeze(0)
            both = model.words.rnn(embedded)[0][0]  # [T, 2 D]
            mean = ((both[:, :8] + both[:, 8:]) / 2).mean(dim=0)
            expected = torch.cosine_similarity(vector, mean, dim=0)
            assert_close(scores[row, column], expected, "float64")
    assert_close(score_matrix(model, *encode(model)), scores, "float64")


def test_batch_equals_items_one_by_one(assert_close):
    model = build()
    scores = model.score(*encode(model))
    for row, video in enumerate(videos()):
        for column, ids in enumerate(CAPTIONS):
            assert_close(model.score(*encode(model, [ids], [video]))[0, 0], scores[row, column],
                         "float64")  # fmt: skip


def test_features_that_are_averaged_already_give_the_same(assert_close):
    model = build()
    pooled = [replace_features(video) for video in videos()]
    whole, mean = (model.encode_visual(batch_graphs(items)) for items in (videos(), pooled))
    assert_close(whole.nodes, mean.nodes)


def replace_features(video):
    mean = video.x.mean(dim=0, keepdim=True)
    return ClipGraph(x=mean, time=torch.tensor([[0.0, 1.0]]), duration=torch.tensor([1.0]))


def test_half_precision_is_near():
    model = GlobalMatch(CONFIG).eval()
    items = encode(model)
    half = model.score(*(part.to(dtype=torch.bfloat16) for part in items))
    assert half.dtype == torch.float32
    assert (half - model.score(*items)).abs().max() < 0.02


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model = GlobalMatch(CONFIG)
    batch = MatchBatch.collate(
        [word_graph(ids) for ids in CAPTIONS], videos(), owner=[0, 1, 2],
        text_ids=list("abc"), visual_ids=list("xyz"),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(15):
        loss = model(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_official_keys_name_every_parameter_once(bidirectional):
    config = replace(CONFIG, bidirectional=bidirectional, word_layers=2)
    keys, model, other = official_keys(config), build(config), GlobalMatch(config).double().eval()
    assert sorted(keys.values()) == sorted(model.state_dict())
    official = {name: model.state_dict()[ours] for name, ours in keys.items()}
    other.load_state_dict({keys[name]: value for name, value in official.items()})
    assert torch.equal(other.score(*encode(other)), model.score(*encode(model)))


def test_config_survives_json():
    config = replace(CONFIG, dropout=(0.1, 0.3), direction="i2t")
    assert config_from_values(GlobalMatchConfig, config_values(config)) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lst"}, "did you mean 'lstm'"),
        ({"negatives": "hard"}, "did you mean 'hardest'"),
        ({"direction": "bi"}, "expected one of both, i2t, t2i"),
        ({"vocabulary": 0}, "vocabulary: expected at least 1"),
        ({"margin": -1.0}, "margin: expected a number from 0"),
        ({"dropout": (0.2, 1.0)}, r"dropout: expected two shares in \[0, 1\)"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


def test_bad_input():
    model = build()
    with pytest.raises(GraphError, match="word_ptr"):
        model.encode_text(batch_graphs([word_graph([1, 2])]))
    wide = ClipGraph(
        x=torch.zeros(1, 7), time=torch.tensor([[0.0, 1.0]]), duration=torch.tensor([1.0])
    )
    with pytest.raises(GraphError, match="frames of 6 numbers"):
        model.encode_visual(batch_graphs([wide]))
