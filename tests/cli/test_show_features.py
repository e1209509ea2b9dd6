"""`graphmatch show` on stores of regions and clips."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_writer import FeatureWriter


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        pixels = np.full((60, 80, 3), 250, np.uint8)
        pixels[10:50, 20:60] = colour
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def store(tmp_path):
    with FeatureWriter(tmp_path / "s", kind="regions", job={"labels": ["box", "edge"]}) as writer:
        for key in ("red", "blue"):
            columns = {
                "feature": np.zeros((4, 2)),
                "box": [[20, 10, 60, 50], [0, 0, 20, 60], [60, 0, 80, 60], [0, 0, 80, 60]],
                "label": [0, 1, 1, -1],
                "score": [0.9, 0.2, 0.4, 1.0],
                "size": [80, 60],
            }
            writer.add(FeatureRecord(id=key, columns=columns))
        writer.add(FeatureRecord(id="bad", error="truncated JPEG"))
    return tmp_path / "s"


def test_regions_as_text(run, store):
    code, out, err = run("show", "red", "--store", store)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "red: 4 regions of 2 numbers, 80 x 60 pixels",
        "  0  box              0.90  20.0 10.0 60.0 50.0",
        "  1  edge             0.20  0.0 0.0 20.0 60.0",
        "  2  edge             0.40  60.0 0.0 80.0 60.0",
        "  3  -                1.00  0.0 0.0 80.0 60.0",
    ]


def test_regions_on_their_photographs(run, store, photos, tmp_path):
    base = ("show", "red", "blue", "--store", store, "--source", photos)
    code, out, err = run(*base, "--out", tmp_path / "r.png")
    assert (code, err) == (0, "")
    assert "2 items drawn" in out
    shown = np.asarray(Image.open(tmp_path / "r.png").convert("RGB")).astype(int)
    assert shown.shape == (120, 80, 3)
    assert abs(shown[22, 50] - (200, 0, 0)).max() < 15  # the first id above
    assert abs(shown[82, 50] - (0, 0, 200)).max() < 15
    code, _, _ = run(*base, "--out", tmp_path / "r.html", "--top", 2, "--edges", 1)
    page = (tmp_path / "r.html").read_text()
    assert code == 0
    assert page.count('class="box"') == 4  # two best of each, the whole image is not drawn
    assert page.count('class="line"') == 2
    assert "edge 0.20" not in page
    assert "edge 0.40" in page


def test_clips_under_their_frames(run, tmp_path):
    import av

    with av.open(tmp_path / "fade.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(40):
            pixels = np.full((96, 160, 3), 6 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    columns = {"feature": np.ones((2, 3)), "time": [[0, 2], [2, 4]], "duration": 4}
    with FeatureWriter(tmp_path / "v", kind="clips", job={}) as writer:
        writer.add(FeatureRecord(id="fade", columns=columns))
    code, out, err = run("show", "fade", "--store", tmp_path / "v")
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == ["  0  0.00 to 2.00 s", "  1  2.00 to 4.00 s"]
    source = ("--source", tmp_path / "fade.mp4")
    code, out, err = run(
        "show", "fade", "--store", tmp_path / "v", *source, "-o", tmp_path / "v.png"
    )
    assert (code, err) == (0, "")
    shown = np.asarray(Image.open(tmp_path / "v.png").convert("L")).astype(int)
    for number in range(5):  # frames 4, 12, 20, 28, 36
        assert abs(shown[40, 8 + 168 * number + 80] - 6 * (4 + 8 * number)) < 8


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("rde",), "did you mean 'red'"),
        (("bad",), "truncated JPEG"),
        (("red", "--out", "r.png"), "expected the images to draw on"),
        (("red", "--out", "r.pngg", "--source", "{photos}"), "did you mean 'png'"),
        (("red", "--out", "r.svg", "--source", "{photos}/blue.png"), "expected 'red' among"),
        (("red", "blue", "--out", "r.svg", "--source", "{photos}"), "one drawing for svg"),
    ],
)
def test_what_cannot_be_shown(run, store, photos, tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    given = [argument.format(photos=photos) for argument in arguments]
    code, _, err = run("show", *given, "--store", store)
    assert code == 1
    assert problem in err


def test_a_photograph_of_another_size_is_refused(run, store, photos, tmp_path):
    Image.new("RGB", (40, 30)).save(photos / "red.png")
    out = tmp_path / "r.html"
    code, _, err = run("show", "red", "--store", store, "--source", photos, "--out", out)
    assert code == 1
    assert "40 x 30" in err
    assert json.dumps(out.exists()) == "false"
