"""Pictures, pages and tables of explanations."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from graphmatch.alignment_html import alignment_html
from graphmatch.alignment_picture import alignment_picture, best_links
from graphmatch.alignment_timeline import alignment_timeline
from graphmatch.canvas import Picture, Rectangle, Words, canvas_svg, save_canvases
from graphmatch.caption_chips import caption_chips, shorten, tint
from graphmatch.errors import ConfigError, FormatError, GraphError
from graphmatch.explain_job import find_node, save_explanation
from graphmatch.explanation_report import explanation_lines, explanation_values
from graphmatch.region_picture import COLOURS
from graphmatch.regions.base import Photo
from tests.explanations import CONTRIBUTION, WORDS, match, of_image, of_video

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def photo():
    pixels = np.full((120, 160, 3), 200, np.uint8)
    pixels[20:60, 10:50] = (200, 30, 30)
    return Photo(id="scene", pixels=pixels, size=(160, 120))


def frames(count=5):
    return [np.full((90, 160, 3), 40 * number, np.uint8) for number in range(count)]


def boxes(canvas):
    """Boxes of regions in the pixels of the photograph, and how they are drawn."""
    picture = next(shape for shape in canvas.shapes if isinstance(shape, Picture))
    scale = 160 / picture.width
    return [
        replace(
            shape,
            left=(shape.left - picture.left) * scale,
            top=(shape.top - picture.top) * scale,
            width=shape.width * scale,
            height=shape.height * scale,
            thickness=shape.thickness * scale,
        )
        for shape in canvas.shapes
        if isinstance(shape, Rectangle) and shape.nodes and not shape.filled
    ]


def texts(canvas):
    return [shape.text for shape in canvas.shapes if isinstance(shape, Words)]


def test_the_words_that_give_most_are_drawn():
    links = best_links(of_image(), top=3)
    assert [(link.node, link.region) for link in links] == [(2, 0), (5, 1), (3, 1)]
    assert [link.colour for link in links] == list(COLOURS[:3])  # the full stop is no word
    links = best_links(of_image(), node=2, regions=2)
    assert [(link.region, round(link.attention, 2)) for link in links] == [(0, 0.8), (1, 0.1)]
    assert len(best_links(of_image(), node=2)) == 3
    assert [link.node for link in best_links(of_video(), top=9)] == [1, 2, 3]
    only = of_image(words=(*WORDS[:1], ".") * 4)
    assert len(best_links(only, top=8)) == 8  # nothing but marks and punctuation
    with pytest.raises(GraphError, match="0 to 7"):
        best_links(of_image(), node=8)


def test_boxes_have_the_colour_of_their_word_and_the_strength_of_its_attention(photo):
    found = of_image()
    canvas = alignment_picture(found, photo, top=2)
    horse, man = boxes(canvas)  # the strongest is drawn last
    assert (man.colour, horse.colour) == COLOURS[:2]
    assert man.left - man.thickness / 2 == pytest.approx(10)
    assert man.left + man.width + man.thickness / 2 == pytest.approx(50)
    assert man.height + man.thickness == pytest.approx(40)
    assert man.thickness == pytest.approx((2 + 5 * math.sqrt(0.8)) / 4)
    assert man.top - man.thickness / 2 == pytest.approx(20)
    weak = boxes(alignment_picture(found, photo, node=2))
    assert [box.opacity for box in weak] == sorted(box.opacity for box in weak)
    assert weak[0].thickness < weak[-1].thickness
    shown = texts(canvas)
    for text in ("man 0.80", "horse 0.80", "<start>", "+0.300", "-0.020", "SCAN: score 1.060"):
        assert text in shown
    assert (
        "man (similarity 0.33) \N{RIGHTWARDS ARROW} man (region 0): attention 0.80, gives +0.2400"
        in shown
    )


def test_boxes_of_one_region_stand_inside_each_other(photo):
    canvas = alignment_picture(of_image(), photo, top=3)
    rides, horse = [box for box in boxes(canvas) if box.nodes == (1,)]
    assert rides.left - rides.thickness / 2 >= horse.left + horse.thickness / 2
    assert rides.width > 0


def test_a_box_narrower_than_its_line_is_seen(photo):
    found = of_image(box=np.array([[10.0, 20, 10.5, 60], [90, 50, 150, 110], [0, 0, 160, 120]]))
    for box in boxes(alignment_picture(found, photo, top=3)):
        assert box.width * 4 >= 4 - 1e-6
        assert box.height * 4 >= 4 - 1e-6


def test_svg_has_the_photograph_and_escaped_words(photo):
    words = (WORDS[0], EVIL, *WORDS[2:])
    canvas = alignment_picture(of_image(words=words, regions=(EVIL, "b", "c")), photo, top=9)
    text = canvas_svg(canvas)
    assert "<script" not in text
    tree = ElementTree.fromstring(text)
    image = tree.find(f".//{SVG}image")
    content = base64.b64decode(image.get("href").partition("base64,")[2])
    assert np.asarray(Image.open(io.BytesIO(content))).shape == photo.pixels.shape
    drawn = [group for group in tree.iter(f"{SVG}g") if group.get("class") == "box"]
    assert len([g for g in drawn if g.get("data-nodes")]) == 5  # words of the caption
    assert not re.findall(r'href="(?!data:)', text)


def test_png_has_boxes_and_tints(photo, tmp_path):
    found = of_image()
    canvas = alignment_picture(found, photo, top=1)
    save_canvases(tmp_path / "a.png", [canvas])
    shown = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    assert shown.shape == (canvas.height, canvas.width, 3)
    blue = np.array([int(COLOURS[0][place : place + 2], 16) for place in (1, 3, 5)])
    assert (np.abs(shown - blue).max(axis=-1) < 12).sum() > 300
    save_canvases(tmp_path / "b.png", [canvas])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_chips_stay_inside_and_levels_start_a_line():
    for found in (of_image(words=tuple("antidisestablishmentarianism" for _ in WORDS)), of_video()):
        chips = caption_chips(found, width=300, top=10, colours={0: "#000000"})
        grounds = [s for s in chips.shapes if isinstance(s, Rectangle) and s.note]
        assert len(grounds) == len(found.nodes)
        for one in grounds:
            assert one.left + one.width <= 300
            assert one.top + one.height <= chips.bottom
            assert not any(
                one is not other
                and one.top == other.top
                and one.left < other.left + other.width
                and other.left < one.left + one.width
                for other in grounds
            )
    tops = [ground.top for ground in grounds]
    assert tops[0] < tops[1] < tops[2] == tops[3]


def test_tints_follow_sign_and_size():
    values = [1.0, 0.5, 0.0, -1.0]
    strong, weak, none, negative = (tint(value, values) for value in values)
    assert none == "#ffffff"
    assert int(strong[1:3], 16) < int(weak[1:3], 16) < 255
    assert int(negative[1:3], 16) > int(negative[5:], 16)
    assert tint(0.0, []) == "#ffffff"
    assert shorten("abc", 3) == "abc"


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.data, self._inside = [], "", None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id")

    def handle_data(self, data):
        if self._inside == "data":
            self.data += data
            self._inside = None


def test_html_needs_nothing_else_and_escapes(photo):
    words = (WORDS[0], EVIL, 'a"b', "@@DATA@@", *WORDS[4:])
    found = of_image(words=words, regions=(EVIL, "\0b", 'c" onmouseover="x'))
    page = alignment_html(found, photo, top=3)
    seen = Page(page)
    assert "<script>alert" not in page
    assert "\0" not in page
    assert [tag for tag, _ in seen.tags].count("script") == 2
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert not any("onmouseover" in attributes for _, attributes in seen.tags)
    assert page.count("@@DATA@@") > 1  # the word stands as it is
    assert any(
        tag == "meta" and "default-src 'none'" in (attributes.get("content") or "")
        for tag, attributes in seen.tags
    )
    buttons = [attributes for tag, attributes in seen.tags if tag == "button"]
    assert [button["data-node"] for button in buttons] == [str(n) for n in range(8)]
    data = json.loads(seen.data)
    np.testing.assert_allclose(data["attention"], found.attention, atol=1e-4)
    regions = [a for tag, a in seen.tags if tag == "g" and a.get("data-nodes")]
    assert len(regions) == 3  # every region can be pointed at
    cells = [a for tag, a in seen.tags if tag == "td" and "data-region" in a]
    assert len(cells) == 8 * 3


def test_html_has_a_map_for_each_direction(photo):
    both = of_image(visual=match((2, 2, 2), (0.1, 0.1, 0.1), 8))
    assert alignment_html(of_image(), photo).count('class="map"') == 1
    assert alignment_html(both, photo).count('class="map"') == 2
    assert '"chosen": 3' in alignment_html(both, None, node=3)


def test_timeline_has_a_row_for_each_phrase():
    found = of_video()
    canvas = alignment_timeline(found, frames(), times=[0.8, 2.4, 4.0, 5.6, 7.2])
    cells = [s for s in canvas.shapes if isinstance(s, Rectangle) and s.filled and s.nodes]
    assert len(cells) == 4 * 4
    for node in range(4):
        row = [cell for cell in cells if cell.nodes == (node,)]
        assert int(np.argmax([cell.opacity for cell in row])) == node
        assert row[0].left + row[0].width == pytest.approx(row[1].left)
    assert sum(isinstance(shape, Picture) for shape in canvas.shapes) == 5
    shown = texts(canvas)
    for text in ("0.8 s", "2.0-4.0 s", "rides", "0 s", "8 s", "HGR: score 0.600"):
        assert text in shown
    for shape in canvas.shapes:
        if isinstance(shape, Rectangle):
            assert 0 <= shape.left <= shape.left + shape.width <= canvas.width
    assert not any(isinstance(s, Picture) for s in alignment_timeline(found).shapes)
    page = alignment_html(found, frames=frames(), times=[0.8, 2.4, 4.0, 5.6, 7.2])
    assert page.count("data:image/jpeg") == 5
    assert '"video": true' in page


@pytest.mark.parametrize(("clips", "seconds"), [(1, 0.04), (60, 3600.0), (3, 0.0)])
def test_timelines_of_odd_videos(clips, seconds, tmp_path):
    canvas = alignment_timeline(of_video(max(clips, 4), seconds))
    save_canvases(tmp_path / "t.png", [canvas])
    ElementTree.fromstring(canvas_svg(canvas))


def test_what_does_not_fit_is_refused(photo):
    other = Photo(id="o", pixels=photo.pixels, size=(320, 240))
    for draw in (alignment_picture, alignment_html):
        with pytest.raises(GraphError, match="160 x 120"):
            draw(of_image(), other)
    with pytest.raises(GraphError, match="of an image"):
        alignment_picture(of_video())
    with pytest.raises(GraphError, match="of a video"):
        alignment_timeline(of_image())
    with pytest.raises(GraphError, match="5 frames, 1 times"):
        alignment_timeline(of_video(), frames(), times=[1.0])


def test_files(photo, tmp_path):
    Image.fromarray(photo.pixels).save(tmp_path / "scene.png")
    source = [tmp_path / "scene.png"]
    for name in ("a.svg", "a.png", "a.html"):
        save_explanation(tmp_path / name, of_image(), key="scene", sources=source)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    save_explanation(tmp_path / "v.svg", of_video())
    with pytest.raises(ConfigError, match="--force"):
        save_explanation(tmp_path / "a.svg", of_image())
    with pytest.raises(ConfigError, match="did you mean 'png'"):
        save_explanation(tmp_path / "a.pngg", of_image())
    with pytest.raises(ConfigError, match="expected 'sceme' among"):
        save_explanation(tmp_path / "b.svg", of_image(), key="sceme", sources=source)
    content = source[0].read_bytes()
    source[0].write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=r"'scene' cannot be drawn on: .* truncated"):
        save_explanation(tmp_path / "b.svg", of_image(), key="scene", sources=source)
    assert not (tmp_path / "b.svg").exists()


def test_the_table_is_readable():
    lines = list(explanation_lines(of_image()))
    assert lines[0] == "SCAN: score 1.0600"
    assert lines[1].split() == ["node", "region", "place", "attention", "similarity", "gives"]
    assert lines[4].split() == ["man", "man", "10", "20", "50", "60", "0.800", "0.329", "+0.3000"]
    assert lines[-1].split() == ["sum", "+1.0600"]
    assert len({line.index("0.800") for line in lines[2:-1]}) == 1
    assert len({len(line) for line in lines[1:]}) == 1
    top = list(explanation_lines(of_image(), top=2))
    assert [line.split()[0] for line in top[2:4]] == [".", "man"]
    assert top[-1].split() == ["sum", "of", "all", "8", "+1.0600"]
    both = of_image(visual=match((2, 2, 2), (0.1, 0.1, 0.1), 8))
    lines = list(explanation_lines(both))
    assert lines[-2:] == ["words to regions: +1.0600", "regions to words: +0.3000"]
    assert "2.0 to 4.0 s" in list(explanation_lines(of_video()))[3]


def test_values_are_json_and_complete():
    for found in (of_image(visual=match((2, 2, 2), (0.1, 0.1, 0.1), 8)), of_video()):
        values = json.loads(json.dumps(explanation_values(found)))
        np.testing.assert_allclose(values["text"]["attention"], found.text.attention, atol=1e-6)
        assert len(values["nodes"]) == len(found.nodes)
        assert ("box" in values["regions"][0]) == (found.box is not None)
        assert ("visual" in values) == (found.visual is not None)
        total = sum(node["contribution"] for node in values["nodes"])
        assert total == pytest.approx(found.contribution.sum(), abs=1e-5)
    assert sum(CONTRIBUTION) == pytest.approx(explanation_values(of_image())["score"])


def test_a_word_is_found_by_its_text_or_number():
    found = of_image()
    assert find_node(found, "Horse") == 5
    assert find_node(found, "a") == 1  # the first one
    assert find_node(found, "4") == 4
    with pytest.raises(ConfigError, match="did you mean 'horse'"):
        find_node(found, "hrose")
