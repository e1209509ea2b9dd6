"""`read_sources`: the images of a corpus, wherever they lie, one `PhotoSource` each.

| given | images | id |
|---|---|---|
| a folder | its files with an image suffix, at any depth, sorted | path in the folder, no suffix |
| a pattern (`photos/*.jpg`, `**`) | files that match, sorted | path after the part without `*?[` |
| a list (.txt) or `-` | a path a line, or id, tab, path | path as written, no suffix |
| .tar, .tar.gz, .tgz | members with an image suffix, in their order | path in it, no suffix |
| COCO's JSON (.json, .json.gz) | its `images` | COCO's id |
| an image file | itself | its name, no suffix |

The suffix stays in the id where two images of a folder, pattern or list differ in nothing else; in
an archive, which is read once, from the second one on. Hidden files are passed over.

An image that cannot be read is a source with its error. So is one whose id an earlier image has:
it gets a number after its id.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import IO

from graphmatch.errors import FormatError
from graphmatch.regions.photo_archive import ARCHIVE_SUFFIXES, read_archive
from graphmatch.regions.photo_source import (
    PhotoSource,
    clean_id,
    failed_source,
    file_source,
    is_image,
    stem,
)

__all__ = ["PhotoSource", "PhotoSources", "read_sources"]


def read_sources(
    paths: str | Path | Iterable[str | Path], *, images: str | Path | None = None
) -> PhotoSources:
    """The images of folders, patterns, lists, archives and COCO files, in a fixed order.

    Nothing is decoded or extracted. An archive is read while its sources are taken, and each holds
    the bytes of its own image alone, so memory holds one image of it.

    Args:
        paths: what the table above lists, or several of it; `-` is a list on standard input.
        images: folder that the paths of lists and COCO files start from; the folder of the file
            itself if None, the present one for standard input.

    Returns:
        The sources; iterate over them as often as you like.

    Raises:
        FormatError: a path that does not exist or is none of the above, a folder, pattern or list
            without an image, a JSON file without COCO's `images`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "7.ppm").write_bytes(b"P6 1 1 255 abc")
        >>> [(source.id, source.load()) for source in read_sources(folder)]
        [('7', b'P6 1 1 255 abc')]
    """
    base = None if images is None else Path(images)
    if base is not None and not base.is_dir():
        raise FormatError(f"{base}: expected the folder of the images (no such folder)")
    parts: list[_Part] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        try:
            parts += _parts(str(path), base)
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error})") from error
    return PhotoSources(parts)


_Entry = tuple[str, str, str | None]
"""Id, path, error of an image."""
_Part = list[_Entry] | Path
"""Images in files of their own, or an archive."""


class PhotoSources:
    """Sources of images, made by `read_sources`.

    Args:
        parts: images by id, path and error, and archives.
    """

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    @property
    def count(self) -> int | None:
        """How many there are; None if an archive would have to be read for it."""
        counts = [len(part) for part in self._parts if isinstance(part, list)]
        return sum(counts) if len(counts) == len(self._parts) else None

    def __iter__(self) -> Iterator[PhotoSource]:
        taken: set[str] = set()
        times: Counter[str] = Counter()
        for source in self._all():
            id = source.id
            while id in taken:
                times[source.id] += 1
                id = f"{source.id}#{times[source.id] + 1}"
            taken.add(id)
            if id != source.id:
                source = failed_source(id, f"an earlier image has the id {source.id!r}")
            yield source

    def _all(self) -> Iterator[PhotoSource]:
        for part in self._parts:
            if isinstance(part, Path):
                yield from read_archive(part)
                continue
            for id, path, error in part:
                yield file_source(id, path) if error is None else failed_source(id, error)


def _parts(path: str, images: Path | None) -> list[_Part]:
    """What one of the given paths stands for."""
    name = path.lower()
    if path == "-":
        return [_read_list(sys.stdin.buffer, "standard input", images or Path())]
    file = Path(path)
    if file.is_dir():
        return [_read_folder(file)]
    if not file.exists():
        if not glob.has_magic(path):
            raise FormatError(f"{path}: no such file or folder")
        return _read_pattern(path)
    if name.endswith(ARCHIVE_SUFFIXES):
        return [file]
    if name.endswith((".json", ".json.gz")):
        return [_read_coco(file, images or file.parent)]
    if name.endswith(".txt"):
        with file.open("rb") as stream:
            return [_read_list(stream, path, images or file.parent)]
    if is_image(file.name):
        return [_entries(file.parent, [file.name])]
    raise FormatError(
        f"{path}: expected a folder, a pattern, an image, a list of paths (.txt), an archive "
        f"({', '.join(ARCHIVE_SUFFIXES)}) or COCO's JSON (.json, .json.gz)"
    )


def _read_folder(folder: Path) -> list[_Entry]:
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
        names += ((inside / name).as_posix() for name in files if is_image(name))
    entries = _entries(folder, sorted(names))
    for error in unread:
        entries.append((clean_id(str(error.filename)), "", f"the folder cannot be read ({error})"))
    if not entries:
        raise FormatError(f"{folder}: expected images in the folder or below (found none)")
    return entries


def _read_pattern(pattern: str) -> list[_Part]:
    fixed = PurePath(pattern)
    while glob.has_magic(str(fixed)):
        fixed = fixed.parent
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # `Path.glob` knows no "/"
    names = [PurePath(path).relative_to(fixed).as_posix() for path in found if is_image(path)]
    archives = [Path(path) for path in found if path.lower().endswith(ARCHIVE_SUFFIXES)]
    if not names and not archives:
        raise FormatError(f"{pattern}: expected images or archives that match (found none)")
    return [_entries(Path(fixed), names), *archives]


def _read_list(stream: IO[bytes], name: str, base: Path) -> list[_Entry]:
    lines: list[tuple[int, str, str, str]] = []  # number, id, tab, path
    for number, raw in enumerate(stream, 1):
        if number == 1:
            if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise FormatError(f"{name}: expected UTF-8 (got UTF-16); convert the list first")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        line = os.fsdecode(raw.rstrip(b"\r\n"))  # the name of a file may be no UTF-8
        id, tab, path = line.partition("\t")
        if line.strip():
            lines.append((number, id, tab, path if tab else line))
    if not lines:
        raise FormatError(f"{name}: expected a path of an image on each line (the list is empty)")
    ids = iter(_ids([path for _, _, tab, path in lines if not tab]))
    entries: list[_Entry] = []
    for number, id, tab, path in lines:
        if tab and not (id.strip() and path.strip()):
            entries.append((f"{name}:{number}", "", "expected a path, or an id, a tab and a path"))
        else:
            entries.append((clean_id(id) if tab else next(ids), str(base / path), None))
    return entries


def _read_coco(file: Path, base: Path) -> list[_Entry]:
    try:
        with (
            file.open("rb") as raw,
            gzip.open(raw) if file.suffix.lower() == ".gz" else raw as stream,
        ):
            content = json.load(stream)
    except (EOFError, OSError, zlib.error) as error:
        raise FormatError(f"{file}: the file is truncated or damaged ({error})") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{file}: expected JSON (got {error})") from error
    records = content.get("images") if isinstance(content, dict) else None
    if not isinstance(records, list) or not records:
        raise FormatError(f"{file}: expected COCO's JSON with a list `images`")
    return [
        _coco_entry(record, f"{file.name}:{place}", base) for place, record in enumerate(records)
    ]


def _coco_entry(record: object, place: str, base: Path) -> _Entry:
    record = record if isinstance(record, dict) else {}
    id, name = record.get("id"), record.get("file_name")
    if type(id) not in (int, str) or not isinstance(name, str) or not name:
        return place, "", "expected an image with `id` and `file_name`"
    path = base / name
    if ".." in PurePath(name).parts or not path.is_relative_to(base):
        return clean_id(str(id)), "", f"{name!r}: expected a file_name that stays inside {base}"
    return clean_id(str(id)), str(path), None


def _entries(folder: Path, names: Sequence[str]) -> list[_Entry]:
    """Images of a folder by their paths in it."""
    return [(id, str(folder / name), None) for id, name in zip(_ids(names), names, strict=True)]


def _ids(names: Sequence[str]) -> list[str]:
    """Names without their suffixes, where that leaves them different."""
    whole = {*names}
    times = Counter(stem(name) for name in whole)

    def short(name: str) -> str:
        return name if times[stem(name)] > 1 or stem(name) in whole else stem(name)

    return [clean_id(short(name)) for name in names]
