"""Work over a corpus in blocks, in this process or in several local ones."""

from __future__ import annotations

import gc
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Protocol, TypeVar

Block = TypeVar("Block")
Result = TypeVar("Result")


class Engine(Protocol):
    """What does the blocks of a job: `map_blocks` or `ray_blocks` with their options."""

    def __call__(
        self, function: Callable[[Block], Result], blocks: Iterable[Block]
    ) -> Iterator[Result]:
        """`function` of every block, in order; function, blocks and results can be pickled."""


def map_blocks(
    function: Callable[[Block], Result], blocks: Iterable[Block], *, processes: int = 1
) -> Iterator[Result]:
    """`function` of every block, in order, lazily, at most two blocks a process ahead.

    Args:
        function: what to do with a block. With several processes it is pickled, and sent to each
            of them once, so an object that loads a model at its first call loads it once.
        blocks: the work, read as it is needed.
        processes: worker processes; 1 works in this process.

    Yields:
        The results in the order of the blocks.

    Raises:
        RuntimeError: a worker was killed (by the system, for memory). What `function` raises is
            raised here.

    Example:
        >>> list(map_blocks(len, ["ab", "c"]))
        [2, 1]
    """
    if processes < 2:
        frozen = gc.get_freeze_count() > 0
        try:
            for block in blocks:
                yield call_frozen(function, block)
        finally:
            if not frozen:
                gc.unfreeze()
        return
    pool = ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_start_worker,
        initargs=(function,),
    )
    waiting: deque[Future[Result]] = deque()
    try:
        for block in blocks:
            waiting.append(pool.submit(_call, block))
            if len(waiting) >= 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a worker process was killed, probably for memory; run again with fewer processes, "
            "finished parts are kept"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_function: Callable[[Any], Any]  # of a worker process, set once when it starts


def _call(block: Any) -> Any:
    return call_frozen(_function, block)


def call_frozen(function: Callable[[Block], Result], block: Block) -> Result:
    """`function` of a block; what the first block loads is never searched for garbage again.

    Args:
        function: what a worker does with each block.
        block: the block.

    Returns:
        The result.

    Example:
        >>> call_frozen(len, "ab")
        2
        >>> gc.unfreeze()
    """
    result = function(block)
    _freeze_once()
    return result


def set_one_thread() -> None:
    """Let the libraries that this process has not imported yet use one thread each."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def _freeze_once() -> None:
    """Keep what the first block loaded (models) out of every later garbage collection."""
    if gc.get_freeze_count() == 0:
        gc.freeze()


def _start_worker(function: Callable[[Any], Any]) -> None:
    """One thread a process, and an end with the parent however the parent ends."""
    global _function
    _function = function
    set_one_thread()
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: object) -> None:
    # a worker of a killed parent would wait for work for ever
    parent.join()  # type: ignore[attr-defined]
    os._exit(1)
