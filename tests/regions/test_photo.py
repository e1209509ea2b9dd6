import csv
import io
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graphmatch.errors import ConfigError, FormatError
from graphmatch.regions.photo import decode_photo
from tests.regions.odd_images import chunk, odd_contents, picture, png, save

ODD = odd_contents()
PIXELS = np.asarray(picture())  # [32, 48, 3]


def decode(content, **options):
    return decode_photo(content, "7", **options).pixels


def difference(pixels, expected):
    return np.abs(pixels.astype(int) - expected).mean()


@pytest.mark.parametrize("name", ODD)
def test_odd_and_damaged_images(name):
    content, word = ODD[name]
    if word == "good":
        photo = decode_photo(content, name)
        height, width = photo.pixels.shape[:2]
        assert photo.id == name
        assert photo.size == (width, height)
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.flags.c_contiguous
        assert photo.pixels.flags.writeable
    else:
        with pytest.raises(FormatError, match=word):
            decode_photo(content, name)


@pytest.mark.parametrize(
    "name",
    [
        *("rgb.png", "interlaced.png", "animated.png", "animated_wrong.png", "text_checksum.png"),
        *("after_the_end.png", "png_called.jpg", "plain_bmp.bmp", "plain_ppm.ppm"),
        *("plain_tif.tif", "lzw.tif", "big.tif", "pages.tif"),
    ],
)
def test_lossless_files_give_the_pixels_they_were_made_of(name):
    np.testing.assert_array_equal(decode(ODD[name][0]), PIXELS)


@pytest.mark.parametrize(
    "name",
    [
        *("plain.jpg", "progressive.jpg", "cmyk.jpg", "profile.jpg", "two_pictures.jpg"),
        *("exif_cut.jpg", "exif_tags.jpg", "garbage_after.jpg"),
        *("lossy.webp", "animated_webp.webp", "webp_called.jpg"),
        *("plain_gif.gif", "animated_gif.gif", "palette.png"),
    ],
)
def test_lossy_files_give_nearly_the_first_picture(name):
    assert difference(decode(ODD[name][0]), PIXELS) < 8


def on_white(colour, alpha):
    """Composition in exact arithmetic: [..., 3] and [..., 1] in 0..255."""
    share = alpha / 255
    return np.floor(colour * share + 255 * (1 - share) + 0.5).astype(np.uint8)


@pytest.mark.parametrize("name", ["rgba.png", "lossless.webp"])
def test_what_is_transparent_becomes_white(name):
    alpha = np.asarray(Image.linear_gradient("L").resize(PIXELS.shape[1::-1]))[..., None]
    expected = on_white(PIXELS.astype(float), alpha)
    got = decode(ODD[name][0])
    if name == "lossless.webp":  # the writer drops colours that cannot be seen
        got, expected = got[alpha[..., 0] > 0], expected[alpha[..., 0] > 0]
    np.testing.assert_array_equal(got, expected)


def test_grey_with_alpha():
    values = np.array([[[0, 255], [100, 0], [200, 51]]], np.uint8)
    content = png((3, 1), 8, 4, b"\0" + values.tobytes())
    expected = on_white(values[..., :1].astype(float), values[..., 1:])
    np.testing.assert_array_equal(decode(content), np.repeat(expected, 3, axis=2))
    assert decode(content)[0, :, 0].tolist() == [0, 255, 244]


def test_palette_with_an_alpha_each():
    palette = chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255, 9, 9, 9]))
    content = png((3, 1), 8, 3, b"\0\0\1\2", palette, chunk(b"tRNS", bytes([255, 51])))
    assert decode(content).tolist() == [[[255, 0, 0], [204, 204, 255], [9, 9, 9]]]


@pytest.mark.parametrize(
    ("depth", "kind", "line", "key", "expected"),
    [
        (1, 0, b"\x40", 1, [0, 255, 0]),
        (2, 0, b"\x1b", 2, [0, 85, 255, 255]),  # 0 1 2 3
        (4, 0, b"\x5a", 5, [255, 170]),
        (8, 0, b"\x05\x06", 5, [255, 6]),
        (16, 0, struct.pack(">3H", 2570, 2571, 65535), 2571, [10, 255, 255]),
        (8, 2, bytes([1, 2, 3, 1, 2, 4]), (1, 2, 3), [255, 255, 255, 1, 2, 4]),
        (16, 2, struct.pack(">6H", *[2570] * 3, *[257] * 3), (2570,) * 3, [255] * 3 + [1] * 3),
    ],
)
def test_the_transparent_colour_of_a_png_without_palette(depth, kind, line, key, expected):
    values = key if isinstance(key, tuple) else (key,)
    transparent = chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))
    count = len(expected) // (3 if kind == 2 else 1)
    pixels = decode(png((count, 1), depth, kind, b"\0" + line, transparent))
    assert (pixels if kind == 2 else pixels[..., 0]).ravel().tolist() == expected


