from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.datasets.treebank import treebank_words

# what NLTK's tokeniser is known to give
CASES = {
    "hi, my name can't hello,": "hi , my name ca n't hello ,",
    "They'll save and invest more.": "They 'll save and invest more .",
    "Good muffins cost $3.88\nin New York.  Please buy me\ntwo of them.\nThanks.": (
        "Good muffins cost $ 3.88 in New York. Please buy me two of them. Thanks ."
    ),
    "The boy's dog isn't here; it's gone!": "The boy 's dog is n't here ; it 's gone !",
    'He said "stop".': "He said `` stop '' .",
    '("Why?")': "( `` Why ? '' )",
    "the girls' ball": "the girls ' ball",
    "a 1,000-seat hall at 10:30, e.g. this": "a 1,000-seat hall at 10:30 , e.g. this",
    "wait... what -- no": "wait ... what -- no",
    "We cannot go, I'm gonna leave": "We can not go , I 'm gon na leave",
    "gimme that, lemme see, I wanna, you gotta": (
        "gim me that , lem me see , I wan na , you got ta"
    ),
    "'tis the U.S. flag.": "'t is the U.S. flag .",
    "HE'S NOT; THEY'RE, WE'LL, DON'T": "HE 'S NOT ; THEY 'RE , WE 'LL , DO N'T",
    "O'Neil's rock 'n roll": "O'Neil 's rock 'n roll",
    "a {b} <c> [d] 50% #1 @home R&B *": "a { b } < c > [ d ] 50 % # 1 @ home R & B *",
    "he ended it. (really.)": "he ended it. ( really . )",
    "a public men's' room": "a public men 's ' room",
    "''dog'' and ''cat''": "'' dog '' and `` cat ''",
    '`"dog"': "` `` dog ''",
    "wanna-be": "wanna-be",
    "a cannot-do, -gonna": "a can not -do , - gon na",
    "": "",
    " . ": ".",
}


@pytest.mark.parametrize(("text", "words"), CASES.items())
def test_known_splits(text, words):
    assert treebank_words(text) == words.split()


@given(st.text(alphabet="ab '\".,:;-()!?`\n1‘’“”…", max_size=40))
def test_only_quotation_marks_and_spaces_change(text):
    def letters(string):
        return "".join(sign for sign in string if sign not in " \n'\"`")

    words = treebank_words(text)
    assert letters("".join(words)) == letters(text)
    assert all(words)


@given(
    st.lists(st.sampled_from(["a", "dog", "runs", ",", "(", ")", "!", "--", "..."]), max_size=12)
)
def test_words_that_are_split_already_stay(words):
    assert treebank_words(" ".join(words)) == words


@pytest.mark.parametrize("unit", ["'", '"', ".", "a.", ".)", " ", "`", "n't", "- "])
def test_long_texts_take_no_more_than_a_moment(unit):
    started = time.perf_counter()
    treebank_words(unit * 20_000)
    assert time.perf_counter() - started < 1
