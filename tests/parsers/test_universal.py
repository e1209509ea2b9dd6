"""ClearNLP trees to Universal Dependencies: one hand-made tree for each row of the label table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.parse import Parse
from graphmatch.parsers.universal import to_universal


def convert(lines):
    """`word/tag head label` lines -> {word: (head word, label)}; words are different."""
    rows = [line.split() for line in lines]
    words, tags = zip(*(row[0].rsplit("/", 1) for row in rows), strict=True)
    heads, labels = to_universal(
        words, tags, [int(row[1]) for row in rows], deps=[row[2] for row in rows]
    )
    return {
        word: (words[head] if head >= 0 else "", label)
        for word, head, label in zip(words, heads, labels, strict=True)
    }


CASES = {
    "direct object": (
        ["dogs/NNS 1 nsubj", "chase/VBP -1 ROOT", "cats/NNS 1 dobj"],
        {"dogs": ("chase", "nsubj"), "chase": ("", "root"), "cats": ("chase", "obj")},
    ),
    "second object": (
        ["give/VB -1 ROOT", "dogs/NNS 0 dative", "food/NN 0 dobj"],
        {"dogs": ("give", "iobj"), "food": ("give", "obj")},
    ),
    "to-phrase after give": (
        ["give/VB -1 ROOT", "food/NN 0 dobj", "to/IN 0 dative", "dogs/NNS 2 pobj"],
        {"food": ("give", "obj"), "to": ("dogs", "case"), "dogs": ("give", "obl")},
    ),
    "passive and agent": (
        ["dog/NN 2 nsubjpass", "was/VBD 2 auxpass", "hit/VBN -1 ROOT", "by/IN 2 agent",
         "cars/NNS 3 pobj"],
        {"dog": ("hit", "nsubj:pass"), "was": ("hit", "aux:pass"), "by": ("cars", "case"),
         "cars": ("hit", "obl:agent")},
    ),
    "preposition phrase of a verb": (
        ["run/VB -1 ROOT", "in/IN 0 prep", "the/DT 3 det", "park/NN 1 pobj"],
        {"in": ("park", "case"), "park": ("run", "obl"), "the": ("park", "det")},
    ),
    "preposition phrase of a noun": (
        ["dog/NN -1 ROOT", "in/IN 0 prep", "park/NN 1 pobj"],
        {"in": ("park", "case"), "park": ("dog", "nmod")},
    ),
    "preposition phrase in a preposition phrase": (
        ["sit/VB -1 ROOT", "on/IN 0 prep", "top/NN 1 pobj", "of/IN 2 prep", "cars/NNS 3 pobj"],
        {"on": ("top", "case"), "top": ("sit", "obl"), "of": ("cars", "case"),
         "cars": ("top", "nmod")},
    ),
    "preposition of a preposition": (
        ["jump/VB -1 ROOT", "out/IN 0 prep", "of/IN 1 prep", "water/NN 2 pobj"],
        {"out": ("water", "case"), "of": ("water", "case"), "water": ("jump", "obl")},
    ),
    "multi-word preposition": (
        ["stand/VB -1 ROOT", "in/IN 0 prep", "front/NN 1 pobj", "of/IN 2 prep",
         "hotels/NNS 3 pobj"],
        {"in": ("front", "case"), "front": ("stand", "obl"), "of": ("hotels", "case"),
         "hotels": ("front", "nmod")},
    ),
    "preposition and clause of a verb": (
        ["drink/VB -1 ROOT", "after/IN 0 prep", "running/VBG 1 pcomp"],
        {"after": ("running", "mark"), "running": ("drink", "advcl")},
    ),
    "preposition and clause of a noun": (
        ["way/NN -1 ROOT", "of/IN 0 prep", "running/VBG 1 pcomp"],
        {"of": ("running", "mark"), "running": ("way", "acl")},
    ),
    "copula and noun": (
        ["he/PRP 1 nsubj", "is/VBZ -1 ROOT", "a/DT 3 det", "cook/NN 1 attr", "./. 1 punct"],
        {"he": ("cook", "nsubj"), "is": ("cook", "cop"), "a": ("cook", "det"),
         "cook": ("", "root"), ".": ("cook", "punct")},
    ),
    "copula and adjective in a clause": (
        ["says/VBZ -1 ROOT", "dogs/NNS 2 nsubj", "are/VBP 0 ccomp", "happy/JJ 2 acomp"],
        {"dogs": ("happy", "nsubj"), "are": ("happy", "cop"), "happy": ("says", "ccomp")},
    ),
    "copula and preposition phrase": (
        ["cat/NN 1 nsubj", "is/VBZ -1 ROOT", "on/IN 1 prep", "the/DT 4 det", "mat/NN 2 pobj"],
        {"cat": ("mat", "nsubj"), "is": ("mat", "cop"), "on": ("mat", "case"),
         "mat": ("", "root")},
    ),
    "copula without a subject keeps its phrase": (
        ["is/VBZ -1 ROOT", "on/IN 0 prep", "mat/NN 1 pobj"],
        {"is": ("", "root"), "on": ("mat", "case"), "mat": ("is", "obl")},
    ),
    "auxiliary be is no copula": (
        ["dog/NN 2 nsubj", "is/VBZ 2 aux", "running/VBG -1 ROOT"],
        {"dog": ("running", "nsubj"), "is": ("running", "aux"), "running": ("", "root")},
    ),
    "there is": (
        ["there/EX 1 expl", "is/VBZ -1 ROOT", "a/DT 3 det", "dog/NN 1 attr", "in/IN 1 prep",
         "sight/NN 4 pobj"],
        {"there": ("is", "expl"), "is": ("", "root"), "dog": ("is", "nsubj"),
         "in": ("sight", "case"), "sight": ("is", "obl")},
    ),
    "linking verb": (
        ["dogs/NNS 1 nsubj", "look/VBP -1 ROOT", "happy/JJ 1 acomp"],
        {"dogs": ("look", "nsubj"), "look": ("", "root"), "happy": ("look", "xcomp")},
    ),
    "object predicate": (
        ["paint/VB -1 ROOT", "walls/NNS 0 dobj", "red/JJ 0 oprd"],
        {"walls": ("paint", "obj"), "red": ("paint", "xcomp")},
    ),
    "infinitive": (
        ["want/VBP -1 ROOT", "to/TO 2 aux", "run/VB 0 xcomp"],
        {"to": ("run", "mark"), "run": ("want", "xcomp")},
    ),
    "particle": (
        ["puts/VBZ -1 ROOT", "on/RP 0 prt", "hats/NNS 0 dobj"],
        {"on": ("puts", "compound:prt"), "hats": ("puts", "obj")},
    ),
    "dependents of an auxiliary": (
        ["dogs/NNS 1 nsubj", "do/VBP 3 aux", "not/RB 1 neg", "have/VB -1 ROOT", "food/NN 1 attr"],
        {"dogs": ("have", "nsubj"), "do": ("have", "aux"), "not": ("have", "advmod"),
         "food": ("have", "obj")},
    ),
    "negation": (
        ["does/VBZ 2 aux", "not/RB 2 neg", "run/VB -1 ROOT"],
        {"does": ("run", "aux"), "not": ("run", "advmod")},
    ),
    "possessor": (
        ["man/NN 2 poss", "'s/POS 0 case", "dog/NN -1 ROOT"],
        {"man": ("dog", "nmod:poss"), "'s": ("man", "case")},
    ),
    "relative clause": (
        ["dog/NN -1 ROOT", "that/WDT 2 nsubj", "runs/VBZ 0 relcl"],
        {"that": ("runs", "nsubj"), "runs": ("dog", "acl:relcl")},
    ),
    "relative clause with a copula": (
        ["dog/NN -1 ROOT", "that/WDT 2 nsubj", "is/VBZ 0 relcl", "wet/JJ 2 acomp"],
        {"that": ("wet", "nsubj"), "is": ("wet", "cop"), "wet": ("dog", "acl:relcl")},
    ),
    "participle after a noun": (
        ["dog/NN -1 ROOT", "running/VBG 0 acl"],
        {"running": ("dog", "acl")},
    ),
    "number": (["two/CD 1 nummod", "dogs/NNS -1 ROOT"], {"two": ("dogs", "nummod")}),
    "coordination": (
        ["dogs/NNS 5 nsubj", ",/, 0 punct", "cats/NNS 0 conj", "and/CC 2 cc", "birds/NNS 2 conj",
         "run/VBP -1 ROOT"],
        {"cats": ("dogs", "conj"), "birds": ("dogs", "conj"), "and": ("birds", "cc")},
    ),
    "long coordination": (
        ["a/NN -1 ROOT", "or/CC 0 cc", "b/NN 0 conj", "and/CC 2 cc", "c/NN 2 conj"],
        {"or": ("b", "cc"), "b": ("a", "conj"), "and": ("c", "cc"), "c": ("a", "conj")},
    ),
    "coordinated preposition phrases": (
        ["run/VB -1 ROOT", "in/IN 0 prep", "parks/NNS 1 pobj", "and/CC 1 cc", "on/IN 1 conj",
         "roads/NNS 4 pobj"],
        {"parks": ("run", "obl"), "in": ("parks", "case"), "and": ("roads", "cc"),
         "on": ("roads", "case"), "roads": ("parks", "conj")},
    ),
    "noun adverbial of time": (
        ["ran/VBD -1 ROOT", "last/JJ 2 amod", "night/NN 0 npadvmod"],
        {"night": ("ran", "obl:tmod")},
    ),
    "noun adverbial of measure": (
        ["five/CD 1 nummod", "feet/NNS 2 npadvmod", "tall/JJ -1 ROOT"],
        {"feet": ("tall", "obl:npmod")},
    ),
    "predeterminer and preconjunction": (
        ["both/CC 3 preconj", "all/PDT 3 predet", "the/DT 3 det", "men/NNS -1 ROOT"],
        {"both": ("men", "cc:preconj"), "all": ("men", "det:predet"), "the": ("men", "det")},
    ),
    "passive clause as subject": (
        ["running/VBG 2 csubjpass", "is/VBZ 2 auxpass", "banned/VBN -1 ROOT"],
        {"running": ("banned", "csubj:pass"), "is": ("banned", "aux:pass")},
    ),
    "small labels": (
        ["oh/UH 3 intj", "almost/RB 2 quantmod", "two/CD 3 nummod", "dogs/NNS -1 ROOT",
         "x/XX 3 meta", "y/XX 3 subtok", "z/XX 3 dep"],
        {"oh": ("dogs", "discourse"), "almost": ("two", "advmod"), "x": ("dogs", "dep"),
         "y": ("dogs", "dep"), "z": ("dogs", "dep")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_universal_tree_by_hand(name):
    lines, expected = CASES[name]
    found = convert(lines)
    assert {word: found[word] for word in expected} == expected


def test_universal_tree_of_nothing():
    assert to_universal([], [], [], deps=[]) == ([], [])


def test_universal_input_is_not_changed():
    heads, deps = [-1, 0, 1], ["ROOT", "prep", "pobj"]
    to_universal(["cat", "on", "mat"], ["NN", "IN", "NN"], heads, deps=deps)
    assert (heads, deps) == ([-1, 0, 1], ["ROOT", "prep", "pobj"])


LABELS = [
    "ROOT", "acomp", "acl", "advcl", "advmod", "agent", "attr", "aux", "auxpass", "case", "cc",
    "ccomp", "compound", "conj", "dative", "dep", "det", "dobj", "expl", "mark", "neg", "nsubj",
    "nsubjpass", "pcomp", "pobj", "prep", "prt", "punct", "relcl", "xcomp", "", "strange",
]  # fmt: skip
TAGS = ["IN", "TO", "VB", "VBZ", "NN", "JJ", "RB", "RP", "CC", "EX", "MD", ""]
WORDS = ["is", "be", "'s", "next", "to", "on", "outside", "dog", "night", "and"]


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=400)
def test_universal_tree_stays_a_tree(data):
    count = data.draw(st.integers(0, 9))
    order = data.draw(st.permutations(range(count)))
    heads = [-1] * count
    for place in range(1, count):
        heads[order[place]] = data.draw(st.sampled_from([-1, *order[:place], *order[:place]]))

    def column(values):
        return data.draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))

    words = column(WORDS)
    new, labels = to_universal(words, column(TAGS), heads, deps=column(LABELS))
    parse = Parse.from_tree(words, heads=new, deprels=labels)  # raises where it is no forest
    assert [root_of(parse.heads, token) >= 0 for token in range(count)] == [True] * count
    trees = {
        frozenset(t for t in range(count) if root_of(heads, t) == root) for root in range(count)
    }
    after = {frozenset(t for t in range(count) if root_of(new, t) == root) for root in range(count)}
    assert trees == after  # sentences keep their words
    assert all(label and "?" not in label for label in labels)


def root_of(heads, token):
    for _ in heads:
        if heads[token] < 0:
            return token
        token = heads[token]
    raise AssertionError("a cycle")


@pytest.mark.parametrize("label", ["conj", "prep", "pobj", "compound", "aux", "pcomp", "ccomp"])
@pytest.mark.parametrize("shape", ["up", "down", "star"])
def test_universal_tree_of_a_long_caption_needs_no_recursion(label, shape):
    count = 3000
    heads = {
        "up": [*range(1, count), -1],
        "down": list(range(-1, count - 1)),
        "star": [-1, 0, *[1] * (count - 2)],
    }[shape]
    words = ["is" if token % 3 == 0 else "on" for token in range(count)]
    new, labels = to_universal(words, ["IN"] * count, heads, deps=[label] * count)
    assert len(Parse.from_tree(words, heads=new, deprels=labels)) == count
