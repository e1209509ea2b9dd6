"""`PhotoSource`: where one image of a corpus comes from, and how a file is told to be an image."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from graphmatch.errors import FormatError
from graphmatch.file_sources import FileKind

IMAGE = FileKind(
    "image",
    frozenset(
        {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"}
        | {".ppm", ".pgm", ".pbm", ".pnm"}
        | {".avif", ".heic", ".heif", ".jp2"}  # cannot be decoded: they fail, rather than get lost
    ),
)
"""How the files of images end."""
MAX_FILE_BYTES = 2**28
"""Bytes of the largest file that is read as an image, 268 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSource:
    """Where an image of a corpus comes from.

    Args:
        id: its id in the corpus.
        load: reads the whole file; raises `FormatError` where that cannot be done.
        error: why it cannot be read, if that is known beforehand; `load` raises it.
    """

    id: str
    load: Callable[[], bytes]
    error: str | None = None


def file_source(id: str, path: str) -> PhotoSource:
    """An image in a file of its own.

    Args:
        id: its id in the corpus.
        path: the file, which need not exist: `load` says so.

    Returns:
        The source.
    """
    return PhotoSource(id=id, load=partial(_read_file, path))


def failed_source(id: str, error: str) -> PhotoSource:
    """An image that cannot be read.

    Args:
        id: its id in the corpus, or what else names it.
        error: why.

    Returns:
        The source.

    Example:
        >>> failed_source("7", "no such file").load()
        Traceback (most recent call last):
        graphmatch.errors.FormatError: no such file
    """
    return PhotoSource(id=id, load=partial(_fail, error), error=error)


def _fail(error: str) -> bytes:
    raise FormatError(error)


def _read_file(path: str) -> bytes:
    try:
        # asked before it is opened: opening a named pipe waits for ever
        usual = stat.S_ISREG(Path(path).stat().st_mode)
        content = b""
        if usual:
            with Path(path).open("rb") as stream:
                content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise FormatError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: the file cannot be read ({error})") from error
    if not usual:
        raise FormatError(f"{path}: expected a file (got a folder, a device or a pipe)")
    if len(content) > MAX_FILE_BYTES:
        raise FormatError(f"{path}: expected an image of at most {MAX_FILE_BYTES:,} bytes")
    return content
