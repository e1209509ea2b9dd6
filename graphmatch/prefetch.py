"""`prefetch`: the next items of an iterator are made in a thread while the last one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The items of an iterator, in order, made in a background thread.

    Worth it where making an item leaves Python's lock alone for most of its time: decoding,
    networks, reading files.

    Args:
        items: the work; used by the thread alone until this iterator is done or closed.
        depth: how many finished items wait at most; so many, and one in work, are in memory.

    Yields:
        The items. What the iterator raises is raised here, after the items before it.

    Example:
        >>> list(prefetch((number * number for number in range(4)), 2))
        [0, 1, 4, 9]
    """
    waiting: queue.Queue[tuple[Item | None, BaseException | None, bool]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Item | None, error: BaseException | None, last: bool) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                waiting.put((item, error, last), timeout=0.1)
                return

    def work() -> None:
        try:
            for item in items:
                put(item, None, False)
                if stopped.is_set():
                    return
            put(None, None, True)
        except BaseException as error:
            put(None, error, True)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error, last = waiting.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]  # None only behind the last
    finally:
        stopped.set()
        thread.join()
