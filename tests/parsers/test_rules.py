"""Role rules over hand-made Universal Dependencies trees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.parse import Frame, Parse, check_frame
from graphmatch.parsers.penn import universal_pos
from graphmatch.parsers.srl.rules import rule_frames
from graphmatch.parsers.srl.tree import ClauseTree


def tree(lines):
    """A parse of lines `word/tag head label [lemma]`."""
    rows = [line.split() for line in lines]
    words, tags = zip(*(row[0].rsplit("/", 1) for row in rows), strict=True)
    deprels = [row[2] for row in rows]
    return Parse.from_tree(
        words,
        heads=[int(row[1]) for row in rows],
        deprels=deprels,
        tags=tags,
        pos=[universal_pos(tag, label) for tag, label in zip(tags, deprels, strict=True)],
        lemmas=[row[3] if len(row) > 3 else row[0].rsplit("/", 1)[0].lower() for row in rows],
    )


def frames(lines):
    """{predicate: [(role, phrase), ...]} of the rules."""
    parse = tree(lines)

    def text(positions):
        return " ".join(parse.words[position] for position in positions)

    return {
        text(frame.verb): [(argument.role, text(argument.words)) for argument in frame.arguments]
        for frame in rule_frames(parse)
    }


SUBJECTS = {
    "own subject": (
        ["a/DT 1 det", "dog/NN 2 nsubj", "chases/VBZ -1 root", "cats/NNS 2 obj", "./. 2 punct"],
        {"chases": [("ARG0", "a dog"), ("ARG1", "cats")]},
    ),
    "clause as subject": (
        ["running/VBG 1 csubj run", "helps/VBZ -1 root help", "dogs/NNS 1 obj"],
        {"running": [], "helps": [("ARG0", "running"), ("ARG1", "dogs")]},
    ),
    "subject of the first verb": (
        ["chefs/NNS 1 nsubj", "pour/VBP -1 root", "oil/NN 1 obj", "and/CC 4 cc", "stir/VBP 1 conj",
         "soup/NN 4 obj"],
        {"pour": [("ARG0", "chefs"), ("ARG1", "oil")],
         "stir": [("ARG0", "chefs"), ("ARG1", "soup")]},
    ),
    "no subject through a noun": (
        ["dogs/NNS -1 root", "and/CC 2 cc", "run/VB 0 conj"],
        {"run": []},
    ),
    "object control": (
        ["men/NNS 1 nsubj", "ask/VBP -1 root", "dogs/NNS 1 obj", "to/TO 4 mark", "run/VB 1 xcomp"],
        {"ask": [("ARG0", "men"), ("ARG1", "dogs"), ("ARG2", "to run")], "run": [("ARG0", "dogs")]},
    ),
    "control by promise": (
        ["men/NNS 1 nsubj", "promise/VBP -1 root", "dogs/NNS 1 iobj", "to/TO 4 mark",
         "run/VB 1 xcomp"],
        {"promise": [("ARG0", "men"), ("ARG2", "dogs"), ("ARG1", "to run")],
         "run": [("ARG0", "men")]},
    ),
    "subject control": (
        ["men/NNS 1 nsubj", "want/VBP -1 root", "to/TO 3 mark", "run/VB 1 xcomp"],
        {"want": [("ARG0", "men"), ("ARG1", "to run")], "run": [("ARG0", "men")]},
    ),
    "participle clause": (
        ["men/NNS 1 nsubj", "dance/VBP -1 root", "holding/VBG 1 advcl hold", "hats/NNS 2 obj"],
        {"dance": [("ARG0", "men"), ("ARGM-ADV", "holding hats")],
         "holding": [("ARG0", "men"), ("ARG1", "hats")]},
    ),
    "clause under a preposition": (
        ["men/NNS 1 nsubj", "eat/VBP -1 root", "after/IN 3 mark", "washing/VBG 1 advcl wash",
         "hands/NNS 3 obj"],
        {"eat": [("ARG0", "men"), ("ARGM-TMP", "after washing hands")],
         "washing": [("ARG0", "men"), ("ARG1", "hands")]},
    ),
    "participle after a noun": (
        ["big/JJ 1 amod", "dogs/NNS 4 nsubj", "chasing/VBG 1 acl chase", "cats/NNS 2 obj",
         "bark/VBP -1 root"],
        {"chasing": [("ARG0", "big dogs"), ("ARG1", "cats")],
         "bark": [("ARG0", "big dogs chasing cats")]},
    ),
    "passive participle after a noun": (
        ["a/DT 1 det", "ball/NN -1 root", "thrown/VBN 1 acl throw", "by/IN 4 case",
         "boys/NNS 2 obl:agent"],
        {"thrown": [("ARG1", "a ball"), ("ARG0", "by boys")]},
    ),
    "relative subject": (
        ["a/DT 1 det", "man/NN -1 root", "who/WP 3 nsubj", "sings/VBZ 1 acl:relcl sing"],
        {"sings": [("ARG0", "a man"), ("R-ARG0", "who")]},
    ),
    "relative passive subject": (
        ["cars/NNS -1 root", "that/WDT 3 nsubj:pass", "are/VBP 3 aux:pass be",
         "towed/VBN 0 acl:relcl tow"],
        {"towed": [("ARG1", "cars"), ("R-ARG1", "that")]},
    ),
    "relative object": (
        ["the/DT 1 det", "ball/NN -1 root", "that/WDT 4 obj", "boys/NNS 4 nsubj",
         "throw/VBP 1 acl:relcl"],
        {"throw": [("ARG1", "the ball"), ("R-ARG1", "that"), ("ARG0", "boys")]},
    ),
    "relative clause without a pronoun": (
        ["the/DT 1 det", "ball/NN -1 root", "boys/NNS 3 nsubj", "throw/VBP 1 acl:relcl"],
        {"throw": [("ARG1", "the ball"), ("ARG0", "boys")]},
    ),
    "relative place": (
        ["parks/NNS -1 root", "where/WRB 3 advmod", "dogs/NNS 3 nsubj", "play/VBP 0 acl:relcl"],
        {"play": [("ARGM-LOC", "parks"), ("R-ARGM-LOC", "where"), ("ARG0", "dogs")]},
    ),
    "relative time": (
        ["days/NNS -1 root", "when/WRB 3 advmod", "dogs/NNS 3 nsubj", "play/VBP 0 acl:relcl"],
        {"play": [("ARGM-TMP", "days"), ("R-ARGM-TMP", "when"), ("ARG0", "dogs")]},
    ),
    "relative preposition phrase": (
        ["hills/NNS -1 root", "on/IN 2 case", "which/WDT 4 obl", "dogs/NNS 4 nsubj",
         "play/VBP 0 acl:relcl"],
        {"play": [("ARGM-LOC", "hills"), ("R-ARGM-LOC", "on which"), ("ARG0", "dogs")]},
    ),
    "relative possessor": (
        ["men/NNS -1 root", "in/IN 3 case", "whose/WP$ 3 nmod:poss", "houses/NNS 5 obl",
         "dogs/NNS 5 nsubj", "play/VBP 0 acl:relcl"],
        {"play": [("ARGM-LOC", "men"), ("R-ARGM-LOC", "in whose houses"), ("ARG0", "dogs")]},
    ),
    "participle before a noun": (
        ["running/VBG 1 amod run", "dogs/NNS -1 root"],
        {"running": [("ARG0", "dogs")]},
    ),
    "passive participle before a noun": (
        ["sliced/VBN 1 amod slice", "oranges/NNS -1 root"],
        {"sliced": [("ARG1", "oranges")]},
    ),
}  # fmt: skip

VERBS = {
    "auxiliaries are no predicates": (
        ["cars/NNS 3 nsubj:pass", "are/VBP 3 aux be", "being/VBG 3 aux:pass be",
         "towed/VBN -1 root tow"],
        {"towed": [("ARG1", "cars")]},
    ),
    "verb and particle": (
        ["men/NNS 1 nsubj", "put/VBP -1 root", "on/RP 1 compound:prt", "hats/NNS 1 obj"],
        {"put on": [("ARG0", "men"), ("ARG1", "hats")]},
    ),
    "particle apart from its verb": (
        ["men/NNS 1 nsubj", "put/VBP -1 root", "hats/NNS 1 obj", "on/RP 1 compound:prt"],
        {"put": [("ARG0", "men"), ("ARG1", "hats"), ("C-V", "on")]},
    ),
    "passive with agent": (
        ["dogs/NNS 2 nsubj:pass", "are/VBP 2 aux:pass be", "fed/VBN -1 root feed", "by/IN 4 case",
         "men/NNS 2 obl:agent"],
        {"fed": [("ARG1", "dogs"), ("ARG0", "by men")]},
    ),
    "passive of giving keeps its object": (
        ["dogs/NNS 2 nsubj:pass", "are/VBP 2 aux:pass be", "given/VBN -1 root give",
         "food/NN 2 obj"],
        {"given": [("ARG2", "dogs"), ("ARG1", "food")]},
    ),
    "there is": (
        ["there/EX 1 expl", "are/VBP -1 root be", "three/CD 3 nummod", "men/NNS 1 nsubj",
         "dancing/VBG 3 acl dance", "./. 1 punct"],
        {"are": [("ARG1", "three men dancing")], "dancing": [("ARG0", "three men")]},
    ),
    "there as a subject is none": (
        ["there/EX 1 nsubj", "is/VBZ -1 root be"],
        {"is": []},
    ),
    "copula and noun": (
        ["he/PRP 3 nsubj", "is/VBZ 3 cop be", "a/DT 3 det", "cook/NN -1 root", "./. 3 punct"],
        {"is": [("ARG1", "he"), ("ARG2", "a cook")]},
    ),
    "copula and place": (
        ["the/DT 1 det", "cat/NN 4 nsubj", "is/VBZ 4 cop be", "on/IN 4 case", "mats/NNS -1 root",
         "today/NN 4 obl:tmod"],
        {"is": [("ARG1", "the cat"), ("ARG2", "on mats"), ("ARGM-TMP", "today")]},
    ),
    "copula, degree and negation": (
        ["he/PRP 4 nsubj", "is/VBZ 4 cop be", "not/RB 4 advmod", "very/RB 4 advmod",
         "tall/JJ -1 root"],
        {"is": [("ARG1", "he"), ("ARGM-NEG", "not"), ("ARG2", "very tall")]},
    ),
    "question for a complement": (
        ["what/WP -1 root", "is/VBZ 0 cop be", "it/PRP 0 nsubj"],
        {"is": [("ARG2", "what"), ("ARG1", "it")]},
    ),
    "verbs without an agent": (
        ["leaves/NNS 1 nsubj leaf", "fall/VBP -1 root", "into/IN 3 case", "water/NN 1 obl"],
        {"fall": [("ARG1", "leaves"), ("ARG4", "into water")]},
    ),
    "posture": (
        ["men/NNS 1 nsubj", "stand/VBP -1 root", "near/IN 3 case", "boats/NNS 1 obl"],
        {"stand": [("ARG1", "men"), ("ARG2", "near boats")]},
    ),
    "weather": (
        ["it/PRP 2 nsubj", "is/VBZ 2 aux be", "raining/VBG -1 root rain"],
        {"raining": []},
    ),
    "second object": (
        ["men/NNS 1 nsubj", "give/VBP -1 root", "dogs/NNS 1 iobj", "food/NN 1 obj"],
        {"give": [("ARG0", "men"), ("ARG2", "dogs"), ("ARG1", "food")]},
    ),
    "linking verb": (
        ["dogs/NNS 1 nsubj", "look/VBP -1 root", "happy/JJ 1 xcomp"],
        {"look": [("ARG0", "dogs"), ("ARG2", "happy")]},
    ),
    "perceived clause": (
        ["men/NNS 1 nsubj", "watch/VBP -1 root", "dogs/NNS 1 obj", "run/VB 1 xcomp"],
        {"watch": [("ARG0", "men"), ("ARG1", "dogs run")], "run": [("ARG0", "dogs")]},
    ),
    "said clause": (
        ["men/NNS 1 nsubj", "say/VBP -1 root", "dogs/NNS 3 nsubj", "bark/VBP 1 ccomp"],
        {"say": [("ARG0", "men"), ("ARG1", "dogs bark")], "bark": [("ARG0", "dogs")]},
    ),
    "modal and negation": (
        ["dogs/NNS 3 nsubj", "can/MD 3 aux", "not/RB 3 advmod", "sing/VB -1 root"],
        {"sing": [("ARG0", "dogs"), ("ARGM-MOD", "can"), ("ARGM-NEG", "not")]},
    ),
    "one argument of a numbered role": (
        ["men/NNS 1 nsubj", "eat/VBP -1 root", "soup/NN 1 obj", "bread/NN 1 obj"],
        {"eat": [("ARG0", "men"), ("ARG1", "soup")]},
    ),
    "punctuation is trimmed": (
        ["\"/`` 1 punct", "dogs/NNS 3 nsubj", "\"/'' 1 punct", "bark/VBP -1 root"],
        {"bark": [("ARG0", "dogs")]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SUBJECTS)
def test_subject_by_hand(name):
    lines, expected = SUBJECTS[name]
    assert frames(lines) == expected


@pytest.mark.parametrize("name", VERBS)
def test_frame_by_hand(name):
    lines, expected = VERBS[name]
    assert frames(lines) == expected


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


def test_predicates_without_penn_tags_are_found_by_universal_tags():
    parse = Parse.from_tree(
        ["dogs", "do", "run"], heads=[2, 2, -1], deprels=["nsubj", "aux", "root"],
        pos=["NOUN", "AUX", "VERB"],
    )  # fmt: skip
    assert [frame.verb for frame in rule_frames(parse)] == [(2,)]
    assert rule_frames(parse)[0].arguments[0].role == "ARG0"


def test_frames_of_the_parse_do_not_matter():
    parse = tree(SUBJECTS["own subject"][0])
    assert rule_frames(parse.with_frames([Frame((0,))])) == rule_frames(parse)


def test_no_words_have_no_frames():
    assert rule_frames(Parse.from_tree([], heads=[], deprels=[])) == ()


# the tree


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


LABELS = [
    "root", "nsubj", "nsubj:pass", "csubj", "obj", "iobj", "obl", "obl:agent", "obl:tmod",
    "obl:npmod", "xcomp", "ccomp", "advcl", "acl", "acl:relcl", "amod", "advmod", "aux",
    "aux:pass", "cop", "mark", "case", "cc", "conj", "compound:prt", "expl", "nmod", "punct",
    "dep", "", "strange:label",
]  # fmt: skip
TAGS = ["VB", "VBN", "VBG", "NN", "IN", "TO", "RB", "WDT", "WRB", "EX", "MD", "JJ", "CD", ".", ""]
WORDS = ["be", "give", "run", "who", "where", "there", "not", "in", "to", "night", "1999", "dog"]


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
