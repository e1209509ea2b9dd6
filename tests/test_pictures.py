"""Pictures, terminal trees, GraphML and output files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.canvas import Canvas, Words, save_canvases
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphml import graphml_lines
from graphmatch.layout import lay_out
from graphmatch.output import open_output
from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import role_graph
from graphmatch.plot import graph_svg, graphs_html, save_pictures
from graphmatch.rows import CaptionRow
from graphmatch.tree_text import graph_tree

NASTY = "</script><b>&\"'\x07\u2028]]>"


def chain(count, word="w"):
    heads = [-1, *range(count - 1)]
    return Parse.from_tree([word] * count, heads=heads, deprels=["dep"] * count)


@st.composite
def parses(draw):
    count = draw(st.integers(0, 9))
    heads = [draw(st.integers(-1, token - 1)) for token in range(count)]
    words = draw(st.lists(st.text("ab犬", min_size=1, max_size=9), min_size=count, max_size=count))
    frames = []
    for verb in range(count):
        spans = draw(st.lists(st.sets(st.integers(0, count - 1), min_size=1), max_size=2))
        frames.append(Frame((verb,), tuple(Argument("ARG0", tuple(sorted(s))) for s in spans)))
    return Parse.from_tree(words, heads=heads, deprels=["dep"] * count, frames=frames)


@given(parses())
@settings(max_examples=60, deadline=None)
def test_layout_holds_every_node_and_edge_inside_the_picture(parse):
    for graph in (role_graph(parse), dependency_graph(parse)):
        drawing = lay_out(graph, parse.words)
        drawn = {box.node for box in drawing.boxes if box.node >= 0}
        assert drawn == set(graph.span_node)
        assert sum(box.kind == "word" for box in drawing.boxes) == len(parse)
        for box in drawing.boxes:
            assert box.left >= 0
            assert box.left + box.width <= drawing.width
            assert 0 < box.top < box.top + box.height <= drawing.height
        ends = {(line.source, line.target) for line in drawing.lines}
        assert ends == set(zip(graph.source, graph.target, strict=True))
        for line in drawing.lines:
            assert all(
                0 <= x <= drawing.width and -1 <= y <= drawing.height for x, y in line.points[::3]
            )


@given(parses())
@settings(max_examples=60, deadline=None)
def test_bars_of_one_row_do_not_overlap(parse):
    drawing = lay_out(role_graph(parse), parse.words)
    for one, two in pairwise(sorted(drawing.boxes, key=lambda box: (box.top, box.left))):
        assert one.top != two.top or one.left + one.width <= two.left


def test_layout_of_other_words_is_refused():
    with pytest.raises(GraphError, match="expected a graph of 1 words"):
        lay_out(dependency_graph(chain(3)), ["w"])


@pytest.mark.parametrize("make", [role_graph, dependency_graph])
def test_nasty_text_stays_text(make, tmp_path):
    parse = Parse.from_tree([NASTY, "$x$"], heads=[-1, 0], deprels=["root", NASTY])
    graph = make(parse)
    root = ET.fromstring(graph_svg(graph, parse))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert any("</script><b>&" in text for text in texts)
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, _attrs):
            found.append(tag)

    Reader().feed(graphs_html([(parse, [graph])]))
    assert found.count("script") == 1
    assert "b" not in found
    save_pictures(tmp_path / "a.png", [(parse, [graph])])
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_graphml_of_nasty_text_is_read_back():
    parse = Parse.from_tree([NASTY], heads=[-1], deprels=["root"])
    row = CaptionRow(id=NASTY, text=NASTY, parse=parse, dependencies=dependency_graph(parse))
    graph = nx.parse_graphml("\n".join(graphml_lines([row])))
    clean = NASTY.replace("\x07", "\ufffd")
    assert [data["words"] for _, data in graph.nodes(data=True)] == [clean]
    assert list(graph) == [f"{clean}/dependencies/0"]


def test_pictures_refuse_what_they_cannot_draw(tmp_path):
    parse = chain(2)
    graph = dependency_graph(parse)
    for name, graphs, message in (
        ("a.gif", [graph], "picture format"),
        ("a.svg", [graph, graph], "html and png take several"),
        ("a.html", [], r"got 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            save_pictures(tmp_path / name, [(parse, graphs)])
    assert not list(tmp_path.iterdir())


def test_png_without_matplotlib_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    parse = chain(2)
    with pytest.raises(ConfigError, match=r"pip install 'graphmatch\[plot\]'"):
        save_pictures(tmp_path / "a.png", [(parse, [dependency_graph(parse)])])


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    parse = chain(4)
    for name in ("a.png", "b.png"):
        save_pictures(tmp_path / name, [(parse, [dependency_graph(parse)])])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_words_that_no_font_or_mathematics_can_draw(tmp_path):
    parse = Parse.from_tree(["$_$", "犬", "\x07"], heads=[-1, 0, 0], deprels=["root", "$^", "dep"])
    save_pictures(tmp_path / "a.png", [(parse, [dependency_graph(parse)])])
    words = [
        Words(left=0, bottom=20 * row, text=word, colour="#000000")
        for row, word in enumerate(parse.words, 1)
    ]
    save_canvases(tmp_path / "b.png", [Canvas(width=90, height=90, title="words", shapes=words)])
    assert all((tmp_path / name).stat().st_size > 500 for name in ("a.png", "b.png"))


def test_tree_of_a_long_chain_needs_no_recursion():
    lines = graph_tree(dependency_graph(chain(1500)), ["w"] * 1500).splitlines()
    assert len(lines) == 1500
    assert lines[-1].endswith("└── dep  w")


def test_tree_shows_shared_and_lone_nodes_and_gaps():
    shared = Argument("ARG0", (0, 2))
    frames = [Frame((1,), (shared,)), Frame((3,), (shared,))]
    words = ["a", "b", "c", "d"]
    parse = Parse.from_tree(words, heads=[-1] * 4, deprels=["root"] * 4, frames=frames)
    assert graph_tree(role_graph(parse), words).splitlines() == [
        "event  a b c d",
        "├── V  b",
        "│   └── ARG0  a ... c",
        "└── V  d",
        "    └── ARG0  a ... c",
    ]


def test_output_appears_whole_or_not_at_all(tmp_path):
    def write_half():
        with open_output(tmp_path / "a.txt") as stream:
            stream.write("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert not list(tmp_path.iterdir())
    with open_output(tmp_path / "a.txt") as stream:
        stream.write("whole\n")
    with pytest.raises(ConfigError, match="--force"), open_output(tmp_path / "a.txt") as stream:
        stream.write("other")
    assert (tmp_path / "a.txt").read_text() == "whole\n"
    with pytest.raises(ConfigError, match="got a folder"), open_output(tmp_path):
        pass
