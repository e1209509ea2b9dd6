"""Odd and damaged images, as corpora from the web have them."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

SIZE = (48, 32)


def make_odd_images(folder: Path) -> dict[str, str]:
    """Write them to a folder.

    Args:
        folder: where to; it is made if it is not there.

    Returns:
        What is to be expected of each file by its path in the folder: `good`, or a word of the
        reason why it fails. The id of each is its path without the suffix.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, (content, word) in odd_contents().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        expected[name] = word
    (folder / "link.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "notes.txt").write_text("no image, and not to be counted as one")
    (folder / ".hidden.jpg").write_bytes(b"")
    return expected | {"link.jpg": "no such file", "pipe.jpg": "pipe"}


def picture() -> Image.Image:
    """A small scene with edges and slopes in every channel."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    pixels = np.stack([5 * x, 7 * y, 3 * x + 2 * y], axis=2).astype(np.uint8)
    pixels[8:20, 10:30] = (220, 30, 60)
    return Image.fromarray(pixels)


def save(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.copy().save(stream, format, **options)
    return stream.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">L", len(content)) + name + content + struct.pack(">L", check)


def png(size: tuple[int, int], depth: int, kind: int, lines: bytes, *more: bytes, way: int = 0):
    """A PNG file; `lines` are the filtered lines, `way` is 1 if they are interlaced."""
    header = struct.pack(">LLBBBBB", *size, depth, kind, 0, 0, way)
    pieces = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(lines))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces) + chunk(b"IEND", b"")


def interlaced_png(pixels: np.ndarray) -> bytes:
    """Adam7: seven passes over ever finer grids (PNG specification, 8.2)."""
    grids = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2)]
    lines = b""
    for top, down, left, right in [*grids, (1, 2, 0, 1)]:
        for line in pixels[top::down, left::right]:
            lines += b"\0" + line.tobytes() if line.size else b""
    height, width = pixels.shape[:2]
    return png((width, height), 8, 2, lines, way=1)


def tiff(size: tuple[int, int], *entries: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A little-endian TIFF file of one page; the data starts at byte 8."""
    tags = [(256, 4, 1, size[0]), (257, 4, 1, size[1]), *entries]
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHL", *entry[:3]) + struct.pack("<L", entry[3]) for entry in sorted(tags)
    )
    return b"II*\0" + struct.pack("<L", 8 + len(data)) + data + directory + bytes(4)


def exif_jpeg(exif: bytes) -> bytes:
    return save(picture(), "JPEG", exif=b"Exif\0\0" + exif)


