"""HGR's word vectors: the one file that holds a part of a model."""

from __future__ import annotations

import collections
from functools import partial

import pytest
import torch

from graphmatch.errors import CheckpointError
from graphmatch.official_words import set_word_vectors
from tests import official_files
from tests.official_files import FORMS
from tests.tiny_models import tiny_model


@pytest.fixture
def write(tmp_path):
    """`write(content, form)` -> path of a file."""
    return partial(official_files.write, tmp_path)


def words_file(value, part="text_encoder", name="embedding.we.weight"):
    return {part: collections.OrderedDict({name: value})}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["hgr", "global-match"])
def test_word_vectors_replace_the_embedding_alone(write, name, form):
    model = tiny_model(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    vectors = torch.arange(21.0).view(7, 3)
    set_word_vectors(model, write(words_file(vectors), form))
    changed = [
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    ]
    assert len(changed) == 1
    assert torch.equal(model.state_dict()[changed[0]], vectors)
    assert model.get_parameter(changed[0]).requires_grad


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (words_file(torch.ones(8, 3)), r"expected \[7, 3\] torch.float32 \(got \[8, 3\]"),
        (words_file(torch.ones(7, 3).double()), "float64"),
        (words_file(torch.full((7, 3), torch.inf)), "finite"),
        (words_file(torch.ones(7, 3), part="video_encoder"), "alone"),
        (words_file(torch.ones(7, 3), name="we.weight"), "alone"),
        ({**words_file(torch.ones(7, 3)), "video_encoder": {}}, "alone"),
        (words_file(3), "expected a tensor"),
        ({"text_encoder": 3}, "alone"),
        (3, "alone"),
    ],
)
def test_word_vectors_that_do_not_fit(write, content, message):
    model = tiny_model("hgr")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        set_word_vectors(model, write(content))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_word_vectors_of_another_model(write):
    with pytest.raises(CheckpointError, match="expected a model of HGR"):
        set_word_vectors(tiny_model("scan"), write(words_file(torch.ones(7, 3))))
