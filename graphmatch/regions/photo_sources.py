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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from graphmatch.datasets.text_files import read_json
from graphmatch.errors import FormatError
from graphmatch.file_sources import FoundFile, FreeIds, clean_id, match_pattern
from graphmatch.regions.photo_archive import ARCHIVE_SUFFIXES, read_archive
from graphmatch.regions.photo_source import IMAGE, PhotoSource, failed_source, file_source

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


_Part = list[FoundFile] | Path
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
        ids = FreeIds()
        for source in self._all():
            id = ids.take(source.id)
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
        return [IMAGE.in_list(path, images)]
    file = Path(path)
    if file.is_dir():
        return [IMAGE.in_folder(file)]
    if not file.exists():
        if not glob.has_magic(path):
            raise FormatError(f"{path}: no such file or folder")
        return _read_pattern(path)
    if name.endswith(ARCHIVE_SUFFIXES):
        return [file]
    if name.endswith((".json", ".json.gz")):
        return [_read_coco(file, images or file.parent)]
    if name.endswith(".txt"):
        return [IMAGE.in_list(path, images)]
    if IMAGE.includes(file.name):
        return [IMAGE.named(file.parent, [file.name])]
    raise FormatError(
        f"{path}: expected a folder, a pattern, an image, a list of paths (.txt), an archive "
        f"({', '.join(ARCHIVE_SUFFIXES)}) or COCO's JSON (.json, .json.gz)"
    )


def _read_pattern(pattern: str) -> list[_Part]:
    folder, found = match_pattern(pattern)
    names = [name for name in found if IMAGE.includes(name)]
    archives = [folder / name for name in found if name.lower().endswith(ARCHIVE_SUFFIXES)]
    if not names and not archives:
        raise FormatError(f"{pattern}: expected images or archives that match (found none)")
    return [IMAGE.named(folder, names), *archives]


def _read_coco(file: Path, base: Path) -> list[FoundFile]:
    expected = "COCO's JSON with a list `images`"
    records = read_json(file, expected).get("images")
    if not isinstance(records, list) or not records:
        raise FormatError(f"{file}: expected {expected}")
    return [
        _coco_file(record, f"{file.name}:{place}", base) for place, record in enumerate(records)
    ]


def _coco_file(record: object, place: str, base: Path) -> FoundFile:
    record = record if isinstance(record, dict) else {}
    id, name = record.get("id"), record.get("file_name")
    if type(id) not in (int, str) or not isinstance(name, str) or not name:
        return FoundFile(place, "", "expected an image with `id` and `file_name`")
    path = base / name
    if ".." in PurePath(name).parts or not path.is_relative_to(base):
        error = f"{name!r}: expected a file_name that stays inside {base}"
        return FoundFile(clean_id(str(id)), name, error)
    return FoundFile(clean_id(str(id)), str(path))
