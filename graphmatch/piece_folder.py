"""`read_pieces`: a BERT of a local folder as word states for the words of a vocabulary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.nn.piece_encoder import PieceConfig, PieceEncoder
from graphmatch.regions.transformers_folder import read_config
from graphmatch.vocab import Vocabulary
from graphmatch.weights import check_fit

_FIRST, _LAST, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_MARKS = {
    "<start>": (_FIRST,),
    "<BOS>": (_FIRST,),
    "<end>": (_LAST,),
    "<EOS>": (_LAST,),
    "<unk>": (_UNKNOWN,),
    "<UNK>": (_UNKNOWN,),
    "<pad>": (),  # in no caption
}
_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "output_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "outer_norm": "output.LayerNorm",
}  # names of a layer's parts here and in transformers
_KIND = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


def read_pieces(
    folder: str | Path, vocabulary: Vocabulary
) -> tuple[PieceConfig, dict[str, Tensor]]:
    """Sizes and weights of a `PieceEncoder` for the words of a vocabulary.

    Only the pieces of these words are kept. The embedding of the first segment is added to those of
    the positions.

    Args:
        folder: a folder of `transformers` with `config.json`, `model.safetensors` and
            `tokenizer.json`; its `model_type` is `bert`.
        vocabulary: the words.

    Returns:
        The sizes, and the state of `PieceEncoder(len(vocabulary), sizes)`, float32.

    Raises:
        ConfigError: no such folder, a model of another kind, or `tokenizers` is not installed.
        CheckpointError: weights that are missing, misshaped or not finite, or a damaged file.
        FormatError: a damaged configuration or tokenizer.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    values = read_config(folder)
    for name, expected in _KIND.items():
        if values.get(name, expected) != expected:
            raise ConfigError(f"{folder}: expected {name} {expected!r} (got {values[name]!r})")
    tokenizer = _read_tokenizer(folder)
    words = [_pieces(tokenizer, word) for word in vocabulary.words]
    ends = [tokenizer.token_to_id(name) for name in (_FIRST, _LAST)]
    kept = [*ends, *sorted({piece for word in words for piece in word} - set(ends))]
    try:
        config = PieceConfig(
            pieces=len(kept),
            longest=max(1, *map(len, words)),
            size=values["hidden_size"],
            layers=values["num_hidden_layers"],
            heads=values["num_attention_heads"],
            inner=values["intermediate_size"],
            positions=values["max_position_embeddings"],
        )
        tensors = load_file(folder / "model.safetensors")
        state = _state({n.removeprefix("bert."): t for n, t in tensors.items()}, config, kept)
    except (OSError, KeyError, TypeError, IndexError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: expected the weights of a BERT ({error!r})") from error
    place = {piece: row for row, piece in enumerate(kept)}
    state["piece"] = torch.full((len(words), config.longest), -1)
    for row, word in enumerate(words):
        state["piece"][row, : len(word)] = torch.tensor([place[piece] for piece in word])
    with torch.device("meta"):
        empty = PieceEncoder(len(words), config)
    check_fit(empty, state)
    return config, state


def whole_words(folder: str | Path) -> list[str]:
    """Words of letters that are a piece of their own, so that a model knows them as they are.

    Args:
        folder: as `read_pieces`.

    Returns:
        Different words, ascending.

    Raises:
        ConfigError: no tokenizer there, or `tokenizers` is not installed.
        FormatError: a damaged tokenizer.
    """
    return sorted(filter(re.compile("[a-z]+").fullmatch, _read_tokenizer(Path(folder)).get_vocab()))


def _state(tensors: dict[str, Tensor], config: PieceConfig, kept: list[int]) -> dict[str, Tensor]:
    """The encoder's state, without the pieces of words."""
    found = "embeddings."
    segment = tensors[f"{found}token_type_embeddings.weight"][0].float()
    state = {
        "embedding.weight": tensors[f"{found}word_embeddings.weight"][kept],
        "position.weight": tensors[f"{found}position_embeddings.weight"].float() + segment,
    }
    for part in ("weight", "bias"):
        state[f"norm.{part}"] = tensors[f"{found}LayerNorm.{part}"]
        for layer in range(config.layers):
            for ours, theirs in _LAYER.items():
                name = f"encoder.layer.{layer}.{theirs}.{part}"
                state[f"layers.{layer}.{ours}.{part}"] = tensors[name]
    return {name: value.float() for name, value in state.items()}


def _pieces(tokenizer: Any, word: str) -> list[int]:
    if word in _MARKS:
        return [tokenizer.token_to_id(piece) for piece in _MARKS[word]]
    ids: list[int] = tokenizer.encode(word, add_special_tokens=False).ids
    return ids or [tokenizer.token_to_id(_UNKNOWN)]


def _read_tokenizer(folder: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigError(
            "a pretrained text encoder needs tokenizers: pip install 'graphmatch[text]'"
        ) from error
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ConfigError(f"{folder}: expected a folder with tokenizer.json (got none)")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise FormatError(f"{path}: expected a tokenizer (got {error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    missing = [n for n in (_FIRST, _LAST, _UNKNOWN) if tokenizer.token_to_id(n) is None]
    if missing:
        raise ConfigError(f"{path}: expected the pieces of BERT (no {', '.join(missing)})")
    return tokenizer
