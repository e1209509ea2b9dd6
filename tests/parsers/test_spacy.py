from __future__ import annotations

import pickle
import time
import unicodedata

import pytest
import spacy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, ParseError
from graphmatch.parse import Frame, Parse
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.normalise import normalise
from graphmatch.parsers.roles import role_graph
from graphmatch.parsers.spacy import SpacyParser, load_pipeline

CAPTIONS = [
    "A dog runs.",
    "",
    "Two men in red hats are playing the guitar on a bench.",
    "There are three people standing near a large white boat.",
    "It rains. Dogs sleep! Cats do not.",
    "...",
    "A WOMAN SLICES ORANGES IN THE KITCHEN",
    "a chef pours oil into the pan and stirs the vegetables",
    "🐶🎾 !!!",
    "  The\tcat\u00a0is on   the mat. ",
]
ODD = "aB .'\u0301\u200d\u200b\u00a0\t\n\x07é한İß🐶🏽\ufe0f\u1112\u1161\u11abH\u0331-,1"


def same_graphs(first, second):
    return role_graph(first) == role_graph(second) and (
        dependency_graph(first) == dependency_graph(second)
    )


# what comes out


def test_parse_of_a_sentence(parser):
    parse = parser.parse("The cat is sitting on a mat.")
    assert parse.words == ("The", "cat", "is", "sitting", "on", "a", "mat", ".")
    assert parse.lemmas == ("the", "cat", "be", "sit", "on", "a", "mat", ".")
    assert parse.pos == ("DET", "NOUN", "AUX", "VERB", "ADP", "DET", "NOUN", "PUNCT")
    assert parse.tags == ("DT", "NN", "VBZ", "VBG", "IN", "DT", "NN", ".")
    assert parse.heads == (1, 3, 3, -1, 6, 6, 3, 3)
    assert parse.deprels == ("det", "nsubj", "aux", "root", "case", "det", "obl", "punct")
    assert parse.offsets[:3] == ((0, 3), (4, 7), (8, 10))
    assert [frame.verb for frame in parse.frames] == [(3,)]


def test_sentences_are_those_of_the_pipeline(parser):
    text = "It rains. Dogs sleep! Cats do not. Yes"
    doc = load_pipeline("en_core_web_sm")(text)
    expected = [number for number, sentence in enumerate(doc.sents) for _ in sentence]
    parse = parser.parse(text)
    assert parse.sentences == tuple(expected)
    assert parse.heads.count(-1) == expected[-1] + 1


def test_frames_are_made_by_the_function_given():
    def first_word(parse):
        return (Frame((0,)),)

    parser = SpacyParser(frames=first_word)
    assert parser.parse("A dog runs.").frames == (Frame((0,)),)


def test_version_names_tool_and_model(parser):
    assert parser.name == "spacy"
    assert parser.version.startswith(f"spacy {spacy.__version__}, en_core_web_sm")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("   \t\n ", ()),
        ("\u200b\ufeff", ()),
        ("...", ("...",)),
        ("🐶🎾 !!!", ("🐶", "🎾", "!", "!", "!")),
        ("dog", ("dog",)),
        ("7 9", ("7", "9")),
    ],
)
def test_text_without_a_sentence_is_no_error(parser, text, words):
    parse = parser.parse(text)
    assert (parse.words, parse.text, parse.frames) == (words, text, ())
    graph = role_graph(parse)
    assert graph.words_of(0) == tuple(range(len(words)))
    assert "V" not in graph.role


@pytest.mark.parametrize(
    "text",
    ["Ein Hund läuft über die Wiese .", "一只狗在草地上奔跑", "كلب يركض في الحديقة .", "&lt;b&gt;"],
)
def test_other_languages_are_no_error(parser, text):
    parse = parser.parse(text)
    assert [text[start:end] for start, end in parse.offsets] == list(parse.words)


