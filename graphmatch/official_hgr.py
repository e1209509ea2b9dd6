"""Configurations from official checkpoints of HGR: the shapes of tensors, and `model.json`.

The checkpoint of HGR, and of its baseline, holds tensors only; the options are in a JSON file that
the training wrote. Limits of the reader in it (words, frames, verbs and nouns) are no fields of the
model: see `graphmatch.datasets.role_limits` and `graphmatch.clips.frame_selection`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphmatch.errors import CheckpointError
from graphmatch.official_options import Found, OptionTable, Shapes, find_options, matrix_size


def hgr_options(shapes: Shapes, options: Mapping[str, Any]) -> Found:
    """What a checkpoint of HGR says.

    Args:
        shapes: shape of each tensor.
        options: as `read_model_json` gives them; may be empty.

    Returns:
        Fields of `HGRConfig`.

    Raises:
        CheckpointError: no such checkpoint, or an option that this library does not have.
    """
    sizes = _text_sizes(shapes)
    level = "video_encoder.level_embeds"
    sizes["embed_size"], sizes["feature_size"] = matrix_size(shapes, f"{level}.0.weight")
    sizes["share_levels"] = f"{level}.1.weight" not in shapes
    roles = shapes.get("text_encoder.role_embedding.weight")
    sizes["roles"] = roles[0] if roles else 0
    layers = {name.split(".")[3] for name in shapes if name.startswith("text_encoder.gcn.layers.")}
    sizes["layers"] = len(layers)
    if layers:
        query = shapes.get("text_encoder.gcn.layers.0.edge_attn_query.weight")
        sizes["attention"] = query[0] if query else 0
    fixed = {
        "video_encoder.num_levels": 3,
        "text_encoder.rnn_hidden_size": sizes["embed_size"],
    }
    if layers:
        fixed["text_encoder.gcn_attention"] = sizes["attention"] > 0
    shares = ("text_encoder.dropout", "video_encoder.dropout", "text_encoder.gcn_dropout")
    return _found(options, _HGR, fixed, sizes, shares)


def global_match_options(shapes: Shapes, options: Mapping[str, Any]) -> Found:
    """What a checkpoint of HGR's baseline says.

    Args:
        shapes: shape of each tensor.
        options: as `read_model_json` gives them; may be empty.

    Returns:
        Fields of `GlobalMatchConfig`.

    Raises:
        CheckpointError: as `hgr_options`.
    """
    sizes = _text_sizes(shapes)
    name = "video_encoder.ft_embed.weight"
    sizes["embed_size"], sizes["feature_size"] = matrix_size(shapes, name)
    fixed = {"text_encoder.rnn_hidden_size": sizes["embed_size"]}
    shares = ("text_encoder.dropout", "video_encoder.dropout")
    return _found(options, _COMMON, fixed, sizes, shares)


def _found(
    options: Mapping[str, Any],
    table: OptionTable,
    fixed: Mapping[str, Any],
    sizes: Mapping[str, Any],
    shares: tuple[str, ...],
) -> Found:
    """The options with those that become one field joined: feature sizes, shares of dropout."""
    options = dict(options)
    widths = options.get("video_encoder.dim_fts")
    try:
        if widths is not None:
            options["video_encoder.dim_fts"] = sum(widths)
    except TypeError as error:
        raise CheckpointError(f"dim_fts: expected a list of numbers ({error})") from error
    given = [name for name in shares if name in options]
    if given and len(given) < len(shares):
        raise CheckpointError(f"expected the options {', '.join(shares)} (got {given})")
    if given:
        options["dropout"] = tuple(options.pop(name) for name in shares)
    return find_options(options, {**table, "dropout": ("dropout", None)}, fixed, sizes)


def _text_sizes(shapes: Shapes) -> dict[str, Any]:
    words = "text_encoder.embedding.we.weight"
    rnn = "text_encoder.rnn.weight"
    vocabulary, word_size = matrix_size(shapes, words)
    rows, _ = matrix_size(shapes, f"{rnn}_ih_l0")
    _, hidden = matrix_size(shapes, f"{rnn}_hh_l0")
    cell = {3 * hidden: "gru", 4 * hidden: "lstm"}.get(rows)
    if cell is None:
        raise CheckpointError(f"{rnn}_ih_l0: expected the gates of a GRU or LSTM (got {rows} rows)")
    backwards = f"{rnn}_ih_l0_reverse" in shapes
    passes = sum(name.startswith(f"{rnn}_ih_l") for name in shapes)
    return {
        "vocabulary": vocabulary,
        "word_size": word_size,
        "cell": cell,
        "bidirectional": backwards,
        "word_layers": passes // (1 + backwards),
    }


def read_model_json(path: str | Path) -> dict[str, Any]:
    """The options of an HGR training.

    Args:
        path: its `model.json`.

    Returns:
        Options by name; those of a part have its name before theirs, `text_encoder.num_words`.

    Raises:
        CheckpointError: no such file, no JSON, or no configuration of HGR.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        parts = content["subcfgs"]
        flat = {name: value for name, value in content.items() if name != "subcfgs"}
        for part in ("video_encoder", "text_encoder"):
            flat |= {f"{part}.{name}": value for name, value in parts[part].items()}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected JSON (got {error})") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: expected HGR's model.json, with subcfgs of video_encoder and text_encoder"
        ) from error
    return flat


_TRUTH = {True: True, False: False}
_COMMON: OptionTable = {
    "margin": ("margin", None),
    "max_violation": ("negatives", {True: "hardest", False: "all"}),
    "hard_topk": ("top_k", None),
    "loss_direction": ("direction", {"bi": "both", "i2t": "i2t", "t2i": "t2i"}),
    "video_encoder.dim_fts": ("feature_size", None),
    "video_encoder.dim_embed": ("embed_size", None),
    "text_encoder.num_words": ("vocabulary", None),
    "text_encoder.dim_word": ("word_size", None),
    "text_encoder.rnn_type": ("cell", {"gru": "gru", "lstm": "lstm"}),
    "text_encoder.bidirectional": ("bidirectional", _TRUTH),
    "text_encoder.num_layers": ("word_layers", None),
}
_HGR: OptionTable = {
    **_COMMON,
    "attn_fusion": ("fusion", {"embed": "embed", "sim": "sim"}),
    "simattn_sigma": ("scale", None),
    "loss_weights": ("level_weights", None),
    "video_encoder.share_enc": ("share_levels", _TRUTH),
    "text_encoder.num_roles": ("roles", None),
    "text_encoder.gcn_num_layers": ("layers", None),
}
