"""The stanza adapter on a real stanza pipeline, whose parser is trained here in seconds."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from graphmatch.errors import ConfigError
from graphmatch.parse import Parse
from graphmatch.parsers.conllu import read_conllu, to_conllu
from graphmatch.parsers.roles import role_graph
from graphmatch.parsers.spacy import SpacyParser
from graphmatch.parsers.srl.rules import rule_frames
from graphmatch.parsers.stanza import StanzaParser, parse_from_stanza

NOUNS = ("dog", "cat", "man", "woman", "boy", "girl", "horse", "ball", "park", "bench", "kite")
VERBS = {"rides": "ride", "sees": "see", "holds": "hold", "chases": "chase", "pushes": "push"}
ADJECTIVES = ("red", "small", "big", "young", "wet")
PLACES = ("on", "in", "near", "under")


def phrase(rng, rows, deprel, head, preposition=""):
    """A noun phrase's rows (word, lemma, pos, tag, head, label); heads by row number from 1."""
    at = len(rows) + 2 + bool(preposition)
    if preposition:
        rows.append(
            (preposition, preposition, "ADP", "IN", at + (adjective := rng.random() < 0.5), "case")
        )
    else:
        adjective = rng.random() < 0.5
    noun = at + adjective
    rows.append(("a", "a", "DET", "DT", noun, "det"))
    if adjective:
        word = rng.choice(ADJECTIVES)
        rows.append((word, word, "ADJ", "JJ", noun, "amod"))
    word = rng.choice(NOUNS)
    rows.append((word, word, "NOUN", "NN", head, deprel))
    return noun


def sentence(rng):
    """A caption with its tree: a big dog chases a cat near a bench ."""
    rows: list[tuple] = []
    subject = phrase(rng, rows, "nsubj", 0)
    verb = rng.choice(sorted(VERBS))
    place = len(rows) + 1
    rows[subject - 1] = (*rows[subject - 1][:4], place, "nsubj")
    rows.append((verb, VERBS[verb], "VERB", "VBZ", 0, "root"))
    phrase(rng, rows, "obj", place)
    if rng.random() < 0.6:
        phrase(rng, rows, "obl", place, rng.choice(PLACES))
    rows.append((".", ".", "PUNCT", ".", place, "punct"))
    words, lemmas, pos, tags, heads, deprels = zip(*rows, strict=True)
    return Parse.from_tree(
        words, lemmas=lemmas, pos=pos, tags=tags, heads=[h - 1 for h in heads], deprels=deprels
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with a parser that stanza has trained on 400 captions of a small grammar."""
    rng = random.Random(7)
    path = tmp_path_factory.mktemp("stanza")
    for name, count in (("train", 400), ("dev", 40)):
        text = "".join(to_conllu(sentence(rng)) for _ in range(count))
        (path / f"{name}.conllu").write_text(text, encoding="utf-8")
    models = path / "models"
    options = f"""
        --mode train --lang en --shorthand en_tiny --no_pretrain --no_char --device cpu
        --max_steps 150 --eval_interval 40 --batch_size 300 --num_layers 1 --hidden_dim 48
        --deep_biaff_hidden_dim 48 --deep_biaff_output_dim 48 --word_emb_dim 32
        --transformed_dim 32 --tag_emb_dim 16 --no_checkpoint
        --train_file {path}/train.conllu --eval_file {path}/dev.conllu
        --save_dir {models} --save_name tiny.pt
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "stanza.models.parser", *options.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return models


@pytest.fixture(scope="session")
def stanza_parser(folder):
    return StanzaParser(folder)


@pytest.mark.slow
def test_stanza_finds_the_trees_of_new_captions(stanza_parser):
    rng = random.Random(99)
    gold = [sentence(rng) for _ in range(60)]
    parses = list(stanza_parser.pipe([parse.text for parse in gold], batch_size=16))
    assert [parse.words for parse in parses] == [parse.words for parse in gold]
    heads = [
        (a == b, c == d)
        for found, true in zip(parses, gold, strict=True)
        for a, b, c, d in zip(found.heads, true.heads, found.deprels, true.deprels, strict=True)
    ]
    assert sum(head for head, _ in heads) / len(heads) > 0.9
    assert sum(head and label for head, label in heads) / len(heads) > 0.85
    ruled = [parse.with_frames(rule_frames(parse)) for parse in gold]
    same = [role_graph(a) == role_graph(b) for a, b in zip(parses, ruled, strict=True)]
    assert sum(same) > 20  # the tags are spaCy's, so some of these odd captions have no verb


@pytest.mark.slow
def test_stanza_batches_equal_one_by_one(stanza_parser):
    texts = [
        "a dog chases a cat .",
        "",
        "a man sees a boat . a boy holds a ball .",
        "A DOG RIDES A HORSE .",
    ]
    together = list(stanza_parser.pipe(texts))
    assert together == [stanza_parser.parse(text) for text in texts]
    assert len(together[1]) == 0
    assert max(together[2].sentences) == 1
    assert together[3].words[:2] == ("A", "DOG")
    assert together[3].heads == stanza_parser.parse("a dog rides a horse .").heads


@pytest.mark.slow
def test_stanza_pickles_as_its_configuration(stanza_parser):
    import pickle

    stanza_parser.parse("a dog chases a cat .")
    copy = pickle.loads(pickle.dumps(stanza_parser))
    assert copy.parse("a man rides a horse .") == stanza_parser.parse("a man rides a horse .")
    assert "tiny.pt" in copy.version
    assert "spacy" in copy.version


@pytest.mark.slow
def test_equal_trees_give_equal_parses_from_every_adapter(tmp_path):
    from stanza.utils.conll import CoNLL

    rng = random.Random(3)
    for number in range(20):
        parse = sentence(rng)
        path = tmp_path / f"{number}.conllu"
        path.write_text(to_conllu(parse), encoding="utf-8")
        assert [caption.parse for caption in read_conllu(path)] == [parse]
        document = CoNLL.conll2doc(input_str=to_conllu(parse))
        assert parse_from_stanza(document, parse.text) == parse


def test_stanza_without_models_says_what_it_needs(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        StanzaParser(tmp_path / "none").parse("a dog")
    with pytest.raises(ConfigError, match="one model of its parser"):
        StanzaParser(tmp_path).parse("a dog")
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="cannot load"):
        StanzaParser(tmp_path, tagger=SpacyParser()).parse("a dog")
