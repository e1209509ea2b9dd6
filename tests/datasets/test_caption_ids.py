"""Word ids of captions with their marks."""

from __future__ import annotations

import pytest

from graphmatch.datasets.caption_ids import caption_ids, mark_ids
from graphmatch.errors import ConfigError
from graphmatch.vocab import HGR_SPECIALS, SCAN_SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*SCAN_SPECIALS, "a", "dog", "ca", "n't", "."), "<unk>")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("A DOG can't .", [1, 4, 5, 6, 7, 8, 2]),
        ("  a dog.\n", [1, 4, 5, 8, 2]),
        ("a CAN'T", [1, 4, 6, 7, 2]),
        ("zebra", [1, 3, 2]),
        ("", [1, 2]),
    ],
)
def test_ids(text, ids):
    assert caption_ids(text, VOCABULARY) == ids


def test_marks_have_the_ids_of_the_vocabulary():
    vocabulary = Vocabulary(("a", "<end>", "<unk>", "<start>"), "<unk>")
    assert mark_ids(vocabulary) == (3, 1)
    assert caption_ids("a", vocabulary) == [3, 0, 1]


def test_a_vocabulary_without_marks_is_an_error():
    with pytest.raises(ConfigError, match=r"<start> .* specials=SCAN_SPECIALS"):
        caption_ids("a", Vocabulary(HGR_SPECIALS, "<UNK>"))
