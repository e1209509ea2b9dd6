"""Folders of transformers as states of words, against the library's own BERT."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.nn.piece_encoder import PieceEncoder
from graphmatch.piece_folder import read_pieces, whole_words
from graphmatch.vocab import HGR_SPECIALS, SCAN_SPECIALS, Vocabulary
from tests.tiny_bert import PIECES, save_bert

VOCABULARY = Vocabulary((*SCAN_SPECIALS, "a", "dogs", "white", "runs", "zebra"), "<unk>")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bert")


@pytest.fixture(scope="module")
def model(folder):
    return save_bert(folder)


def encoder_of(folder, vocabulary=VOCABULARY, **options):
    config, state = read_pieces(folder, vocabulary)
    encoder = PieceEncoder(len(vocabulary), config, **options)
    encoder.load_state_dict(state)
    return encoder


def by_transformers(model, *pieces):
    with torch.no_grad():
        ids = torch.tensor([[PIECES.index(piece) for piece in pieces]])
        return model(ids).last_hidden_state[0]


def test_states_are_those_of_transformers(folder, model, assert_close):
    encoder = encoder_of(folder, wrap=False)
    words = torch.tensor([1, *VOCABULARY.encode(["A", "white", "zebra", "runs"]), 2])
    found = encoder(words, torch.tensor([0, len(words)]))[0]
    expected = by_transformers(model, "[CLS]", "a", "white", "[UNK]", "run", "##s", "[SEP]")
    assert_close(found[:4], expected[:4])
    assert_close(found[4], expected[4:6].mean(dim=0))
    assert_close(found[5], expected[6])


def test_unknown_words_and_words_without_marks(folder, model, assert_close):
    vocabulary = Vocabulary((*HGR_SPECIALS, "dogs", "a"), "<UNK>")
    found = encoder_of(folder, vocabulary)(torch.tensor([4, 2]), torch.tensor([0, 2]))[0]
    expected = by_transformers(model, "[CLS]", "a", "[UNK]", "[SEP]")
    assert_close(found, expected[1:3])


def test_only_pieces_of_the_vocabulary_are_kept(folder, model):
    config, state = read_pieces(folder, VOCABULARY)
    # [CLS], [SEP], [UNK], a, run, ##s, white; dogs is no chain of pieces but for dog, ##s
    assert config.pieces == len(state["embedding.weight"]) == 8
    assert config.longest == 2
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}


def test_whole_words(folder, model):
    assert whole_words(folder) == ["a", "blue", "cat", "dog", "red", "run", "w", "white"]


def test_a_model_with_heads(tmp_path, assert_close):
    model = save_bert(tmp_path, kind="BertForMaskedLM")
    found = encoder_of(tmp_path)(torch.tensor([4]), torch.tensor([0, 1]))[0, 0]
    assert_close(found, by_transformers(model.bert, "[CLS]", "a", "[SEP]")[1])


def change(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def copy(tmp_path):
    save_bert(tmp_path)
    return tmp_path


def test_another_kind_of_model(copy):
    change(copy, "config.json", model_type="roberta")
    with pytest.raises(ConfigError, match="model_type 'bert'"):
        read_pieces(copy, VOCABULARY)


def test_another_activation(copy):
    change(copy, "config.json", hidden_act="relu")
    with pytest.raises(ConfigError, match="hidden_act 'gelu'"):
        read_pieces(copy, VOCABULARY)


@pytest.mark.parametrize("values", [{"num_hidden_layers": 3}, {"hidden_size": "8"}])
def test_sizes_that_do_not_fit(copy, values):
    change(copy, "config.json", **values)
    with pytest.raises((CheckpointError, ConfigError)):
        read_pieces(copy, VOCABULARY)


def test_weights_that_do_not_fit(copy):
    tensors = load_file(copy / "model.safetensors")
    bad = {**tensors, "embeddings.position_embeddings.weight": torch.zeros(3, 8)}
    save_file(bad, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"position\.weight"):
        read_pieces(copy, VOCABULARY)
    bad = {**tensors, "embeddings.LayerNorm.bias": torch.full((8,), torch.nan)}
    save_file(bad, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="finite"):
        read_pieces(copy, VOCABULARY)


def test_damaged_files(copy):
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="weights of a BERT"):
        read_pieces(copy, VOCABULARY)
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(FormatError, match="tokenizer"):
        whole_words(copy)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"tokenizer\.json .got none"):
        read_pieces(copy, VOCABULARY)


def test_a_tokenizer_without_the_marks(copy):
    text = (copy / "tokenizer.json").read_text().replace("[CLS]", "<s>")
    (copy / "tokenizer.json").write_text(text)
    with pytest.raises(ConfigError, match=r"no \[CLS\]"):
        whole_words(copy)


def test_no_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_pieces(tmp_path / "nothing", VOCABULARY)
