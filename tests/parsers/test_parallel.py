"""Parsing in several processes."""

from __future__ import annotations

from itertools import count, islice

import pytest

from graphmatch.errors import ConfigError
from graphmatch.parsers.parallel import pipe_parallel

TEXTS = [f"{number} dogs chase a cat ." for number in range(20)]


@pytest.mark.slow
def test_two_processes_give_the_parses_of_one(parser):
    alone = list(parser.pipe(TEXTS))
    assert list(pipe_parallel(parser, TEXTS, batch_size=3, processes=2)) == alone


def test_batches_are_read_as_they_are_needed(parser):
    taken = []

    def endless():
        for number in count():
            taken.append(number)
            yield f"{number} dogs run ."

    parses = list(islice(pipe_parallel(parser, endless(), batch_size=4, processes=1), 6))
    assert [parse.words[0] for parse in parses] == ["0", "1", "2", "3", "4", "5"]
    assert len(taken) == 8


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"processes": 0}])
def test_sizes_below_one_are_refused(parser, wrong):
    with pytest.raises(ConfigError, match="from 1"):
        list(pipe_parallel(parser, TEXTS, **wrong))
