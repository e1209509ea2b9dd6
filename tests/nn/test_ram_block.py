"""Recurrent attention memory: the fast step against the step as the paper writes it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError
from graphmatch.nn.attended_cosine import node_products
from graphmatch.nn.ram_block import RAMBlock, distil, mix
from graphmatch.nn.ram_scores import prepare_contexts, prepare_queries, ram_scores
from graphmatch.nn.ram_steps import ram_steps


def block(size=3, *, normalise=False):
    torch.manual_seed(0)
    return RAMBlock(size, normalise=normalise).double()


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def items(count, nodes, size=3, *, seed=0):
    mask = torch.arange(nodes) < torch.arange(count).remainder(nodes).unsqueeze(1) + 1
    return Encoded(nodes=numbers(count, nodes, size, seed=seed) * mask.unsqueeze(-1), mask=mask)


def test_memory_by_hand():
    unit = RAMBlock(1)
    with torch.no_grad():
        unit.gate.weight.copy_(torch.tensor([[0.0, 0.0]]))
        unit.gate.bias.fill_(torch.log(torch.tensor(3.0)))  # the gate is 3 / 4
        unit.output.weight.copy_(torch.tensor([[0.0, 1.0]]))  # reads the context alone
        unit.output.bias.zero_()
    updated = unit(torch.tensor([[4.0]]), torch.tensor([[50.0]]))
    torch.testing.assert_close(updated, torch.tensor([[3.25]]))  # 3/4 * 4 + 1/4 * tanh(50)


@pytest.mark.parametrize("normalise", [False, True])
def test_averaged_projections_give_the_memory_of_the_attended_contexts(normalise, assert_close):
    unit = block(normalise=normalise)
    memory, contexts = numbers(2, 4, 3), numbers(2, 5, 3, seed=1)
    weights = numbers(2, 5, 4, seed=2).softmax(dim=1)
    expected = unit(memory, weights.transpose(1, 2) @ contexts)
    part = unit.project_memory(memory)
    for reuse in (False, True):
        mixed = mix(part.clone(), weights, unit.project_contexts(contexts), reuse=reuse)
        assert_close(distil(memory, mixed, normalise=normalise), expected, "float64")
    if normalise:
        assert_close(expected.norm(dim=-1), torch.ones(2, 4).double(), "float64 looped")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_memory_without_gradients_is_the_same(dtype):
    memory, mixed = numbers(7, 40).to(dtype), (numbers(7, 80, seed=1) * 3).to(dtype)
    expected = distil(memory.double(), mixed.double().requires_grad_()).detach()
    with torch.no_grad():
        updated = distil(memory, mixed)
    assert updated.dtype == dtype
    error = {torch.float32: 1e-6, torch.float64: 1e-14, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(updated.double(), expected, atol=error, rtol=0)


@pytest.mark.parametrize("normalise", [False, True])
def test_gradients_of_a_block(normalise):
    unit = block(normalise=normalise)
    memory, attended = numbers(2, 3).requires_grad_(), numbers(2, 3, seed=1).requires_grad_()
    assert gradcheck(lambda x, c, *_: unit(x, c), (memory, attended, *unit.parameters()))


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_fast_scores_equal_written_out_steps(steps, normalise, gradients, assert_close):
    unit = block(normalise=normalise)
    contexts, queries = items(4, 3), items(5, 4, seed=1)
    with torch.set_grad_enabled(gradients):
        scores = ram_scores(
            prepare_contexts(contexts, unit, steps=steps),
            prepare_queries(queries, unit, steps=steps),
            node_products(contexts.nodes, queries.nodes),
            block=unit,
            steps=steps,
            scale=9.0,
        )
        written = ram_steps(contexts, queries, block=unit, steps=steps, scale=9.0)
    assert len(written) == steps
    assert_close(scores, sum(step.scores for step in written), "float64 looped")


@given(size=st.integers(1, 6), contexts=st.integers(1, 5), queries=st.integers(1, 5))
def test_memory_stays_between_the_old_memory_and_the_output(size, contexts, queries):
    unit = block(size)
    memory = numbers(queries, size) * 2
    updated = unit(memory, numbers(queries, size, seed=contexts))
    bound = memory.abs().clamp(min=1)
    assert bool((updated.abs() <= bound + 1e-12).all())


def test_products_of_any_strides(assert_close):
    unit = block()
    contexts, queries = items(4, 3), items(5, 4, seed=1)
    prepared = prepare_contexts(contexts, unit, steps=2), prepare_queries(queries, unit, steps=2)
    products = node_products(queries.nodes, contexts.nodes).permute(2, 3, 0, 1)
    options = {"block": unit, "steps": 2, "scale": 4.0}
    assert_close(
        ram_scores(*prepared, products, **options),
        ram_scores(*prepared, products.contiguous(), **options),
        "float64",
    )


def test_state_dict():
    unit = block()
    other = RAMBlock(3).double()
    other.load_state_dict(unit.state_dict())
    assert set(unit.state_dict()) == {"gate.weight", "gate.bias", "output.weight", "output.bias"}
    assert torch.equal(unit(*2 * [numbers(2, 3)]), other(*2 * [numbers(2, 3)]))


def test_size_below_one():
    with pytest.raises(ConfigError, match="size: expected at least 1"):
        RAMBlock(0)
