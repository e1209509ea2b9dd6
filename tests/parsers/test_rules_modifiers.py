"""Role rules for preposition phrases, adverbs, clauses and nouns beside a verb."""

from __future__ import annotations

import pytest

from tests.parsers.hand_trees import frames


@pytest.mark.parametrize(
    ("verb", "preposition", "noun", "role"),
    [
        ("sing", "during", "dinner", "ARGM-TMP"),
        ("sing", "until", "dawn", "ARGM-TMP"),
        ("sing", "at", "night", "ARGM-TMP"),
        ("sing", "in", "summer", "ARGM-TMP"),
        ("sing", "in", "parks", "ARGM-LOC"),
        ("sing", "on", "hills", "ARGM-LOC"),
        ("sing", "at", "home-games", "ARGM-LOC"),
        ("sing", "under", "trees", "ARGM-LOC"),
        ("sing", "near", "lakes", "ARGM-LOC"),
        ("sing", "between", "trees", "ARGM-LOC"),
        ("sing", "with", "friends", "ARG2"),
        ("sing", "without", "hats", "ARGM-MNR"),
        ("sing", "like", "birds", "ARGM-MNR"),
        ("sing", "as", "clowns", "ARG2"),
        ("sing", "about", "dogs", "ARG1"),
        ("sing", "for", "money", "ARG2"),
        ("sing", "because", "reasons", "ARGM-CAU"),
        ("sing", "to", "dogs", "ARG2"),
        ("dance", "across", "stages", "ARGM-DIR"),
        ("dance", "toward", "doors", "ARGM-DIR"),
        ("dance", "into", "halls", "ARGM-DIR"),
        ("walk", "through", "parks", "ARGM-DIR"),
        ("walk", "from", "schools", "ARGM-DIR"),
        ("walk", "to", "schools", "ARG4"),
        ("jump", "into", "pools", "ARG4"),
        ("jump", "over", "walls", "ARGM-DIR"),
        ("smile", "at", "dogs", "ARG2"),
        ("sit", "on", "chairs", "ARG2"),
        ("dance", "per", "capita", "ARGM-ADV"),
    ],
)
def test_preposition_phrase_of_a_verb_without_object(verb, preposition, noun, role):
    found = frames(
        ["men/NNS 1 nsubj", f"{verb}/VBP -1 root", f"{preposition}/IN 3 case", f"{noun}/NNS 1 obl"]
    )
    assert found[verb][1:] == [(role, f"{preposition} {noun}")]


@pytest.mark.parametrize(
    ("verb", "preposition", "noun", "role"),
    [
        ("cut", "with", "knives", "ARGM-MNR"),
        ("give", "to", "dogs", "ARG2"),
        ("put", "on", "tables", "ARG2"),
        ("put", "into", "boxes", "ARG2"),
        ("throw", "into", "boxes", "ARG2"),
        ("cut", "into", "pieces", "ARGM-GOL"),
        ("cut", "in", "kitchens", "ARGM-LOC"),
        ("cut", "of", "trees", "ARG2"),
        ("cut", "from", "trees", "ARG2"),
        ("cut", "off", "trees", "ARGM-DIR"),
        ("cut", "before", "dinner", "ARGM-TMP"),
    ],
)
def test_preposition_phrase_of_a_verb_with_object(verb, preposition, noun, role):
    found = frames(
        ["men/NNS 1 nsubj", f"{verb}/VBP -1 root", "it/PRP 1 obj", f"{preposition}/IN 4 case",
         f"{noun}/NNS 1 obl"]
    )  # fmt: skip
    assert found[verb] == [("ARG0", "men"), ("ARG1", "it"), (role, f"{preposition} {noun}")]


def test_year_and_gerund_after_a_preposition():
    year = frames(["sing/VBP -1 root", "in/IN 2 case", "1999/CD 0 obl"])
    assert year["sing"] == [("ARGM-TMP", "in 1999")]
    number = frames(["sing/VBP -1 root", "in/IN 2 case", "200/CD 0 obl"])
    assert number["sing"] == [("ARGM-LOC", "in 200")]
    purpose = frames(["sing/VBP -1 root", "for/IN 2 mark", "eating/VBG 0 advcl eat"])
    assert purpose["sing"] == [("ARGM-PRP", "for eating")]


@pytest.mark.parametrize(
    ("adverb", "role"),
    [
        ("today", "ARGM-TMP"), ("here", "ARGM-LOC"), ("outside", "ARGM-LOC"), ("away", "ARGM-DIR"),
        ("forward", "ARGM-DIR"), ("also", "ARGM-DIS"), ("however", "ARGM-DIS"),
        ("much", "ARGM-EXT"), ("slowly", "ARGM-MNR"), ("together", "ARGM-MNR"),
        ("never", "ARGM-NEG"), ("n't", "ARGM-NEG"), ("where", "ARGM-LOC"), ("when", "ARGM-TMP"),
        ("why", "ARGM-CAU"), ("how", "ARGM-MNR"), ("perhaps", "ARGM-ADV"),
    ],
)  # fmt: skip
def test_adverb_by_its_word(adverb, role):
    assert frames(["sing/VBP -1 root", f"{adverb}/RB 0 advmod"])["sing"] == [(role, adverb)]


@pytest.mark.parametrize(
    ("mark", "role"),
    [
        ("while", "ARGM-TMP"), ("when", "ARGM-TMP"), ("as", "ARGM-TMP"), ("after", "ARGM-TMP"),
        ("before", "ARGM-TMP"), ("until", "ARGM-TMP"), ("once", "ARGM-TMP"),
        ("since", "ARGM-TMP"), ("because", "ARGM-CAU"), ("to", "ARGM-PRP"), ("if", "ARGM-ADV"),
        ("although", "ARGM-ADV"),
    ],
)  # fmt: skip
def test_clause_by_its_mark(mark, role):
    found = frames(
        ["sing/VBP -1 root", f"{mark}/IN 3 mark", "birds/NNS 3 nsubj", "fly/VBP 0 advcl"]
    )
    assert found["sing"] == [(role, f"{mark} birds fly")]


@pytest.mark.parametrize(
    ("noun", "label", "role"),
    [("night", "obl:npmod", "ARGM-TMP"), ("night", "obl:tmod", "ARGM-TMP"),
     ("miles", "obl:npmod", "ARGM-EXT"), ("miles", "obl:unmarked", "ARGM-EXT")],
)  # fmt: skip
def test_noun_adverbial(noun, label, role):
    assert frames(["sing/VBP -1 root", f"{noun}/NN 0 {label}"])["sing"] == [(role, noun)]
