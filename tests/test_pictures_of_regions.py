"""Drawings of region graphs on photographs and of clips."""

from __future__ import annotations

import base64
import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from graphmatch.canvas import (
    ROW,
    Canvas,
    Line,
    Rectangle,
    Words,
    canvas_svg,
    fit,
    save_canvases,
    text_width,
)
from graphmatch.clip_picture import clip_picture
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.clip import ClipGraph
from graphmatch.region_picture import region_picture, strongest_edges
from graphmatch.regions.base import Photo, Regions

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def photo():
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[20:60, 10:50] = (200, 30, 30)
    pixels[50:110, 90:150] = (30, 60, 220)
    return Photo(id="scene", pixels=pixels, size=(160, 120))


@pytest.fixture
def regions():
    return Regions(
        size=(160, 120),
        box=torch.tensor(
            [[10.0, 20, 50, 60], [90, 50, 150, 110], [20, 30, 40, 50], [0, 0, 160, 120]]
        ),
        label=torch.tensor([0, 1, 0, -1]),
        score=torch.tensor([0.9, 0.8, 0.5, 1.0]),
    )


def test_strongest_edges_are_the_nearest_pairs_by_a_naive_loop():
    generator = torch.Generator().manual_seed(3)
    corner = torch.rand(7, 2, generator=generator) * 80
    regions = Regions(
        size=(200, 100),
        box=torch.cat((corner, corner + torch.rand(7, 2, generator=generator) * 20), dim=1),
        label=torch.zeros(7, dtype=torch.int64),
        score=torch.ones(7),
    )
    centres = [((x1 + x2) / 400, (y1 + y2) / 200) for x1, y1, x2, y2 in regions.box.tolist()]
    expected = sorted(
        (math.dist(centres[i], centres[j]), i, j) for i in range(7) for j in range(i + 1, 7)
    )
    found = strongest_edges(regions, 5)
    assert [(edge.source, edge.target) for edge in found] == [(i, j) for _, i, j in expected[:5]]
    for edge, (rho, i, j) in zip(found, expected, strict=False):
        assert edge.rho == pytest.approx(rho, abs=1e-6)
        dx, dy = centres[i][0] - centres[j][0], centres[i][1] - centres[j][1]
        assert edge.theta == pytest.approx(math.atan2(dx, dy), abs=1e-5)


def test_given_strengths_decide(regions):
    strength = torch.zeros(4, 4)
    strength[2, 1] = 0.7  # one direction is enough
    strength[0, 1] = 0.3
    strength[3, 0] = 9.0  # the whole image has no edges
    found = strongest_edges(regions, 2, strength)
    assert [(edge.source, edge.target) for edge in found] == [(1, 2), (0, 1)]
    assert found[0].strength == pytest.approx(0.7)
    with pytest.raises(GraphError, match=r"shape \[4, 4\]"):
        strongest_edges(regions, 2, torch.zeros(3, 3))


def test_an_object_that_fills_the_image_is_drawn(photo):
    full = Regions(
        size=(160, 120), box=torch.tensor([[0.0, 0, 160, 120]]), label=torch.tensor([0]),
        score=torch.tensor([0.9]),
    )  # fmt: skip
    canvas = region_picture(photo, full, labels=("person",))
    assert [shape.text for shape in canvas.shapes if isinstance(shape, Words)] == ["person 0.90"]


def test_region_svg_has_the_photograph_boxes_names_and_edges(photo, regions):
    canvas = region_picture(photo, regions, labels=("ball", "box"), edges=2)
    tree = ElementTree.fromstring(canvas_svg(canvas))
    image = tree.find(f".//{SVG}image")
    content = base64.b64decode(image.get("href").partition("base64,")[2])
    shown = np.asarray(Image.open(io.BytesIO(content)))
    assert shown.shape == photo.pixels.shape
    assert np.abs(shown[30, 20].astype(int) - photo.pixels[30, 20]).max() < 25
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert sorted(texts) == ["ball 0.50", "ball 0.90", "box 0.80"]
    boxes = [
        [float(box.find(f"{SVG}rect").get(name)) for name in ("x", "y", "width", "height")]
        for box in tree.iter(f"{SVG}g")
        if box.get("class") == "box"
    ]
    assert sorted(boxes) == [[10, 20, 40, 40], [20, 30, 20, 20], [90, 50, 60, 60]]
    lines = [line.get("data-nodes") for line in tree.iter(f"{SVG}g") if line.get("class") == "line"]
    assert lines == ["0 2", "0 1"]  # equal centres: the smaller number first
    notes = [node.text for node in tree.iter(f"{SVG}title")]
    assert "ball 0.90 - box 0.80: rho" in " ".join(notes)


def test_names_of_boxes_at_one_place_do_not_cover_each_other(photo):
    three = Regions(
        size=(160, 120), box=torch.tensor([[40.0, 30, 150, 110]] * 3), label=torch.arange(3),
        score=torch.ones(3),
    )  # fmt: skip
    canvas = region_picture(photo, three, labels=("a", "b", "c"))
    words = [shape for shape in canvas.shapes if isinstance(shape, Words)]
    for one in words:
        assert ROW <= one.bottom <= 120
        for other in words:
            apart = abs(one.left - other.left) >= text_width(one.text)
            assert one is other or apart or abs(one.bottom - other.bottom) >= ROW


