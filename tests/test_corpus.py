from __future__ import annotations

import operator
import os
import sys

import pytest

from graphmatch.corpus import map_blocks
from graphmatch.errors import ConfigError
from graphmatch.ray_engine import ray_blocks


class Counted:
    """An iterable that knows how far it was read."""

    def __init__(self, items):
        self.items = items
        self.read = 0

    def __iter__(self):
        for item in self.items:
            self.read += 1
            yield item


@pytest.mark.parametrize("processes", [1, 2])
def test_map_blocks_gives_results_in_order(processes):
    results = list(map_blocks(operator.neg, range(25), processes=processes))
    assert results == [-number for number in range(25)]


@pytest.mark.parametrize("processes", [1, 2])
def test_map_blocks_of_nothing_is_nothing(processes):
    assert list(map_blocks(operator.neg, [], processes=processes)) == []


@pytest.mark.parametrize(("processes", "ahead"), [(1, 1), (2, 4)])
def test_map_blocks_reads_only_a_little_ahead(processes, ahead):
    blocks = Counted(range(1000))
    results = map_blocks(operator.neg, blocks, processes=processes)
    assert blocks.read == 0
    for number in range(10):
        assert next(results) == -number
        assert number < blocks.read <= number + ahead
    results.close()
    assert blocks.read < 20


@pytest.mark.parametrize("processes", [1, 2])
def test_map_blocks_raises_what_the_function_raises(processes):
    results = map_blocks(operator.index, [1, 2, "three", 4], processes=processes)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(TypeError, match="str"):
        next(results)


@pytest.mark.parametrize("processes", [1, 2])
def test_map_blocks_raises_what_the_blocks_raise(processes):
    def blocks():
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(map_blocks(operator.neg, blocks(), processes=processes))


def test_map_blocks_says_that_a_worker_was_killed():
    with pytest.raises(RuntimeError, match=r"killed, probably for memory; .* fewer processes"):
        list(map_blocks(os._exit, [3], processes=2))


def test_map_blocks_works_in_other_processes():
    results = set(map_blocks(eval, ["__import__('os').getpid()"] * 3, processes=2))
    assert os.getpid() not in results


def test_map_blocks_gives_a_worker_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    names = ["__import__('os').environ['OMP_NUM_THREADS']"]
    assert list(map_blocks(eval, names, processes=2)) == ["1"]


def test_ray_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'graphmatch\[ray\]'"):
        list(ray_blocks(operator.neg, [1]))
