"""Role rules over trees of any shape: far subjects, crossing branches, long captions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.parse import Parse, check_frame
from graphmatch.parsers.srl.rules import rule_frames
from graphmatch.parsers.srl.tree import ClauseTree
from tests.parsers.hand_trees import tree

LABELS = [
    "root", "nsubj", "nsubj:pass", "csubj", "obj", "iobj", "obl", "obl:agent", "obl:tmod",
    "obl:npmod", "xcomp", "ccomp", "advcl", "acl", "acl:relcl", "amod", "advmod", "aux",
    "aux:pass", "cop", "mark", "case", "cc", "conj", "compound:prt", "expl", "nmod", "punct",
    "dep", "", "strange:label",
]  # fmt: skip
TAGS = ["VB", "VBN", "VBG", "NN", "IN", "TO", "RB", "WDT", "WRB", "EX", "MD", "JJ", "CD", ".", ""]
WORDS = ["be", "give", "run", "who", "where", "there", "not", "in", "to", "night", "1999", "dog"]


def test_subject_search_goes_five_steps_up():
    """A chain of verbs, each the complement of the one before; the first has the subject."""

    def chain(count):
        lines = ["men/NNS 1 nsubj", "go/VBP -1 root"]
        lines += [f"go{n}/VB {n + 1} xcomp go" for n in range(count)]
        return ClauseTree(tree(lines)).subject(count + 1)

    assert chain(5) == (0, 0, 1)
    assert chain(6) is None


def test_phrase_without_a_branch_keeps_the_noun():
    crossing = Parse.from_tree(  # the branch starts before the noun and ends after it
        ["x", "noun", "y"], heads=[1, -1, 0], deprels=["acl", "root", "dep"]
    )
    clauses = ClauseTree(crossing)
    assert clauses.phrase(0) == (0, 3)
    assert clauses.phrase_without(1, 0) == (1, 2)


@given(st.data())
@settings(deadline=None, max_examples=500)
def test_any_tree_gives_frames_that_fit(data):
    count = data.draw(st.integers(0, 9))
    order = data.draw(st.permutations(range(count)))
    heads = [-1] * count
    for place in range(1, count):
        heads[order[place]] = data.draw(st.sampled_from([-1, *order[:place], *order[:place]]))

    def column(values):
        return data.draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))

    parse = Parse.from_tree(
        column(WORDS), heads=heads, deprels=column(LABELS), tags=column(TAGS),
        pos=column(["VERB", "AUX", "NOUN", "ADJ", "PUNCT", "X"]),
    )  # fmt: skip
    found = rule_frames(parse)
    assert [frame.verb[0] for frame in found] == sorted({frame.verb[0] for frame in found})
    for frame in found:
        check_frame(frame, count)
        numbered = [a.role for a in frame.arguments if a.role in ("ARG0", "ARG1", "ARG2")]
        assert len(numbered) == len(set(numbered))
        for argument in frame.arguments:
            words = argument.words
            assert list(words) == list(range(words[0], words[-1] + 1))
            assert not set(words) & set(frame.verb)
            assert parse.pos[words[0]] != "PUNCT"
            assert parse.pos[words[-1]] != "PUNCT"


@pytest.mark.parametrize("label", ["conj", "xcomp", "acl:relcl", "cop", "amod", "compound:prt"])
@pytest.mark.parametrize("shape", ["up", "down", "star"])
def test_long_caption_needs_no_recursion(label, shape):
    count = 1500
    heads = {
        "up": [*range(1, count), -1],
        "down": list(range(-1, count - 1)),
        "star": [-1, *[0] * (count - 1)],
    }[shape]
    tags = ["VBG" if place % 50 == 0 else "NN" for place in range(count)]
    parse = Parse.from_tree(["w"] * count, heads=heads, deprels=[label] * count, tags=tags)
    verbs = [place for place in range(0, count, 50) if label != "compound:prt" or heads[place] < 0]
    assert [frame.verb[0] for frame in rule_frames(parse)] == verbs
