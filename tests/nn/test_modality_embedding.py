"""Embedded modalities: tables, vectors, words; what is refused."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.modality_embedding import Modality, ModalityEmbedding
from graphmatch.nn.text_cnn import TextCNN

IDS = Modality(name="ids", kind="ids", sizes=(6, 3), widths=(4, 2))
IMAGE = Modality(name="image", kind="vector", sizes=(3,), normalise=True)
TITLE = Modality(name="title", kind="words", widths=(4,), kernels=(3, 1), channels=2)


def test_tables_are_put_together(assert_close):
    embed = ModalityEmbedding(IDS)
    found = embed(torch.tensor([[5, 0], [0, 2]]))
    one, two = (table.weight for table in embed.table)
    assert_close(found, torch.cat([one[[5, 0]], two[[0, 2]]], dim=1))
    assert not found[1, :4].any()
    found.sum().backward()
    assert not one.grad[0].any()
    assert one.grad[5].all()


def test_vectors_have_length_1_if_wanted(assert_close):
    x = torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    found = ModalityEmbedding(IMAGE)(x)
    assert_close(found, torch.tensor([[0.6, 0.0, 0.8], [0.0, 0.0, 0.0]]))
    plain = Modality(name="image", kind="vector", sizes=(3,))
    assert ModalityEmbedding(plain)(x) is x


@torch.no_grad()
@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_words_position_by_position(length, assert_close):
    torch.manual_seed(0)
    embed = ModalityEmbedding(TITLE, vocabulary=7)
    words = torch.randint(7, (3, length))
    found = embed(words)
    assert found.shape == (3, TITLE.size)
    title = embed.title
    for row in range(3):
        x = title.word.weight[functional.pad(words[row], (0, max(0, 3 - length)))]
        parts = []
        for kernel in (1, 3):
            conv = title.get_submodule(f"conv{kernel}")
            places = range(len(x) - kernel + 1)
            scores = [(conv.weight * x[p : p + kernel].T).sum((1, 2)) + conv.bias for p in places]
            parts.append(torch.stack(scores).relu().amax(0))
        assert_close(found[row], torch.cat(parts))


def test_an_empty_text_is_a_vector():
    title = TextCNN(5, width=3, kernels=(2,), channels=2)
    assert title(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "id", "sizes": (3,), "widths": (2,)}, "did you mean 'ids'"),
        ({"kind": "ids", "sizes": (3, 4), "widths": (2,)}, "as many widths as sizes"),
        ({"kind": "ids"}, "as many widths"),
        ({"kind": "vector", "sizes": (3,), "widths": (2,)}, r"expected \(1, 0\)"),
        ({"kind": "words", "sizes": (3,), "widths": (2,)}, r"expected \(0, 1\)"),
        ({"kind": "words", "widths": (0,)}, "widths: expected numbers from 1"),
        ({"kind": "words", "widths": (2,), "kernels": (2, 2)}, "different kernels"),
        ({"kind": "words", "widths": (2,), "kernels": ()}, "different kernels"),
        ({"kind": "words", "widths": (2,), "channels": 0}, "channels"),
        ({"name": "a b", "kind": "vector", "sizes": (3,)}, "identifier"),
    ],
)
def test_impossible_modalities_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Modality(**{"name": "m", **options})


@pytest.mark.parametrize(
    ("modality", "value", "message"),
    [
        (IDS, torch.zeros(2, 3, dtype=torch.int64), r"modality ids: expected \[U, 2\]"),
        (IDS, torch.zeros(2, dtype=torch.int64), r"expected \[U, 2\] \(got \[2\]\)"),
        (IDS, torch.zeros(2, 2), "expected int64"),
        (IMAGE, torch.zeros(2, 3, dtype=torch.int64), "floating"),
        (IMAGE, torch.zeros(2, 4), r"expected \[U, 3\]"),
        (TITLE, torch.zeros(2, 4), "expected int64"),
    ],
)
def test_other_values_are_refused(modality, value, message):
    with pytest.raises(GraphError, match=message):
        ModalityEmbedding(modality, vocabulary=5)(value)
