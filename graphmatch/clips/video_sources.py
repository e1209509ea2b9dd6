"""`find_videos`: the video files of a corpus, each with an id.

| given | videos | id |
|---|---|---|
| a folder | its files with a video suffix, at any depth, sorted | path in the folder, no suffix |
| a pattern (`videos/*.mp4`, `**`) | files that match, sorted | path after the part without `*?[` |
| a list (.txt) or `-` | a path a line, or id, tab, path | path as written, no suffix |
| a video file | itself | its name, no suffix |

The suffix stays in the id where two videos of a folder, pattern or list differ in nothing else.
"""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from graphmatch.errors import FormatError
from graphmatch.regions.photo_source import clean_id

_SUFFIXES = """
.mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .m2v .ts .m2ts .mts .vob .flv .f4v .wmv .asf .3gp .3g2
.ogv .ogg .mxf .dv .rm .rmvb .wtv .nut .ivf .y4m .h264 .264 .h265 .hevc .mjpeg .mjpg .gif .apng
"""
VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""Suffixes of the files of a folder or pattern that are taken for videos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """A video of a corpus.

    Args:
        id: its id in the corpus.
        path: the file; it need not be there.
        error: why it is not used; None if it is.
    """

    id: str
    path: Path
    error: str | None = None


def find_videos(paths: str | Path | Iterable[str | Path]) -> list[VideoSource]:
    """The videos of files, folders, patterns and lists, in a fixed order. None is opened.

    Args:
        paths: what the table above lists, or several of it; `-` is a list on standard input. Paths
            in a list start from its folder, those on standard input from the present one.

    Returns:
        The sources. One whose id an earlier video has gets a number after it, and an error.

    Raises:
        FormatError: a path that does not exist, a folder, pattern or list without a video.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a.mp4", "b.gif", "b.mkv", "notes.txt"):
        ...     (folder / name).touch()
        >>> [video.id for video in find_videos(folder)]
        ['a', 'b.gif', 'b.mkv']
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    sources: list[VideoSource] = []
    taken: set[str] = set()
    for base, entries in map(_files, map(str, paths)):
        ids = iter(_ids([name for given, name in entries if not given]))
        for given, name in entries:
            id = clean_id(given) if given else next(ids)
            number, free = 1, id
            while free in taken:
                number += 1
                free = f"{id}#{number}"
            taken.add(free)
            error = None if free == id else f"the id {id!r} belongs to an earlier video"
            sources.append(VideoSource(id=free, path=base / name, error=error))
    return sources


_Entry = tuple[str, str]
"""Id, empty where there is none of its own, and name of a file."""


def _files(path: str) -> tuple[Path, list[_Entry]]:
    """A folder and the files in it that one of the given paths stands for."""
    file = Path(path)
    if path == "-":
        base, entries = Path(), _lines(sys.stdin.buffer.read(), "standard input")
    elif file.is_dir():
        base, entries = file, [("", name) for name in sorted(_below(file))]
    elif file.suffix.lower() == ".txt" and file.is_file():
        base, entries = file.parent, _lines(file.read_bytes(), path)
    elif file.exists():
        base, entries = file.parent, [("", file.name)]
    elif glob.has_magic(path):
        base = next(folder for folder in file.parents if not glob.has_magic(str(folder)))
        found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
        inside = (PurePath(name).relative_to(base).as_posix() for name in found)
        entries = [("", name) for name in inside if _is_video(name)]
    else:
        raise FormatError(f"{path}: expected a video, a folder, a pattern or a list (got none)")
    if not entries:
        raise FormatError(f"{path}: expected videos (found none)")
    return base, entries


def _below(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = PurePath(root).relative_to(folder)
        yield from ((inside / name).as_posix() for name in files if _is_video(name))


def _lines(content: bytes, name: str) -> list[_Entry]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{name}: expected a path a line in UTF-8 ({error})") from error
    lines = (line.strip() for line in text.split("\n"))
    parts = (line.partition("\t") for line in lines if line)
    return [(id.strip(), path.strip()) if tab else ("", id) for id, tab, path in parts]


def _ids(names: Sequence[str]) -> list[str]:
    """Names without their suffixes, where that leaves them different."""
    stems = [name[: -len(PurePath(name).suffix)] if _is_video(name) else name for name in names]
    times = Counter(stems)
    ids = (stem if times[stem] == 1 else name for stem, name in zip(stems, names, strict=True))
    return [clean_id(id) for id in ids]


def _is_video(name: str) -> bool:
    file = PurePath(name)
    return file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")
