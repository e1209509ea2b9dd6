"""`write_lmdb`: an LMDB file that appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from graphmatch.errors import ConfigError, FormatError
from graphmatch.output import check_output

_LONGEST = 511  # bytes of a key


@contextmanager
def write_lmdb(
    path: str | Path, *, folder: bool, force: bool = False
) -> Iterator[Callable[[bytes, bytes], None]]:
    """An LMDB database that is being written.

    Args:
        path: the database.
        folder: whether it is a folder with `data.mdb` in it, or a file.
        force: overwrite a database that is there.

    Yields:
        A function that stores a value under a key.

    Raises:
        ConfigError: the lmdb package is missing, or a file is there.
        FormatError: by the function, for a key that is empty or too long.

    Example:
        >>> import tempfile
        >>> from graphmatch.lmdb_file import LmdbFile
        >>> path = Path(tempfile.mkdtemp()) / "a.lmdb"
        >>> with write_lmdb(path, folder=False) as put:
        ...     put(b"key", b"value")
        >>> with LmdbFile(path) as file:
        ...     file.get(b"key")
        b'value'
    """
    try:
        import lmdb
    except ImportError as error:
        raise ConfigError("writing LMDB needs lmdb: pip install 'graphmatch[lmdb]'") from error
    target = Path(path) / "data.mdb" if folder else Path(path)
    check_output(target, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with lmdb.open(
            str(temporary), subdir=False, lock=False, sync=False, map_size=1 << 26
        ) as database:

            def put(key: bytes, value: bytes) -> None:
                if not 0 < len(key) <= _LONGEST:
                    raise FormatError(f"expected a key of 1 to {_LONGEST} bytes (got {len(key)})")
                while True:
                    try:
                        with database.begin(write=True) as transaction:
                            transaction.put(key, value)
                        return
                    except lmdb.MapFullError:
                        database.set_mapsize(2 * database.info()["map_size"])

            yield put
            database.sync(True)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
