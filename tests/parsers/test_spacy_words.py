"""What is remembered of words is what spaCy says of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from spacy.attrs import DEP, LEMMA, POS, TAG

from graphmatch.parsers.spacy import load_pipeline
from graphmatch.parsers.spacy_words import WordMemory

SAMPLES = Path(__file__).resolve().parents[2] / "datasets" / "samples" / "captions.txt"
TOGETHER = [  # patterns of two words decide
    "There is a dog .", "The dog is there .", "Is there a man ?", "They 're gonna go .",
    "I gotta run .", "Let 's go", "Let the dog go 's", "y'all come on", "ain't it",
    "There 's a cat and it 's black", "He is but a man", "You see it and it sees you",
]  # fmt: skip


@pytest.fixture(scope="module")
def nlp():
    return load_pipeline("en_core_web_sm")


def same_as_spacy(nlp, memory, texts):
    plain = nlp.pipe(texts, batch_size=64)
    bare = nlp.pipe(texts, batch_size=64, disable=memory.skipped)
    for some in (list(islice(bare, 50)) for _ in range(0, len(texts), 50)):
        for rows, one in zip(memory.read(some), plain, strict=False):
            assert rows == one.to_array([TAG, DEP, POS, LEMMA]).tolist(), one.text
    assert next(plain, None) is None


def test_memory_gives_what_the_pipeline_gives(nlp):
    memory = WordMemory(nlp)
    assert memory.skipped == ["attribute_ruler", "lemmatizer"]
    texts = [*SAMPLES.read_text().splitlines(), *TOGETHER]
    for _ in range(2):  # the second time from memory
        same_as_spacy(nlp, memory, texts)
        same_as_spacy(nlp, memory, [text.upper() for text in TOGETHER])
    assert len(memory._known) > 500


def test_memory_runs_captions_that_it_knows_nothing_new_about(nlp):
    memory = WordMemory(nlp)
    same_as_spacy(nlp, memory, ["A dog runs"])
    memory._components = [None]  # running one would fail
    same_as_spacy(nlp, memory, ["A dog runs"])


def test_memory_is_not_used_where_a_pattern_asks_for_more(nlp):
    ruler = nlp.get_pipe("attribute_ruler")
    other = load_pipeline("en_core_web_sm")
    other.get_pipe("attribute_ruler").add(patterns=[[{"MORPH": "x"}]], attrs={"POS": "X"})
    assert len(other.get_pipe("attribute_ruler").patterns) == len(ruler.patterns) + 1
    memory = WordMemory(other)
    assert memory.skipped == []
    same_as_spacy(other, memory, TOGETHER)


@pytest.mark.slow
def test_memory_gives_what_the_pipeline_gives_on_real_captions(nlp, data):
    from graphmatch.datasets.captions import read_captions

    path = data / "coco_val2017" / "captions_val2017.json.gz"
    texts = [" ".join(caption.text.split()) for caption in islice(read_captions(path), 3000)]
    same_as_spacy(nlp, WordMemory(nlp), texts)
