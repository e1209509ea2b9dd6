"""The recurrent word encoder against cells written out."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.autograd import gradcheck

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.word_encoder import WordEncoder

WORD = torch.tensor([3, 1, 4, 1, 5, 2])
PTR = torch.tensor([0, 3, 4, 6])  # three captions, one of one word


def gru(x, state, weights):
    """Source: torch's documentation of GRU; gates are reset, update, new."""
    from_input = weights["weight_ih"] @ x + weights["bias_ih"]
    from_state = weights["weight_hh"] @ state[0] + weights["bias_hh"]
    (ir, iz, i_n), (hr, hz, hn) = from_input.chunk(3), from_state.chunk(3)
    update = torch.sigmoid(iz + hz)
    new = torch.tanh(i_n + torch.sigmoid(ir + hr) * hn)
    return ((1 - update) * new + update * state[0],)


def lstm(x, state, weights):
    """Gates are input, forget, cell, output."""
    gates = weights["weight_ih"] @ x + weights["bias_ih"]
    gates = gates + weights["weight_hh"] @ state[0] + weights["bias_hh"]
    i, f, g, o = gates.chunk(4)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def read(encoder, ids, *, cell, backwards):
    """States of one direction, in the order of the words, and the last one that was reached."""
    end = "_l0_reverse" if backwards else "_l0"
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = {name: getattr(encoder.rnn, name + end) for name in names}
    state = (torch.zeros(encoder.rnn.hidden_size, dtype=torch.float64),) * 2
    states = []
    for number in reversed(ids) if backwards else ids:
        state = cell(encoder.embedding.weight[number], state, weights)
        states.append(state[0])
    return states[::-1] if backwards else states, states[-1]


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("name", "cell"), [("gru", gru), ("lstm", lstm)])
def test_encoder_equals_cells_written_out(name, cell, bidirectional, assert_close):
    torch.manual_seed(0)
    encoder = WordEncoder(6, word_size=3, hidden=4, cell=name, bidirectional=bidirectional).double()
    words = encoder(WORD, PTR)
    assert words.mask.sum(dim=1).tolist() == [3, 1, 2]
    assert not words.nodes[~words.mask].any()
    for number, (start, end) in enumerate(pairwise(PTR.tolist())):
        ids = WORD[start:end].tolist()
        ways = [
            read(encoder, ids, cell=cell, backwards=backwards)
            for backwards in ((False, True) if bidirectional else (False,))
        ]
        expected = torch.stack([torch.stack(states) for states, _ in ways]).mean(dim=0)
        assert_close(words.nodes[number, : len(ids)], expected, "float64")
        last = torch.stack([final for _, final in ways]).mean(dim=0)
        assert_close(words.last[number], last, "float64")


def test_a_batch_equals_its_captions_one_by_one(assert_close):
    encoder = WordEncoder(6, word_size=3, hidden=4)
    words = encoder(WORD, PTR)
    for number, (start, end) in enumerate(pairwise(PTR.tolist())):
        alone = encoder(WORD[start:end], torch.tensor([0, end - start]))
        assert_close(words.nodes[number, : end - start], alone.nodes[0])
        assert_close(words.last[number], alone.last[0])


def test_gradients():
    torch.manual_seed(0)
    encoder = WordEncoder(6, word_size=2, hidden=2).double()

    def nodes(embedding):
        parameters = {"embedding.weight": embedding}
        words = torch.func.functional_call(encoder, parameters, (WORD, PTR))
        return words.nodes, words.last

    assert gradcheck(nodes, (encoder.embedding.weight.detach().clone().requires_grad_(),))


def test_dropout_is_of_embedded_words_in_training_only():
    encoder = WordEncoder(6, word_size=50, hidden=4, dropout=0.5)
    same = encoder.eval()(WORD, PTR).nodes, encoder(WORD, PTR).nodes
    assert torch.equal(*same)
    encoder.train()
    assert not torch.equal(encoder(WORD, PTR).nodes, encoder(WORD, PTR).nodes)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_layers_read_each_other(cell):
    encoder = WordEncoder(6, word_size=2, hidden=3, layers=2, cell=cell).eval()
    words = encoder(torch.tensor([1, 2, 4, 3]), torch.tensor([0, 3, 4]))
    for caption, ids in enumerate(([1, 2, 4], [3])):
        states, final = encoder.rnn(encoder.embedding(torch.tensor(ids)))
        final = final[0] if cell == "lstm" else final
        expected = (states[:, :3] + states[:, 3:]) / 2
        torch.testing.assert_close(words.nodes[caption, : len(ids)], expected)
        torch.testing.assert_close(words.last[caption], (final[2] + final[3]) / 2)


def test_embedding_starts_within_its_bound():
    weight = WordEncoder(50, word_size=20, hidden=2, embedding_bound=0.05).embedding.weight.detach()
    assert 0.04 < float(weight.abs().max()) <= 0.05


@pytest.mark.parametrize(
    ("word", "ptr", "message"),
    [
        ([1, 2], [0, 2, 2], "at least one word .* .got none in 1"),
        ([1, 6], [0, 2], "from 0 to 5 .got 1 to 6"),
        ([1, -1], [0, 2], "from 0 to 5"),
        ([1, 2], [0, 1], "ends at 2"),
    ],
)
def test_bad_captions(word, ptr, message):
    with pytest.raises(GraphError, match=message):
        WordEncoder(6, word_size=2, hidden=2)(torch.tensor(word), torch.tensor(ptr))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "gur"}, "did you mean 'gru'"),
        ({"dropout": 1.0}, "share in .0, 1"),
        ({"hidden": 0}, "sizes from 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        WordEncoder(6, **options)
