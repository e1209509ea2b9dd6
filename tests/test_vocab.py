from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, FormatError
from graphmatch.vocab import HGR_SPECIALS, SCAN_SPECIALS, Vocabulary

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def saved(tmp_path, content):
    path = tmp_path / "vocab.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def test_build_is_specials_then_frequent_words_in_order():
    captions = [["The", "dog", "runs"], ["the", "Dog"], ["THE", "cat"], ["zebra"] * 3]
    vocabulary = Vocabulary.build(captions)
    assert vocabulary.words == ("<BOS>", "<EOS>", "<UNK>", "the", "zebra")
    assert Vocabulary.build(captions[::-1], min_count=2).words[3:] == ("dog", "the", "zebra")


def test_build_by_scan_rule():
    vocabulary = Vocabulary.build(
        [["dog"]] * 4 + [["cat"]] * 3, min_count=4, specials=SCAN_SPECIALS, unknown="<unk>"
    )
    assert vocabulary.words == ("<pad>", "<start>", "<end>", "<unk>", "dog")
    assert vocabulary.encode(["cat", "dog"]) == [3, 4]


def test_build_keeps_a_special_that_occurs_as_a_word_once():
    captions = [["<unk>", "dog"]] * 4
    vocabulary = Vocabulary.build(captions, specials=SCAN_SPECIALS, unknown="<unk>")
    assert vocabulary.words == (*SCAN_SPECIALS, "dog")


def test_build_refuses_min_count_of_zero():
    with pytest.raises(ConfigError, match=r"min_count from 1 \(got 0\)"):
        Vocabulary.build([["a"]], min_count=0)


def test_build_of_nothing_is_the_specials():
    assert Vocabulary.build([]).words == HGR_SPECIALS


def test_encode_prefers_the_word_as_it_is():
    vocabulary = Vocabulary(("<UNK>", "may", "May"), "<UNK>")
    assert vocabulary.encode(["May", "may", "MAY", "june"]) == [2, 1, 1, 0]
    assert "May" in vocabulary
    assert "june" not in vocabulary


def test_decode_is_the_inverse_and_checks_ids():
    vocabulary = Vocabulary(("<UNK>", "a", "b"), "<UNK>")
    assert vocabulary.decode([2, 0, 1]) == ["b", "<UNK>", "a"]
    for number in (3, -1):
        with pytest.raises(ConfigError, match=rf"ids in \[0, 3\) .got {number}"):
            vocabulary.decode([number])


def test_vocabulary_refuses_duplicates_and_a_missing_unknown():
    with pytest.raises(ConfigError, match=r"different words .got \['a'\] twice"):
        Vocabulary(("<UNK>", "a", "a"), "<UNK>")
    with pytest.raises(ConfigError, match="unknown word '<unk>' among"):
        Vocabulary(("<UNK>", "a"), "<unk>")


@given(st.lists(WORDS, unique=True, min_size=1, max_size=8), st.data())
@settings(deadline=None, max_examples=50)
def test_vocabulary_round_trip(tmp_path_factory, words, data):
    vocabulary = Vocabulary(tuple(words), data.draw(st.sampled_from(words)))
    path = tmp_path_factory.mktemp("vocab") / "v.json"
    vocabulary.save(path)
    again = Vocabulary.load(path)
    assert again == vocabulary
    assert again.encode(words) == list(range(len(words)))
    assert [entry.name for entry in path.parent.iterdir()] == ["v.json"]


@given(st.lists(st.lists(st.sampled_from("abcAB"), max_size=4), max_size=6), st.integers(1, 3))
@settings(deadline=None)
def test_build_counts_like_a_loop(captions, min_count):
    flat = [word.lower() for caption in captions for word in caption]
    expected = sorted(word for word in set(flat) if flat.count(word) >= min_count)
    built = Vocabulary.build(captions, min_count=min_count)
    assert list(built.words) == [*HGR_SPECIALS, *expected]
    assert built == Vocabulary.build(captions[::-1], min_count=min_count)


def test_load_hgr_word2int_orders_by_id(tmp_path):
    path = saved(tmp_path, {"dog": 3, "<UNK>": 2, "<BOS>": 0, "<EOS>": 1})
    vocabulary = Vocabulary.load(path)
    assert vocabulary.words == ("<BOS>", "<EOS>", "<UNK>", "dog")
    assert vocabulary.encode(["cat"]) == [2]


def test_load_scan_word2idx(tmp_path):
    ids = {"<pad>": 0, "<start>": 1, "<end>": 2, "<unk>": 3, "dog": 4}
    other = {str(number): word for word, number in ids.items()}
    path = saved(tmp_path, {"word2idx": ids, "idx2word": other, "idx": 5})
    assert Vocabulary.load(path).words == tuple(ids)
    assert Vocabulary.load(path).unknown == "<unk>"


OURS = {
    "format": "graphmatch-vocabulary",
    "version": 1,
    "unknown": "<UNK>",
    "words": ["<UNK>", "a"],
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "in JSON"),
        ("{", "in JSON"),
        ("[" * 100_000, "in JSON"),
        ("[1, 2]", "expected a vocabulary"),
        ("null", "expected a vocabulary"),
        ('"dog"', "expected a vocabulary"),
        ({}, "<UNK>"),
        ({"a": 0, "b": 1}, "<UNK>"),
        ({"<UNK>": 0, "b": 2}, "ids 0 to 1, each once"),
        ({"<UNK>": 0, "b": 0}, "ids 0 to 1, each once"),
        ({"<UNK>": 0, "b": "1"}, "expected a vocabulary"),
        ({"<UNK>": [0]}, "ids 0 to 0"),
        ({**OURS, "version": 2}, "version 1 or older .got 2.; use a newer graphmatch"),
        ({**OURS, "version": "2"}, "expected a vocabulary"),
        ({**OURS, "words": ["<UNK>", "a", "a"]}, "twice"),
        ({**OURS, "words": ["<UNK>", 5]}, "all of them strings"),
        ({**OURS, "words": "<UNK>"}, "all of them strings"),
        ({**OURS, "words": None}, "all of them strings"),
        ({**OURS, "unknown": "b"}, "'b' among"),
        ({**OURS, "unknown": ["a"]}, "expected a vocabulary"),
        ({"format": OURS["format"], "version": 1}, "expected a vocabulary"),
    ],
)
def test_load_refuses_other_files(tmp_path, content, message):
    path = saved(tmp_path, content)
    with pytest.raises(FormatError, match=message) as error:
        Vocabulary.load(path)
    assert str(path) in str(error.value)


def test_load_refuses_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "v.json"
    path.write_bytes(b'{"\xff": 0}')
    with pytest.raises(FormatError, match="in JSON"):
        Vocabulary.load(path)


def test_load_refuses_a_number_that_is_too_long_for_an_id(tmp_path):
    path = saved(tmp_path, '{"<UNK>": ' + "1" * 5000 + "}")
    with pytest.raises(FormatError):
        Vocabulary.load(path)
