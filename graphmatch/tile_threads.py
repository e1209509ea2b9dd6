"""`TileThreads`: independent pieces of torch work on several cores, one thread each.

Matching heads work in pieces that fit the caches of one core, which are too small to be shared by
torch's own threads. Whole tiles side by side need not wait for each other at every operation, which
matters most where other programs are busy, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import torch

Result = TypeVar("Result")


class TileThreads:
    """Calls without gradients, several at a time; a context manager.

    While calls run side by side, torch and its matrix products have one thread in each, in the
    whole process; afterwards they have again as many as before.

    Args:
        count: how many threads; with one, or for fewer calls than threads, calls are made in the
            caller's thread, and torch's own threads share each of them.

    Example:
        >>> with TileThreads(2) as threads:
        ...     threads.map([lambda k=k: torch.ones(k).sum().item() for k in range(5)])
        [0.0, 1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self.count > 1:
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="graphmatch-tile")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """The results of all calls, in order.

        Args:
            calls: independent of each other.

        Returns:
            What they return. What one of them raises is raised here.
        """
        if self._pool is None or len(calls) < self.count:
            with torch.no_grad():
                return [call() for call in calls]
        mixed, half = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        def work(call: Callable[[], Result]) -> Result:
            # settings of a thread, not of the process
            with torch.no_grad(), torch.autocast("cpu", dtype=half, enabled=mixed):
                return call()

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return list(self._pool.map(work, calls))
        finally:
            torch.set_num_threads(before)
