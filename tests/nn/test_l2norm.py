"""Vectors of length 1."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.nn.l2norm import l2_normalise


def test_eps_is_added_to_the_length_not_under_the_root(assert_close):
    x = torch.tensor([[3e-8, 4e-8]], dtype=torch.float64)
    assert_close(l2_normalise(x), x / 6e-8, "float64")
    assert_close(l2_normalise(torch.tensor([3.0, 4.0]), eps=5.0), torch.tensor([0.3, 0.4]))


def test_a_zero_vector_stays_zero_and_has_a_finite_gradient():
    x = torch.zeros(2, 3, requires_grad=True)
    result = l2_normalise(x)
    assert not result.any()
    result.sum().backward()
    assert x.grad.isfinite().all()


def test_gradients():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert gradcheck(l2_normalise, (x,))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_lengths_are_at_most_one(numbers):
    x = torch.tensor(numbers, dtype=torch.float64)
    assert float(l2_normalise(x).norm()) <= 1 + 1e-12
