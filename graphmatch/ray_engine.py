"""`ray_blocks`: work over a corpus in blocks on Ray Data, on this machine or on a cluster."""

from __future__ import annotations

import functools
import logging
import os
import pickle
import secrets
import socket
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from graphmatch.corpus import call_frozen, set_one_thread
from graphmatch.errors import ConfigError

Block = TypeVar("Block")
Result = TypeVar("Result")

_TRIES = 3  # of a block whose workers die; Ray itself never gives up
_WAVE = 1024  # blocks that wait in the object store at most; it spills to disk
_STORE_BYTES = 500 * 2**20  # object store of a Ray that is started here
_PATIENCE = 10  # seconds to wait for a cluster's first answer
_LOGGERS = ("ray", "ray.data")


def ray_blocks(
    function: Callable[[Block], Result],
    blocks: Iterable[Block],
    *,
    workers: int = 1,
    address: str | None = None,
    gpus: float = 0,
) -> Iterator[Result]:
    """`function` of every block, in order, on workers of Ray Data; see `map_blocks`.

    Every worker is an actor with one core and one thread. It gets `function` once, so an object
    that loads a model at its first call loads it once. A block whose worker dies is done again by
    another one, three times at all; what the other workers do is not touched. Workers stand in the
    folder of this process, so files must be seen there under the same paths: on a cluster, a folder
    that all machines share.

    A Ray that runs already is used and left running. Otherwise one is started, without a dashboard,
    and shut down at the end.

    Args:
        function: what to do with a block; it, blocks and results can be pickled.
        blocks: the work, read up to 1024 blocks ahead.
        workers: actors that work at the same time.
        address: of a cluster, as `ray.init` takes it; None starts a Ray on this machine.
        gpus: of each worker.

    Yields:
        The results in the order of the blocks.

    Raises:
        ConfigError: Ray is not installed, no worker, or no cluster at the address.
        RuntimeError: a block's workers died again and again. What `function` raises is raised here.
    """
    if workers < 1:
        raise ConfigError(f"expected workers from 1 (got {workers})")
    ray = _import_ray()
    remaining = iter(enumerate(blocks))
    first = next(remaining, None)
    if first is None:
        return
    packed = pickle.dumps(function)
    with _quiet(address), _running(ray, workers, address):
        wave: list[tuple[int, Block]] = [first, *islice(remaining, _WAVE - 1)]
        while wave:
            yield from _wave(ray, packed, wave, workers=workers, gpus=gpus)
            wave = list(islice(remaining, _WAVE))


def _wave(
    ray: Any, packed: bytes, wave: list[tuple[int, Any]], *, workers: int, gpus: float
) -> Iterator[Any]:
    import pyarrow as pa

    def table(number: int, block: object) -> pa.Table:
        return pa.table({"number": [number], "content": [pickle.dumps(block)]})

    # one row a block of Ray, which it never splits: a worker that dies costs one of them
    tries = ray.remote(num_cpus=0)(_Tries).remote()
    data = ray.data.from_arrow_refs([ray.put(table(*numbered)) for numbered in wave])
    results = data.map_batches(
        _Worker,
        fn_constructor_args=(packed, str(Path.cwd()), sys.path, tries),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            size=min(workers, len(wave)), max_tasks_in_flight_per_actor=2
        ),
        num_cpus=1,
        num_gpus=gpus or None,
    )
    early: dict[int, Any] = {}
    due = wave[0][0]
    try:
        for batch in results.iter_batches(batch_size=None, batch_format="pyarrow"):
            for row in batch.to_pylist():
                early[row["number"]] = _unpack(row["content"])
            while due in early:
                yield early.pop(due)
                due += 1
    except ray.exceptions.RayError as error:
        raise RuntimeError(
            f"Ray lost its workers ({_line(error)}); run again, finished parts are kept"
        ) from error


class _Tries:
    """An actor that knows how often each block was begun: workers die without a word."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        self._begun[number] += 1
        return self._begun[number]


class _Worker:
    """An actor: the function, unpickled once, of one block after the other."""

    def __init__(self, packed: bytes, folder: str, path: list[str], tries: Any) -> None:
        set_one_thread()  # before libraries that count cores are imported
        sys.path += [entry for entry in path if entry not in sys.path]
        if Path(folder).is_dir():
            os.chdir(folder)
        self._tries = tries
        self._function = pickle.loads(packed)  # noqa: S301  # from the run that made this actor

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa
        import ray

        number = batch["number"].to_pylist()
        block = pickle.loads(batch["content"][0].as_py())  # noqa: S301  # as above
        try:
            if ray.get(self._tries.begin.remote(number[0])) > _TRIES:
                raise RuntimeError(
                    f"a worker was killed {_TRIES} times on the same block, probably for memory; "
                    "run again with fewer workers, finished parts are kept"
                )
            content = pickle.dumps((call_frozen(self._function, block), None))
        except Exception as error:
            content = _pack_error(error)
        return pa.table({"number": number, "content": [content]})


def _pack_error(error: Exception) -> bytes:
    """An error as bytes; as a RuntimeError where its own class cannot travel."""
    try:
        content = pickle.dumps((None, error))
        pickle.loads(content)  # noqa: S301  # own bytes
    except Exception:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return content


def _unpack(content: bytes) -> Any:
    result, error = pickle.loads(content)  # noqa: S301  # from the actors of this run
    if error is not None:
        raise error
    return result


@contextmanager
def _running(ray: Any, workers: int, address: str | None) -> Iterator[None]:
    """A Ray that runs: one that is there, or one that ends with the block."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {
            "address": "local",
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
        }
    else:
        _check_reachable(address)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"Ray does not start at {options['address']}: {_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise `ConfigError` if nothing answers at HOST:PORT: Ray itself tries for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdecimal():
        return  # auto, or a name that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"expected a cluster of Ray at {address} (got {error})") from error


@contextmanager
def _quiet(address: str | None) -> Iterator[None]:
    """Ray without its messages, and this process afterwards as it was before."""
    from ray.data import DataContext

    environment = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    context = DataContext.get_current()
    shown = context.enable_progress_bars, context.print_on_execution_start
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    # it calls an error that the actors of Ray Data can be restarted
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if address is None and not any(name.startswith("RAY_AUTH_") for name in environment):
        # a Ray that is started here wants a token, else anyone near could use its workers; without
        # this one, it would leave one in the home folder
        os.environ["RAY_AUTH_TOKEN"] = _token()
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    context.enable_progress_bars = context.print_on_execution_start = False
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = shown
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            del os.environ[name]
        os.environ.update(environment)


@functools.cache  # Ray keeps the first one that it sees for as long as the process lives
def _token() -> str:
    return secrets.token_hex(32)


def _import_ray() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's own, about itself
            import ray
            import ray.data

            ray.data.DataContext.get_current()
    except ImportError as error:
        raise ConfigError(
            f"expected Ray Data to be installed ({error}); pip install 'graphmatch[ray]'"
        ) from error
    return ray


def _line(error: BaseException) -> str:
    """The first line of an error of Ray, which may be a page."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
