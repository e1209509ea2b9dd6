"""DRN: items alone and together, padding, saving, official names."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from graphmatch.clips.moments import moment_share
from graphmatch.config import config_from_values, config_values
from graphmatch.errors import CheckpointError, ConfigError, GraphError
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.models.drn_keys import load_official, official_keys
from graphmatch.models.drn_stages import STAGES

CONFIG = DRNConfig(
    vocabulary=12, feature_size=6, clips=8, word_size=4, hidden=5, position_size=3,
    channels=(4, 5, 6), pyramid_size=4,
)  # fmt: skip
QUERIES = [[3, 7, 9, 4], [5], [6, 2], [1, 2, 3]]
OWNER = [1, 0, 1, 2]
MOMENTS = [[0.5, 3.0], [2.0, 9.0], [6.0, 7.5], [1.0, 1.0]]


def build(config=CONFIG):
    torch.manual_seed(0)
    model = DRN(config).double().eval()
    for name, value in model.state_dict().items():
        if name.startswith("heads") and name.endswith("weight"):
            value.mul_(20)  # so that points differ
    return model


def video(clips, seed):
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(clips + 1.0, dtype=torch.float64).unfold(0, 2, 1)
    duration = torch.tensor([float(clips)], dtype=torch.float64)
    x = torch.randn(clips, CONFIG.feature_size, dtype=torch.float64, generator=generator)
    return ClipGraph(x=x, time=time, duration=duration)


def videos(counts=(8, 8, 8)):
    return [video(clips, seed) for seed, clips in enumerate(counts)]


def ground(model, queries=QUERIES, items=None, owner=OWNER):
    texts = batch_graphs([word_graph(ids) for ids in queries], follow=("word",))
    visual = model.encode_visual(batch_graphs(items or videos()))
    return model.ground(visual, model.encode_text(texts), torch.tensor(owner))


def match_batch(items=None, moments=MOMENTS):
    items = items or videos()
    return MatchBatch.collate(
        [word_graph(ids) for ids in QUERIES],
        items,
        owner=OWNER,
        text_ids=[str(number) for number in range(len(QUERIES))],
        visual_ids=[str(number) for number in range(len(items))],
        moment=torch.tensor(moments, dtype=torch.float64),
    )


@torch.no_grad()
@pytest.mark.parametrize("counts", [(8, 8, 8), (8, 3, 1), (5, 12, 7)])
def test_queries_together_equal_queries_alone(counts, assert_close):
    config = (
        CONFIG if set(counts) == {8} else replace(CONFIG, mask_padding=True, cut_upsampling=True)
    )
    model, items = build(config), videos(counts)
    together = ground(model, items=items)
    for number, (ids, place) in enumerate(zip(QUERIES, OWNER, strict=True)):
        alone = ground(model, [ids], [items[place]], [0])
        real = slice(None) if together.mask is None else together.mask[number]
        assert_close(together.segments()[number][real], alone.segments()[0], "float64")
        for part, expected in zip(together.found, alone.found, strict=True):
            assert_close(part[number][real], expected[0], "float64")


@torch.no_grad()
def test_order_of_queries_and_videos_does_not_matter(assert_close):
    model = build()
    there = ground(model)
    back = ground(model, QUERIES[::-1], videos()[::-1], [2 - place for place in OWNER[::-1]])
    for part, other in zip(there.found, back.found, strict=True):
        assert_close(part, other.flip(0), "float64")


@torch.no_grad()
def test_points_lie_inside_the_moments_that_they_predict():
    grounding = ground(build())
    location = grounding.points.location / 8
    assert (grounding.segments()[..., 0] < location).all()
    assert (location < grounding.segments()[..., 1]).all()


@torch.no_grad()
def test_decoded_moments_are_those_of_the_real_points(assert_close):
    config = replace(CONFIG, mask_padding=True, cut_upsampling=True, score_threshold=0.0)
    model, items = build(config), videos((8, 3, 1))
    grounding = ground(model, items=items)
    moments = model.decode(grounding)
    assert torch.equal(moments.mask, grounding.mask)
    found = grounding.found
    score = (found.match.sigmoid() * found.iou.sigmoid()).sqrt()
    assert_close(moments.score[moments.mask], score[moments.mask], "float64")
    segments = grounding.segments().clamp(0, 1)
    assert_close(moments.segment[moments.mask], segments[moments.mask], "float64")
    first = model.decode(grounding, use_iou=False)
    assert_close(first.score[moments.mask], found.match.sigmoid().sqrt()[moments.mask], "float64")


@torch.no_grad()
def test_half_precision_is_near():
    model = build()
    expected = ground(model).segments()
    found = ground(model.bfloat16()).segments()
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.05


@pytest.mark.parametrize("dropout", [(0.5, 0.0), (0.0, 0.5)])
def test_dropout_acts_on_its_side_and_in_training_alone(dropout):
    plain, model = build(), build(replace(CONFIG, dropout=dropout))
    texts = batch_graphs([word_graph(ids) for ids in QUERIES], follow=("word",))
    visuals = batch_graphs(videos())
    for training in (False, True):
        model.train(training)
        words_stay = torch.equal(model.encode_text(texts).nodes, plain.encode_text(texts).nodes)
        clips_stay = torch.equal(
            model.encode_visual(visuals).nodes, plain.encode_visual(visuals).nodes
        )
        assert words_stay == (not training or dropout[0] == 0)
        assert clips_stay == (not training or dropout[1] == 0)


def test_losses_of_a_batch_are_those_of_its_moments_in_shares():
    model = build()
    losses = model(match_batch())
    shares = torch.stack([moment_share(start, end, 8.0) for start, end in MOMENTS])
    for found, expected in zip(losses, model.losses(ground(model), shares), strict=True):
        assert torch.equal(found, expected)
    with pytest.raises(GraphError, match="batch with moments"):
        model(replace(match_batch(), moment=None))


def test_losses_of_padded_videos_are_sums_over_their_points(assert_close):
    config = replace(CONFIG, mask_padding=True, cut_upsampling=True, iou_positive=-1.0)
    model, items = build(config), videos((8, 3, 1))
    losses = model(match_batch(items))
    parts = []
    for number, (ids, place) in enumerate(zip(QUERIES, OWNER, strict=True)):
        length = float(items[place].duration)
        share = moment_share(*MOMENTS[number], length).unsqueeze(0)
        parts.append(model.losses(ground(model, [ids], [items[place]], [0]), share))
    assert int(losses.positives) == sum(int(part.positives) for part in parts)
    assert int(losses.selected) == sum(int(part.selected) for part in parts)
    total = sum(part.match * (part.positives + 1) for part in parts)
    assert_close(losses.match, total / (losses.positives + 4), "float64")
    total = sum(part.iou * part.selected for part in parts)
    assert_close(losses.iou, total / losses.selected, "float64")


def test_clip_units_are_clips_unless_a_scale_is_given():
    plain, same = build(), build(replace(CONFIG, scale=8.0))
    for part, other in zip(plain(match_batch()), same(match_batch()), strict=True):
        assert torch.equal(part, other)
    other = ground(build(replace(CONFIG, scale=32.0)))  # the official code with 8 clips
    assert other.scale.tolist() == [32.0] * 4
    assert torch.equal(other.segments() * 4, ground(plain).segments())


def test_training_reaches_every_parameter():
    model = build(replace(CONFIG, iou_positive=-1.0)).train()
    STAGES[2].loss(model(match_batch())).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_one_query_can_be_trained():
    """The official code fails here."""
    model = build().train()
    share = torch.tensor([[0.1, 0.9]])
    STAGES[2].loss(model.losses(ground(model, [[3]], owner=[1]), share)).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@torch.no_grad()
def test_saved_weights_give_the_same(tmp_path):
    model = build()
    save_file(model.state_dict(), tmp_path / "drn.safetensors")
    other = DRN(config_from_values(DRNConfig, config_values(CONFIG))).double().eval()
    other.load_state_dict(load_file(tmp_path / "drn.safetensors"))
    for part, expected in zip(ground(other).found, ground(model).found, strict=True):
        assert torch.equal(part, expected)


def official(model):
    """A state dict as the official code saves it."""
    state = model.state_dict()
    tensors = {theirs: state[ours] for theirs, ours in official_keys(model.config).items()}
    unused = {
        "query_encoder.textualAttention.W1.weight": torch.zeros(1, 10),
        "fcos.head.centerness.bias": torch.zeros(1),
    }
    return tensors | unused


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("options", [{}, {"tower_layers": 2, "word_layers": 2}])
def test_official_checkpoints_load_with_and_without_module(prefix, options):
    model = build(replace(CONFIG, **options))
    assert sorted(official_keys(model.config).values()) == sorted(model.state_dict())
    other = DRN(model.config).double()
    load_official(other, {prefix + name: value for name, value in official(model).items()})
    for name, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_official_checkpoints_load_whole_or_not_at_all():
    model, tensors = build(), official(build())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    del tensors["prop_fc.weight"]
    with pytest.raises(CheckpointError, match=r"missing prop_fc\.weight"):
        load_official(model, tensors)
    with pytest.raises(CheckpointError, match=r"unexpected fcos\.head\.other"):
        load_official(model, {**official(build()), "fcos.head.other": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"qInput0\.bias: expected \[6\]"):
        load_official(model, {**official(build()), "qInput0.bias": torch.zeros(7).double()})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_published_sizes():
    """45,511,378 parameters with C3D, of which the network uses 39,214,288 (its own count)."""
    for size, count in ((4096, 45_511_378), (2048, 29_254_354), (768, 23_353_554)):
        with torch.device("meta"):
            model = DRN(DRNConfig(vocabulary=1302, feature_size=size))
        unused = 1024 + 1 + 1024 * 2048 + 1024 + 2048 * 2048 + 2048  # textual attention
        unused += 512 * 3 + 1  # centre-ness
        assert sum(p.numel() for p in model.parameters()) + unused == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 30}, "multiple of 4"),
        ({"prior": 0.0}, "prior"),
        ({"scale": 0.0}, "scale"),
        ({"iou_clamp": "al"}, "did you mean 'all'"),
        ({"match_divisor": "items"}, "match_divisor"),
        ({"channels": (1, 2, 0)}, "channels"),
        ({"ranges": ((1.0, 0.0), (1.0, 2.0), (3.0, 4.0))}, "ranges"),
        ({"iou_positive": 1.0}, "iou_positive"),
        ({"score_threshold": 1.0}, "score_threshold"),
        ({"tower_layers": -1}, "tower_layers"),
        ({"dropout": (0.2, 1.0)}, r"dropout: expected two shares in \[0, 1\)"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **options)


def test_bad_videos_are_refused():
    model = build()
    with pytest.raises(GraphError, match=r"videos of 8 clips \(got \[3, 8\]\)"):
        ground(model, items=videos((8, 3, 8)))
    with pytest.raises(GraphError, match=r"clips of 6 numbers \(got 5\)"):
        model.encode_visual(batch_graphs([narrow(video(8, 0))]))
    cut = build(replace(CONFIG, mask_padding=True, cut_upsampling=True))
    visual = cut.encode_visual(batch_graphs(videos((7, 3, 5))))
    text = cut.encode_text(batch_graphs([word_graph([5])], follow=("word",)))
    padded = build(replace(CONFIG, mask_padding=True))
    with pytest.raises(GraphError, match=r"multiple of 4 clips \(got 7\)"):
        padded.ground(visual, text, torch.tensor([0]))


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 6, 7])
def test_masked_videos_are_padded_to_what_can_be_halved(count, assert_close):
    model = build(replace(CONFIG, mask_padding=True))
    alone = ground(model, [[5]], [video(count, 0)], [0])
    assert alone.mask.size(1) % 7 == 0
    beside = ground(model, [[5]], [video(count, 0), video(12, 1)], [0])
    for part, other in zip(alone.found, beside.found, strict=True):
        assert_close(part[alone.mask], other[beside.mask], "float64")


def narrow(graph):
    return ClipGraph(x=graph.x[:, :5], time=graph.time, duration=graph.duration)
