"""The directory at the head of a TIFF file, which EXIF blocks have too (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from graphmatch.errors import FormatError

_ORIENTATION = 274
_MOST_CHANNELS = 6  # that pillow decodes
_UNITS = MappingProxyType(
    {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}
)
"""Bytes a value by type."""
_NUMBERS = MappingProxyType({3: "H", 4: "L", 16: "Q"})
"""Types of sizes in the spelling of `struct`."""
_LISTS = frozenset({258, 273, 279, 320, 324, 325, 338, 339, 347, *range(512, 534)})
"""Tags with several values: bits, strips, palette, tiles, channels, tables of JPEG, YCbCr."""
_TAGS = _LISTS | {256, 257, 259, 262, 266, 274, 277, 278, 284, 292, 293, 317, 322, 323}
"""Tags that say how pixels are stored."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TiffPage:
    """The first page of a TIFF file.

    Args:
        content: the file with this page alone, its directory cut down to what its pixels need.
        size: width and height in pixels as stored.
        orientation: EXIF's, 1 (upright) to 8; `content` does not say it any more.
        tile: pixels of a tile; 0 without tiles.
    """

    content: bytes
    size: tuple[int, int]
    orientation: int
    tile: int


def first_page(content: bytes) -> TiffPage:
    """The first page of a TIFF or BigTIFF file, without anything but its pixels.

    Args:
        content: the whole file.

    Returns:
        The page.

    Raises:
        FormatError: a directory that is missing, contradicts itself or points out of the file.
        struct.error: a directory that is cut off.
    """
    order, big = _kind(content)
    inline, pointer = (8, order + "Q") if big else (4, order + "L")
    kept: dict[int, bytes] = {}
    numbers: dict[int, int] = {}
    outside = 0
    for tag, kind, count, place in _entries(content):
        if tag not in _TAGS or tag in kept:
            continue
        size = _UNITS.get(kind, 0) * count
        if not size or (count > 1 and tag not in _LISTS):
            raise FormatError(
                f"the TIFF file is damaged: tag {tag} has {count:,} values of type {kind}"
            )
        if size > inline:
            outside += size
            (start,) = struct.unpack_from(pointer, content, place)
            if max(start + size, outside) > len(content):
                raise FormatError("the TIFF file is truncated: its directory points out of it")
        elif kind in _NUMBERS:
            (numbers[tag],) = struct.unpack_from(order + _NUMBERS[kind], content, place)
        kept[tag] = content[place - (12 if big else 8) : place + inline]
    if not {256, 257} <= numbers.keys():
        raise FormatError("the TIFF file is damaged: it does not say its width and height")
    if numbers.get(277, 1) > _MOST_CHANNELS:
        raise FormatError(
            f"the TIFF file has {numbers[277]:,} channels a pixel: "
            f"expected at most {_MOST_CHANNELS}"
        )
    kept.pop(_ORIENTATION, None)
    filling = len(content) % 2  # directories start at even places
    pieces: list[bytes | memoryview] = [
        memoryview(content)[:inline],
        struct.pack(pointer, len(content) + filling),
        memoryview(content)[2 * inline :],
        bytes(filling),
        struct.pack(order + ("Q" if big else "H"), len(kept)),
        *kept.values(),
        bytes(inline),  # no further page
    ]
    return TiffPage(
        content=b"".join(pieces),
        size=(numbers[256], numbers[257]),
        orientation=_checked(numbers.get(_ORIENTATION, 1)),
        tile=numbers.get(322, 0) * numbers.get(323, 0),
    )


def exif_orientation(exif: bytes) -> int:
    """Orientation that an EXIF block says.

    Args:
        exif: the block, with or without `Exif` before its directory.

    Returns:
        1 (upright) to 8; 1 if it says none or cannot be read.

    Example:
        >>> exif_orientation(b"II*" + bytes([0, 8, 0, 0, 0, 1, 0, 18, 1, 3, 0, 1, 0, 0, 0, 6, 0]))
        6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        for tag, _, _, place in _entries(exif):
            if tag == _ORIENTATION:
                return _checked(struct.unpack_from(_kind(exif)[0] + "H", exif, place)[0])
    except (FormatError, struct.error):
        pass
    return 1


def _checked(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else 1


def _kind(content: bytes) -> tuple[str, bool]:
    """Byte order in the spelling of `struct`, and whether it is a BigTIFF of 64-bit offsets."""
    return ("<" if content[:2] == b"II" else ">"), 43 in content[2:4]


def _entries(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and place of the value, for each entry of the first directory."""
    order, big = _kind(content)
    (position,) = struct.unpack_from(order + ("Q" if big else "L"), content, 8 if big else 4)
    if position > len(content):
        raise FormatError("the TIFF file is truncated: its directory is missing")
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), content, position)
    position += 8 if big else 2
    for _ in range(entries):
        tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHL"), content, position)
        position += 12 if big else 8
        yield tag, kind, count, position
        position += 8 if big else 4
