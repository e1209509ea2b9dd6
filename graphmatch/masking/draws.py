"""`Draws`: the random numbers that masking asks for, from any generator with a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from graphmatch.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import torch


class Draws(Protocol):
    """A source of random numbers; `random.Random(seed)` is one.

    Masking asks in a fixed order, so a source that replays a list gives a known result.
    """

    def random(self) -> float:
        """A uniform number in [0, 1)."""
        ...

    def randint(self, a: int, b: int, /) -> int:
        """A uniform integer of a, ..., b, both ends included."""
        ...

    def choice(self, seq: Sequence[int], /) -> int:
        """One of the integers, each equally likely."""
        ...


def draws_from(source: int | random.Random | np.random.Generator | torch.Generator) -> Draws:
    """Draws of a seed or of a generator that the program already has.

    Args:
        source: a seed, or a generator of Python, numpy or torch; it moves on with every draw. A
            torch generator on a device synchronises it at every draw.

    Returns:
        The draws: the same numbers for the same seed and kind of generator.

    Raises:
        ConfigError: something else.

    Example:
        >>> one, two = draws_from(7), draws_from(7)
        >>> [one.randint(1, 6) for _ in range(9)] == [two.randint(1, 6) for _ in range(9)]
        True
    """
    import numpy as np
    import torch

    if isinstance(source, random.Random):
        return source
    if isinstance(source, np.random.Generator):
        return _NumpyDraws(source)
    if isinstance(source, torch.Generator):
        return _TorchDraws(source)
    if isinstance(source, int):
        return random.Random(source)  # noqa: S311 (masks are no secrets)
    raise ConfigError(
        "draws: expected a seed, random.Random, numpy.random.Generator or torch.Generator "
        f"(got {type(source).__name__})"
    )


class _NumpyDraws:
    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def random(self) -> float:
        return float(self._generator.random())

    def randint(self, a: int, b: int, /) -> int:
        return int(self._generator.integers(a, b, endpoint=True))

    def choice(self, seq: Sequence[int], /) -> int:
        return seq[self.randint(0, len(seq) - 1)]


class _TorchDraws:
    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def random(self) -> float:
        import torch

        device = self._generator.device
        number = torch.rand((), generator=self._generator, device=device, dtype=torch.float64)
        return float(number)

    def randint(self, a: int, b: int, /) -> int:
        import torch

        device = self._generator.device
        return int(torch.randint(a, b + 1, (), generator=self._generator, device=device))

    def choice(self, seq: Sequence[int], /) -> int:
        return seq[self.randint(0, len(seq) - 1)]
