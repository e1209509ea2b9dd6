"""`find_videos`: the video files of a corpus, each with an id.

| given | videos | id |
|---|---|---|
| a folder | its files with a video suffix, at any depth, sorted | path in the folder, no suffix |
| a pattern (`videos/*.mp4`, `**`) | files that match, sorted | path after the part without `*?[` |
| a list (.txt) or `-` | a path a line, or id, tab, path | path as written, no suffix |
| a video file | itself | its name, no suffix |

The suffix stays in the id where two videos of a folder, pattern or list differ in nothing else.
Hidden files are passed over.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from graphmatch.errors import FormatError
from graphmatch.file_sources import FileKind, FoundFile, FreeIds, match_pattern

_SUFFIXES = """
.mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .m2v .ts .m2ts .mts .vob .flv .f4v .wmv .asf .3gp .3g2
.ogv .ogg .mxf .dv .rm .rmvb .wtv .nut .ivf .y4m .h264 .264 .h265 .hevc .mjpeg .mjpg .gif .apng
"""
VIDEO = FileKind("video", frozenset(_SUFFIXES.split()))
"""How the files of videos end."""


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
        The sources. One whose id an earlier video has gets a number after it, and an error. A
        folder that cannot be read, or a line of a list that is none, is a source with an error.

    Raises:
        FormatError: a path that does not exist or cannot be read, a folder, pattern or list without
            a video.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a.mp4", "b.gif", "b.mkv", "notes.txt"):
        ...     (folder / name).touch()
        >>> [video.id for video in find_videos(folder)]
        ['a', 'b.gif', 'b.mkv']
    """
    ids = FreeIds()
    sources: list[VideoSource] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        try:
            found = _files(str(path))
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error})") from error
        for file in found:
            id = ids.take(file.id)
            taken = None if id == file.id else f"an earlier video has the id {file.id!r}"
            sources.append(VideoSource(id=id, path=Path(file.path), error=taken or file.error))
    return sources


def _files(path: str) -> list[FoundFile]:
    """What one of the given paths stands for."""
    file = Path(path)
    if path == "-" or (file.suffix.lower() == ".txt" and file.is_file()):
        return VIDEO.in_list(path)
    if file.is_dir():
        return VIDEO.in_folder(file)
    if file.exists():
        return VIDEO.named(file.parent, [file.name])
    if not glob.has_magic(path):
        raise FormatError(f"{path}: expected a video, a folder, a pattern or a list (got none)")
    folder, found = match_pattern(path)
    names = [name for name in found if VIDEO.includes(name)]
    if not names:
        raise FormatError(f"{path}: expected videos that match (found none)")
    return VIDEO.named(folder, names)
