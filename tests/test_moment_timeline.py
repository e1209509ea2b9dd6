"""Timelines and texts of found moments."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from graphmatch.canvas import Picture, Rectangle, Words, canvas_svg, save_canvases, text_width
from graphmatch.errors import GraphError
from graphmatch.ground_job import FoundMoment, FoundQuery
from graphmatch.ground_report import ground_lines, ground_values
from graphmatch.moment_timeline import moment_timeline
from graphmatch.region_picture import COLOURS
from graphmatch.time_axis import MARGIN, TRACK, WIDTH

EVIL = "<script>alert(1)</script>"


def moments(*numbers):
    return tuple(FoundMoment(start=a, end=b, score=score) for a, b, score in numbers)


FOUND = [
    FoundQuery(
        sentence="person opens the door", moments=moments((10, 20, 0.9), (0, 40, 0.5), (39, 40, 0))
    ),
    FoundQuery(sentence=EVIL, unknown=("alert", "\x1b[31m"), moments=moments((0, 0, 0.25))),
    FoundQuery(sentence="a dog barks", moments=moments((0, 40, 1)), fallback=True, note="a note"),
    FoundQuery(sentence=" ", error="it has no words"),
]


def draw(found=FOUND, duration=40.0, **options):
    return moment_timeline(found, name="kitchen", duration=duration, **options)


def bars(canvas, number):
    return [one for one in canvas.shapes if isinstance(one, Rectangle) and one.nodes == (number,)]


def texts(canvas):
    return [one.text for one in canvas.shapes if isinstance(one, Words)]


def test_bars_lie_where_the_moments_are():
    canvas = draw()
    pixel = (WIDTH - 2 * MARGIN) / 40
    first = bars(canvas, 0)
    assert [(one.left - MARGIN) / pixel for one in first] == pytest.approx([10, 0, 39])
    assert [one.width / pixel for one in first] == pytest.approx([10, 40, 1])
    assert [one.opacity for one in first] == [1, 0.5, 0.5]
    assert first[0].height > first[1].height
    assert {one.colour for one in first} == {COLOURS[0]}
    (instant,) = bars(canvas, 1)
    assert (instant.left, instant.width) == (MARGIN, 3)
    (frame,) = bars(canvas, 2)
    assert not frame.filled
    assert bars(canvas, 3) == []
    tracks = [one for one in canvas.shapes if getattr(one, "colour", None) == TRACK]
    assert len(tracks) == 3


def test_everything_is_said_and_nothing_overlaps():
    canvas = draw()
    words = texts(canvas)
    for text in (
        "kitchen: 40.0 s", "10.0 to 20.0 s, score 0.90", "0.0 to 40.0 s, score 0.50",
        "nothing found", "a note", "(empty)", "failed: it has no words",
    ):  # fmt: skip
        assert words.count(text) == 1, text
    places = [
        (one.left, one.bottom - 12, one.left + text_width(one.text), one.bottom - 4)
        for one in canvas.shapes
        if isinstance(one, Words)
    ]
    for number, one in enumerate(places):
        assert one[0] >= 0
        assert one[3] <= canvas.height
        for other in places[number + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0]
            assert apart or one[3] <= other[1] or other[3] <= one[1]


def test_frames_lie_above():
    frames = [np.full((90, 160, 3), 40, np.uint8)] * 5
    canvas = draw(frames=frames, times=[4.0, 12, 20, 28, 36])
    pictures = [one for one in canvas.shapes if isinstance(one, Picture)]
    assert len(pictures) == 5
    assert max(one.top + one.height for one in pictures) < min(one.top for one in bars(canvas, 0))
    with pytest.raises(GraphError, match="5 frames, 1 times"):
        draw(frames=frames, times=[1.0])


@pytest.mark.parametrize("duration", [0.0, 0.04, 10800.0])
def test_short_and_long_videos(duration):
    found = [FoundQuery(sentence="x", moments=moments((0, duration, 0.9)))]
    canvas = draw(found, duration)
    (bar,) = bars(canvas, 0)
    wanted = WIDTH - 2 * MARGIN if duration else 3
    assert bar.width == pytest.approx(wanted)
    assert len(canvas.shapes) < 60


def test_files_of_all_formats(tmp_path):
    for suffix in ("png", "svg", "html"):
        save_canvases(tmp_path / f"a.{suffix}", [draw()])
    ElementTree.fromstring(canvas_svg(draw()))
    for suffix in ("svg", "html"):
        assert EVIL not in (tmp_path / f"a.{suffix}").read_text()
    with pytest.raises(GraphError, match="at most 100 sentences"):
        draw(FOUND * 26)


def test_lines_and_values():
    lines = list(ground_lines(FOUND, name="kitchen", duration=40.0))
    assert lines == [
        "kitchen: 40.00 s",
        "person opens the door",
        "   1      10.00 to    20.00 s  score 0.9000",
        "   2       0.00 to    40.00 s  score 0.5000",
        "   3      39.00 to    40.00 s  score 0.0000",
        EVIL,
        "  unknown to the model: alert,  [31m",
        "   1       0.00 to     0.00 s  score 0.2500",
        "a dog barks",
        "  a note",
        "  nothing found: the whole video, 0.00 to 40.00 s",
        "(empty)",
        "  failed: it has no words",
        "4 sentences, 1 failed",
    ]
    values = json.loads(json.dumps(ground_values(FOUND, name="kitchen", duration=40.0)))
    assert (values["video"], values["duration"]) == ("kitchen", 40.0)
    assert values["queries"][0]["moments"][0] == {"start": 10, "end": 20, "score": 0.9}
    assert values["queries"][2]["fallback"]
    assert values["queries"][3]["error"] == "it has no words"
