from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import ParseError
from graphmatch.parse import ROLES, Argument, Frame, Parse, check_frame, find_offsets, role_id


def tree(heads, **columns):
    words = [f"w{number}" for number in range(len(heads))]
    return Parse.from_tree(words, heads=heads, deprels=["dep"] * len(heads), **columns)


def columns(count=2, **changed):
    one = {
        "text": "a b"[: 2 * count - 1] if count else "",
        "words": ("a", "b")[:count],
        "lemmas": ("a", "b")[:count],
        "pos": ("X",) * count,
        "tags": ("",) * count,
        "heads": (1, -1)[:count],
        "deprels": ("dep", "root")[:count],
        "offsets": ((0, 1), (2, 3))[:count],
        "sentences": (0,) * count,
    }
    return {**one, **changed}


def test_parse_is_frozen_and_has_length():
    parse = Parse(**columns())
    assert len(parse) == 2
    with pytest.raises(AttributeError):
        parse.heads = (0, 1)


def test_parse_of_nothing_is_valid():
    assert len(Parse(**columns(0))) == 0
    assert Parse.from_tree([], heads=[], deprels=[]) == Parse(**columns(0))


@pytest.mark.parametrize(
    "name", ["lemmas", "pos", "tags", "heads", "deprels", "offsets", "sentences"]
)
def test_parse_column_of_other_length_is_refused(name):
    short = columns()[name][:1]
    with pytest.raises(ParseError, match=f"expected 2 {name}, one a word \\(got 1\\)"):
        Parse(**columns(**{name: short}))


@pytest.mark.parametrize("heads", [[0], [1, 0], [-1, 2, 1], [1, 2, 3, 1], [-1, 0, 4, 2, 3]])
def test_parse_cycle_is_refused(heads):
    with pytest.raises(ParseError, match="cycle"):
        tree(heads)


@pytest.mark.parametrize("head", [-2, 3, 99])
def test_parse_head_outside_is_refused(head):
    with pytest.raises(ParseError, match=rf"head in \[-1, 3\) \(got {head} for word 1\)"):
        tree([-1, head, 0])


def test_parse_head_in_another_sentence_is_refused():
    with pytest.raises(ParseError, match="word 2 of sentence 1 has its head in sentence 0"):
        tree([-1, 0, 1], sentences=[0, 0, 1])
    assert tree([-1, 0, -1], sentences=[0, 0, 1]).sentences == (0, 0, 1)


@pytest.mark.parametrize("sentences", [[0, 1, 0], [-1, 0, 0], [1, 0, 1]])
def test_parse_sentence_numbers_must_ascend(sentences):
    with pytest.raises(ParseError, match="sentence numbers"):
        tree([-1, -1, -1], sentences=sentences)


@pytest.mark.parametrize("spans", [((0, 1), (2, 4)), ((2, 3), (0, 1)), ((1, 0), (2, 3))])
def test_parse_offsets_outside_or_descending_are_refused(spans):
    with pytest.raises(ParseError, match="offsets"):
        Parse(**columns(offsets=spans))


def test_parse_long_chain_needs_no_recursion():
    count = 20_000
    assert len(tree(list(range(-1, count - 1)))) == count
    assert len(tree([*range(1, count), -1])) == count
    with pytest.raises(ParseError, match="cycle"):
        tree([*range(1, count), 0])


@given(st.lists(st.integers(-2, 8), max_size=8))
@settings(deadline=None, max_examples=300)
def test_parse_accepts_exactly_forests(heads):
    count = len(heads)

    def reaches_root(token):
        for _ in range(count + 1):
            if not -1 <= token < count:
                return False
            if token == -1:
                return True
            token = heads[token]
        return False

    if all(reaches_root(token) for token in range(count)):
        assert tree(heads).heads == tuple(heads)
    else:
        with pytest.raises(ParseError):
            tree(heads)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame(()), "at least one word in verb"),
        (Frame((0,), (Argument("ARG0", ()),)), "at least one word in ARG0"),
        (Frame((3,)), r"in \[0, 3\) for verb"),
        (Frame((-1,)), "for verb"),
        (Frame((1,), (Argument("ARG1", (2, 3)),)), "for ARG1"),
        (Frame((1,), (Argument("ARG1", (2, 0)),)), "ascending"),
        (Frame((1,), (Argument("ARG1", (2, 2)),)), "ascending"),
        (Frame((0, 2)), "one piece"),
    ],
)
def test_frame_that_does_not_fit_is_refused(frame, message):
    with pytest.raises(ParseError, match=message):
        check_frame(frame, 3)
    with pytest.raises(ParseError, match=message):
        tree([-1, 0, 1]).with_frames([frame])
    with pytest.raises(ParseError, match=message):
        tree([-1, 0, 1], frames=[frame])


def test_with_frames_changes_nothing_else():
    before = tree([-1, 0, 1])
    frame = Frame((0, 1), (Argument("ARG1", (2,)),))
    after = before.with_frames(iter([frame]))
    assert after.frames == (frame,)
    assert before.frames == ()
    assert after == tree([-1, 0, 1], frames=[frame])
    assert after.with_frames([]) == before


def test_from_tree_fills_what_is_missing():
    parse = Parse.from_tree(["The", "Dog"], heads=[1, -1], deprels=["det", "root"])
    assert parse.text == "The Dog"
    assert parse.lemmas == ("the", "dog")
    assert (parse.pos, parse.tags) == (("X", "X"), ("", ""))
    assert parse.sentences == (0, 0)


@pytest.mark.parametrize(
    ("text", "words", "spans"),
    [
        ("a dog's toy", ["a", "dog", "'s", "toy"], ((0, 1), (2, 5), (5, 7), (8, 11))),
        ("the the", ["the", "the"], ((0, 3), (4, 7))),
        ("a b", ["a", "x", "b"], ((0, 1), (1, 1), (2, 3))),
        ("🐶 runs", ["🐶", "runs"], ((0, 1), (2, 6))),
        ("ab", ["", "ab", ""], ((0, 0), (0, 2), (2, 2))),
        ("", ["a"], ((0, 0),)),
        ("a", [], ()),
    ],
)
def test_find_offsets(text, words, spans):
    assert find_offsets(text, words) == spans


@given(st.lists(st.text(min_size=1, max_size=4), max_size=6))
@settings(deadline=None, max_examples=60)
def test_find_offsets_of_joined_words_give_the_words(words):
    text = " ".join(words)
    spans = find_offsets(text, words)
    if all(" " not in word for word in words):
        assert [text[start:end] for start, end in spans] == words
    assert list(spans) == sorted(spans)


def test_role_id_is_the_official_table():
    numbered = ["V", "ARG1", "ARG0", "ARG2", "ARG3", "ARG4"]
    modifiers = ["LOC", "MNR", "TMP", "DIR", "ADV", "PRP", "PRD", "COM", "MOD"]
    table = [*numbered, *(f"ARGM-{name}" for name in modifiers), "NOUN"]
    assert list(ROLES) == table
    for number, role in enumerate(table):
        assert role_id(role) == role_id(f"C-{role}") == role_id(f"R-{role}") == number


@pytest.mark.parametrize(
    "label", ["ARG5", "ARGM-GOL", "ARGM-NEG", "R-ARGM-CAU", "", "C-", "arg0", "ROOT", "X-ARG0"]
)
def test_role_id_of_other_labels_is_noun(label):
    assert role_id(label) == 15
