"""Draws of seeds and generators."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from graphmatch.errors import ConfigError
from graphmatch.masking.draws import draws_from

SOURCES = {
    "seed": lambda: 5,
    "python": lambda: random.Random(5),
    "numpy": lambda: np.random.default_rng(5),
    "torch": lambda: torch.Generator().manual_seed(5),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_equal_seeds_give_equal_draws(source):
    def numbers():
        draws = draws_from(source())
        return [(draws.random(), draws.randint(0, 99), draws.choice(range(99))) for _ in range(20)]

    assert numbers() == numbers()


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_draws_are_uniform_over_their_range(source):
    draws = draws_from(source())
    uniform = [draws.random() for _ in range(2000)]
    assert all(isinstance(number, float) and 0 <= number < 1 for number in uniform)
    assert np.mean(uniform) == pytest.approx(0.5, abs=0.02)  # 3 standard deviations
    numbers = [draws.randint(1, 3) for _ in range(2000)]
    chosen = [draws.choice((1, 2, 3)) for _ in range(2000)]
    for drawn in (numbers, chosen):
        assert all(type(number) is int for number in drawn)
        shares = [drawn.count(number) / 2000 for number in (1, 2, 3)]  # both ends included
        assert shares == pytest.approx([1 / 3] * 3, abs=0.035)


def test_seed_and_python_generator_agree():
    assert draws_from(5).random() == random.Random(5).random()


def test_generators_of_the_program_move_on():
    generator = torch.Generator().manual_seed(5)
    assert draws_from(generator).random() != draws_from(generator).random()


@pytest.mark.parametrize("source", ["5", None, 0.5])
def test_other_sources_are_refused(source):
    with pytest.raises(ConfigError, match="expected a seed"):
        draws_from(source)
