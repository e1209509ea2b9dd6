"""The head of a click model, its activations, and the attention of behaviours."""

from __future__ import annotations

import pytest
import torch

from graphmatch.errors import ConfigError
from graphmatch.nn.behaviour_attention import BehaviourAttention, attention_weights
from graphmatch.nn.click_head import ClickHead
from graphmatch.nn.dice import Dice

MASK = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]]).bool()


def numbers(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_layers_one_by_one(assert_close):
    head, x = ClickHead(4, units=(5, 3)).double(), numbers(6, 4)
    expected = x
    for linear, prelu in zip(head.linear, head.activation, strict=True):
        torch.nn.init.uniform_(prelu.weight)
        expected = expected @ linear.weight.T + linear.bias
        expected = torch.where(expected > 0, expected, prelu.weight * expected)
    expected = (expected @ head.out.weight.T + head.out.bias)[:, 0]
    assert_close(head(x), expected, "float64")


@pytest.mark.parametrize("activation", ["prelu", "relu", "dice"])
def test_dropout_and_batch_norm_are_for_training(activation, assert_close):
    torch.manual_seed(0)
    head = ClickHead(4, units=(50,), activation=activation, dropout=0.5, batch_norm=True).double()
    x = numbers(6, 4)
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert_close(head(x)[:2], head(x[:2]), "float64")
    assert len(ClickHead(4, units=(5,), activation=activation).norm) == 0
    with pytest.raises(ConfigError, match="did you mean 'relu'"):
        ClickHead(4, units=(5,), activation="rleu")


def test_dice_of_a_batch(assert_close):
    dice, x = Dice(3).double(), numbers(8, 3)
    torch.nn.init.constant_(dice.slope, 0.2)
    share = ((x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()).sigmoid()
    assert_close(dice(x), share * x + (1 - share) * 0.2 * x, "float64")


@torch.no_grad()
@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
@pytest.mark.parametrize("norm", ["softmax", "sigmoid"])
def test_attention_behaviour_by_behaviour(attention, norm, assert_close):
    attend = BehaviourAttention(4, attention=attention, norm=norm).double()
    x, query = numbers(3, 3, 4), numbers(3, 4, seed=1)
    found = attend(x, query, MASK)
    for row in range(3):
        scores = []
        for item in x[row]:
            if attention == "bilinear":
                scores.append(item @ attend.weight @ query[row])
            else:
                q = query[row]
                scores.append(attend.mlp(torch.cat([q, item, q - item, q * item]))[0])
        real = torch.stack(scores)[MASK[row]]
        expected = real.softmax(0) if norm == "softmax" else real.sigmoid()
        assert_close(found[row][MASK[row]], expected, "float64")
        assert not found[row][~MASK[row]].any()
    several = attend(x, torch.stack([query, query + 1], dim=1), MASK)  # [B, K, T]
    assert_close(several[:, 0], found, "float64")
    assert_close(several[:, 1], attend(x, query + 1, MASK), "float64")


def test_gradients_of_empty_histories_are_finite():
    score = numbers(3, 3).requires_grad_()
    attention_weights(score, MASK).square().sum().backward()
    assert score.grad.isfinite().all()
    assert not score.grad[~MASK].any()
    for options in ({"attention": "linear"}, {"norm": "softmin"}):
        with pytest.raises(ConfigError, match="expected one of"):
            BehaviourAttention(4, **options)
