"""Ragged rows to padded ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.errors import GraphError
from graphmatch.nn.pad_nodes import pad_nodes


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(0, 2))
def test_rows_come_back(counts, axes):
    x = torch.arange(1.0, 1 + sum(counts)).view(-1, *[1] * axes)
    ptr = torch.tensor([0, *counts]).cumsum(0)
    nodes, mask = pad_nodes(x, ptr)
    assert nodes.shape == (len(counts), max([1, *counts]), *[1] * axes)
    assert mask.sum(dim=1).tolist() == counts
    assert torch.equal(nodes[mask], x)
    assert not nodes[~mask].any()


def test_gradients():
    x = torch.arange(6.0, dtype=torch.float64).view(3, 2).requires_grad_()
    assert gradcheck(lambda x: pad_nodes(x, torch.tensor([0, 1, 3]))[0], (x,))


@pytest.mark.parametrize("ptr", [[0, 2], [0, 1, 4], []])
def test_counts_that_do_not_fit_are_an_error(ptr):
    with pytest.raises(GraphError, match="ends at 3"):
        pad_nodes(torch.zeros(3, 2), torch.tensor(ptr, dtype=torch.int64))
