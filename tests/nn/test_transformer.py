"""A transformer layer against its equation written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError
from graphmatch.nn.transformer import TransformerLayer

LAYER = {"heads": 2, "inner": 5}


def make(size=6, **options):
    torch.manual_seed(0)
    layer = TransformerLayer(size, **{**LAYER, **options}).double()
    for value in layer.parameters():
        torch.nn.init.normal_(value, std=0.5)
    return layer


def norm(x, part):
    centred = x - x.mean()
    return centred / math.sqrt(float((centred**2).mean()) + 1e-12) * part.weight + part.bias


def written_out(layer, x):
    """[M, d] of one item without padding."""
    size = x.size(1) // layer.heads
    attended = torch.zeros_like(x)
    q, k, v = (x @ one.weight.T + one.bias for one in (layer.query, layer.key, layer.value))
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        for row in range(len(x)):
            logits = [float(q[row, part] @ k[other, part]) / size**0.5 for other in range(len(x))]
            weights = torch.tensor(logits, dtype=x.dtype).softmax(0)
            attended[row, part] = weights @ v[:, part]
    out = []
    for row in range(len(x)):
        y = norm(
            x[row] + layer.output.weight @ attended[row] + layer.output.bias, layer.output_norm
        )
        inner = layer.inner.weight @ y + layer.inner.bias
        gelu = inner * (1 + torch.erf(inner / 2**0.5)) / 2
        out.append(norm(y + layer.outer.weight @ gelu + layer.outer.bias, layer.outer_norm))
    return torch.stack(out)


def test_layer_equals_its_equation(assert_close):
    layer = make()
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    found = layer(x, mask)
    layer.requires_grad_(False)
    assert_close(found[0].detach(), written_out(layer, x[0]), "float64")
    assert_close(found[1, :2].detach(), written_out(layer, x[1, :2]), "float64")


def test_gradients():
    layer = make(4)
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    assert gradcheck(lambda one: layer(one, mask)[:, :2], x)


@pytest.mark.parametrize("options", [{"heads": 4}, {"heads": 0}, {"inner": 0}])
def test_impossible_sizes(options):
    with pytest.raises(ConfigError, match="heads that divide 6"):
        make(**options)
