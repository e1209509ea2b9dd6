"""Role graphs and BIO tags, by the rules of HGR's notebook."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, ParseError
from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.roles import is_tagged, role_graph, role_graph_from_tags
from graphmatch.parsers.srl.bio import frame_from_tags, tags_from_frame

ROLES = ["V", "ARG0", "ARG1", "R-ARG0", "C-V", "ARGM-LOC"]
TAGS = st.sampled_from(["O", *(f"{start}-{role}" for start in "BI" for role in ROLES)])


def flat(count, tags=None, pos=None, frames=()):
    words = [f"w{number}" for number in range(count)]
    return Parse.from_tree(
        words, heads=[-1] * count, deprels=["root"] * count, tags=tags, pos=pos, frames=frames
    )


def described(graph):
    """[(kind, role, words)] of the nodes, and the edges."""
    nodes = [(graph.kind[n], graph.role[n], graph.words_of(n)) for n in range(len(graph))]
    return nodes, list(zip(graph.source, graph.target, graph.relation, strict=True))


# BIO tags


@pytest.mark.parametrize(
    ("tags", "frame"),
    [
        (
            "B-ARG0 I-ARG0 B-V O B-ARG1",
            Frame((2,), (Argument("ARG0", (0, 1)), Argument("ARG1", (4,)))),
        ),
        ("B-V I-V O", Frame((0, 1))),
        ("B-V", Frame((0,))),
        ("O B-V I-ARG1 I-ARG1", Frame((1,), (Argument("ARG1", (2, 3)),))),
        ("B-V I-ARG0 I-ARG1", Frame((0,), (Argument("ARG0", (1,)), Argument("ARG1", (2,))))),
        ("B-V B-ARG1 B-ARG1", Frame((0,), (Argument("ARG1", (1,)), Argument("ARG1", (2,))))),
        ("B-V B-ARG1 O I-ARG1", Frame((0,), (Argument("ARG1", (1,)), Argument("ARG1", (3,))))),
        ("B-V O B-C-V", Frame((0,), (Argument("C-V", (2,)),))),
        ("B-R-ARGM-LOC B-V", Frame((1,), (Argument("R-ARGM-LOC", (0,)),))),
        ("I-ARG0 I-ARG0 B-V", Frame((2,), (Argument("ARG0", (0, 1)),))),
        ("O O", None),
        ("", None),
        ("B-ARG0", None),
        ("B-V O I-V", None),
        ("B-V B-V", None),
    ],
)  # fmt: skip
def test_frame_from_tags_by_hand(tags, frame):
    assert frame_from_tags(tags.split()) == frame


@pytest.mark.parametrize("tag", ["", "X", "B", "B-", "I-", "b-V", "V", "S-V", "B_V", " O", "-V"])
def test_malformed_tag_is_refused(tag):
    with pytest.raises(ParseError, match=r"expected a tag O, B-ROLE or I-ROLE .* on word 1"):
        frame_from_tags(["O", tag])


def test_inside_tag_on_the_first_word_is_refused_in_strict_mode_only():
    tags = ["I-ARG0", "B-V"]
    assert frame_from_tags(tags) == Frame((1,), (Argument("ARG0", (0,)),))
    with pytest.raises(ParseError, match=r"first word \(got 'I-ARG0'\); mode 'repaired'"):
        frame_from_tags(tags, strict=True)
    assert frame_from_tags(["O", "I-V"], strict=True) == Frame((1,))


@st.composite
def frames(draw):
    """A frame of contiguous arguments without overlap, and the number of words."""
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    gaps = draw(st.lists(st.integers(0, 2), min_size=len(lengths), max_size=len(lengths)))
    spans, end = [], 0
    for length, gap in zip(lengths, gaps, strict=True):
        spans.append(tuple(range(end + gap, end + gap + length)))
        end += gap + length
    verb = draw(st.integers(0, len(spans) - 1))
    arguments = tuple(
        Argument(draw(st.sampled_from(ROLES[1:])), span)
        for place, span in enumerate(spans)
        if place != verb
    )
    return Frame(spans[verb], arguments), end + draw(st.integers(0, 2))


@given(frames())
@settings(deadline=None, max_examples=200)
def test_frame_to_tags_and_back_is_the_frame(item):
    frame, count = item
    tags = tags_from_frame(frame, count)
    assert len(tags) == count
    assert frame_from_tags(tags, strict=True) == frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame((0,), (Argument("ARG0", (1, 3)),)), "ARG0 in one piece"),
        (Frame((0,), (Argument("ARG0", (3, 4)),)), "inside 4 words"),
        (Frame((0, 1), (Argument("ARG0", (1, 2)),)), "no overlap .word 1 is in I-V and ARG0"),
    ],
)
def test_frame_that_has_no_tags_is_refused(frame, message):
    with pytest.raises(ParseError, match=message):
        tags_from_frame(frame, 4)


# role graphs


def naive(count, sequences):
    """The notebook's steps, transcribed from its description: names, keys, counters."""
    nodes = [("ROOT", tuple(range(count)))]
    edges, keys = [], {}
    for tags in sequences:
        pieces = []
        for place, tag in enumerate(tags):
            if tag == "O":
                continue
            before = tags[place - 1][2:] if place else None
            if tag[0] == "B" or before != tag[2:]:
                pieces.append((tag[2:], []))
            pieces[-1][1].append(place)
        types = {role for role, _ in pieces}
        verbs = [words for role, words in pieces if role == "V"]
        if len(types) < 2 or len(verbs) != 1:
            continue
        key = "-".join(map(str, verbs[0])) + "-V"
        if key in keys:
            continue
        keys[key] = verb = len(nodes)
        nodes.append(("V", tuple(verbs[0])))
        for role, words in pieces:
            if role == "V":
                continue
            key = "-".join(map(str, words)) + f"-{role}"
            if key not in keys:
                keys[key] = len(nodes)
                nodes.append((role, tuple(words)))
            edges.append((verb, keys[key], role))
    return nodes, edges


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_any_tags_give_the_graph_of_the_notebook(data):
    count = data.draw(st.integers(0, 6))
    row = st.lists(TAGS, min_size=count, max_size=count)
    sequences = data.draw(st.lists(row, max_size=4))
    graph = role_graph_from_tags(flat(count), sequences, mode="repaired")
    nodes, edges = naive(count, sequences)
    assert [(role or "ROOT", words) for _, role, words in described(graph)[0]] == nodes
    assert [edge for edge in described(graph)[1] if edge[0]] == edges
    assert [edge for edge in described(graph)[1] if not edge[0]] == [
        (0, node, "V") for node, (role, _) in enumerate(nodes) if role == "V"
    ]


