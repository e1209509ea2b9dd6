"""`FileKind`: the files of one kind in folders, patterns and lists, each with an id.

| given | files | id |
|---|---|---|
| a folder | those with a suffix of the kind, at any depth, sorted | path in the folder, no suffix |
| a pattern (`photos/*.jpg`, `**`) | what matches, sorted | path after the part without `*?[` |
| a list (.txt) or `-` | a path a line, or id, tab, path | path as written, no suffix |

The suffix stays in the id where two files of a folder, pattern or list differ in nothing else.
Hidden files are passed over.
"""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, NamedTuple

from graphmatch.datasets.text_files import decode_lines
from graphmatch.errors import FormatError


class FoundFile(NamedTuple):
    """A file of a corpus.

    Args:
        id: what the corpus calls it, or what else names it; another file may have the same.
        path: the file, which need not exist.
        error: why it cannot be used, if that is known.
    """

    id: str
    path: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of files.

    Args:
        noun: what a file is called in errors.
        suffixes: of its files, in small letters.

    Example:
        >>> image = FileKind("image", frozenset({".jpg", ".png"}))
        >>> image.includes("a/b.JPG"), image.includes("a/._b.jpg"), image.includes("b.txt")
        (True, False, False)
        >>> image.stem("train/7.jpg"), image.stem("version.2")
        ('train/7', 'version.2')
    """

    noun: str
    suffixes: frozenset[str]

    def includes(self, name: str) -> bool:
        """Whether a file is taken for one of the kind: by its suffix, unless it is hidden.

        Args:
            name: name or path of the file.

        Returns:
            The answer.
        """
        file = PurePath(name)
        return file.suffix.lower() in self.suffixes and not file.name.startswith(".")

    def stem(self, name: str) -> str:
        """A path without the suffix of the kind.

        Args:
            name: name or path of a file.

        Returns:
            The path; as it is if the file is not of the kind.
        """
        return name[: -len(PurePath(name).suffix)] if self.includes(name) else name

    def named(self, folder: Path, names: Sequence[str]) -> list[FoundFile]:
        """Files of a folder.

        Args:
            folder: the folder.
            names: their paths in it.

        Returns:
            The files in that order.
        """
        return [
            FoundFile(id, str(folder / name))
            for id, name in zip(self._ids(names), names, strict=True)
        ]

    def in_folder(self, folder: Path) -> list[FoundFile]:
        """Files below a folder; links are followed, but none is read twice.

        Args:
            folder: the folder.

        Returns:
            The files, sorted, and behind them the folders that cannot be read, with their errors.

        Raises:
            FormatError: there is none.
        """
        names: list[str] = []
        unread: list[OSError] = []
        seen = set()  # a folder that links lead to twice, or in a circle, is read once
        for root, folders, files in os.walk(folder, onerror=unread.append, followlinks=True):
            status = Path(root).stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inside = PurePath(root).relative_to(folder)
            names += ((inside / name).as_posix() for name in files if self.includes(name))
        found = self.named(folder, sorted(names))
        for error in unread:
            path = str(error.filename)
            found.append(FoundFile(clean_id(path), path, f"the folder cannot be read ({error})"))
        if not found:
            raise FormatError(
                f"{folder}: expected {self.noun}s in the folder or below (found none)"
            )
        return found

    def in_list(self, path: str, folder: Path | None = None) -> list[FoundFile]:
        """Files that a list names, whatever their suffixes.

        Args:
            path: the list, UTF-8 but for names that are not; `-` is standard input.
            folder: where paths start; if None the list's own folder, the present one for `-`.

        Returns:
            The files in their order; a line that is none has an error.

        Raises:
            FormatError: the list is empty or UTF-16.
        """
        name = "standard input" if path == "-" else path
        folder = Path(path).parent if folder is None else folder
        if path == "-":
            lines = _read_lines(sys.stdin.buffer, name)
        else:
            with Path(path).open("rb") as stream:
                lines = _read_lines(stream, name)
        ids = iter(self._ids([file for _, _, tab, file in lines if not tab]))
        found: list[FoundFile] = []
        for number, id, tab, file in lines:
            if tab and not (id.strip() and file.strip()):
                error = "expected a path, or an id, a tab and a path"
                found.append(FoundFile(f"{name}:{number}", path, error))
            else:
                found.append(FoundFile(clean_id(id) if tab else next(ids), str(folder / file)))
        return found

    def _ids(self, names: Sequence[str]) -> list[str]:
        """Names without their suffixes, where that leaves them different."""
        whole = {*names}
        times = Counter(map(self.stem, whole))

        def short(name: str) -> str:
            stem = self.stem(name)
            return name if times[stem] > 1 or stem in whole else stem

        return [clean_id(short(name)) for name in names]


def _read_lines(stream: IO[bytes], name: str) -> list[tuple[int, str, str, str]]:
    """Number, id, tab and path of each line that is not blank."""
    lines = []
    for number, text, _ in decode_lines(stream, name, keep_ends=True):  # a name may be no UTF-8
        line = text.rstrip("\r\n")
        id, tab, file = line.partition("\t")
        if line.strip():
            lines.append((number, id, tab, file if tab else line))
    if not lines:
        raise FormatError(f"{name}: expected a path on each line (the list is empty)")
    return lines


def match_pattern(pattern: str) -> tuple[Path, list[str]]:
    """Files and folders that match a pattern.

    Args:
        pattern: a path with `*`, `?`, `[...]` or `**`.

    Returns:
        The folder above the first of them, and paths in it, sorted.

    Example:
        >>> match_pattern("no/such/*.jpg")[1]
        []
    """
    folder = PurePath(pattern)
    while glob.has_magic(str(folder)):
        folder = folder.parent
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # `Path.glob` knows no "/"
    return Path(folder), [PurePath(path).relative_to(folder).as_posix() for path in found]


def clean_id(text: str) -> str:
    """Text that can be written as UTF-8.

    Args:
        text: what an id is made of; it may hold half characters, for bytes that are no UTF-8.

    Returns:
        The text with `?` for each of them.
    """
    return text.encode(errors="replace").decode()


class FreeIds:
    """Ids of which none is given away twice.

    Example:
        >>> ids = FreeIds()
        >>> [ids.take(id) for id in ("a", "a#2", "a", "a")]
        ['a', 'a#2', 'a#3', 'a#4']
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._times: Counter[str] = Counter()

    def take(self, id: str) -> str:
        """An id that no other file has.

        Args:
            id: the id of a file.

        Returns:
            The id; with a number after it if it was given away before.
        """
        free = id
        while free in self._taken:
            self._times[id] += 1
            free = f"{id}#{self._times[id] + 1}"
        self._taken.add(free)
        return free
