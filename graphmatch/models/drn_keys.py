"""Official checkpoints of DRN: the names of their tensors, and `load_official`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.models.region_word import rnn_keys
from graphmatch.nn.moment_targets import LEVELS
from graphmatch.weights import check_fit

UNUSED = ("query_encoder.textualAttention.", "fcos.head.centerness.")
"""How names begin of what the official code builds and saves and never uses."""
_PARALLEL = "module."  # before every name, as with several GPUs


def official_keys(config: DRNConfig) -> dict[str, str]:
    """Names of parameters and statistics in official checkpoints and here.

    Args:
        config: of the model.

    Returns:
        Official name, without `module.`, to name in `DRN(config)`, for all of its state.

    Example:
        >>> official_keys(DRNConfig(vocabulary=1302))["fpn.fpn_inner1.0.weight"]
        'pyramid.lateral.0.conv.weight'
    """
    query, head = "query_encoder", "fcos.head"
    linear = {
        f"{query}.qInput": "text.whole",
        f"{query}.cmd_inter2logits": "text.logit",
        "prop_fc": "clips",
        "position_transform": "position",
        f"{head}.cls_logits": "heads.match",
        f"{head}.bbox_pred": "heads.distance",
        f"{head}.iou_scores.3": "heads.iou",
    }
    # a convolution has the number k of its place, its normalisation k + 1
    plain: dict[tuple[str, int], str] = {}
    biased = {(f"{head}.mix_fc", 0): "heads.mix", (f"{head}.iou_scores", 0): "heads.iou_hidden"}
    names = {
        f"{query}.embedding.weight": "text.embedding.weight",
        **rnn_keys(f"{query}.biLSTM", "text.rnn", bidirectional=True, layers=config.word_layers),
    }
    for level in range(LEVELS):
        linear[f"{query}.qInput{level}"] = f"text.step.{level}"
        linear[f"qInput{level}"] = f"level.{level}"
        plain[f"backbone_net.forward_conv{level}", 0] = f"pyramid.down.{level}"
        plain[f"fpn.fpn_inner{level + 1}", 0] = f"pyramid.lateral.{level}"
        plain[f"fpn.fpn_layer{level + 1}", 0] = f"pyramid.smooth.{level}"
        names[f"{head}.scales.{level}.scale"] = f"heads.scales.{level}"
    for layer in range(config.tower_layers):
        biased[f"{head}.cls_tower", 3 * layer] = f"heads.match_tower.{layer}"
        biased[f"{head}.bbox_tower", 3 * layer] = f"heads.distance_tower.{layer}"
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    for (theirs, place), ours in {**plain, **biased}.items():
        names[f"{theirs}.{place}.weight"] = f"{ours}.conv.weight"
        if (theirs, place) in biased:
            names[f"{theirs}.{place}.bias"] = f"{ours}.conv.bias"
        names |= {f"{theirs}.{place + 1}.{name}": f"{ours}.norm.{name}" for name in norm}
    for theirs, ours in linear.items():
        names |= {f"{theirs}.{name}": f"{ours}.{name}" for name in ("weight", "bias")}
    return names


def used_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without `module.` before the names and without what is never used.

    Args:
        tensors: of an official checkpoint, its `state_dict`.

    Returns:
        The tensors that the network uses, by official name; not copied.

    Example:
        >>> import torch
        >>> list(used_tensors({"module.prop_fc.bias": torch.ones(1),
        ...                    "module.fcos.head.centerness.bias": torch.ones(1)}))
        ['prop_fc.bias']
    """
    prefix = _PARALLEL if all(name.startswith(_PARALLEL) for name in tensors) else ""
    short = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return {name: value for name, value in short.items() if not name.startswith(UNUSED)}


def load_official(model: DRN, tensors: Mapping[str, Tensor]) -> None:
    """Give a model the weights of an official checkpoint, all of them or none.

    Args:
        model: changed in place.
        tensors: the checkpoint's `state_dict`, with or without `module.`.

    Raises:
        CheckpointError: a tensor is missing, unexpected, misshaped, of another type or not finite;
            the message lists the names. The official code loads what fits and is silent about the
            rest.
    """
    names, found = official_keys(model.config), used_tensors(tensors)
    check_fit(model, found, names=names)
    model.load_state_dict({ours: found[theirs] for theirs, ours in names.items()})
