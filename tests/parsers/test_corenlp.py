"""CoreNLP documents as `Parse`; Universal Dependencies v1 as v2; Penn tags as universal ones."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import FormatError, ParseError
from graphmatch.parsers.corenlp import parse_from_corenlp, read_corenlp
from graphmatch.parsers.penn import universal_pos
from graphmatch.parsers.srl.rules import rule_frames
from graphmatch.parsers.ud1 import upgrade_labels


def token(word, tag, begin, *, original=None, lemma=None):
    """A token of a document; offsets in UTF-16 units, as Java counts."""
    original = word if original is None else original
    end = begin + len(original.encode("utf-16-le")) // 2
    return {
        "word": word,
        "originalText": original,
        "lemma": lemma or word.lower(),
        "pos": tag,
        "characterOffsetBegin": begin,
        "characterOffsetEnd": end,
    }


def arc(dependent, governor, label):
    return {"dep": label, "governor": governor, "dependent": dependent}


def document(*sentences):
    """A document of (tokens, arcs) pairs."""
    return {
        "sentences": [
            {"index": n, "tokens": tokens, "basicDependencies": arcs}
            for n, (tokens, arcs) in enumerate(sentences)
        ]
    }


def one_word(word="run"):
    return document(([token(word, "VB", 0)], [arc(1, 0, "ROOT")]))


def two_words(first=1, second=0):
    tokens = [token("dogs", "NNS", 0), token("run", "VBP", 5)]
    return document((tokens, [arc(1, first, "nsubj"), arc(2, second, "ROOT")]))


# documents


def test_a_document_becomes_a_universal_tree():
    # CoreNLP 3.9 on "A dog was hit by cars and (not) bikes."
    text = "A dog was hit by cars and (not) bikes."
    tokens = [
        token("A", "DT", 0),
        token("dog", "NN", 2),
        token("was", "VBD", 6, lemma="be"),
        token("hit", "VBN", 10),
        token("by", "IN", 14),
        token("cars", "NNS", 17, lemma="car"),
        token("and", "CC", 22),
        token("-LRB-", "-LRB-", 26, original="("),
        token("not", "RB", 27),
        token("-RRB-", "-RRB-", 30, original=")"),
        token("bikes", "NNS", 32, lemma="bike"),
        token(".", ".", 37),
    ]
    arcs = [
        arc(4, 0, "ROOT"),
        arc(1, 2, "det"),
        arc(2, 4, "nsubjpass"),
        arc(3, 4, "auxpass"),
        arc(5, 6, "case"),
        arc(6, 4, "nmod"),
        arc(7, 6, "cc"),
        arc(8, 11, "punct"),
        arc(9, 11, "neg"),
        arc(10, 11, "punct"),
        arc(11, 6, "conj"),
        arc(12, 4, "punct"),
    ]
    parse = parse_from_corenlp(document((tokens, arcs)), text)
    assert parse.words == tuple(t["originalText"] for t in tokens)
    assert [text[start:end] for start, end in parse.offsets] == list(parse.words)
    assert parse.heads == (1, 3, 3, -1, 5, 3, 10, 10, 10, 10, 5, 3)
    assert parse.deprels == (
        "det", "nsubj:pass", "aux:pass", "root", "case", "obl", "cc", "punct", "advmod", "punct",
        "conj", "punct",
    )  # fmt: skip
    assert parse.pos == (
        "DET", "NOUN", "AUX", "VERB", "ADP", "NOUN", "CCONJ", "PUNCT", "ADV", "PUNCT", "NOUN",
        "PUNCT",
    )  # fmt: skip
    assert parse.lemmas[2:6] == ("be", "hit", "by", "car")
    (frame,) = rule_frames(parse)
    assert [(a.role, a.words[0]) for a in frame.arguments] == [("ARG1", 0), ("ARG0", 4)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab\U0001f415\U0001f600é", min_size=1, max_size=4), min_size=1, max_size=6))
def test_offsets_are_characters_also_after_emoji(words):
    text = "  ".join(words)
    tokens, position = [], 0
    for word in words:
        tokens.append(token(word, "NN", position))
        position = tokens[-1]["characterOffsetEnd"] + 2
    arcs = [arc(n, n - 1, "dep" if n > 1 else "ROOT") for n in range(1, len(words) + 1)]
    parse = parse_from_corenlp(document((tokens, arcs)), text)
    starts = [sum(len(word) + 2 for word in words[:n]) for n in range(len(words))]
    spans = zip(starts, words, strict=True)
    assert parse.offsets == tuple((start, start + len(word)) for start, word in spans)


def test_sentences_are_numbered_and_heads_shifted():
    tokens = [token("run", "VB", 0)], [token("dogs", "NNS", 4), token("stop", "VBP", 9)]
    arcs = [arc(1, 0, "ROOT")], [arc(2, 0, "ROOT"), arc(1, 2, "nsubj")]
    parse = parse_from_corenlp(document(*zip(tokens, arcs, strict=True)), "run dogs stop")
    assert parse.sentences == (0, 1, 1)
    assert parse.heads == (-1, 2, -1)
    assert parse.deprels == ("root", "nsubj", "root")


def test_offsets_that_miss_the_words_are_looked_up_in_the_text():
    parse = parse_from_corenlp(two_words(2, 0), "  dogs  run")
    assert parse.offsets == ((2, 6), (8, 11))


def test_a_document_without_sentences_is_an_empty_parse():
    assert len(parse_from_corenlp({"sentences": []}, " ")) == 0


def without(content, *path):
    """A document less one field."""
    *inner, last = path
    place = content
    for key in inner:
        place = place[key]
    del place[last]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without(one_word(), "sentences"), "sentences"),
        (without(one_word(), "sentences", 0, "tokens"), "tokens"),
        (without(one_word(), "sentences", 0, "basicDependencies"), "basicDependencies"),
        (without(one_word(), "sentences", 0, "basicDependencies", 0), "basicDependencies"),
        (without(one_word(), "sentences", 0, "basicDependencies", 0, "governor"), "governor"),
        (without(one_word(), "sentences", 0, "tokens", 0, "pos"), "pos"),
        (without(one_word(), "sentences", 0, "tokens", 0, "characterOffsetEnd"), "OffsetEnd"),
        (two_words(first=2, second=1), "cycle"),
        (two_words(first=1, second=0), "cycle"),
        (two_words(first=3), r"governor in \[0, 2\]"),
        (two_words(first=-1), r"governor in \[0, 2\]"),
        ([], "CoreNLP document"),
        (None, "CoreNLP document"),
        ({"sentences": ["a"]}, "CoreNLP document"),
    ],
)
def test_a_damaged_document_says_what_is_missing(content, message):
    with pytest.raises(ParseError, match=message):
        parse_from_corenlp(content)


# files


def test_one_document_a_list_and_lines_are_read(tmp_path):
    path = tmp_path / "a.json"
    good = two_words(2, 0)
    for content, ids in (
        (json.dumps({**good, "docId": "x"}, indent=2), ["x"]),
        (json.dumps([good, good]), ["1", "2"]),
        (json.dumps(good) + "\r\n\r\n" + json.dumps({**good, "docId": 5}) + "\n", ["1", "5"]),
        ("\ufeff" + json.dumps(good), ["1"]),
    ):
        path.write_text(content, encoding="utf-8", newline="")
        captions = list(read_corenlp(path))
        assert [caption.id for caption in captions] == ids
        assert [caption.parse for caption in captions] == [parse_from_corenlp(good)] * len(ids)


def test_damaged_documents_of_a_file_stop_nothing(tmp_path):
    path = tmp_path / "a.jsonl"
    good = json.dumps(two_words(2, 0))
    bad = ["{", "3", "null", "[" * 100_000, '"words"', json.dumps(two_words(2, 1))]
    path.write_text("\n".join([good, *bad, good]), encoding="utf-8")
    captions = list(read_corenlp(path))
    assert [caption.id for caption in captions] == [str(n) for n in range(1, 9)]
    assert [caption.error is None for caption in captions] == [True, *[False] * 6, True]
    assert all((caption.parse is None) == (caption.error is not None) for caption in captions)
    assert "each line" in captions[1].error


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        list(read_corenlp(tmp_path / "none.json"))
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(FormatError, match="UTF-8"):
        list(read_corenlp(path))


# UD v1 to v2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ROOT", "root"), ("dobj", "obj"), ("nsubjpass", "nsubj:pass"), ("auxpass", "aux:pass"),
        ("csubjpass", "csubj:pass"), ("neg", "advmod"), ("mwe", "fixed"), ("name", "flat"),
        ("foreign", "flat:foreign"), ("iobj", "iobj"), ("acl:relcl", "acl:relcl"),
        ("compound:prt", "compound:prt"), ("nmod:poss", "nmod:poss"), ("det:predet", "det:predet"),
        ("cc:preconj", "cc:preconj"), ("nmod", "obl"), ("nmod:in", "obl"), ("nmod:agent",
        "obl:agent"), ("nmod:tmod", "obl:tmod"), ("nmod:npmod", "obl:npmod"), ("acl:to", "acl"),
        ("advcl:while", "advcl"), ("conj:and", "conj"),
    ],
)  # fmt: skip
def test_labels_under_a_verb_are_renamed(old, new):
    assert upgrade_labels(["VB", "NN"], [-1, 0], ["root", old])[1] == ["root", new]


@pytest.mark.parametrize(
    ("tag", "label"), [("NN", "nmod"), ("NNP", "nmod"), ("JJ", "obl"), ("RB", "obl")]
)
def test_noun_phrases_are_oblique_under_predicates_only(tag, label):
    assert upgrade_labels([tag, "NN"], [-1, 0], ["root", "nmod:of"])[1][1] == label
    assert upgrade_labels(["NN", "NN"], [-1, 0], ["root", "nmod:tmod"])[1][1] == "nmod:tmod"


def test_conjunctions_move_to_the_conjunct_that_follows():
    # cats , dogs and birds or fish: v1 hangs everything on the first conjunct
    heads = [-1, 0, 0, 0, 0, 0, 0]
    deprels = ["root", "punct", "conj", "cc", "conj", "cc", "conj"]
    new_heads, labels = upgrade_labels(["NNS"] * 7, heads, deprels)
    assert new_heads == [-1, 0, 0, 4, 0, 6, 0]
    assert labels == deprels
    assert heads == [-1, 0, 0, 0, 0, 0, 0]  # the caller's list is left alone


def test_a_conjunction_without_a_following_conjunct_stays():
    assert upgrade_labels(["CC", "VB"], [1, -1], ["cc", "root"])[0] == [1, -1]
    assert upgrade_labels(["VB", "CC"], [-1, 0], ["root", "cc"])[0] == [-1, 0]


@st.composite
def old_trees(draw):
    count = draw(st.integers(1, 9))
    order = draw(st.permutations(range(count)))
    heads = [-1] * count
    for place, node in enumerate(order[1:], 1):
        heads[node] = order[draw(st.integers(0, place - 1))]
    labels = ("cc", "conj", "nmod", "nmod:in", "dobj", "nsubj", "nsubjpass", "neg", "cop", "punct")
    deprels = [draw(st.sampled_from(labels)) if head >= 0 else "ROOT" for head in heads]
    tags = draw(st.lists(st.sampled_from(("NN", "VBZ", "JJ", "CC")), min_size=count,
                         max_size=count))  # fmt: skip
    return tags, heads, deprels


@settings(max_examples=200, deadline=None)
@given(old_trees())
def test_upgraded_trees_stay_trees_and_upgrading_twice_changes_nothing(tree):
    tags, heads, deprels = tree
    once = upgrade_labels(tags, heads, deprels)
    assert once[0].count(-1) == 1
    for start in range(len(tags)):
        node, steps = start, 0
        while node >= 0:
            node, steps = once[0][node], steps + 1
            assert steps <= len(tags)
    assert upgrade_labels(tags, *once) == once


def gold_trees(data):
    with gzip.open(data / "propbank_ewt" / "dev.jsonl.gz", "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def test_most_gold_v2_trees_come_back_unchanged(data):
    trees = gold_trees(data)
    same = sum(
        upgrade_labels(tree["xpos"], tree["head"], tree["deprel"]) == (tree["head"], tree["deprel"])
        for tree in trees
    )
    assert same / len(trees) > 0.9


# Penn tags


def test_universal_tags_of_gold_words_are_mostly_right(data):
    trees = gold_trees(data)
    columns = ("xpos", "deprel", "upos")
    words = [w for t in trees for w in zip(*(t[c] for c in columns), strict=True)]
    right = sum(universal_pos(tag, deprel) == gold for tag, deprel, gold in words)
    assert right / len(words) > 0.97


@pytest.mark.parametrize(
    ("tag", "deprel", "universal"),
    [
        ("NNPS", "obj", "PROPN"), ("VBG", "aux:pass", "AUX"), ("VBG", "acl", "VERB"),
        ("VBZ", "cop", "AUX"), ("MD", "aux", "AUX"), ("IN", "case", "ADP"), ("IN", "mark", "SCONJ"),
        ("TO", "mark", "PART"), ("TO", "case", "ADP"), ("PRP$", "nmod:poss", "PRON"),
        ("-LRB-", "punct", "PUNCT"), ("no such tag", "dep", "X"), ("", "root", "X"),
    ],
)  # fmt: skip
def test_universal_pos_of_a_tag(tag, deprel, universal):
    assert universal_pos(tag, deprel) == universal


def test_gold_v2_trees_come_back_unchanged(data):
    trees = list(gold_trees(data))
    changed = [
        tree
        for tree in trees
        if upgrade_labels(tree["xpos"], tree["head"], tree["deprel"])
        != (list(tree["head"]), list(tree["deprel"]))
    ]
    assert len(trees) > 1900
    assert len(changed) <= 1  # nothing in it tells the versions apart


def test_a_negating_determiner_is_a_determiner():
    assert upgrade_labels(["DT", "NN"], [1, -1], ["neg", "root"])[1] == ["det", "root"]


@pytest.mark.parametrize("governor", ["x", 1e999, float("nan"), 2.9])
def test_a_governor_that_is_no_number_is_a_parse_error(governor):
    content = two_words(2, 0)
    content["sentences"][0]["basicDependencies"][0]["governor"] = governor
    with pytest.raises(ParseError):
        parse_from_corenlp(content)


def test_a_governor_that_is_no_number_stops_no_file(tmp_path):
    bad = two_words(2, 0)
    bad["sentences"][0]["basicDependencies"][0]["governor"] = "x"
    path = tmp_path / "a.json"
    path.write_text(json.dumps([bad, two_words(2, 0)]))
    assert [caption.error is None for caption in read_corenlp(path)] == [False, True]


def test_an_offset_that_is_no_number_is_a_parse_error():
    content = one_word()
    content["sentences"][0]["tokens"][0]["characterOffsetBegin"] = [0]
    with pytest.raises(ParseError):
        parse_from_corenlp(content)


def test_two_heads_of_a_word_are_a_parse_error():
    content = two_words(2, 0)
    content["sentences"][0]["basicDependencies"].append(arc(1, 0, "dep"))
    with pytest.raises(ParseError):
        parse_from_corenlp(content)


def test_a_text_of_another_document_is_a_parse_error():
    with pytest.raises(ParseError):
        parse_from_corenlp(two_words(2, 0), "a red car")


def test_a_text_that_is_not_given_is_spaced_by_the_offsets():
    tokens = [token("do", "VBP", 0), token("n't", "RB", 2)]
    parse = parse_from_corenlp(document((tokens, [arc(1, 0, "ROOT"), arc(2, 1, "neg")])))
    assert parse.text == "don't"


def test_a_line_separator_inside_a_string_does_not_end_a_line(tmp_path):
    path = tmp_path / "a.jsonl"
    line = json.dumps({**one_word(), "text": "run\u2028"}, ensure_ascii=False)
    path.write_text(line + "\n" + json.dumps(one_word()), encoding="utf-8")
    assert [caption.error for caption in read_corenlp(path)] == [None, None]
