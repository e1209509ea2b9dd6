"""`PhotoSource`: where one image of a corpus comes from, and how a file is told to be an image."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from graphmatch.errors import FormatError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
    | {".avif", ".heic", ".heif", ".jp2"}  # cannot be decoded: they fail, rather than get lost
)
"""Suffixes of image files, in small letters."""
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


def is_image(name: str) -> bool:
    """Whether a file is taken for an image: by its suffix, unless it is hidden.

    Args:
        name: name or path of the file.

    Returns:
        The answer.

    Example:
        >>> is_image("a/b.JPG"), is_image("a/._b.jpg"), is_image("b.txt")
        (True, False, False)
    """
    file = PurePosixPath(name)
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")


def stem(name: str) -> str:
    """A path without the suffix of an image.

    Args:
        name: name or path of a file.

    Returns:
        The path; as it is if its suffix is none of an image.

    Example:
        >>> stem("train/7.jpg"), stem("version.2")
        ('train/7', 'version.2')
    """
    return name[: -len(PurePosixPath(name).suffix)] if is_image(name) else name


def clean_id(text: str) -> str:
    """Text that can be written as UTF-8.

    Args:
        text: what an id is made of; it may hold half characters, for bytes that are no UTF-8.

    Returns:
        The text with `?` for each of them.
    """
    return text.encode(errors="replace").decode()


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
