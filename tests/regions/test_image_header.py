import struct

import numpy as np
import pytest

from graphmatch.errors import FormatError
from graphmatch.regions.image_header import read_header
from graphmatch.regions.photo import decode_photo
from tests.regions.odd_images import chunk, odd_contents, picture, png, save, tiff

ODD = odd_contents()
JPEG = save(picture(), "JPEG")
FRAME = JPEG.index(b"\xff\xc0")


@pytest.mark.parametrize("name", [name for name, (_, word) in ODD.items() if word == "good"])
def test_the_header_agrees_with_the_decoder(name):
    content = ODD[name][0]
    header = read_header(content)
    assert header.format not in ("BMP", "PPM") or header.size is None
    if header.size is not None:
        turned = header.size[::-1] if header.orientation > 4 else header.size
        assert turned == decode_photo(content, name).size


def test_notes_are_left_out_and_pixels_are_not():
    notes = chunk(b"tEXt", b"Comment\0" + bytes(5000))
    content = png((1, 1), 8, 2, b"\0\1\2\3", notes)
    assert read_header(content).content == png((1, 1), 8, 2, b"\0\1\2\3")
    segment = b"\xff\xe1" + struct.pack(">H", 5002) + bytes(5000)
    assert read_header(JPEG[:2] + segment + JPEG[2:]).content == JPEG


@pytest.mark.parametrize(
    "between",
    [b"\xff" * 7, b"\xff\x01", b"\xff\xd0\xff\xd7", b"\xff\x00\xff\x00", b"junk"],
    ids=["filling", "lone marker", "restarts", "stuffing", "junk"],
)
def test_what_may_lie_between_the_segments_of_a_jpeg(between):
    expected = decode_photo(JPEG, "7").pixels
    content = JPEG[:FRAME] + between + JPEG[FRAME:]
    assert read_header(content).size == picture().size
    np.testing.assert_array_equal(decode_photo(content, "7").pixels, expected)


def frame(kind, *factors, size=(48, 32)):
    """The head of a JPEG file whose channels are sampled by these factors."""
    channels = b"".join(bytes([number, factor, 0]) for number, factor in enumerate(factors))
    body = struct.pack(">BHHB", 8, size[1], size[0], len(factors)) + channels
    scan = struct.pack(">HB", 6 + 2 * len(factors), len(factors)) + bytes(3 + 2 * len(factors))
    return (
        b"\xff\xd8\xff"
        + bytes([kind])
        + struct.pack(">H", 2 + len(body))
        + body
        + b"\xff\xda"
        + scan
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (frame(0xC0, 0x22, 0x11, 0x11), 0),
        (frame(0xC2, 0x11), 2 * 48 * 32),  # 2 bytes a coefficient
        (frame(0xC2, 0x11, 0x11, 0x11), 6 * 48 * 32),
        (frame(0xC2, 0x22, 0x11, 0x11), 3 * 48 * 32),  # two channels of a quarter
        (frame(0xCA, 0x21, 0x11, 0x11), 4 * 48 * 32),
        # a scan of one channel of three: all of them are held
        (
            frame(0xC0, 0x22, 0x11, 0x11).replace(b"\xff\xda\0\x0c\3", b"\xff\xda\0\x0c\1"),
            3 * 48 * 32,
        ),
    ],
)
def test_what_a_decoder_must_hold(content, expected):
    assert read_header(content).buffered == expected


SHORT = (258, 3, 1, 8)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (JPEG[:FRAME] + JPEG[FRAME + 19 :], "does not say its width"),
        (frame(0xC0), "no colour channel"),
        (JPEG[:FRAME] + b"\xff\xd9", "no picture"),
        (JPEG[:FRAME], "no picture"),
        (JPEG[:FRAME] + b"\xff\xe0\0\1", "cut off"),
        (JPEG[: FRAME + 3], "header is not complete"),
        (
            tiff((9, 9)).replace(struct.pack("<HH", 256, 4), struct.pack("<HH", 999, 4)),
            "width and height",
        ),
        (tiff((9, 9), (258, 3, 0, 8)), "0 values of type 3"),
        (tiff((9, 9), (258, 99, 1, 8)), "1 values of type 99"),
        (tiff((9, 9), (259, 3, 2, 8)), "tag 259 has 2 values"),
        (tiff((9, 9), SHORT, (277, 3, 1, 7)), "7 channels"),
        (tiff((9, 9), SHORT, (273, 4, 2**31, 8)), "points out of it"),
        (
            tiff((9, 9), *((tag, 4, 12, 8) for tag in (273, 279, 324, 325)), data=bytes(48)),
            "points out of it",
        ),
        (tiff((9, 9))[:20], "header is not complete"),
        (b"II*\0\xff\xff\xff\xff", "directory is missing"),
        (b"MM\0+" + bytes(8), "header is not complete"),
    ],
)
def test_damaged_headers(content, error):
    with pytest.raises(FormatError, match=error):
        read_header(content)


def test_a_jpeg_of_two_sizes():
    second = JPEG[FRAME : FRAME + 19]
    content = JPEG[:FRAME] + second[:5] + struct.pack(">HH", 8, 8) + second[9:] + JPEG[FRAME:]
    with pytest.raises(FormatError, match="JPEG file is"):
        decode_photo(content, "7")
