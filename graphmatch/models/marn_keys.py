"""MARN's parameters under the names of its specification, and `load_named`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from graphmatch.errors import CheckpointError
from graphmatch.models.marn import MARN, MARNConfig
from graphmatch.weights import check_fit


def spec_keys(config: MARNConfig) -> dict[str, str]:
    """Names of parameters in the specification and here.

    Args:
        config: of the model; of the specification's model, not an ablation of it.

    Returns:
        Specification's name to name in `MARN(config)`, for all parameters. Rows of
        `d0.2.*` and `d1.2.*` are in the order of modalities, which may differ, see `load_named`.

    Example:
        >>> from graphmatch.nn.modality_embedding import Modality
        >>> ids = Modality(name="ids", kind="ids", sizes=(9,), widths=(4,))
        >>> image = Modality(name="image", kind="vector", sizes=(3,))
        >>> spec_keys(MARNConfig(modalities=(ids, image)))["emb.ids.0.weight"]
        'items.embedding.0.table.0.weight'
    """
    keys = {
        "attn.weight": "user.attention.weight",
        **{f"apgru.{name}": f"user.network.{name}" for name in ("weight_x", "weight_h", "bias")},
    }
    if config.properties:
        keys["apgru.weight_p"] = "user.network.weight_p"
    linear = {"invariant": "items.invariant", "out": "head.out"}
    for place, part in enumerate(config.modalities):
        theirs, ours = f"emb.{part.name}", f"items.embedding.{place}"
        for table in range(len(part.sizes) if part.kind != "vector" else 0):
            keys[f"{theirs}.{table}.weight"] = f"{ours}.table.{table}.weight"
        if part.kind == "words":
            keys[f"{theirs}.word.weight"] = f"{ours}.title.word.weight"
            linear |= {f"{theirs}.conv{k}": f"{ours}.title.conv{k}" for k in part.kernels}
        linear[f"align.{part.name}"] = f"items.align.{place}"
        linear[f"specific.{part.name}"] = f"items.specific.{place}"
        linear[f"maf.{part.name}"] = f"items.fusion.{place}"
    for place, table_of in enumerate(config.properties):
        keys[f"emb.prop.{table_of.name}.weight"] = f"user.table.{place}.weight"
    for place in (0, 2):
        linear |= {f"d0.{place}": f"items.d0.{place}", f"d1.{place}": f"d1.{place}"}
    for place in range(len(config.units)):
        linear[f"mlp.{place}"] = f"head.linear.{place}"
        if config.activation == "prelu":
            keys[f"mlp.{place}.prelu"] = f"head.activation.{place}.weight"
    for theirs, ours in linear.items():
        keys |= {f"{theirs}.{name}": f"{ours}.{name}" for name in ("weight", "bias")}
    return keys


def load_named(model: MARN, tensors: Mapping[str, Tensor], order: Sequence[str]) -> None:
    """Give a model parameters under the specification's names, all of them or none.

    Args:
        model: changed in place; its running mean of w stays.
        tensors: by the specification's name. Row 0 of embeddings is not used: it becomes zero.
        order: of the modalities in the rows of `d0.2` and `d1.2`.

    Raises:
        CheckpointError: a tensor is missing, unexpected, misshaped, of another type or not finite;
            an order of other modalities.
    """
    keys = spec_keys(model.config)
    if sorted(order) != list(model.config.names):
        names = list(model.config.names)
        raise CheckpointError(f"expected the order of {names} (got {list(order)})")
    check_fit(model, tensors, names=keys)
    found = {
        ours: in_our_order(theirs, tensors[theirs], order, model.config).clone()
        for theirs, ours in keys.items()
    }
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and f"{name}.weight" in found:
            found[f"{name}.weight"][0] = 0
    rest = {name: value for name, value in model.state_dict().items() if name not in found}
    model.load_state_dict(found | rest)


def in_our_order(name: str, value: Tensor, order: Sequence[str], config: MARNConfig) -> Tensor:
    """A parameter, or its gradient, with modalities in alphabetical order as they are here.

    Args:
        name: the specification's.
        value: with modalities in another order.
        order: that order.
        config: of the model.

    Returns:
        The same tensor, or a copy.
    """
    if name in ("d0.2.weight", "d0.2.bias", "d1.2.weight", "d1.2.bias"):
        return value[[order.index(modality) for modality in config.names]]
    return value
