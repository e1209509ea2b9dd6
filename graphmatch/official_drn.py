"""What official checkpoints of DRN say: sizes, by the shapes of their tensors; nothing else.

A file is `epoch`, `state_dict`, `loss`, `top1` and `top5`; it holds no options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphmatch.errors import CheckpointError
from graphmatch.nn.moment_targets import LEVELS
from graphmatch.official_options import Found, Shapes, matrix_size


def drn_options(shapes: Shapes, options: Mapping[str, Any]) -> Found:
    """What a checkpoint of DRN says.

    Args:
        shapes: shape of each tensor that the network uses, without `module.`.
        options: none; these files hold none.

    Returns:
        Fields of `DRNConfig`. The number of clips and the scale are not among them: the code's
        constants are 32, as `DRNConfig` has them.

    Raises:
        CheckpointError: no such checkpoint.
    """
    vocabulary, word_size = matrix_size(shapes, "query_encoder.embedding.weight")
    hidden, _ = matrix_size(shapes, "query_encoder.qInput.weight")
    feature_size, _ = matrix_size(shapes, "prop_fc.weight")
    position_size, _ = matrix_size(shapes, "position_transform.weight")
    layers = sum(
        name.startswith("query_encoder.biLSTM.weight_hh_l") and not name.endswith("_reverse")
        for name in shapes
    )
    towers = sum(
        name.startswith("fcos.head.cls_tower.") and len(shape) == 3
        for name, shape in shapes.items()
    )
    return Found(
        shapes={
            "vocabulary": vocabulary,
            "word_size": word_size,
            "hidden": hidden,
            "feature_size": feature_size,
            "position_size": position_size,
            "word_layers": layers,
            "tower_layers": towers,
            "channels": tuple(
                _channels(shapes, f"backbone_net.forward_conv{level}.0.weight")
                for level in range(LEVELS)
            ),
            "pyramid_size": _channels(shapes, "fpn.fpn_layer1.0.weight"),
        },
        rest=tuple(sorted(options)),
    )


def _channels(shapes: Shapes, name: str) -> int:
    """How many channels a convolution gives."""
    shape = shapes.get(name, ())
    if len(shape) != 3:
        raise CheckpointError(f"expected a convolution {name} (got {list(shape) or 'none'})")
    return shape[0]