def jpeg_claiming(width: int, height: int) -> bytes:
    content = save(picture(), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def odd_contents() -> dict[str, tuple[bytes, str]]:
    """Name, content and what is to be expected of each."""
    return {**_good(), **_bad()}


def _good() -> dict[str, tuple[bytes, str]]:
    image = picture()
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(SIZE))

    def frames() -> list[Image.Image]:  # anew: writers leave their settings in images
        return [image.rotate(turn) for turn in (90, 180)]

    orientation = Image.Exif()
    orientation[274] = 6
    cmyk = save(image.convert("CMYK"), "JPEG")
    transform = cmyk.index(b"Adobe") + 11
    jpeg, plain = save(image, "JPEG"), save(image, "PNG")
    middle = len(jpeg) - 200
    text = chunk(b"tEXt", b"Comment\0made for a test")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    palette = image.quantize(32)
    wide = Image.fromarray(np.tile(np.arange(20_000, dtype=np.uint32).astype(np.uint8), (4, 1)))
    files = {
        "plain.jpg": jpeg,
        "capital.JPEG": jpeg,
        "spaces and ümlaut.jpg": jpeg,
        "folder.jpg/inside.jpg": jpeg,
        "grey.jpg": save(grey, "JPEG"),
        "progressive.jpg": save(image, "JPEG", progressive=True),
        "cmyk.jpg": cmyk,
        "ycck.jpg": cmyk[:transform] + b"\2" + cmyk[transform + 1 :],
        "turned.jpg": save(image, "JPEG", exif=orientation),
        "profile.jpg": save(image, "JPEG", icc_profile=profile),
        "two_pictures.jpg": save(image, "MPO", save_all=True, append_images=frames()),
        "exif_garbage.jpg": exif_jpeg(b"\xff" * 40),
        "exif_cut.jpg": exif_jpeg(b"II*\0\x08\0\0\0\xff\xff\x12\x01"),
        "exif_far.jpg": exif_jpeg(b"MM\0*\xff\xff\xff\xf0"),
        "exif_tags.jpg": exif_jpeg(b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\xff\xff\0\0\xff\xff\0\0"),
        "garbage_after.jpg": jpeg + bytes(range(256)),
        "garbage_inside.jpg": jpeg[:middle] + bytes([60, 0, 17, 99]) + jpeg[middle + 4 :],
        "pixel.jpg": save(image.resize((1, 1)), "JPEG"),
        "wide.jpg": save(wide, "JPEG"),
        "rgb.png": plain,
        "pixel_png.png": save(image.resize((1, 1)), "PNG"),
        "very_wide.png": save(wide, "PNG"),
        "very_tall.png": save(wide.rotate(90, expand=True), "PNG"),
        "rgba.png": save(clear, "PNG"),
        "grey_alpha.png": save(clear.convert("LA"), "PNG"),
        "bits.png": save(grey.convert("1"), "PNG"),
        "four_greys.png": png((4, 1), 2, 0, b"\0\x1b"),
        "grey16.png": save(deep, "PNG"),
        "rgb16.png": png((1, 1), 16, 2, b"\0" + bytes([200, 1, 100, 2, 50, 3])),
        "keyed.png": png((2, 1), 8, 2, b"\0\1\2\3\4\5\6", chunk(b"tRNS", b"\0\1\0\2\0\3")),
        "palette.png": save(palette, "PNG"),
        "palette_alpha.png": save(palette, "PNG", transparency=bytes(range(0, 256, 8))),
        "interlaced.png": interlaced_png(np.asarray(image)),
        "animated.png": save(image, "PNG", save_all=True, append_images=frames()),
        "animated_wrong.png": plain[:33] + chunk(b"acTL", bytes(8)) + plain[33:],
        "text_checksum.png": plain[:33] + text[:-1] + b"\0" + plain[33:],
        "after_the_end.png": plain + b"more",
        "plain_gif.gif": save(image, "GIF"),
        "animated_gif.gif": save(image, "GIF", save_all=True, append_images=frames(), disposal=2),
        "transparent.gif": save(palette, "GIF", transparency=3),
        "lossy.webp": save(image, "WEBP"),
        "lossless.webp": save(clear, "WEBP", lossless=True),
        "animated_webp.webp": save(image, "WEBP", save_all=True, append_images=frames()),
        "pixel_webp.webp": save(image.resize((1, 1)), "WEBP"),
        "plain_bmp.bmp": save(image, "BMP"),
        "palette_bmp.bmp": save(palette, "BMP"),
        "plain_tif.tif": save(image, "TIFF"),
        "lzw.tif": save(image, "TIFF", compression="tiff_lzw"),
        "fax.tiff": save(grey.convert("1"), "TIFF", compression="group4"),
        "big.tif": save(image, "TIFF", big_tiff=True),
        "pages.tif": save(image, "TIFF", save_all=True, append_images=frames()),
        "cmyk_tif.tif": save(image.convert("CMYK"), "TIFF"),
        "grey16_tif.tif": save(deep, "TIFF"),
        "floats.tif": save(Image.fromarray(np.asarray(grey) / np.float32(255)), "TIFF"),
        "plain_ppm.ppm": save(image, "PPM"),
        "grey16_pgm.pgm": save(deep, "PPM"),
        "written.ppm": b"P3 # numbers as text\n2 1 255\n255 0 0  0 0 255\n",
        "png_called.jpg": plain,
        "webp_called.jpg": save(image, "WEBP"),
        "jpeg_called.png": jpeg,
    }
    return {name: (content, "good") for name, content in files.items()}


def _bad() -> dict[str, tuple[bytes, str]]:
    image = picture()
    jpeg, plain, bmp = (save(image, format) for format in ("JPEG", "PNG", "BMP"))
    progressive = save(image, "JPEG", progressive=True)
    half = jpeg.index(b"\xff\xda") + 100
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    huge = (50_000, 50_000)
    gif_claim = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0)
    gif_frame = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x08\0;"
    fourth = b"!\xf9\x04\x08\0\0\0\0"  # the frame is to be cleared afterwards
    flag = plain.index(b"IDAT") + 20
    holes = np.array([[0, 1], [0.5, np.nan]], np.float32)
    tile = [
        (258, 3, 1, 8),
        (322, 4, 1, 60_000),
        (323, 4, 1, 60_000),
        (324, 4, 1, 8),
        (325, 4, 1, 9),
    ]
    return {
        "empty.jpg": (b"", "empty"),
        "zeros.jpg": (bytes(5000), "zero bytes"),
        "text.jpg": (b"Not Found\n", "text"),
        "page.jpg": (b"<!DOCTYPE html><html><body>403</body></html>", "HTML"),
        "drawing.png": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "text"),
        "document.png": (b"%PDF-1.7\n" + bytes(100), "PDF"),
        "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        "modern.avif": (b"\0\0\0\x18ftypavif" + bytes(40), "AVIF"),
        "random.jpg": (np.random.default_rng(0).bytes(3000), "unknown"),
        "cut.jpg": (jpeg[:half], "truncated"),
        "cut_head.jpg": (jpeg[:30], "truncated"),
        "cut_end.jpg": (jpeg[:-2], "truncated"),
        "cut_progressive.jpg": (progressive[: len(progressive) // 2], "truncated"),
        "cut_filled.jpg": (jpeg[:half].ljust(len(jpeg), b"\0"), "truncated"),
        "cut_rgb.png": (plain[: len(plain) // 2], "truncated"),
        "cut_end_png.png": (plain[:-12], "truncated"),
        "cut_gif.gif": (save(image, "GIF")[:-300], "truncated"),
        "cut_lossy.webp": (save(image, "WEBP")[:-20], "truncated"),
        "cut_bmp.bmp": (bmp[:-100], "truncated"),
        "cut_lzw.tif": (save(image, "TIFF", compression="tiff_lzw")[:-20], "truncated"),
        "cut_tif.tif": (save(image, "TIFF")[:-200], "truncated"),
        "cut_ppm.ppm": (save(image, "PPM")[:-5], "truncated"),
        "checksum.png": (plain[:flag] + b"\0\0" + plain[flag + 2 :], "checksum"),
        "headless.png": (plain[:8] + plain[33:], "header"),
        "no_size.png": (png((0, 0), 8, 2, b""), "at least one"),
        "no_picture.gif": (gif_claim + b";", "no picture"),
        "no_numbers.tif": (save(Image.fromarray(holes), "TIFF"), "no numbers"),
        "claim.png": (png(huge, 8, 2, b""), "limit"),
        "claim_jpg.jpg": (jpeg_claiming(65_500, 65_500), "limit"),
        "claim_gif.gif": (gif_claim + gif_frame, "limit"),
        "claim_frame.gif": (b"GIF89a" + bytes([1, 0, 1, 0, 0, 0, 0]) + fourth + gif_frame, "limit"),
        "claim_tif.tif": (tiff(huge, (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 9)), "limit"),
        "claim_tile.tif": (tiff((9, 9), *tile, data=bytes(16)), "limit"),
        "claim_bmp.bmp": (bmp[:18] + struct.pack("<LL", *huge) + bmp[26:], "limit"),
        "claim_webp.webp": (
            b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\x3f\xff\xff\x3f",
            "limit",
        ),
        "claim_ppm.ppm": (b"P6 50000 50000 255 ", "limit"),
        "scans.jpg": (progressive[:-2] + scan * 600 + b"\xff\xd9", "scans"),
    }  # fmt: skip
