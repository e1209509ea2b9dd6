from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.parse import Parse
from graphmatch.parsers.chunks import noun_chunks


def parse(rows):
    """A parse of lines `word head deprel pos`."""
    words, heads, deprels, pos = zip(*(row.split() for row in rows), strict=True)
    return Parse.from_tree(words, heads=[int(h) for h in heads], deprels=deprels, pos=pos)


@pytest.mark.parametrize(
    ("rows", "chunks"),
    [
        (["dog -1 root NOUN"], ["dog"]),
        (["it 1 nsubj PRON", "rains -1 root VERB"], ["it"]),
        (["a 2 det DET", "big 2 amod ADJ", "dog -1 root NOUN", ". 2 punct PUNCT"], ["a big dog"]),
        (
            ["very 1 advmod ADV", "big 2 amod ADJ", "dogs -1 root NOUN"],
            ["very big dogs"],
        ),
        (
            ["two 2 nummod NUM", "tennis 2 compound NOUN", "balls -1 root NOUN"],
            ["two tennis balls"],
        ),
        (
            ["the 1 det DET", "man 3 nmod:poss NOUN", "'s 1 case PART", "hat -1 root NOUN"],
            ["the man 's hat"],
        ),
        (
            ["dog -1 root NOUN", "in 3 case ADP", "the 3 det DET", "park 0 nmod NOUN"],
            ["dog", "the park"],
        ),
        (
            ["all 2 det:predet DET", "the 2 det DET", "men -1 root NOUN", "and 4 cc CCONJ",
             "dogs 2 conj NOUN"],
            ["all the men", "dogs"],
        ),
        (
            ["the 1 det DET", "dog -1 root NOUN", "that 3 nsubj PRON", "barks 1 acl:relcl VERB"],
            ["the dog", "that"],
        ),
        (
            ["a 4 det DET", "black 4 amod ADJ", "and 3 cc CCONJ", "white 1 conj ADJ",
             "dog -1 root NOUN"],
            ["a black and white dog"],
        ),
        (
            ["` 2 punct PUNCT", "the 2 det DET", "dog -1 root NOUN"],
            ["the dog"],
        ),
        (["running -1 root VERB", "fast 0 advmod ADV"], []),
        ([". -1 root PUNCT"], []),
    ],
)  # fmt: skip
def test_noun_chunks_by_hand(rows, chunks):
    tree = parse(rows)
    found = [" ".join(tree.words[start:end]) for start, end in noun_chunks(tree)]
    assert found == chunks


def test_noun_chunks_of_nothing():
    assert noun_chunks(Parse.from_tree([], heads=[], deprels=[])) == ()


@pytest.mark.parametrize(
    "text",
    [
        "A black dog in the park.",
        "two young men with red hats on a bench",
        "A bowl of hot soup and a glass of water",
        "The man's old car near a very big house",
        "She and her two brothers at the beach",
        "a group of people in front of a building",
    ],
)
def test_noun_chunks_are_those_of_spacy(parser, text):
    doc = parser._pipeline()(text)
    expected = [(chunk.start, chunk.end) for chunk in doc.noun_chunks]
    assert list(noun_chunks(parser.parse(text))) == expected


LABELS = [
    "root", "nsubj", "obj", "obl", "nmod", "nmod:poss", "det", "amod", "compound", "conj", "cc",
    "case", "punct", "dep", "flat", "obl:npmod", "acl",
]  # fmt: skip


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_noun_chunks_are_ascending_spans_that_end_in_a_nominal(data):
    count = data.draw(st.integers(1, 8))
    order = data.draw(st.permutations(range(count)))
    heads = [-1] * count
    for place in range(1, count):
        heads[order[place]] = data.draw(st.sampled_from(order[:place]))
    column = st.lists(st.sampled_from(LABELS), min_size=count, max_size=count)
    tags = st.lists(st.sampled_from(["NOUN", "PRON", "ADJ", "PUNCT", "VERB"]), min_size=count,
                    max_size=count)  # fmt: skip
    tree = Parse.from_tree(["w"] * count, heads=heads, deprels=data.draw(column),
                           pos=data.draw(tags))  # fmt: skip
    previous = 0
    for start, end in noun_chunks(tree):
        assert previous <= start < end <= count
        assert tree.pos[end - 1] in ("NOUN", "PRON")
        assert tree.pos[start] != "PUNCT"
        previous = end