def test_very_long_text_is_parsed_in_proportion(parser):
    count = 5000
    start = time.perf_counter()
    parse = parser.parse("a dog chases its tail . " * (count // 6) + "dog dog")
    assert time.perf_counter() - start < 20
    assert len(parse) == count
    assert len(role_graph(parse)) > count // 6


def test_long_compound_is_parsed(parser):
    assert len(parser.parse("dog " * 300)) == 300


# offsets


@given(st.text(max_size=20) | st.text(st.sampled_from(ODD), max_size=20))
@example("Ḇ🌀\u0300")
@example("B\u0331🌀\u0300")
@example("H\u0331 0")  # lower case is one character, capitals are two
@example("THE D\u200bOG RUNS CAFE\u0301")
@example("e\u200d\u0301 \u1112\u1161\u11ab x")
@settings(deadline=None, max_examples=120)
def test_offsets_point_at_the_words_in_the_original_text(parser, text):
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(ParseError, match="surrogate"):
            parser.parse(text)
        return
    parse = parser.parse(text)
    clean, _ = normalise(text)
    assert parse.text == text
    joined = unicodedata.normalize("NFC", "".join(parse.words).lower())
    assert joined == unicodedata.normalize("NFC", clean.replace(" ", "").lower())
    for word, (start, end) in zip(parse.words, parse.offsets, strict=True):
        piece = text[start:end]
        assert piece
        assert piece == piece.strip()
        assert word in normalise(piece)[0]  # marks may lie in the span of their letter


def test_offsets_by_hand(parser):
    text = "  Ｔhe\u00a0cafe\u0301's\u200b dog\n runs 🐶."
    parse = parser.parse(text)
    pieces = [text[start:end] for start, end in parse.offsets]
    assert pieces == ["Ｔhe", "cafe\u0301", "'s", "dog", "runs", "🐶", "."]
    assert parse.words == ("Ｔhe", "café", "'s", "dog", "runs", "🐶", ".")


# capitals


@pytest.mark.parametrize(
    "text",
    [
        "a dog catches a frisbee in the park",
        "two men are playing guitar on a bench",
        "a woman slices oranges in the kitchen.",
        "the cat is on the mat",
    ],
)
def test_capitals_give_the_graphs_of_small_letters(parser, text):
    shouted = parser.parse(text.upper())
    assert same_graphs(shouted, parser.parse(text))
    assert "".join(shouted.words) == text.upper().replace(" ", "")
    words = text.upper().split()
    assert parser.parse_words(words).heads == parser.parse_words(text.split()).heads
    assert parser.parse_words(words).words == tuple(words)


def test_capitals_with_invisible_characters_show_clean_words(parser):
    parse = parser.parse("THE D\u200bOG EATS CAFE\u0301")
    assert parse.words == ("THE", "DOG", "EATS", "CAFÉ")


# many captions


def test_pipe_equals_one_by_one(parser):
    expected = [parser.parse(text) for text in CAPTIONS]
    for batch_size in (1, 3, 128):
        assert list(parser.pipe(CAPTIONS, batch_size=batch_size)) == expected
    assert list(parser.pipe(CAPTIONS[::-1])) == expected[::-1]
    assert list(parser.pipe([])) == []


def test_pipe_reads_a_batch_at_a_time(parser):
    read = []

    def captions():
        for number in range(100):
            read.append(number)
            yield f"dog number {number}"

    parses = parser.pipe(captions(), batch_size=4)
    assert read == []
    for number in range(9):
        assert next(parses).words[-1] == str(number)
        assert len(read) == number // 4 * 4 + 4


# given words


@given(st.lists(st.text(st.sampled_from("aB.'é🐶1-"), min_size=1, max_size=5), max_size=8))
@settings(deadline=None, max_examples=40)
def test_given_words_are_kept(parser, words):
    parse = parser.parse_words(words)
    assert parse.words == tuple(words)
    assert parse.text == " ".join(words)
    assert [parse.text[start:end] for start, end in parse.offsets] == words


def test_given_words_keep_their_split(parser):
    parse = parser.parse_words(["don't", "touch", "the", "dog's-toy", "!?"])
    assert len(parse) == 5
    assert parse.deprels[3] == "obj"


@pytest.mark.parametrize("words", [["a", ""], [" "], ["a", "\u00a0"]])
def test_blank_words_are_refused(parser, words):
    with pytest.raises(ParseError, match="words that are not blank"):
        parser.parse_words(words)


# what can go wrong


def test_lone_surrogate_is_refused(parser):
    for call in (parser.parse, lambda text: parser.parse_words(text.split())):
        with pytest.raises(ParseError, match="half a surrogate pair at character 2"):
            call("a \ud800 b")


def test_text_past_the_limit_of_the_pipeline_is_refused(parser):
    with pytest.raises(ParseError, match="at most 1,000,000 characters"):
        parser.parse("dog " * 250_001)


def test_missing_model_is_refused_with_the_names_that_were_tried():
    broken = SpacyParser("en_core_web_huge")
    with pytest.raises(ConfigError, match=r"looked for en_core_web_huge\); .*pip install"):
        broken.parse("a dog")
    with pytest.raises(ConfigError, match="en_core_web_huge"):
        list(broken.pipe(["a dog"]))


def test_model_without_a_parser_is_refused(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ConfigError, match="pipeline with a parser"):
        SpacyParser(str(tmp_path / "blank")).parse("a dog")


def test_model_in_a_folder_is_loaded(parser, tmp_path):
    load_pipeline("en_core_web_sm").to_disk(tmp_path / "model")
    again = SpacyParser(str(tmp_path / "model"))
    assert again.parse(CAPTIONS[2]) == parser.parse(CAPTIONS[2])


def test_parser_pickles_as_its_configuration_alone(parser):
    parser.parse("A dog runs.")
    packed = pickle.dumps(parser)
    assert len(packed) < 1000
    again = pickle.loads(packed)
    assert again == parser
    assert again.parse(CAPTIONS[2]) == parser.parse(CAPTIONS[2])


def test_any_parse_is_a_valid_parse(parser):
    for parse in parser.pipe(CAPTIONS):
        again = Parse(**{name: getattr(parse, name) for name in Parse.__slots__})
        assert again == parse
