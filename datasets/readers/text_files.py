"""Files of text and JSON as data sets bring them: perhaps gzipped, perhaps damaged."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from graphmatch.errors import FormatError

Files = str | Path | Mapping[str, str | Path]
"""One file, or files by the name of their split."""


@contextmanager
def open_source(path: str | Path, what: str = "") -> Iterator[IO[bytes]]:
    """A stream of a file's bytes, unpacked if its content is gzip, whatever its name says.

    Args:
        path: the file.
        what: what is expected in it, for the error, such as `"of captions"`.

    Yields:
        The stream.

    Raises:
        FormatError: no such file, a folder, damaged gzip.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_bytes(gzip.compress(b"dog"))
        >>> with open_source(path) as stream:
        ...     stream.read()
        b'dog'
    """
    file = Path(path)
    if file.is_dir():
        raise FormatError(f"{path}: expected a file {what}".rstrip() + " (got a folder)")
    if not file.exists():
        raise FormatError(f"{path}: no such file")
    with file.open("rb") as stream:
        zipped = stream.peek(2)[:2] == b"\x1f\x8b"
        with gzip.open(stream) if zipped else stream as content:
            try:
                yield cast(IO[bytes], content)
            except (EOFError, OSError, zlib.error) as error:
                if not zipped:
                    raise
                raise FormatError(f"{path}: the gzip file is truncated or damaged") from error


def decode_lines(
    stream: IO[bytes], name: str, keep_ends: bool = False
) -> Iterator[tuple[int, str, str | None]]:
    r"""Lines of a stream, lazily.

    Args:
        stream: bytes, UTF-8.
        name: of the file, for the error.
        keep_ends: keep line ends, and bytes that are no UTF-8 as surrogates.

    Yields:
        Number from 1, text, and what is wrong with it.

    Raises:
        FormatError: the file is UTF-16.

    Example:
        >>> import io
        >>> list(decode_lines(io.BytesIO(b"a dog\na cat"), "a.txt"))
        [(1, 'a dog', None), (2, 'a cat', None)]
    """
    for number, raw in enumerate(stream, 1):
        if number == 1:
            if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise FormatError(f"{name}: expected UTF-8 (got UTF-16); convert the file first")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        error = None
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as problem:
            line = raw.decode("utf-8", "surrogateescape" if keep_ends else "replace")
            error = f"invalid UTF-8: byte {problem.start} of the line"
        yield number, line if keep_ends else line.rstrip("\r\n"), error


def read_lines(path: str | Path) -> list[tuple[int, str, str | None]]:
    r"""Lines of a file, those at its end that are blank left out.

    Args:
        path: the file, UTF-8, perhaps gzipped.

    Returns:
        Number from 1, text, and what is wrong with it, of each line.

    Raises:
        FormatError: no such file, a folder, damaged gzip, UTF-16.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_text("139\n285\n\n")
        >>> [line for _, line, _ in read_lines(path)]
        ['139', '285']
    """
    with open_source(path) as stream:
        lines = list(decode_lines(stream, str(path)))
    while lines and not lines[-1][1].strip():
        lines.pop()
    return lines


def decode_json(stream: IO[bytes], name: str) -> Any:
    """Content of a JSON stream, read whole.

    Args:
        stream: bytes.
        name: of the file, for the error.

    Returns:
        The decoded value.

    Raises:
        FormatError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(stream.read())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name}: expected JSON (got {error})") from error


def read_json(path: str | Path, expected: str) -> dict[str, Any]:
    """Content of a file that holds one JSON object.

    Args:
        path: the file, perhaps gzipped.
        expected: what the object should be, for the error.

    Returns:
        The object.

    Raises:
        FormatError: no such file, a folder, damaged gzip, no JSON, another JSON value.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> _ = path.write_text("[7]")
        >>> read_json(path, "seconds by video")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        graphmatch.errors.FormatError: ...a.json: expected seconds by video (got a JSON list)
    """
    with open_source(path) as stream:
        content = decode_json(stream, str(path))
    if not isinstance(content, dict):
        raise FormatError(f"{path}: expected {expected} (got a JSON {type(content).__name__})")
    return content


def split_files(files: Files) -> list[tuple[str | None, str | Path]]:
    """Files with the names of their splits.

    Args:
        files: one file, which says nothing of splits, or files by split.

    Returns:
        Split and file of each.

    Example:
        >>> split_files("a.json"), split_files({"train": "a.json"})
        ([(None, 'a.json')], [('train', 'a.json')])
    """
    return list(files.items()) if isinstance(files, Mapping) else [(None, files)]


def file_list(files: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """Files of which there may be one or several.

    Args:
        files: one file, or several.

    Returns:
        The files.

    Example:
        >>> file_list("a.json"), file_list(["a.json", "b.json"])
        (['a.json'], ['a.json', 'b.json'])
    """
    return [files] if isinstance(files, (str, Path)) else list(files)


def finite_number(value: object) -> float | None:
    """A number that a file gives as such or as text.

    Args:
        value: anything.

    Returns:
        The number; None if it is none, or not finite.

    Example:
        >>> finite_number("29.97"), finite_number(15), finite_number("nan"), finite_number(None)
        (29.97, 15.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def plain_text(value: object) -> str | None:
    """A name or id that a file gives as text or as an integer.

    Args:
        value: anything.

    Returns:
        Its text; None if it is something else, or empty.

    Example:
        >>> plain_text(139), plain_text("video0"), plain_text(""), plain_text([])
        ('139', 'video0', None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    return safe_text(str(value)) or None


def safe_text(text: str) -> str:
    r"""Text with U+FFFD for lone surrogates: bytes that were no UTF-8, JSON's half characters.

    Args:
        text: any text.

    Returns:
        Text that can be encoded.

    Example:
        >>> safe_text("caf\ud800") == "caf\ufffd"
        True
    """
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
