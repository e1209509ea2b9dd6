"""`decode_photo`: the bytes of an image file become upright RGB pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import ConfigError, FormatError
from graphmatch.regions.base import Photo
from graphmatch.regions.image_header import ImageHeader, read_header

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 2**25
"""Pixels of the largest picture that is decoded whole, 33.5 million."""
_PILLOW_LIMIT = 89_478_485  # above it pillow warns of every image
_BUFFERED_BYTES = 12  # that a decoder may hold besides the picture, a pixel of the limit


def decode_photo(content: bytes, id: str, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode an image file.

    The content decides on the format, not a name: JPEG, PNG, GIF, WebP, BMP, TIFF or PPM, of which
    the first frame or page is taken. EXIF's orientation is applied. What is transparent becomes
    white. Grey values of 16 bits are scaled to 8; those of 32 bits, and floats, by the smallest of
    1 (floats), 255, 65,535 and 2^31 - 1 (integers) that no value is above. Colour profiles are
    left alone. An unreadable EXIF block or text does not matter. A file that ends too early is an
    error however little is missing, and so is a PNG with a wrong checksum; damage inside a
    complete JPEG shows in its pixels only, since JPEG has no checksum.

    The default limit keeps a process that has loaded torch and a detector under 1 GB: the costliest
    format (lossless WebP) takes 19 bytes a pixel while it is decoded, file included, so 2^25 pixels
    take 640 MB. A larger JPEG is decoded at 1/2, 1/4 or 1/8 of its width and height, in no more
    memory.

    Args:
        content: the whole file.
        id: id of the image.
        max_pixels: width x height that may be decoded, up to 89,478,485.

    Returns:
        The photograph; `size` is that of the upright original even if `pixels` are reduced.

    Raises:
        ConfigError: pillow is missing, an impossible limit.
        FormatError: no image, a damaged or truncated one, one above the limit.

    Example:
        >>> photo = decode_photo(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255]), "7")
        >>> photo.size, photo.pixels.tolist()
        ((2, 1), [[[255, 0, 0], [0, 0, 255]]])
    """
    if not 1 <= max_pixels <= _PILLOW_LIMIT:
        raise ConfigError(f"expected max_pixels from 1 to {_PILLOW_LIMIT:,} (got {max_pixels:,})")
    header = read_header(content)
    if header.size is not None:
        _check_size(header, header.size, max_pixels)
    try:
        with _open(header) as image:
            width, height = image.size
            if header.size is None:
                _check_size(header, image.size, max_pixels)
            elif image.size != header.size:
                raise FormatError(f"the {header.format} file is damaged: it has two sizes")
            if width * height > max_pixels:
                scale = _reduction(width, height, max_pixels)
                image.draft(None, (width // scale, height // scale))
            pixels = _rgb(image, header)  # [H', W', 3]
    except (FormatError, ConfigError):
        raise
    except Exception as error:  # decoders raise all sorts, MemoryError and SyntaxError among them
        why = str(error) or type(error).__name__
        state = "truncated" if "runcated" in why else f"truncated or damaged ({why})"
        raise FormatError(f"the {header.format} file is {state}") from error
    if header.orientation > 4:
        width, height = height, width
    return Photo(id=id, pixels=_upright(pixels, header.orientation), size=(width, height))


def _open(header: ImageHeader) -> ImageFile:
    """The decoder of a file, before it has decoded anything.

    Not through `PIL.Image.open`: it warns, and warnings of other threads cannot be held back.
    """
    try:
        from PIL import (
            BmpImagePlugin,
            GifImagePlugin,
            JpegImagePlugin,
            PngImagePlugin,
            PpmImagePlugin,
            TiffImagePlugin,
            WebPImagePlugin,
        )
    except ImportError as error:
        raise ConfigError("photographs need pillow: pip install 'graphmatch[detect]'") from error
    decoders: dict[str, type[ImageFile]] = {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "PPM": PpmImagePlugin.PpmImageFile,
    }
    return decoders[header.format](io.BytesIO(header.content))


def _check_size(header: ImageHeader, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    claim = f"the {header.format} file claims {width:,} x {height:,} pixels"
    if min(size) < 1:
        raise FormatError(f"{claim}: expected at least one")
    limit = f"the limit is {max_pixels:,} (max_pixels)"
    if header.format != "JPEG" and width * height > max_pixels:
        raise FormatError(f"{claim}: {limit}; reduce the image or raise the limit")
    if header.format == "JPEG" and not _reduction(width, height, max_pixels):
        raise FormatError(f"{claim}: {limit}, also for its copy of an eighth in width and height")
    if header.buffered > _BUFFERED_BYTES * max_pixels:
        raise FormatError(
            f"{claim} and takes {header.buffered:,} bytes besides them: {limit}, and "
            f"{_BUFFERED_BYTES} bytes for each; save it as a baseline JPEG or without large tiles, "
            "or raise the limit"
        )


def _reduction(width: int, height: int, max_pixels: int) -> int:
    """By what a JPEG is divided, 1, 2, 4 or 8, to keep the limit; 0 if nothing helps."""
    for scale in (1, 2, 4, 8):
        if -(-width // scale) * -(-height // scale) <= max_pixels and scale <= min(width, height):
            return scale
    return 0


def _rgb(image: Image, header: ImageHeader) -> NDArray[np.uint8]:
    """Pixels of an image of any mode, [H', W', 3], made in bands: one copy at a time is enough."""
    image.load()
    width, height = image.size
    top = _white(image, header) if image.mode[0] in "IF" else 255
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, 2**20 // width)
    for start in range(0, height, rows):
        end = min(height, start + rows)
        band = image.crop((0, start, width, end))
        pixels[start:end] = _band(band, top)
        if header.key is not None:
            values = np.asarray(band.convert("L") if band.mode == "1" else band)
            clear = np.atleast_3d(values) == np.array(header.key)  # [rows, W', channels]
            pixels[start:end][clear.all(axis=2)] = 255
    return pixels


def _band(band: Image, white: float) -> NDArray[np.uint8]:
    """Pixels of some rows: [rows, W', 3], or [rows, W', 1] if they are grey."""
    if band.mode[0] in "IF":
        values = np.asarray(band)[..., None]
        if not np.isfinite(values).all():
            raise FormatError("the image has values that are no numbers")
        return np.rint(values * (255 / white)).astype(np.uint8)
    if band.has_transparency_data:
        colour = np.asarray(band.convert("RGBA"))
        alpha = colour[..., 3:].astype(np.uint16)  # 255 * 255 + 127 fits into 16 bits
        mixed = colour[..., :3] * alpha + 255 * (255 - alpha)
        return ((mixed + 127) // 255).astype(np.uint8)
    return np.asarray(band if band.mode == "RGB" else band.convert("RGB"))


def _white(image: Image, header: ImageHeader) -> float:
    """The value that is white in an image of 16 or 32 bits a pixel."""
    if image.mode.startswith("I;16") or header.format == "PPM":
        return 65535
    least, most = image.getextrema()
    whites = (1, 255, 65535) if image.mode == "F" else (255, 65535, 2**31 - 1)
    for white in whites:
        if least >= 0 and most <= white:  # type: ignore[operator]
            return white
    raise FormatError(
        f"expected grey values from 0 to {whites[-1]:,} (got {least} to {most}): "
        "save the image with 8 or 16 bits"
    )


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """EXIF 4.6.4, tag 274: mirrored and turned so that its first row is the upper edge."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)  # [W', H', 3]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
