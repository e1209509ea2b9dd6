"""CoNLL-U: what is written comes back, damaged sentences are named, captions are looked up."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import FormatError, ParseError
from graphmatch.parse import Parse, find_offsets
from graphmatch.parsers.conllu import read_conllu, to_conllu
from graphmatch.parsers.conllu_parser import ConlluParser
from graphmatch.parsers.srl.rules import rule_frames

LABELS = ("nsubj", "obj", "obl", "nmod:poss", "acl:relcl", "conj", "punct")


def row(number, form, head, deprel="dep", *, lemma="_", pos="_", tag="_", misc="_"):
    """One line of ten columns."""
    cells = (str(number), form, lemma, pos, tag, "_", str(head), deprel, "_", misc)
    return "\t".join(cells) + "\n"


@pytest.fixture
def read(tmp_path):
    def captions(content):
        path = tmp_path / "captions.conllu"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_conllu(path))

    return captions


@pytest.fixture
def parse_one(read):
    def parse(content):
        (caption,) = read(content)
        assert caption.error is None
        return caption.parse

    return parse


@st.composite
def parses(draw):
    """A parse with any tree in one to three sentences, its words joined by spaces."""
    letters = st.characters(codec="utf-8", exclude_categories=("Z", "C"))
    form = st.text(letters, min_size=1, max_size=4).filter(lambda word: word != "_")
    words, heads, sentences = [], [], []
    for sentence in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 6))
        # an order in which every word's head comes before it: any forest, never a cycle
        order = draw(st.permutations(range(count)))
        head = [0] * count
        for place, token in enumerate(order):
            chosen = draw(st.integers(-1, place - 1)) if place else -1
            head[token] = -1 if chosen < 0 else len(words) + order[chosen]
        heads.extend(head)
        sentences.extend([sentence] * count)
        words.extend(draw(st.lists(form, min_size=count, max_size=count)))
    count = len(words)
    column = {"min_size": count, "max_size": count}
    return Parse.from_tree(
        words,
        heads=heads,
        deprels=draw(st.lists(st.sampled_from(LABELS), **column)),
        pos=draw(st.lists(st.sampled_from(("NOUN", "VERB", "X")), **column)),
        tags=draw(st.lists(st.sampled_from(("NN", "VBZ", "")), **column)),
        lemmas=draw(st.lists(form, **column)),
        sentences=sentences,
    )


# what is written comes back


@settings(max_examples=80, deadline=None)
@given(parse=parses())
def test_a_written_parse_comes_back_equal(tmp_path_factory, parse):
    path = tmp_path_factory.mktemp("round") / "a.conllu"
    path.write_text(to_conllu(parse, "caption 1"), encoding="utf-8")
    (caption,) = read_conllu(path)
    assert caption.id == "caption 1"
    assert caption.parse == parse


@settings(max_examples=30, deadline=None)
@given(several=st.lists(parses(), min_size=2, max_size=4))
def test_captions_stay_apart_and_in_order(tmp_path_factory, several):
    path = tmp_path_factory.mktemp("order") / "a.conllu"
    text = "".join(to_conllu(parse, str(place)) for place, parse in enumerate(several))
    path.write_text(text, encoding="utf-8")
    captions = list(read_conllu(path))
    assert [caption.id for caption in captions] == [str(n) for n in range(len(several))]
    assert [caption.parse for caption in captions] == several


def test_a_spacy_parse_comes_back_equal(parser, parse_one):
    parse = parser.parse("Two dogs \U0001f415 don't run. They sleep on the café's mat!")
    assert max(parse.sentences) == 1
    assert parse_one(to_conllu(parse, "7")) == parse.with_frames(())


def test_writing_gives_ten_columns_and_heads_by_sentence():
    parse = Parse.from_tree(
        ["dogs", "run", "stop"],
        heads=[1, -1, -1],
        deprels=["nsubj", "root", "root"],
        sentences=[0, 0, 1],
    )
    lines = to_conllu(parse, "7").split("\n")
    assert lines[:3] == ["# caption_id = 7", "# caption_sentence = 1", "# text = dogs run stop"]
    cells = [line.split("\t") for line in lines if line and line[0] != "#"]
    assert [(len(c), c[0], c[1], c[6]) for c in cells] == [
        (10, "1", "dogs", "2"),
        (10, "2", "run", "0"),
        (10, "1", "stop", "0"),
    ]
    assert lines.count("") == 3  # one after each sentence, one after the last line end


def test_line_ends_and_tabs_in_a_caption_do_not_break_the_table():
    parse = Parse.from_tree(["a\tb"], heads=[-1], deprels=["root"], text="a\tb\n# text = no")
    lines = to_conllu(parse, "x\ny").splitlines()
    assert len(lines) == 5
    assert len(lines[3].split("\t")) == 10


# reading


def test_a_hand_written_caption_is_read_as_it_stands(parse_one):
    parse = parse_one(
        "# text = A dog runs.\n"
        + row(1, "A", 2, "det", lemma="a", pos="DET", tag="DT")
        + row(2, "dog", 3, "nsubj", lemma="dog", pos="NOUN", tag="NN")
        + row(3, "runs", 0, "root", lemma="run", pos="VERB", tag="VBZ", misc="SpaceAfter=No")
        + row(4, ".", 3, "punct", lemma=".", pos="PUNCT", tag=".")
    )
    assert parse == Parse(
        text="A dog runs.",
        words=("A", "dog", "runs", "."),
        lemmas=("a", "dog", "run", "."),
        pos=("DET", "NOUN", "VERB", "PUNCT"),
        tags=("DT", "NN", "VBZ", "."),
        heads=(1, 2, -1, 2),
        deprels=("det", "nsubj", "root", "punct"),
        offsets=((0, 1), (2, 5), (6, 10), (10, 11)),
        sentences=(0, 0, 0, 0),
    )


def test_missing_values_are_filled_in(parse_one):
    parse = parse_one(
        row(1, "Dogs", 2, "nsubj", tag="NNS") + row(2, "is", 0, "_") + row(3, "_", 2, lemma="_")
    )
    assert parse.lemmas == ("dogs", "is", "_")
    assert parse.pos == ("NOUN", "X", "X")
    assert parse.deprels == ("nsubj", "dep", "dep")


def test_ranges_and_empty_nodes_are_no_words(parse_one):
    parse = parse_one(
        "# text = don't\n"
        + row("1-2", "don't", "_", "_")
        + row(1, "do", 2, "aux")
        + row(2, "n't", 0, "root")
        + row("2.1", "see", "_", "_")
    )
    assert parse.words == ("do", "n't")
    assert parse.heads == (1, -1)
    assert parse.offsets == ((0, 2), (2, 5))


def test_the_text_is_made_of_the_words_where_it_is_not_given(parse_one):
    content = row(1, "a", 0, misc="SpaceAfter=No") + row(2, "-", 1, misc="X=Y|SpaceAfter=No")
    assert parse_one(content + row(3, "b", 1) + row(4, "c", 1)).text == "a-b c"


def test_sentences_of_one_caption_are_joined(parse_one):
    parse = parse_one(
        "# caption_id = 1\n# text = A dog.\n"
        + row(1, "A", 2)
        + row(2, "dog", 0, misc="SpaceAfter=No")
        + row(3, ".", 2)
        + "\n# caption_id = 1\n# text = A cat.\n"
        + row(1, "A", 2)
        + row(2, "cat", 0)
        + row(3, ".", 2)
    )
    assert parse.text == "A dog. A cat."
    assert parse.sentences == (0, 0, 0, 1, 1, 1)
    assert parse.heads == (1, -1, 1, 4, -1, 4)
    assert [parse.text[start:end] for start, end in parse.offsets] == list(parse.words)


def test_sentences_without_an_id_are_captions_named_by_their_line(read):
    captions = read(row(1, "a", 0) + "\n" + row(1, "b", 0))
    assert [caption.id for caption in captions] == ["line-1", "line-3"]


def test_byte_order_mark_and_windows_line_ends_do_not_matter(read):
    content = "# text = a b\n" + row(1, "a", 0) + row(2, "b", 1) + "\n" + row(1, "c", 0)
    windows = b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode()
    assert read(windows) == read(content)


def test_a_file_without_sentences_has_no_captions(read):
    assert read("") == read("\n\n# text = nothing\n\n") == []


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (row(1, "a", 2) + row(2, "b", 1), "cycle"),
        (row(1, "a", 1), "cycle"),
        (row(1, "a", 9), r"head in \[0, 1\]"),
        (row(1, "a", -1), "number of a head"),
        (row(1, "a", "x"), "number of a head"),
        (row(1, "a", "_"), "number of a head"),
        (row(1, "a", "²"), "number of a head"),
        (row(1, "a", "9" * 5000), "number of a head"),
        (row(2, "a", 0), "word number 1"),
        (row(1, "a", 0) + row(1, "b", 1), "word number 2"),
        ("1\ta\ta\n", "10 columns"),
        (row(1, "a", 0).replace("\t", "  "), "10 columns"),
    ],
)
def test_a_damaged_sentence_is_named_and_stops_nothing(read, sentence, message):
    first, damaged, last = read(row(1, "a", 0) + "\n" + sentence + "\n" + row(1, "b", 0))
    assert first.error is None
    assert last.parse.words == ("b",)
    assert damaged.parse is None
    with pytest.raises(ParseError, match=message):
        raise ParseError(damaged.error)
    assert "line 3" in damaged.error


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        list(read_conllu(tmp_path / "none.conllu"))
    path = tmp_path / "latin.conllu"
    path.write_bytes(row(1, "caf\xe9", 0).encode("latin-1"))
    assert "UTF-8" in next(read_conllu(path)).error


def test_a_chain_of_thousands_of_words_is_read(parse_one):
    count = 20_000
    parse = parse_one("".join(row(n, "a", n - 1) for n in range(1, count + 1)))
    assert parse.heads == (-1, *range(count - 1))


# captions looked up


@pytest.fixture
def file(tmp_path):
    parse = Parse.from_tree(
        ["A", "dog", "chases", "cats"],
        heads=[1, 2, -1, 2],
        deprels=["det", "nsubj", "root", "obj"],
        pos=["DET", "NOUN", "VERB", "NOUN"],
        tags=["DT", "NN", "VBZ", "NNS"],
        lemmas=["a", "dog", "chase", "cat"],
    )
    path = tmp_path / "captions.conllu"
    text = to_conllu(parse, "1") + "\n# text = bad\n" + row(1, "bad", 7)
    path.write_text(text, encoding="utf-8")
    return path, parse


def test_a_caption_is_found_by_its_text_and_gets_frames(file):
    path, parse = file
    found = ConlluParser(path).parse(parse.text)
    assert found == parse.with_frames(rule_frames(parse))
    assert [argument.role for argument in found.frames[0].arguments] == ["ARG0", "ARG1"]


def test_white_space_does_not_matter_and_offsets_follow_the_given_text(file):
    path, parse = file
    text = "  A\u00a0dog \t chases\u200b cats\n"
    found = ConlluParser(path).parse(text)
    assert found.text == text
    assert [text[start:end] for start, end in found.offsets] == list(parse.words)
    assert found.heads == parse.heads


def test_a_caption_that_is_not_there_is_an_error(file):
    parser = ConlluParser(file[0])
    for text in ("a cat", "bad"):
        with pytest.raises(ParseError, match="no caption with this text"):
            parser.parse(text)
    assert len(parser.parse(" \n")) == 0


def test_pipe_is_lazy_and_in_order(file):
    path, parse = file
    pipe = ConlluParser(path).pipe(iter([parse.text, "", "not there"]))
    assert [len(next(pipe)), len(next(pipe))] == [4, 0]
    with pytest.raises(ParseError):
        next(pipe)


def test_frames_of_another_function_are_used(file):
    path, parse = file
    assert ConlluParser(path, frames=lambda _: ()).parse(parse.text).frames == ()


def test_the_parser_pickles_as_its_configuration(file):
    path, parse = file
    parser = ConlluParser(path)
    parser.parse(parse.text)
    content = pickle.dumps(parser)
    assert b"chases" not in content
    assert pickle.loads(content).parse(parse.text) == parser.parse(parse.text)


def test_the_version_changes_with_the_file(file):
    path, _ = file
    parser = ConlluParser(path)
    before = parser.version
    assert parser.version == before
    path.write_text(path.read_text() + "\n" + row(1, "more", 0))
    assert parser.version != before
    with pytest.raises(FormatError, match="no such file"):
        _ = ConlluParser(path.with_name("none")).version


def test_a_text_with_line_ends_comes_back_equal(parse_one):
    parse = Parse.from_tree(["a", "dog"], heads=[1, -1], deprels=["det", "root"], text="a\tdog\n")
    assert parse_one(to_conllu(parse, "1")) == parse


def test_words_that_differ_from_the_text_keep_their_offsets(parse_one):
    text = "cafe\u0301 a"  # the accent is a character of its own, the word is composed
    parse = Parse.from_tree(["café", "a"], heads=[-1, 0], deprels=["root", "dep"], text=text)
    parse = replace(parse, offsets=((0, 5), (6, 7)))
    assert find_offsets(text, parse.words) != parse.offsets
    assert parse_one(to_conllu(parse, "1")) == parse


def test_sentences_written_without_an_id_stay_together(parse_one):
    parse = Parse.from_tree(["a", "b"], heads=[-1, -1], deprels=["root", "root"], sentences=[0, 1])
    assert parse_one(to_conllu(parse)) == parse


def test_the_text_of_a_range_is_its_surface_form(parse_one):
    content = row("1-2", "don't", "_", "_") + row(1, "do", 2) + row(2, "n't", 0)
    assert parse_one(content).text == "don't"


def test_words_of_a_range_lie_inside_it(parse_one):
    parse = parse_one(
        "# text = du chat le\n"
        + row("1-2", "du", "_", "_")
        + row(1, "de", 3)
        + row(2, "le", 3)
        + row(3, "chat", 0)
        + row(4, "le", 3)
    )
    assert parse.offsets[2:] == ((3, 7), (8, 10))
    assert all(start >= 0 and end <= 2 for start, end in parse.offsets[:2])


def test_a_caption_in_capitals_has_offsets(tmp_path):
    parse = Parse.from_tree(["a", "dog"], heads=[1, -1], deprels=["det", "root"])
    path = tmp_path / "a.conllu"
    path.write_text(to_conllu(parse), encoding="utf-8")
    assert ConlluParser(path).parse("A DOG").offsets == ((0, 1), (2, 5))


def test_a_bad_byte_damages_one_sentence_only(read):
    content = row(1, "a", 0) + "\n" + row(1, "\xff", 0) + "\n" + row(1, "b", 0)
    captions = read(content.encode("latin-1"))
    assert [caption.error is None for caption in captions] == [True, False, True]


def test_an_empty_form_is_an_error(read):
    assert read(row(1, "", 0))[0].error is not None
