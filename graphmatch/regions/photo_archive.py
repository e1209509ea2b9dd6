"""`read_archive`: the images of a tar archive, one after the other, without extracting it."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

from graphmatch.errors import FormatError
from graphmatch.file_sources import clean_id
from graphmatch.regions.photo_source import IMAGE, MAX_FILE_BYTES, PhotoSource, failed_source

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")


def read_archive(path: str | Path) -> Iterator[PhotoSource]:
    """The images of an archive in its order; nothing is written, whatever names and links it has.

    Args:
        path: the archive; its suffix says whether it is compressed.

    Yields:
        A source for each member with the suffix of an image, which holds the bytes of the member;
        its id is the path in the archive without the suffix, unless an earlier one has that. Links,
        devices and members that are too large are failed sources. Where the archive is damaged or
        cut off, a last failed source, named after the archive, says after which member.
    """
    path = Path(path)
    taken: set[str] = set()
    place = "at its start"
    try:
        with path.open("rb") as file, gzip.open(file) if _zipped(path) else file as stream:
            tape = _Tape(cast(IO[bytes], stream))
            tar = tarfile.TarFile(fileobj=cast(IO[bytes], tape))
            reached = -1
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else it keeps all of them
                if tar.offset <= reached:
                    raise FormatError("a member of negative size")
                reached = tar.offset
                name = member.name.removeprefix("./")
                if IMAGE.includes(name) and not member.isdir():
                    id = name if IMAGE.stem(name) in taken else IMAGE.stem(name)
                    taken.add(id)
                    yield _member(tape, member, clean_id(id))
                place = f"after {clean_id(name)!r}"
            if tape.last.strip(b"\0") or not tape.last:  # tarfile takes any nonsense for the end
                raise FormatError("its end mark is missing")
    except Exception as error:  # tarfile and gzip raise all sorts on damaged archives
        yield failed_source(
            path.name,
            f"{path}: the archive is truncated or damaged {place}, what follows is lost ({error})",
        )
        return
    if not taken:
        yield failed_source(path.name, f"{path}: expected images in the archive (found none)")


def _zipped(path: Path) -> bool:
    return not path.name.lower().endswith(".tar")


def _member(tape: _Tape, member: tarfile.TarInfo, id: str) -> PhotoSource:
    if not member.isreg() or member.issparse():
        return failed_source(id, "expected a file in the archive (got a link or a device)")
    if member.size > MAX_FILE_BYTES:
        return failed_source(id, f"expected an image of at most {MAX_FILE_BYTES:,} bytes")
    tape.seek(member.offset_data)
    content = tape.read(member.size)
    if len(content) < member.size:
        raise FormatError(f"{member.name} is cut off")
    return PhotoSource(id=id, load=partial(bytes, content))


class _Tape:
    """What `tarfile` reads from: pieces of bounded size, the last of which is remembered."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_FILE_BYTES:
            raise FormatError(f"a header claims {size:,} bytes")
        self.last = self._stream.read(size)
        return self.last

    def seek(self, position: int) -> int:
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()
