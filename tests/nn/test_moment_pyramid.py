"""The layer over time, the pyramid and the heads: equations, padding, statistics."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from graphmatch.nn.conv_norm import ConvNorm
from graphmatch.nn.moment_heads import MomentHeads
from graphmatch.nn.moment_pyramid import MomentPyramid, level_masks

COUNTS = torch.tensor([9, 1, 6, 4])


def seeded(layer):
    """Every weight and statistic non-trivial."""
    generator = torch.Generator().manual_seed(0)
    layer = layer.double()
    for name, value in layer.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, dtype=value.dtype, generator=generator)
            value.copy_(noise.abs() + 0.5 if name.endswith("running_var") else 0.4 * noise)
    return layer


def pyramid():
    return seeded(MomentPyramid(5, position_size=2, channels=(4, 6, 3), out=7))


def inputs(clips=9, items=4):
    generator = torch.Generator().manual_seed(1)
    shapes = [(items, clips, 5), (items, clips, 2), (items, 5), (items, 4), (items, 6)]
    video, position, *query = (
        torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes
    )
    return video, position, query


def normalised(x, norm):
    shape = (1, -1, 1)
    x = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
    return x * norm.weight.view(shape) + norm.bias.view(shape)


def cbr(x, layer):
    conv = layer.conv
    x = functional.conv1d(x, conv.weight, conv.bias, conv.stride, conv.padding)
    return normalised(x, layer.norm).clamp(min=0)


def test_pyramid_equals_its_equations(assert_close):
    model, (video, position, query) = pyramid().eval(), inputs(clips=8)
    x = torch.cat((video * query[0][:, None], position), dim=2).mT
    levels = [cbr(x, model.down[0])]
    for level in (1, 2):
        levels.append(cbr(levels[-1] * query[level][:, :, None], model.down[level]))
    inner = [cbr(x, layer) for x, layer in zip(levels, model.lateral, strict=True)]
    for level in (1, 0):
        inner[level] = inner[level] + functional.interpolate(inner[level + 1], scale_factor=2)
    for level, found in enumerate(model(video, position, query)):
        assert_close(found, cbr(inner[level], model.smooth[level]), "float64")


@pytest.mark.parametrize("clips", [1, 2, 5, 6, 7, 9, 11])
def test_upsampling_of_odd_levels_is_the_nearest_column(clips, assert_close):
    model, (video, position, query) = pyramid().eval(), inputs(clips)
    levels = model.interact(video, position, query)
    inner = [cbr(x, layer) for x, layer in zip(levels, model.lateral, strict=True)]
    for level in (1, 0):
        size = inner[level].size(2)
        inner[level] = inner[level] + functional.interpolate(inner[level + 1], size=size)
    for level, found in enumerate(model(video, position, query)):
        assert_close(found, cbr(inner[level], model.smooth[level]), "float64")


def ragged(training):
    """A batch of videos of 9, 1, 6 and 4 clips through pyramid and heads, padded and alone."""
    model, heads = pyramid().train(training), seeded(MomentHeads(7)).train(training)
    video, position, query = inputs()
    mask = torch.arange(9) < COUNTS.unsqueeze(1)
    masks = level_masks(mask)
    video = video.masked_fill(~mask.unsqueeze(-1), 0)
    position = position.masked_fill(~mask.unsqueeze(-1), 1e3)  # must not matter
    levels = model(video, position, query, masks)
    return model, heads, (video, position, query), masks, levels


def test_padded_videos_equal_videos_alone(assert_close):
    model, heads, (video, position, query), masks, levels = ragged(training=False)
    found = heads(levels, masks)
    real = torch.cat(masks, dim=1)
    for item, count in enumerate(COUNTS.tolist()):
        one = slice(item, item + 1)
        alone = model(video[one, :count], position[one, :count], [q[one] for q in query])
        for level, x in enumerate(alone):
            assert_close(levels[level][one, :, : x.size(2)], x, "float64")
            assert not levels[level][one, :, x.size(2) :].any()
        for part, expected in zip(found, heads(alone), strict=True):
            assert_close(part[item][real[item]], expected[0], "float64")


def test_padding_is_in_no_statistics(assert_close):
    layer = seeded(ConvNorm(3, 4, kernel=3)).train()
    x = torch.randn(4, 3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mask = torch.arange(9) < COUNTS.unsqueeze(1)
    x = x * mask.unsqueeze(1)
    before = layer.norm.running_mean.clone()
    out = layer(x, mask)
    rows = layer.conv(x).mT[mask]  # [N, 4]
    mean, var = rows.mean(dim=0), rows.var(dim=0, correction=0)
    expected = (rows - mean) / (var + layer.norm.eps).sqrt() * layer.norm.weight + layer.norm.bias
    assert_close(out.mT[mask], expected.clamp(min=0), "float64")
    assert not out.mT[~mask].any()
    assert_close(layer.norm.running_mean, 0.9 * before + 0.1 * mean, "float64")


def test_a_mask_of_real_places_changes_nothing(assert_close):
    video, position, query = inputs(clips=8)
    masks = level_masks(torch.ones(4, 8, dtype=torch.bool))
    for training in (False, True):
        plain, masked = (pyramid().train(training) for _ in range(2))
        pairs = zip(
            plain(video, position, query), masked(video, position, query, masks), strict=True
        )
        for first, second in pairs:
            assert_close(first, second, "float64")


def test_shared_heads_are_normalised_level_by_level(assert_close):
    heads = seeded(MomentHeads(4, tower_layers=2)).train()
    generator = torch.Generator().manual_seed(3)
    levels = [
        torch.randn(2, 4, size, dtype=torch.float64, generator=generator) for size in (8, 4, 2)
    ]
    norm = heads.match_tower[0].norm
    mean = norm.running_mean.clone()
    for x in levels:
        mean = 0.9 * mean + 0.1 * heads.match_tower[0].conv(x).mean(dim=(0, 2))
    heads(levels)
    assert_close(norm.running_mean, mean, "float64")
    updates = {
        int(norm.num_batches_tracked) for norm in heads.modules() if hasattr(norm, "momentum")
    }
    assert updates == {3}


def test_heads_equal_their_equations(assert_close):
    heads = seeded(MomentHeads(4)).eval()
    x = torch.randn(2, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    match, distance = cbr(x, heads.match_tower[0]), cbr(x, heads.distance_tower[0])
    found = heads.level(x, 1)
    assert_close(found.match, heads.match(match)[:, 0], "float64")
    expected = (heads.scales[1] * heads.distance(distance)).exp()
    assert_close(found.distance, expected.mT, "float64")
    mixed = cbr(torch.cat((match, distance), dim=1), heads.mix)
    assert_close(found.iou, heads.iou(cbr(mixed, heads.iou_hidden))[:, 0], "float64")
    assert (found.distance > 0).all()


def test_heads_begin_with_the_prior():
    torch.manual_seed(0)
    heads = MomentHeads(64, prior=0.02).eval()
    found = heads([torch.randn(2, 64, size) for size in (8, 4, 2)])
    assert abs(found.match.sigmoid().mean().item() - 0.02) < 5e-3
    assert heads.match.weight.std() < 0.02


def test_half_precision_gives_float32():
    heads = MomentHeads(4).bfloat16().eval()
    found = heads([torch.randn(2, 4, size, dtype=torch.bfloat16) for size in (8, 4, 2)])
    assert {part.dtype for part in found} == {torch.float32}
