"""Configurations from official checkpoints of SCAN, GSMN and IMRAM: their options, their shapes.

The options are the argparse namespace of the training script, kept under `opt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphmatch.errors import CheckpointError
from graphmatch.weights import listed

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor by its official name."""
OptionTable = Mapping[str, tuple[str, Mapping[Any, Any] | None]]
"""Official option to our field, and what its values are called here; None if they are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a checkpoint says about its configuration.

    Args:
        shapes: fields that the shapes of tensors tell.
        options: fields that its options tell.
        rest: options that do not concern the model.
    """

    shapes: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    rest: tuple[str, ...] = ()


def scan_options(shapes: Shapes, options: Mapping[str, Any]) -> Found:
    """What a checkpoint of SCAN says.

    Args:
        shapes: shape of each tensor.
        options: options of the training script; empty if the checkpoint has none.

    Returns:
        Fields of `SCANConfig`.

    Raises:
        CheckpointError: no such checkpoint, or an option that this library does not have.
    """
    return find_options(options, _SCAN, {"num_layers": 1}, _encoder_sizes(shapes, "img_enc.fc", ""))


def gsmn_options(shapes: Shapes, options: Mapping[str, Any]) -> Found:
    """What a checkpoint of GSMN says.

    Args:
        shapes: shape of each tensor.
        options: options of the training script; empty if the checkpoint has none.

    Returns:
        Fields of `GSMNConfig`, with the propagation of the official code.

    Raises:
        CheckpointError: as `scan_options`.
    """
    sizes = _encoder_sizes(shapes, "img_enc.fc", "")
    weights = [
        shape
        for name, shape in shapes.items()
        if name.startswith("t2i_match_G.") and ".conv_weights." in name and len(shape) == 2
    ]
    if weights:
        hidden = sum(shape[0] for shape in weights)
        sizes |= {"blocks": weights[0][1], "hidden": hidden, "kernels": len(weights)}
    fixed = {"num_layers": 1, "out_dim": 1, "no_imgnorm": False, "no_txtnorm": False}
    if "num_block" in options:  # two names for one number
        fixed["feat_dim"] = _plain(options, "num_block")
    found = find_options(options, _GSMN, fixed, sizes)
    # no code that wrote such files has the paper's
    return replace(found, options={**found.options, "propagation": "official"})


def imram_options(shapes: Shapes, options: Mapping[str, Any]) -> Found:
    """What a checkpoint of IMRAM says.

    Args:
        shapes: shape of each tensor.
        options: options of the training script; empty if the checkpoint has none.

    Returns:
        Fields of `IMRAMConfig`.

    Raises:
        CheckpointError: as `scan_options`.
    """
    fixed = {"num_layers": 1, "no_imgnorm": False, "no_txtnorm": False}
    sizes = _encoder_sizes(shapes, "module.img_enc.fc_local", "module.")
    return find_options(options, _IMRAM, fixed, sizes)


def find_options(
    options: Mapping[str, Any],
    table: OptionTable,
    fixed: Mapping[str, Any],
    sizes: Mapping[str, Any],
) -> Found:
    """Options by our names.

    Args:
        options: the options of a training script.
        table: those that are fields here.
        fixed: those that can have one value only.
        sizes: fields that the shapes of tensors tell.

    Returns:
        What is found.

    Raises:
        CheckpointError: an option with another value than the table has.
    """
    told = {}
    for name, (ours, values) in table.items():
        if name not in options:
            continue
        value = _plain(options, name)
        if values is not None:
            if not isinstance(value, (str, bool)) or value not in values:
                choices = ", ".join(map(repr, values))
                raise CheckpointError(
                    f"option {name}: expected one of {choices} (got {value!r:.60})"
                )
            value = values[value]
        told[ours] = value
    for name, only in fixed.items():
        if name in options and _plain(options, name) != only:
            raise CheckpointError(f"option {name}: expected {only!r} (got {options[name]!r:.60})")
    rest = sorted(set(options) - set(table) - set(fixed))
    return Found(shapes=sizes, options=told, rest=tuple(rest))


def matrix_size(shapes: Shapes, name: str) -> tuple[int, int]:
    """Rows and columns of a matrix.

    Args:
        shapes: shape of each tensor.
        name: of the matrix.

    Returns:
        Its shape.

    Raises:
        CheckpointError: no such matrix.
    """
    shape = shapes.get(name, ())
    if len(shape) != 2:
        raise CheckpointError(f"expected a matrix {name} (the file has {listed(shapes) or 'none'})")
    return shape[0], shape[1]


def _encoder_sizes(shapes: Shapes, image: str, prefix: str) -> dict[str, Any]:
    scaled = f"{image}.weight_g" in shapes
    vocabulary, word_size = matrix_size(shapes, f"{prefix}txt_enc.embed.weight")
    embed_size, feature_size = matrix_size(
        shapes, f"{image}.weight_v" if scaled else f"{image}.weight"
    )
    return {
        "vocabulary": vocabulary,
        "word_size": word_size,
        "embed_size": embed_size,
        "feature_size": feature_size,
        "weight_norm": scaled,
        "bidirectional": f"{prefix}txt_enc.rnn.weight_ih_l0_reverse" in shapes,
    }


def _plain(options: Mapping[str, Any], name: str) -> Any:
    """The value of an option; what is nested in a foreign file may be too deep to print."""
    value = options[name]
    items = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, (str, int, float, type(None))) for item in items):
        kind = type(value).__name__
        raise CheckpointError(f"option {name}: expected a number or a string (got {kind})")
    return value


_SWITCHED_OFF = {True: False, False: True}
_FIRST_NORMS = ("clipped_l2norm", "l2norm", "softmax", "clipped", "no_norm")
_COMMON: OptionTable = {
    "vocab_size": ("vocabulary", None),
    "img_dim": ("feature_size", None),
    "word_dim": ("word_size", None),
    "embed_size": ("embed_size", None),
    "lambda_softmax": ("scale", None),
    "precomp_enc_type": ("weight_norm", {"basic": False, "weight_norm": True}),
    "bi_gru": ("bidirectional", {True: True, False: False}),
    "margin": ("margin", None),
    "max_violation": ("negatives", {True: "hardest", False: "all"}),
}
_FIRST_NORM: OptionTable = {
    "raw_feature_norm": ("first_norm", {name: name for name in _FIRST_NORMS})
}
_SCAN: OptionTable = {
    **_COMMON,
    **_FIRST_NORM,
    "cross_attn": ("direction", {"t2i": "t2i", "i2t": "i2t"}),
    "agg_func": (
        "aggregation",
        {"LogSumExp": "lse", "Mean": "mean", "Max": "max", "Sum": "sum"},
    ),
    "lambda_lse": ("lambda_lse", None),
    "no_imgnorm": ("normalise_image", _SWITCHED_OFF),
    "no_txtnorm": ("normalise_text", _SWITCHED_OFF),
}
_GSMN: OptionTable = {
    **_COMMON,
    "is_sparse": ("graph", {True: "sparse", False: "dense"}),
    "num_block": ("blocks", None),
    "hid_dim": ("hidden", None),
}
_IMRAM: OptionTable = {
    **_COMMON,
    **_FIRST_NORM,
    "model_mode": ("mode", {f"{name}_IMRAM": name for name in ("full", "image", "text")}),
    "iteration_step": ("steps", None),
    "no_IMRAM_norm": ("normalise_memory", _SWITCHED_OFF),
}
