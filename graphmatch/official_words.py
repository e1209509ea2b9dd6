"""`set_word_vectors`: HGR's embedding from the file of word vectors that its authors released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from graphmatch.errors import CheckpointError
from graphmatch.models.table import find_model, model_name
from graphmatch.official_file import state_tensors
from graphmatch.torch_file import read_torch_file
from graphmatch.weights import check_finite

_NAME = "text_encoder.embedding.we.weight"


def set_word_vectors(model: Any, path: str | Path) -> None:
    """Replace the embedding of an HGR model, or of its baseline, to start a training from.

    The file, `word_embeds.glove42b.th`, is a checkpoint that holds nothing but the embedding, in
    the order of the authors' `word2int.json`.

    Args:
        model: an `HGR` or `GlobalMatch`; changed in place.
        path: the file; no pickle in it is executed.

    Raises:
        CheckpointError: a file that cannot be read or holds anything else, or vectors of another
            number, length or type, or not finite. The model is then as it was.
        ConfigError: another model.
    """
    keys = find_model(model_name(model)).official_keys()(model.config)
    if _NAME not in keys:
        raise CheckpointError(f"expected a model of HGR (got {type(model).__name__})")
    embedding = model.get_parameter(keys[_NAME])
    file = read_torch_file(path)
    part, name = _NAME.split(".", 1)
    value = file.value
    state = value.get(part) if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(state, dict) or set(state) != {name}:
        raise CheckpointError(f"{path}: expected a checkpoint with {_NAME} alone")
    try:
        vectors = state_tensors(file, value)
        check_finite(vectors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    found = vectors[_NAME]
    if found.shape != embedding.shape or found.dtype != embedding.dtype:
        raise CheckpointError(
            f"{path}: expected {list(embedding.shape)} {embedding.dtype} (got {list(found.shape)} "
            f"{found.dtype})"
        )
    with torch.no_grad():
        embedding.copy_(found)
