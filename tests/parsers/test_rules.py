"""Role rules over hand-made trees: subjects, verbs and their objects."""

from __future__ import annotations

import pytest

from graphmatch.parse import Frame, Parse
from graphmatch.parsers.srl.rules import rule_frames
from tests.parsers.hand_trees import frames, tree

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