def test_bits_and_few_greys():
    assert decode(ODD["four_greys.png"][0])[0, :, 1].tolist() == [0, 85, 170, 255]
    bits = np.asarray(picture().convert("L").convert("1"))
    for name in ("bits.png", "fax.tiff"):
        np.testing.assert_array_equal(decode(ODD[name][0])[..., 2], bits * 255)


@pytest.mark.parametrize(
    ("format", "order"), [("PNG", "<"), ("TIFF", "<"), ("TIFF", ">"), ("PPM", "<")]
)
def test_16_bits_are_scaled_not_clipped(format, order):
    values = np.arange(65536, dtype=np.uint32).reshape(256, 256)
    image = Image.fromarray(values.astype(f"{order}u2"))
    expected = (2 * values + 257) // 514  # the nearest of value / 257
    np.testing.assert_array_equal(decode(save(image, format))[..., 0], expected)


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (np.array([0, 7, 255], np.int32), 255),
        (np.array([0, 7, 256], np.int32), 65535),
        (np.array([0, 7 << 20, 2**31 - 1], np.int32), 2**31 - 1),
        (np.array([0, 0.25, 1], np.float32), 1),
        (np.array([0, 0.25, 1.5], np.float32), 255),
        (np.array([0, 700, 65535], np.float32), 65535),
    ],
)
def test_32_bits_are_scaled_by_the_smallest_white_that_holds_them(values, white):
    pixels = decode(save(Image.fromarray(values[None]), "TIFF"))
    expected = [round(value * 255 / white) for value in values.tolist()]
    assert pixels[0].tolist() == [[value] * 3 for value in expected]


@pytest.mark.parametrize("values", [[-1, 5], [0, 1e6], [0, np.inf], [np.nan, 1], [1, np.nan]])
def test_values_without_a_white_are_refused(values):
    image = Image.fromarray(np.array([values], np.float32))
    with pytest.raises(FormatError, match=r"expected grey values|no numbers"):
        decode(save(image, "TIFF"))


@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((51, 0, 102, 127), (102, 128, 77)),  # (255 - ink) * (255 - black) / 255
    ],
)
def test_inks_of_a_photoshop_jpeg(ink, colour):
    cmyk = Image.new("CMYK", (8, 8), ink)
    for content in (save(cmyk, "JPEG", quality=100), save(cmyk, "TIFF")):
        np.testing.assert_allclose(decode(content), np.broadcast_to(colour, (8, 8, 3)), atol=2)


def test_inks_stored_as_brightness_and_colour():
    """Adobe's YCCK: here red, whose inverse (0, 255, 255) is stored as Y, Cb, Cr, and no black."""
    brightness = (0.701 * 255, 128 + 0.168736 * 255, 0.5, 255)
    stored = tuple(255 - round(value) for value in brightness)  # the writer inverts
    content = save(Image.new("CMYK", (8, 8), stored), "JPEG", quality=100)
    transform = content.index(b"Adobe") + 11
    content = content[:transform] + b"\2" + content[transform + 1 :]
    np.testing.assert_allclose(decode(content), np.broadcast_to((255, 0, 0), (8, 8, 3)), atol=3)