@given(st.lists(st.lists(TAGS | st.text(max_size=4), max_size=4), max_size=3), st.integers(0, 4))
@settings(deadline=None, max_examples=200)
def test_any_tagging_gives_a_graph_or_a_parse_error(sequences, count):
    for mode in ("strict", "repaired", "augmented"):
        try:
            graph = role_graph_from_tags(flat(count), sequences, mode=mode)
        except ParseError:
            continue
        assert graph.kind[0] == "event"
        assert graph.words_of(0) == tuple(range(count))
        assert set(graph.kind[1:]) <= {"action", "entity"}
        for source, target, relation in described(graph)[1]:
            assert relation == graph.role[target]
            assert graph.kind[source] == ("action" if source else "event")


def test_graph_of_two_verbs_by_hand():
    """a chef pours oil and stirs it ."""
    parse = flat(8)
    tags = ["B-ARG0 I-ARG0 B-V B-ARG1 O O O O", "B-ARG0 I-ARG0 O O O B-V B-ARG1 O"]
    graph = role_graph_from_tags(parse, [row.split() for row in tags])
    assert described(graph) == (
        [
            ("event", "", (0, 1, 2, 3, 4, 5, 6, 7)),
            ("action", "V", (2,)),
            ("entity", "ARG0", (0, 1)),
            ("entity", "ARG1", (3,)),
            ("action", "V", (5,)),
            ("entity", "ARG1", (6,)),
        ],
        [(0, 1, "V"), (0, 4, "V"), (1, 2, "ARG0"), (1, 3, "ARG1"), (4, 2, "ARG0"), (4, 5, "ARG1")],
    )


