from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphmatch.parsers.normalise import is_shouted, normalise, original_span

# characters that compose, vanish, separate or change their length in lower case
ODD = (
    "aB .'\u0301\u0323\u0345\u200d\u200b\ufeff\u00ad\u00a0\t\n\x07\x7f\x85\u2003é한가İßΣẞ🐶🏽\ufe0f"
)
ODD += "\u1112\u1161\u11ab\u0f73\u0f74ཀ\u212b\u0958\u0344H\u0331T\u0308\U0001d15e\u09c7\u09be"
TEXTS = st.text(max_size=12) | st.text(st.sampled_from(ODD), max_size=12)
DROPPED = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("", ""),
        ("   \t\n ", ""),
        ("A dog runs.", "A dog runs."),
        ("  A \t\r\n dog ", "A dog"),
        ("a\u00a0b\u2003c\u3000d", "a b c d"),
        ("a\x00b\x1bc\x7fd\x85e", "a b c d e"),
        ("do\u200bg\ufeff r\u00adun", "dog run"),
        ("\u200b a \u200b \u200b b\u200b", "a b"),
        ("cafe\u0301", "café"),
        ("e\u200d\u0301", "é"),
        ("\u1112\u1161\u11ab", "한"),
        ("\u212b", "å".upper()),
        ("A DOG RUNS", "a dog runs"),
        ("A DOG, 2 CATS!", "a dog, 2 cats!"),
        ("DOG", "DOG"),
        ("A Dog RUNS", "A Dog RUNS"),
        ("İ IS", "İ is"),
        ("H\u0331 H", "ẖ h"),
        ("ÉTÉ À", "été à"),
        ("🐶 🎾", "🐶 🎾"),
        ("1 2", "1 2"),
        ("don't  &amp; <b>", "don't &amp; <b>"),
    ],
)
def test_normalise_cleans(text, clean):
    assert normalise(text)[0] == clean


@given(TEXTS)
@example("b\u0f73\u0f73\u0323 \u0344")
@example("\u1112\u1161\u11ab a\u0301\u200d\u0323 H\u0331")
@settings(deadline=None, max_examples=400)
def test_normalise_keeps_what_it_promises(text):
    clean, _ = normalise(text)
    assert unicodedata.is_normalized("NFC", clean)
    assert clean == clean.strip(" ")
    assert "  " not in clean
    assert not set(clean) & set(DROPPED)
    assert all(c == " " or not (c.isspace() or unicodedata.category(c) == "Cc") for c in clean)
    assert normalise(clean)[0] == clean


@given(TEXTS)
@settings(deadline=None, max_examples=400)
def test_normalise_says_where_characters_come_from(text):
    clean, origin = normalise(text)
    assert len(origin) == len(clean) + 1
    assert list(origin) == sorted(origin)
    assert origin[-1] == len(text)
    for place, character in enumerate(clean):
        start, end = original_span(text, origin, place, place + 1)
        assert 0 <= start < end <= len(text)
        if character == " ":
            assert text[start].isspace() or unicodedata.category(text[start]) == "Cc"
            continue
        source = "".join(c for c in text[start:] if c not in DROPPED)
        whole = unicodedata.normalize("NFD", source.lower() + source)
        assert unicodedata.normalize("NFD", character)[0] in whole


@given(st.lists(st.text(st.sampled_from("aé한x🐶e\u0301"), min_size=1, max_size=4), max_size=4))
@settings(deadline=None)
def test_original_span_of_a_word_is_the_word(words):
    words = [f"q{word}" for word in words]  # a mark at the start would join the space before it
    text = " \u200b " + "\u200b \t".join(words) + "\u200b  "
    clean, origin = normalise(text)
    end = 0
    for word in words:
        start = clean.index("q", end)
        end = clean.find(" ", start) if " " in clean[start:] else len(clean)
        first, last = original_span(text, origin, start, end)
        assert text[first:last] == word


def test_original_span_of_letters():
    text = "\tcafe\u0301\u200b  \u1112\u1161\u11ab."
    clean, origin = normalise(text)
    assert clean == "café 한."
    spans = [original_span(text, origin, n, n + 1) for n in range(len(clean))]
    assert spans == [(1, 2), (2, 3), (3, 4), (4, 6), (7, 8), (9, 12), (12, 13)]


def test_marks_that_do_not_join_a_letter_keep_their_place():
    assert normalise("cafe\u0301 x\u0301") == ("café x\u0301", (0, 1, 2, 3, 5, 6, 7, 8))
    assert normalise("a\u0301\u0302") == ("á\u0302", (0, 2, 3))


def test_normalise_of_long_text_takes_time_in_proportion():
    text = "cafe\u0301 " * 20_000 + "e" + "\u0301" * 20_000
    clean, origin = normalise(text)
    assert len(clean) == 5 * 20_000 + 20_000
    assert len(origin) == len(clean) + 1


@pytest.mark.parametrize(
    ("text", "shouted"), [("A DOG", True), ("DOG", False), ("A dog", False), ("1 2", False)]
)
def test_is_shouted(text, shouted):
    assert is_shouted(text) is shouted
