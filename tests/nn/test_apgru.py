"""APGRU against its equations step by step, its gradient, and what attention and padding do."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.nn.apgru import APGRU, gated_states


def network(property_size=3, seed=0):
    torch.manual_seed(seed)
    made = APGRU(4, hidden=5, property_size=property_size).double()
    torch.nn.init.normal_(made.bias)
    return made


def numbers(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def naive(gru, x, p, a):
    """One sequence [T, d], [T, d_p], [T]: the states one by one."""
    w, u, b = (part.chunk(3) for part in (gru.weight_x, gru.weight_h, gru.bias))
    v = gru.weight_p.chunk(2)
    state, states = torch.zeros(5, dtype=torch.float64), []
    for item, prop, opened in zip(x, p, a, strict=True):
        update = torch.sigmoid(w[0] @ item + v[0] @ prop + u[0] @ state + b[0])
        reset = torch.sigmoid(w[1] @ item + v[1] @ prop + u[1] @ state + b[1])
        new = torch.tanh(w[2] @ item + b[2] + reset * (u[2] @ state))
        state = (1 - opened * update) * state + opened * update * new
        states.append(state)
    return torch.stack(states)


def test_states_and_gradients_are_those_of_the_equations(assert_close):
    gru, given = network(), [numbers(3, 6, 4), numbers(3, 6, 3, seed=2), numbers(3, 6).sigmoid()]
    for value in given:
        value.requires_grad_()
    wanted = [*given, *gru.parameters()]
    states, last = gru(gru.gates(*given[:2]), given[2])
    expected = torch.stack([naive(gru, *(part[row] for part in given)) for row in range(3)])
    assert_close(states, expected, "float64")
    assert_close(last, expected[:, -1], "float64")
    weight, end = numbers(3, 6, 5, seed=3), numbers(3, 5, seed=4)
    all_of = ((states * weight).sum(), (expected * weight).sum())
    end_of = ((last * end).sum(), (expected[:, -1] * end).sum())
    both = tuple(one + two for one, two in zip(all_of, end_of, strict=True))
    for ours, theirs in (all_of, end_of, both):
        one = torch.autograd.grad(ours, wanted, retain_graph=True)
        two = torch.autograd.grad(theirs, wanted, retain_graph=True)
        for a, b in zip(one, two, strict=True):
            assert_close(a, b, "float64")


def test_gradients_by_finite_differences():
    given = (numbers(2, 3, 6), numbers(2, 3, seed=2).sigmoid(), numbers(6, 2, seed=3))
    assert gradcheck(gated_states, [value.requires_grad_() for value in given])


@torch.no_grad()
@pytest.mark.parametrize("property_size", [0, 3])
def test_the_last_state_without_gradients(assert_close, property_size):
    gru, x, p = network(property_size), numbers(7, 4), numbers(3, 6, 3, seed=2)
    place = torch.tensor([[0, 6, 3, 3, 1, 2], [5, 5, 5, 5, 5, 5], [4, 0, 0, 1, 0, 0]])
    attention = numbers(3, 6).sigmoid() * (torch.arange(6) < 4)  # the rest is padding
    expected = gru(gru.gates(x[place], p if property_size else None), attention)[1]
    found = gru.last(gru.items(x), place, attention, p if property_size else None)
    assert_close(found, expected, "float64")
    assert not gru.last(gru.items(x), place[:, :0], attention[:, :0]).any()


@torch.no_grad()
def test_without_attention_the_state_stays(assert_close):
    gru = network()
    attention = torch.tensor([[0.5, 0.0, 0.0, 0.7], [0.0, 0.0, 0.0, 0.0]]).double()
    states, last = gru(gru.gates(numbers(2, 4, 4), numbers(2, 4, 3)), attention)
    assert torch.equal(states[0, 0], states[0, 2])
    assert not torch.equal(states[0, 2], states[0, 3])
    assert not last[1].any()


@torch.no_grad()
def test_full_attention_is_a_plain_gru(assert_close):
    """torch's GRU has reset, update, new, and keeps the old state with its update gate."""
    gru, x = network(property_size=0), numbers(3, 6, 4)
    plain = torch.nn.GRU(4, 5, batch_first=True).double()
    for name, part in {"weight_ih_l0": gru.weight_x, "weight_hh_l0": gru.weight_h,
                       "bias_ih_l0": gru.bias}.items():  # fmt: skip
        update, reset, new = part.chunk(3)
        plain.get_parameter(name).copy_(torch.cat([reset, -update, new]))
    plain.bias_hh_l0.zero_()
    states, _ = gru(gru.gates(x), torch.ones(3, 6).double())
    assert_close(states, plain(x)[0], "float64")


@torch.no_grad()
def test_candidates_ranked_together_equal_one_by_one(assert_close):
    gru = network()
    gates, attention = gru.gates(numbers(2, 4, 4), numbers(2, 4, 3)), numbers(2, 3, 4).sigmoid()
    ranked = gru.rank(gates, attention)
    for place in range(3):
        assert_close(ranked[:, place], gru(gates, attention[:, place])[1], "float64")


@pytest.mark.parametrize("shape", [(2, 0), (0, 3)])
def test_nothing_to_run_over(shape):
    gru = network()
    states, last = gru(gru.gates(numbers(*shape, 4), numbers(*shape, 3)), numbers(*shape))
    assert states.shape == (*shape, 5)
    assert last.shape == (shape[0], 5)
    assert not last.any()
    (states.sum() + last.sum()).backward()
    assert not gru.weight_h.grad.any()
