"""`TileThreads`: results in order, settings of torch as before, errors passed on."""

from __future__ import annotations

import threading

import pytest
import torch

from graphmatch.tile_threads import TileThreads


@pytest.fixture(autouse=True)
def torch_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def calls(count):
    return [lambda k=k: (k, torch.get_num_threads(), threading.get_ident()) for k in range(count)]


def test_calls_run_in_threads_of_one_torch_thread_each():
    with TileThreads(2) as threads:
        for _ in range(2):
            found = threads.map(calls(6))
            assert [number for number, _, _ in found] == list(range(6))
            assert {inside for _, inside, _ in found} == {1}
            assert threading.get_ident() not in {ident for _, _, ident in found}
            assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("count", "number"), [(1, 6), (4, 3), (4, 0)])
def test_few_calls_share_the_threads_of_torch(count, number):
    with TileThreads(count) as threads:
        found = threads.map(calls(number))
    assert {ident for _, _, ident in found} <= {threading.get_ident()}
    assert {inside for _, inside, _ in found} <= {3}


@pytest.mark.parametrize("count", [1, 2])
def test_no_call_has_gradients(count):
    one = torch.ones(1, requires_grad=True)
    with TileThreads(count) as threads:
        assert not any(threads.map([lambda: (one * 2).requires_grad] * 4))
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("count", [1, 2])
def test_errors_are_raised_and_settings_kept(count):
    def fail():
        raise ValueError("a tile")

    with TileThreads(count) as threads, pytest.raises(ValueError, match="a tile"):
        threads.map([lambda: None, fail, lambda: None])
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("count", [1, 2])
def test_autocast_of_the_caller_holds(count):
    one = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16), TileThreads(count) as threads:
        assert threads.map([lambda: (one @ one).dtype] * 3) == [torch.bfloat16] * 3
    with TileThreads(count) as threads:
        assert threads.map([lambda: (one @ one).dtype] * 3) == [torch.float32] * 3
