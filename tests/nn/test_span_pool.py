from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.span_pool import span_pool


@given(st.lists(st.sets(st.integers(0, 4)), max_size=6), st.sampled_from(["max", "mean"]))
def test_nodes_are_pooled_one_by_one(spans, pool):
    words = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = [(node, word) for node, span in enumerate(spans) for word in sorted(span)]
    span = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).T
    actual = span_pool(words, span, len(spans), pool=pool)
    assert actual.shape == (len(spans), 3)
    for row, members in zip(actual, spans, strict=True):
        picked = words[sorted(members)] if members else torch.zeros(1, 3).double()
        assert row.allclose(picked.amax(dim=0) if pool == "max" else picked.mean(dim=0))


def test_equal_to_the_padded_form_with_a_mask(assert_close):
    torch.manual_seed(0)
    words, mask = torch.randn(7, 4), torch.rand(5, 7) > 0.5
    mask[:, 0] = True
    padded = words.expand(5, 7, 4).masked_fill(~mask.unsqueeze(-1), -1e10).amax(dim=1)
    assert_close(span_pool(words, mask.nonzero().T, 5), padded)


def test_all_negative_words_stay_negative():
    words = torch.tensor([[-3.0], [-2.0]])
    assert span_pool(words, torch.tensor([[0, 0], [0, 1]]), 1).tolist() == [[-2.0]]


def test_gradient_with_a_node_without_words():
    torch.manual_seed(0)
    words = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    span = torch.tensor([[0, 0, 2, 2, 2], [0, 3, 1, 2, 3]])
    for pool in ("max", "mean"):
        assert gradcheck(lambda x: span_pool(x, span, 4, pool=pool), words)  # noqa: B023


def test_bad_input():
    with pytest.raises(ConfigError, match="unknown pool 'sum'"):
        span_pool(torch.zeros(1, 1), torch.zeros(2, 1, dtype=torch.int64), 1, pool="sum")
    with pytest.raises(GraphError, match=r"words \[T, D\] and span \[2, S\]"):
        span_pool(torch.zeros(1, 1, 1), torch.zeros(2, 1, dtype=torch.int64), 1)
