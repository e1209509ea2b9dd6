"""The pictures of the documents are what the code draws today, and links lead somewhere."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from graphmatch.canvas import Line, Rectangle, Words, save_canvases
from tests.conftest import ROOT
from tests.documented_pictures import photograph_picture, scene_picture, video_picture

IMAGES = ROOT / "docs" / "images"


def check_picture(canvas, name, tmp_path):
    """Same size, and nearly the same pixels: codecs and fonts may round in other ways."""
    save_canvases(tmp_path / name, [canvas])
    drawn, documented = (
        np.asarray(Image.open(folder / name).convert("RGB")).astype(int)
        for folder in (tmp_path, IMAGES)
    )
    assert drawn.shape == documented.shape
    difference = np.abs(drawn - documented).max(axis=2)
    assert difference.mean() < 2, "stale: make docs"
    assert (difference > 40).mean() < 0.01, "stale: make docs"
    assert (IMAGES / name).stat().st_size < 300_000


def test_scene(tmp_path):
    canvas = scene_picture()
    assert sum(isinstance(shape, Rectangle) for shape in canvas.shapes) == 8
    assert sum(isinstance(shape, Line) for shape in canvas.shapes) == 9
    check_picture(canvas, "regions.png", tmp_path)


def test_video(tmp_path):
    canvas = video_picture()
    clips = [shape.note for shape in canvas.shapes if isinstance(shape, Rectangle)]
    assert (len(clips), clips[-1]) == (7, "clip 6: 4.80 to 5.00 s")
    check_picture(canvas, "clips.png", tmp_path)


def test_photograph(data, tmp_path):
    canvas = photograph_picture(data / "detector_picodet" / "picodet_s_416_coco.onnx")
    found = {shape.text.split()[0] for shape in canvas.shapes if isinstance(shape, Words)}
    assert found == {"person", "tie"}
    check_picture(canvas, "photograph.png", tmp_path)


def test_links_and_pictures_are_there():
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    linked = set()
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                path = (document.parent / target).resolve()
                assert path.exists(), f"{document.name}: {target}"
                linked.add(path)
    assert {*IMAGES.resolve().iterdir()} <= linked