STORED = {  # how an upright picture lies in a file of each orientation
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.rot90(np.fliplr(a)),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(np.fliplr(a), -1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_photographs_are_turned_upright(format, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](PIXELS)))
    photo = decode_photo(save(stored, format, exif=exif, lossless=True), "7")
    assert photo.size == (48, 32)
    if format == "JPEG":
        assert difference(photo.pixels, PIXELS) < 8
    else:
        np.testing.assert_array_equal(photo.pixels, PIXELS)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_none(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    np.testing.assert_array_equal(decode(save(picture(), "PNG", exif=exif)), PIXELS)
    np.testing.assert_array_equal(decode(save(picture(), "TIFF", exif=exif)), PIXELS)


def test_a_large_jpeg_is_reduced():
    exif = Image.Exif()
    exif[274] = 6
    content = save(picture().resize((401, 301)), "JPEG", exif=exif)
    whole = decode_photo(content, "7")
    assert whole.size == (301, 401)
    for limit, scale in [(120_701, 1), (120_700, 2), (30_000, 4), (7_000, 8)]:
        photo = decode_photo(content, "7", max_pixels=limit)
        assert photo.size == (301, 401)
        assert photo.pixels.shape == (-(-401 // scale), -(-301 // scale), 3)
        rows, columns = 401 // scale, 301 // scale
        blocks = whole.pixels[: rows * scale, -columns * scale :]  # edges lie right after a turn
        mean = blocks.reshape(rows, scale, columns, scale, 3).mean(axis=(1, 3))
        assert difference(photo.pixels[:rows, -columns:], mean) < 3
    with pytest.raises(FormatError, match="401 x 301 pixels: the limit is 1,000"):
        decode(content, max_pixels=1000)


def test_a_progressive_jpeg_that_must_be_held_at_once():
    image = Image.effect_noise((640, 640), 9)
    content = save(image.convert("RGB"), "JPEG", progressive=True, subsampling=0)
    with pytest.raises(FormatError, match=r"2,457,600 bytes.*save it as a baseline"):
        decode(content, max_pixels=640 * 640 // 4)
    assert decode(content, max_pixels=640 * 640 // 2).shape == (320, 320, 3)


def test_the_limit_of_other_formats():
    content = save(picture(), "PNG")
    assert decode(content, max_pixels=48 * 32).shape == (32, 48, 3)
    with pytest.raises(FormatError, match=r"48 x 32 pixels: the limit is 1,535 \(max_pixels\)"):
        decode(content, max_pixels=48 * 32 - 1)
    for limit in (0, -1, 10**9):
        with pytest.raises(ConfigError, match="max_pixels"):
            decode(content, max_pixels=limit)


def test_pictures_of_many_bands():
    image = picture().resize((1500, 1600), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(decode(save(image, "PNG", compress_level=1)), np.asarray(image))


@pytest.mark.slow
def test_claims_of_a_header_cost_no_memory_and_no_time():
    code = """
import resource, time
from graphmatch.errors import FormatError
from graphmatch.regions.photo import decode_photo
from tests.regions.odd_images import odd_contents
claims = {name: content for name, (content, word) in odd_contents().items() if word == "limit"}
decode_photo(odd_contents()["plain.jpg"][0], "warm")
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = peak(), time.process_time()
for name, content in claims.items():
    try:
        decode_photo(content, name)
    except FormatError:
        continue
    raise SystemExit(f"{name} was decoded")
print(len(claims), peak() - before, time.process_time() - start)
"""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    count, megabytes, seconds = (float(number) for number in run.stdout.split())
    assert count >= 9
    assert megabytes < 20
    assert seconds < 1


WHOLE = {
    name: ODD[name][0]
    for name in [
        *("turned.jpg", "progressive.jpg", "cmyk.jpg", "rgb.png", "palette_alpha.png"),
        *("interlaced.png", "animated.png", "animated_gif.gif", "lossy.webp", "lossless.webp"),
        *("plain_bmp.bmp", "palette_bmp.bmp", "plain_tif.tif", "lzw.tif", "fax.tiff", "big.tif"),
        *("grey16_tif.tif", "plain_ppm.ppm", "written.ppm"),
    ]
}


@pytest.mark.parametrize("name", WHOLE)
@given(share=st.floats(0, 1))
def test_any_beginning_of_a_file_is_whole_or_an_error(name, share):
    content = WHOLE[name]
    size = decode_photo(content, name).size
    try:
        photo = decode_photo(content[: int(share * len(content))], name)
    except FormatError:
        return
    assert photo.size == size


@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_any_damage_is_decoded_or_an_error(name, changes):
    content = bytearray(WHOLE[name])
    for place, value in changes:
        content[int(place**3 * (len(content) - 1))] = value  # the head more often
    try:
        photo = decode_photo(bytes(content), name)
    except FormatError:
        return
    assert photo.pixels.ndim == 3


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"II*\0", b"GIF89a", b"BM", b"P5 "]), st.binary())
def test_any_bytes_are_an_error_or_a_photograph(head, tail):
    try:
        photo = decode_photo(head + tail, "7")
    except FormatError:
        return
    assert photo.pixels.shape[2] == 3


def test_threads_at_once_leave_no_trace():
    def settings():
        return (
            list(warnings.filters),
            PIL.Image.MAX_IMAGE_PIXELS,
            PIL.ImageFile.LOAD_TRUNCATED_IMAGES,
        )

    before = settings()
    good = [(content, name) for name, (content, word) in ODD.items() if word == "good"] * 3
    alone = [decode_photo(*item).pixels for item in good]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda item: decode_photo(*item).pixels, good))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert settings() == before


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"pip install 'graphmatch\[detect\]'"):
        decode(ODD["plain.jpg"][0])


def test_real_photographs(data):
    folder = data / "coco_photos"
    with (folder / "photos.tsv").open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))[::40]
    for row in rows:
        content = (folder / row["file"]).read_bytes()
        photo = decode_photo(content, row["image_id"])
        assert photo.size == (int(row["width"]), int(row["height"]))
        with Image.open(io.BytesIO(content)) as image:
            np.testing.assert_array_equal(photo.pixels, np.asarray(image.convert("RGB")))
