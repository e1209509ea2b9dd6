"""`Chosen`: some items of a collection, made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Chosen(Sequence[Any]):
    """Items by their places.

    Args:
        get: gives the item of a place.
        places: of the items, in their order.

    Example:
        >>> list(Chosen("abcd".__getitem__, [2, 0]))
        ['c', 'a']
    """

    def __init__(self, get: Callable[[int], Any], places: Sequence[int]) -> None:
        self._get, self._places = get, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        return self._get(self._places[number])
