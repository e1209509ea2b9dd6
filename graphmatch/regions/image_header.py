"""`read_header`: what an image file says of itself before anything of it is decoded.

A decoder believes the file: it allocates what the header claims, and complains about notes (EXIF,
texts, thumbnails) that nobody asked for. So the header is read here, in a few bounded steps, and
the decoder gets a copy of the file that holds the pixels of its first picture and nothing else.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from graphmatch.errors import FormatError
from graphmatch.regions.tiff_directory import exif_orientation, first_page


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageHeader:
    """What an image file says of itself.

    Args:
        format: JPEG, PNG, GIF, WEBP, BMP, TIFF or PPM.
        content: the file without its notes and further pictures.
        size: width and height in pixels as stored; None for BMP and PPM, whose decoders read no
            more than the header before they are asked for pixels.
        orientation: EXIF's, 1 (upright) to 8; 1 if its EXIF is missing or unreadable.
        key: the colour that is transparent, a value a channel of 8 bits (of 16 in 16-bit grey).
        buffered: bytes that a decoder must hold besides the picture.
    """

    format: str
    content: bytes
    size: tuple[int, int] | None = None
    orientation: int = 1
    key: tuple[int, ...] | None = None
    buffered: int = 0


def read_header(content: bytes) -> ImageHeader:
    """The header of an image file; its content decides on the format, whatever its name.

    Args:
        content: the whole file.

    Returns:
        The header.

    Raises:
        FormatError: an empty file, another format, a header that is damaged or cut off.

    Example:
        >>> read_header(b"GIF89a" + bytes([2, 0, 1, 0, 0, 0, 0, 44, 0, 0, 0, 0, 2, 0, 1, 0])).size
        (2, 1)
    """
    for format, (signature, reader) in _READERS.items():
        if signature(content):
            try:
                return reader(content)
            except (IndexError, struct.error) as error:
                raise FormatError(
                    f"the {format} file is truncated or damaged: its header is not complete"
                ) from error
    expected = ", ".join(_READERS)
    raise FormatError(f"expected an image ({expected}; got {_description(content)})")


def _description(content: bytes) -> str:
    """What a file that is no image seems to be."""
    if not content:
        return "an empty file"
    if not content.strip(b"\0"):
        return "nothing but zero bytes"
    for place, signature, name in _OTHERS:
        if content.startswith(signature, place):
            return name
    start = content[:400]
    if b"\0" not in start and start.decode("utf-8", "ignore").encode() in (start, start[:-3]):
        page = start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))
        return "an HTML page" if page else "text"
    return f"unknown content that starts with {content[:8].hex(' ')}"


def _jpeg(content: bytes) -> ImageHeader:
    size: tuple[int, int] | None = None
    orientation, buffered, components, progressive = 1, 0, 0, False
    view = memoryview(content)
    kept = [view[:2]]
    position = 2
    while True:
        position = content.find(b"\xff", position)
        marker = content[position + 1] if position >= 0 else _END
        if marker in (0x00, 0xFF):  # no marker, and a byte of filling
            position += 1
            continue
        if marker == _END:
            raise FormatError("the JPEG file is truncated or damaged: no picture is in it")
        if 0xD0 <= marker <= 0xD8 or marker == 0x01:  # markers without a segment
            position += 2
            continue
        (length,) = struct.unpack_from(">H", content, position + 2)
        start, end = position + 4, position + 2 + length
        if length < 2 or end > len(content):
            raise FormatError("the JPEG file is truncated: a segment before the picture is cut off")
        if marker == _SCAN:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame
            height, width, components = struct.unpack_from(">HHB", content, start + 1)
            size = (width, height)
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            if not components:
                raise FormatError("the JPEG file is damaged: it has no colour channel")
            factors = [content[start + 7 + 3 * number] for number in range(components)]
            blocks = [(factor >> 4) * (factor & 15) for factor in factors]
            most = max(factor >> 4 for factor in factors) * max(factor & 15 for factor in factors)
            buffered = 2 * width * height * sum(blocks) // max(1, most)  # all coefficients
        elif marker == 0xE1 and content.startswith(_EXIF, start):
            orientation = exif_orientation(content[start:end])
        # of the application segments only those that say how colours are stored
        if not 0xE0 <= marker <= 0xEF or marker in (0xE0, 0xEE):
            kept.append(view[position:end])
        position = end
    if content.count(b"\xff\xda", position) > _MOST_SCANS:
        raise FormatError(f"the JPEG file has more than {_MOST_SCANS} scans: no photograph does")
    if not progressive and content[start] == components:
        buffered = 0  # one pass, a few lines at a time
    if size is None:
        raise FormatError("the JPEG file is damaged: it does not say its width and height")
    kept.append(view[position:])
    return ImageHeader(
        format="JPEG",
        content=b"".join(kept),
        size=size,
        orientation=orientation,
        buffered=buffered,
    )


def _png(content: bytes) -> ImageHeader:
    view = memoryview(content)
    width, height, depth, kind = struct.unpack_from(">LLBB", content, 16)
    if content[12:16] != b"IHDR":
        raise FormatError("the PNG file is damaged: its header is missing")
    kept = [view[:8]]
    orientation, key = 1, None
    position, name = 8, b""
    while name != b"IEND":
        name, start = content[position + 4 : position + 8], position + 8
        end = start + int.from_bytes(content[position : position + 4]) + 4
        if end > len(content):
            raise FormatError("the PNG file is truncated")
        if name == b"eXIf":
            orientation = exif_orientation(content[start : end - 4])
        elif not name[0] & 0x20 or name == b"tRNS":  # critical chunks; animations are not
            if zlib.crc32(view[start - 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
                raise FormatError(
                    f"the PNG file is damaged: wrong checksum of chunk {name.decode('latin-1')}"
                )
            if name == b"tRNS" and kind in (0, 2):  # a grey or a colour; else an alpha a palette
                values = struct.unpack_from(">H" if kind == 0 else ">3H", content, start)
                key = tuple(_eight_bits(value, depth, kind) for value in values)
            else:
                kept.append(view[position:end])
        position = end
    return ImageHeader(
        format="PNG",
        content=b"".join(kept),
        size=(width, height),
        orientation=orientation,
        key=key,
    )


def _eight_bits(value: int, depth: int, kind: int) -> int:
    """A sample of a PNG file as it is decoded: 16-bit colours lose their lower byte."""
    if depth == 16:
        return value if kind == 0 else value >> 8
    return int(value * 255 // (2**depth - 1))


def _gif(content: bytes) -> ImageHeader:
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while (kind := content[position]) != 0x2C:  # the first picture
        position += 1
        if kind == 0x3B:
            raise FormatError("the GIF file is damaged: no picture is in it")
        if kind == 0x21:  # an extension: blocks that say their length, ended by an empty one
            position += 1
            while block := content[position]:
                position += 1 + block
    left, top, across, down = struct.unpack_from("<4H", content, position + 1)
    size = (max(width, left + across), max(height, top + down))
    return ImageHeader(format="GIF", content=content, size=size)


def _webp(content: bytes) -> ImageHeader:
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(content[n : n + 3], "little") for n in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<L", content, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (number & 0x3FFF for number in struct.unpack_from("<HH", content, 26))
    else:
        raise FormatError(f"the WEBP file is damaged: expected a picture (got chunk {kind!r})")
    orientation, position = 1, 12
    while position + 8 <= len(content):
        (length,) = struct.unpack_from("<L", content, position + 4)
        if content.startswith(b"EXIF", position):
            orientation = exif_orientation(content[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return ImageHeader(
        format="WEBP", content=content, size=(width, height), orientation=orientation
    )


def _bmp(content: bytes) -> ImageHeader:
    return ImageHeader(format="BMP", content=content)


def _ppm(content: bytes) -> ImageHeader:
    return ImageHeader(format="PPM", content=content)


def _tiff(content: bytes) -> ImageHeader:
    page = first_page(content)
    return ImageHeader(
        format="TIFF",
        content=page.content,
        size=page.size,
        orientation=page.orientation,
        buffered=8 * page.tile,
    )


_EXIF = b"Exif\0\0"
_SCAN, _END = 0xDA, 0xD9  # markers of JPEG
_MOST_SCANS = 500
"""A scan of a few bytes costs a pass over the whole picture; real files have about ten."""
_OTHERS = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (4, b"ftypavif", "an AVIF image: convert it to JPEG or PNG"),
    (4, b"ftyphei", "a HEIC image: convert it to JPEG or PNG"),
    (4, b"ftypmif1", "a HEIF image: convert it to JPEG or PNG"),
    (4, b"jP  ", "a JPEG 2000 image: convert it to JPEG or PNG"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image: convert it to JPEG or PNG"),
)
_READERS: dict[str, tuple[Callable[[bytes], bool], Callable[[bytes], ImageHeader]]] = {
    "JPEG": (lambda content: content.startswith(b"\xff\xd8\xff"), _jpeg),
    "PNG": (lambda content: content.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    "GIF": (lambda content: content.startswith((b"GIF87a", b"GIF89a")), _gif),
    "WEBP": (lambda content: content[:4] == b"RIFF" and content[8:12] == b"WEBP", _webp),
    "BMP": (lambda content: content.startswith(b"BM"), _bmp),
    "TIFF": (
        lambda content: content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
        _tiff,
    ),
    "PPM": (
        lambda content: content[:1] == b"P" and content[1:2] in b"123456" and
        content[2:3] in b" \t\r\n#",
        _ppm,
    ),
}  # fmt: skip
"""How each format is recognised and read."""
