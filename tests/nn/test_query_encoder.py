"""The query encoder against its equations, word by word."""

from __future__ import annotations

import pytest
import torch

from graphmatch.errors import GraphError
from graphmatch.nn.query_encoder import QueryEncoder

QUERIES = [[3, 7, 9, 4], [5], [6, 0, 2]]


def encoder(**options):
    torch.manual_seed(0)
    return QueryEncoder(12, word_size=4, hidden=5, **options).double()


def encode(model, queries=QUERIES):
    ptr = torch.tensor([0, *(len(ids) for ids in queries)]).cumsum(0)
    return model(torch.tensor([word for ids in queries for word in ids]), ptr)


@pytest.mark.parametrize("layers", [1, 2])
def test_each_query_equals_the_equations(layers, assert_close):
    model = encoder(layers=layers)
    query = encode(model)
    for number, ids in enumerate(QUERIES):
        h = model.rnn(model.embedding(torch.tensor(ids)).unsqueeze(0))[0][0]  # [N, 10]
        g = torch.cat((h[0], h[-1]))
        assert_close(query.words[number, : len(ids)], h, "float64")
        assert_close(query.whole[number], g, "float64")
        for level in range(3):
            u = model.step[level](model.whole(g).relu())
            a = torch.stack([model.logit(u * word)[0] for word in h]).softmax(dim=0)
            assert_close(query.attention[number, level, : len(ids)], a, "float64")
            assert_close(query.steps[number, level], a @ h, "float64")


def test_padding_gets_no_attention():
    query = encode(encoder())
    padding = ~query.mask.unsqueeze(1).expand_as(query.attention)
    assert not query.attention[padding].any()
    assert not query.words[~query.mask].any()
    assert (query.attention.sum(dim=-1) - 1).abs().max() < 1e-12


def test_one_word_is_its_own_query(assert_close):
    query = encode(encoder(), [[5]])
    assert_close(query.whole[0], query.words[0, 0].repeat(2), "float64")
    assert query.attention.tolist() == [[[1.0]] * 3]
    assert_close(query.steps[0], query.words[0].expand(3, -1), "float64")


def test_word_0_is_zero_and_stays_so():
    model = encoder()
    encode(model).steps.square().sum().backward()
    assert not model.embedding.weight[0].any()
    assert not model.embedding.weight.grad[0].any()
    assert model.embedding.weight.grad[3].any()


def test_attention_layers_start_by_the_rule_of_xavier():
    model = QueryEncoder(3, word_size=4, hidden=64)
    bound = (6 / (64 + 128)) ** 0.5
    for layer in model.step:
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_bad_words_are_refused():
    with pytest.raises(GraphError, match=r"one word in each query \(got none in 1\)"):
        encode(encoder(), [[1], [], [2]])
    with pytest.raises(GraphError, match=r"word ids from 0 to 11 \(got 1 to 12\)"):
        encode(encoder(), [[1, 12]])