def test_regions_of_another_photograph_are_refused(photo, regions):
    other = Photo(id="other", pixels=photo.pixels, size=(320, 240))
    with pytest.raises(GraphError, match="320 x 240"):
        region_picture(other, regions)


def test_large_photographs_are_shown_reduced(regions):
    large = Photo(id="large", pixels=np.full((2400, 3200, 3), 9, np.uint8), size=(3200, 2400))
    many = Regions(
        size=(3200, 2400), box=regions.box * 20, label=regions.label, score=regions.score
    )
    canvas = region_picture(large, many)
    assert (canvas.width, canvas.height) == (900, 675)
    assert canvas.shapes[0].pixels.shape == (675, 900, 3)
    boxes = [shape for shape in canvas.shapes if isinstance(shape, Rectangle)]
    assert boxes[-1].left == pytest.approx(10 * 20 * 900 / 3200)


def test_png_has_the_colours_of_the_photograph_and_of_the_boxes(photo, regions, tmp_path):
    canvas = region_picture(photo, regions, edges=1)
    save_canvases(tmp_path / "r.png", [canvas, canvas])
    shown = np.asarray(Image.open(tmp_path / "r.png").convert("RGB")).astype(int)
    assert shown.shape == (240, 160, 3)
    np.testing.assert_array_equal(shown[:120], shown[120:])
    assert np.abs(shown[100, 120] - photo.pixels[100, 120]).max() < 12
    blue = int("0b", 16), int("6f", 16), int("a4", 16)
    assert np.abs(shown[40, 9:12] - blue).max(axis=-1).min() < 40  # left side of the first box
    first = (tmp_path / "r.png").read_bytes()
    save_canvases(tmp_path / "r.png", [canvas, canvas], force=True)
    assert (tmp_path / "r.png").read_bytes() == first


def test_html_needs_nothing_else_and_escapes_names(photo, regions, tmp_path):
    canvas = region_picture(photo, regions, labels=("<script>alert(1)</script>", "b\0x$"))
    save_canvases(tmp_path / "r.html", [canvas])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "\0" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    save_canvases(tmp_path / "r.png", [canvas])  # no mathematics in names either


def test_clip_picture_has_frames_times_and_clips(tmp_path):
    graph = ClipGraph(
        x=torch.zeros(3, 1),
        time=torch.tensor([[0.0, 2.0], [2.0, 4.0], [4.0, 5.0]]),
        duration=torch.tensor([5.0]),
    )
    frames = [np.full((90, 160, 3), k, np.uint8) for k in (10, 120, 240)]
    canvas = clip_picture("v", frames, times=[0.5, 2.5, 4.5], graph=graph)
    bars = [shape for shape in canvas.shapes if isinstance(shape, Rectangle)]
    assert [bar.note for bar in bars] == [
        "clip 0: 0.00 to 2.00 s", "clip 1: 2.00 to 4.00 s", "clip 2: 4.00 to 5.00 s"
    ]  # fmt: skip
    widths = [bar.width for bar in bars]
    assert widths[0] == pytest.approx(2 * widths[2])
    assert bars[1].left == pytest.approx(bars[0].left + bars[0].width)
    assert [s.text for s in canvas.shapes if isinstance(s, Words)] == ["0.5 s", "2.5 s", "4.5 s"]
    save_canvases(tmp_path / "v.png", [canvas])
    shown = np.asarray(Image.open(tmp_path / "v.png").convert("RGB"))
    assert shown.shape == (canvas.height, canvas.width, 3)
    for number, value in enumerate((10, 120, 240)):
        assert abs(int(shown[30, 8 + 168 * number + 80, 0]) - value) < 3
    with pytest.raises(GraphError, match="one size"):
        clip_picture("v", [frames[0], frames[0][:50]], times=[0, 1], graph=graph)
    with pytest.raises(GraphError, match="3 frames"):
        clip_picture("v", frames, times=[0, 1], graph=graph)


def test_formats_and_counts_are_checked(tmp_path):
    line = Line(start=(0, 0), end=(1, 1), colour="#000000")
    canvas = Canvas(width=4, height=4, title="t", shapes=[line])
    with pytest.raises(ConfigError, match="did you mean 'png'"):
        save_canvases(tmp_path / "a.pnf", [canvas])
    with pytest.raises(ConfigError, match="one drawing for svg"):
        save_canvases(tmp_path / "a.svg", [canvas, canvas])
    with pytest.raises(ConfigError, match="one drawing"):
        save_canvases(tmp_path / "a.html", [])
    save_canvases(tmp_path / "a.svg", [canvas])
    with pytest.raises(ConfigError, match="--force"):
        save_canvases(tmp_path / "a.svg", [canvas])


def test_fit_keeps_the_aspect_and_small_pictures():
    pixels = np.zeros((100, 400, 3), np.uint8)
    assert fit(pixels, 200).shape == (50, 200, 3)
    assert fit(pixels, 400) is pixels
    assert fit(np.zeros((1, 5000, 3), np.uint8), 100).shape == (1, 100, 3)
