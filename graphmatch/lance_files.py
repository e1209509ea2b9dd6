"""LanceDB as this library uses it: the connection, the lock of writers, conditions, errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from graphmatch.errors import ConfigError
from graphmatch.folder_lock import FolderLock

_RUST = re.compile(r",? *\S*\.rs:\d+(:\d+)?")  # where in its own source an error arose
_OUTSIDE = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")  # texts and quoted names


class WriterLock:
    """One process writes to an index at a time, on local disks; may be held several times over.

    Args:
        uri: folder of the index, made if it is not there; an address of object storage has no
            lock.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with WriterLock(folder), WriterLock(folder):
        ...     pass
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: ...: another run is writing to this folder; ...
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._lock: FolderLock | None = None
        self._depth = 0

    def __enter__(self) -> Self:
        if not self._depth and is_local(self.uri):
            Path(self.uri).mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.uri)
        self._depth += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth and self._lock is not None:
            self._lock.release()
            self._lock = None


def connect(uri: str) -> Any:
    """A connection whose every read looks for a newer version first.

    Args:
        uri: folder or address.

    Returns:
        LanceDB's connection.

    Raises:
        ConfigError: lancedb is not installed.
    """
    try:
        import lancedb
    except ImportError as error:
        raise ConfigError(
            "expected the package lancedb, on which indexes stand: pip install 'graphmatch[search]'"
        ) from error
    return lancedb.connect(uri, read_consistency_interval=timedelta(0))


def is_local(uri: str) -> bool:
    """Whether an index is in a folder, not in object storage.

    Args:
        uri: folder or address.

    Example:
        >>> is_local("photos"), is_local("s3://bucket/photos")
        (True, False)
    """
    return "://" not in uri


def among(column: str, values: Sequence[str]) -> str:
    """A condition in SQL.

    Args:
        column: of the table.
        values: texts.

    Returns:
        That the column has one of them.

    Example:
        >>> among("id", ["a", "o'b"])
        "id IN ('a', 'o''b')"
    """
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})" if values else "false"


def bracketed(where: str) -> str:
    """A user's condition in brackets: what follows a whole condition is ignored by LanceDB.

    Args:
        where: condition in SQL.

    Returns:
        The condition, which must be read to its end now.

    Raises:
        ValueError: brackets that are closed before they are open, or nothing.

    Example:
        >>> bracketed("year > 2019")
        '(year > 2019)'
    """
    depth = 0
    for part in _OUTSIDE.sub("", where):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth < 0:
            raise ValueError("a closing bracket too many")
    if not where.strip():
        raise ValueError("nothing")
    return f"({where})"


def brief(error: Exception) -> str:
    """The first line of an error, without places in other people's source.

    Args:
        error: of LanceDB.

    Returns:
        At most 500 characters.
    """
    return _RUST.sub("", str(error).partition("\n")[0])[:500]
