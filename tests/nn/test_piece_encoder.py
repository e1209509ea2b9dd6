"""States of words: batches, marks, limits and what is remembered."""

from __future__ import annotations

import pytest
import torch

from graphmatch.errors import ConfigError
from graphmatch.nn.piece_encoder import PieceConfig, PieceEncoder
from graphmatch.nn.word_encoder import WordEncoder

CONFIG = PieceConfig(pieces=7, longest=3, size=8, layers=2, heads=2, inner=12, positions=9)
NOTHING, START, END, SHORT, LONG = range(5)  # word ids
PIECES = [[], [0], [1], [2], [3, 4, 5]]


def make(*, wrap=True, config=CONFIG):
    torch.manual_seed(0)
    encoder = PieceEncoder(len(PIECES), config, wrap=wrap)
    for row, pieces in enumerate(PIECES):
        encoder.piece[row, : len(pieces)] = torch.tensor(pieces)
    for value in encoder.parameters():
        torch.nn.init.normal_(value, std=0.5)
    return encoder


def encode(encoder, *captions):
    words = torch.tensor([word for caption in captions for word in caption])
    return encoder(words, torch.tensor([0, *map(len, captions)]).cumsum(0))


def test_a_word_is_the_mean_of_its_pieces(assert_close):
    encoder = make()
    found = encode(encoder, [SHORT, LONG])
    text = torch.tensor([[0, 2, 3, 4, 5, 1]])
    states = encoder.norm(encoder.embedding(text) + encoder.position(torch.arange(6)))
    for layer in encoder.layers:
        states = layer(states, torch.ones(1, 6) > 0)
    assert_close(found[0, 0], states[0, 1])
    assert_close(found[0, 1], states[0, 2:5].mean(dim=0))


def test_a_batch_equals_one_by_one(assert_close):
    encoder = make()
    captions = [[SHORT, LONG], [LONG], [SHORT, SHORT, NOTHING, SHORT]]
    found = encode(encoder, *captions)
    for row, caption in enumerate(captions):
        assert_close(found[row, : len(caption)], encode(encoder, caption)[0])
        assert not found[row, len(caption) :].any()
    assert not found[2, 2].any()  # a word without pieces


def test_marks_of_the_caption_are_those_of_the_transformer(assert_close):
    marked = encode(make(wrap=False), [START, SHORT, LONG, END], [START, LONG, END])
    plain = encode(make(), [SHORT, LONG], [LONG])
    assert_close(marked[0, 1:3], plain[0])
    assert_close(marked[1, 1:2], plain[1, :1])


@pytest.mark.parametrize("wrap", [True, False])
def test_words_past_the_last_position_are_zero(wrap, assert_close):
    encoder = make(wrap=wrap)
    found = encode(encoder, [SHORT] * 20, [LONG])
    room = 7 if wrap else 9
    assert found[0].any(dim=1).tolist() == [True] * room + [False] * (20 - room)
    assert_close(found[0, :room], encode(encoder, [SHORT] * room)[0])
    cut = encode(encoder, [SHORT] * (room - 1) + [LONG])  # one of three pieces fits
    assert cut[0, -1].any()


def test_what_is_remembered_is_the_same():
    encoder = make()
    captions = [[SHORT, LONG], [LONG], [SHORT] * 5]
    encoder.remember(torch.tensor(one) for one in captions)
    first = encode(encoder, *captions)
    for row, caption in enumerate(captions):  # to the bit, whatever stands beside it
        assert torch.equal(first[row, : len(caption)], encode(encoder, caption)[0])
    other = encode(encoder, captions[0], [SHORT, SHORT])  # one of them is new
    assert other.shape == (2, 2, 8)
    encoder.forget()
    torch.testing.assert_close(encode(encoder, *captions), first, atol=1e-5, rtol=1e-4)


def test_memory_has_a_limit(assert_close):
    encoder = make()
    encoder.remember([torch.tensor([SHORT, LONG])], most=0)
    assert not encoder._known
    assert encode(encoder, [SHORT, LONG]).shape == (1, 2, 8)
    word = 4 * 8  # bytes
    encoder.remember([torch.tensor([SHORT, LONG])] * 2, most=3 * word)  # twice the same is one
    encoder.remember([torch.tensor([SHORT, SHORT]), torch.tensor([LONG])], most=3 * word)
    assert sum(map(len, encoder._known.values())) == 2  # the second time both would be one too many


def test_states_have_no_gradients_and_are_no_parameters_to_train():
    encoder = WordEncoder(5, word_size=2, hidden=4, cell="linear", pretrained=CONFIG, wrap=False)
    encoder.pieces.piece[3, 0] = 2
    words = encoder(torch.tensor([3, 4]), torch.tensor([0, 2]))
    words.nodes.sum().backward()
    trained = [name for name, value in encoder.named_parameters() if value.grad is not None]
    assert trained == ["embedding.weight", "linear.weight", "linear.bias"]
    assert not encoder.embedding.weight.any()  # so a word that was never seen is its state alone


def test_a_linear_cell_is_a_linear_map(assert_close):
    torch.manual_seed(0)
    encoder = WordEncoder(5, word_size=3, hidden=4, cell="linear")
    words = encoder(torch.tensor([1, 2, 4]), torch.tensor([0, 2, 3]))
    embedded = encoder.embedding.weight
    assert_close(words.nodes[0, 1], encoder.linear.weight @ embedded[2] + encoder.linear.bias)
    assert not words.nodes[1, 1].any()
    assert_close(words.last[0], words.nodes[0].mean(dim=0))
    assert_close(words.last[1], words.nodes[1, 0])


@pytest.mark.parametrize(
    ("field", "value"), [("heads", 3), ("pieces", 1), ("longest", 0), ("positions", 2)]
)
def test_impossible_sizes(field, value):
    with pytest.raises(ConfigError, match=field):
        PieceConfig(**{"pieces": 7, "longest": 3, "size": 8, "heads": 2, field: value})
