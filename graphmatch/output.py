"""`open_output`: a file that appears whole or not at all, or standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from graphmatch.errors import ConfigError


@contextmanager
def open_output(
    path: str | Path, *, force: bool = False, binary: bool = False
) -> Iterator[IO[Any]]:
    """A stream to write to, UTF-8 if text; renamed into place when the block ends well.

    Args:
        path: the file, or `-` for standard output.
        force: overwrite a file that is there.
        binary: bytes are written, not text.

    Yields:
        The stream.

    Raises:
        ConfigError: a file is there and `force` is not set, or a folder is.
        OSError: the file cannot be written; nothing is left behind.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with open_output(path) as stream:
        ...     _ = stream.write("dog")
        >>> path.read_text()
        'dog'
    """
    if str(path) == "-":
        yield sys.stdout.buffer if binary else sys.stdout
        sys.stdout.flush()
        return
    path = Path(path)
    check_output(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with _open(temporary, binary) as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _open(path: Path, binary: bool) -> IO[Any]:
    return path.open("wb") if binary else path.open("w", encoding="utf-8", newline="\n")


def check_output(path: Path, *, force: bool) -> None:
    """Raise `ConfigError` if a file must not be written.

    Args:
        path: the file.
        force: whether a file that is there may be overwritten.

    Raises:
        ConfigError: a file is there and `force` is not set, or a folder is.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: expected a file to write (got a folder)")
    if path.exists() and not force:
        raise ConfigError(f"{path}: the file exists; --force to overwrite it")