def test_one_span_with_two_roles_is_two_entities():
    graph = role_graph(
        flat(
            3,
            frames=[Frame((1,), (Argument("ARG0", (0,)),)), Frame((2,), (Argument("ARG1", (0,)),))],
        )
    )
    assert graph.role == ("", "V", "ARG0", "V", "ARG1")


def test_second_frame_of_a_verb_is_skipped_whole():
    first = Frame((1,), (Argument("ARG0", (0,)),))
    graph = role_graph(flat(3, frames=[first, Frame((1,), (Argument("ARG1", (2,)),))]))
    assert graph == role_graph(flat(3, frames=[first]))


def test_verb_without_arguments_is_dropped_and_may_come_again():
    again = Frame((1,), (Argument("ARG1", (2,)),))
    graph = role_graph(flat(3, frames=[Frame((1,)), again]))
    assert graph == role_graph(flat(3, frames=[again]))
    assert len(graph) == 3


def test_arguments_are_numbered_by_their_first_word():
    frame = Frame((1,), (Argument("ARG1", (2,)), Argument("ARG0", (0,))))
    assert role_graph(flat(3, frames=[frame])).role == ("", "V", "ARG0", "ARG1")


def test_modes_of_a_caption_without_a_frame():
    parse = flat(4, tags=["DT", "NN", "VBZ", "VBG"])
    for mode in ("strict", "repaired"):
        assert described(role_graph(parse, mode=mode)) == ([("event", "", (0, 1, 2, 3))], [])
    assert described(role_graph(parse, chunks=[(0, 2)])) == (
        [
            ("event", "", (0, 1, 2, 3)),
            ("entity", "NOUN", (0, 1)),
            ("action", "V", (2,)),
            ("action", "V", (3,)),
        ],
        [(0, 2, "V"), (0, 3, "V")],
    )


def test_augmented_graph_takes_nouns_where_there_is_no_chunk():
    parse = flat(4, tags=["NNS", "IN", "NNP", "CC"])
    graph = role_graph(parse, chunks=[])
    assert described(graph)[0][1:] == [("entity", "NOUN", (0,)), ("entity", "NOUN", (2,))]
    bare = role_graph(flat(2, tags=["IN", "CC"]), chunks=[])
    assert described(bare) == ([("event", "", (0, 1))], [])


def test_graph_with_an_action_is_not_augmented():
    frame = Frame((1,), (Argument("ARG0", (0,)),))
    parse = flat(3, tags=["NN", "VBZ", "NN"], frames=[frame])
    assert role_graph(parse, chunks=[(2, 3)]) == role_graph(parse, mode="repaired")


def test_empty_caption_is_an_event_without_words():
    for mode in ("strict", "repaired", "augmented"):
        graph = role_graph(flat(0), mode=mode)
        assert described(graph) == ([("event", "", ())], [])


@pytest.mark.parametrize("chunk", [(0, 0), (2, 1), (-1, 1), (1, 4)])
def test_chunk_outside_the_caption_is_refused(chunk):
    with pytest.raises(ParseError, match="chunks inside 3 words"):
        role_graph(flat(3), chunks=[chunk])


def test_strict_mode_refuses_what_the_official_code_cannot_read():
    with pytest.raises(ParseError, match="first word"):
        role_graph_from_tags(flat(2), [["I-ARG0", "B-V"]], mode="strict")
    graph = role_graph_from_tags(flat(2), [["I-ARG0", "B-V"]], mode="repaired")
    assert graph.role == ("", "V", "ARG0")


@pytest.mark.parametrize("count", [1, 3])
def test_other_number_of_tags_than_words_is_refused(count):
    with pytest.raises(ParseError, match=rf"expected 2 tags, one a word \(got {count}\)"):
        role_graph_from_tags(flat(2), [["O"] * count])


def test_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match=r"unknown role mode 'augment'.*mean 'augmented'"):
        role_graph(flat(1), mode="augment")
    with pytest.raises(ConfigError, match="unknown role mode"):
        role_graph_from_tags(flat(1), [], mode="lax")


def test_is_tagged_prefers_the_penn_tag():
    parse = flat(3, tags=["NNS", "", "VBZ"], pos=["X", "NOUN", "NOUN"])
    assert [is_tagged(parse, word, "NN", ("NOUN",)) for word in range(3)] == [True, True, False]
