"""`TransformersBackbone`: feature maps of a vision model of `transformers` in a local folder."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphmatch.datasets.text_files import read_json
from graphmatch.errors import ConfigError, FormatError
from graphmatch.regions.base import fingerprint
from graphmatch.regions.transformers_folder import (
    folder_fingerprint,
    import_transformers,
    load_pretrained,
    read_config,
)

_UNUSED = ("pooler", "mask_token")  # parameters that no feature map depends on


class TransformersBackbone(nn.Module):
    """Feature maps of a vision model: stages of a convolutional network, or patches of a ViT.

    `load_transformers_backbone` makes one from a folder.

    Args:
        model: takes `pixel_values` and gives `last_hidden_state` and `hidden_states`: maps, or
            sequences of patches by rows behind any class and register tokens.
        side: S, width and height in pixels of the images it is meant for.
        mean: of red, green, blue from 0 to 255, subtracted from images.
        std: of red, green, blue, by which they are then divided.
        layers: which hidden states become maps; -1 is the model's last, after its normalisation.
        name: for the manifest of a store.
        version: of weights and options.

    Raises:
        ConfigError: the model gives no such maps for images of this side.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        side: int,
        mean: Sequence[float],
        std: Sequence[float],
        layers: Sequence[int] = (-1,),
        name: str = "transformers",
        version: str = "",
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or 0 in std or not layers:
            raise ConfigError(
                "expected three means, three deviations that are not zero, and a layer or more "
                f"(got {list(mean)}, {list(std)}, {list(layers)})"
            )
        self.model = model.eval()
        self.side = side
        self.name = name
        self.version = version
        self._mean, self._std, self._layers = tuple(mean), tuple(std), tuple(layers)
        # vision transformers are trained at one size; others have no such option
        accepted = inspect.signature(model.forward).parameters
        resize = "interpolate_pos_encoding"
        self._options = {resize: True} if resize in accepted else {}
        try:
            with torch.no_grad():
                maps = self.maps(torch.zeros(1, 3, side, side, device=self.device))
        except (RuntimeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"{name}: expected a side that the model takes (got {side}: {error})"
            ) from error
        self.channels = tuple(a_map.size(1) for a_map in maps)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images.

        Args:
            images: [B, 3, H, W] RGB from 0 to 255, uint8 or floating, on the weights' device.

        Returns:
            [B, C, h, w] a layer, in the order of the layers, in the weights' type.

        Raises:
            ConfigError: a layer that the model does not have or that is no map.
        """
        mean, std = (images.new_tensor(n, dtype=torch.float32) for n in (self._mean, self._std))
        x = (images - mean[:, None, None]) / std[:, None, None]  # float32
        dtype = next(self.model.parameters()).dtype
        x = x.to(dtype).contiguous(memory_format=torch.channels_last)
        output = self.model(x, output_hidden_states=True, **self._options)
        return [self._map(output, layer, images.shape[2:]) for layer in self._layers]

    def _map(self, output: Any, layer: int, size: torch.Size) -> Tensor:
        # Swin gives its sequences as maps too
        states = output.get("reshaped_hidden_states") or output.get("hidden_states") or ()
        if layer == -1:
            state = output.get("last_hidden_state")
        elif -len(states) <= layer < len(states):
            state = states[layer]
        else:
            raise ConfigError(
                f"{self.name}: expected layers from {-len(states)} to {len(states) - 1} "
                f"(got {layer})"
            )
        if isinstance(state, Tensor) and state.dim() == 4:
            return state
        config = self.model.config
        patch = getattr(config, "patch_size", None)
        if isinstance(state, Tensor) and state.dim() == 3:
            if states and states[-1].dim() == 4:
                height, width = states[-1].shape[2:]
                return _patch_map(state, height, width, 0)
            if isinstance(patch, int):
                first = 2 + getattr(config, "num_register_tokens", 0)  # class, distillation
                return _patch_map(state, size[0] // patch, size[1] // patch, first)
        raise ConfigError(f"{self.name}: expected a model whose layers are maps or patches")


def _patch_map(state: Tensor, height: int, width: int, first: int) -> Tensor:
    """[B, T, C] tokens, at most `first` and then the patches, to [B, C, h, w], channels-last."""
    others = state.size(1) - height * width
    if not 0 <= others <= first:
        raise ConfigError(
            f"expected a token for each of {height} x {width} patches and at most {first} before "
            f"them (got {state.size(1)} tokens)"
        )
    return state[:, others:].mT.reshape(state.size(0), -1, height, width)


def load_transformers_backbone(
    folder: str | Path,
    *,
    side: int | None = None,
    layers: Sequence[int] = (-1,),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> TransformersBackbone:
    """A vision model of `transformers` as a backbone: ResNet, ConvNeXt, Swin, ViT, DINOv2, CLIP.

    Args:
        folder: `config.json`, weights as `*.safetensors`, and mostly `preprocessor_config.json`.
            Nothing is downloaded, no code in the folder is run, no pickle is read.
        side: S in pixels; by default that of the preprocessor or the model.
        layers: which hidden states become maps; -1 is the last.
        mean: of red, green, blue from 0 to 255; by default the preprocessor's.
        std: of red, green, blue from 0 to 255; by default the preprocessor's.

    Returns:
        The backbone on the CPU, in the type of its weights, for use without training.

    Raises:
        ConfigError: `transformers` is not installed, the folder holds no such model, or an option
            is missing or impossible.
        FormatError: a damaged file.
        CheckpointError: weights are missing.
    """
    folder = Path(folder)
    read_config(folder)
    transformers = import_transformers()
    model = load_pretrained(folder, transformers.AutoModel, dtype="auto", unused=_UNUSED)
    model = getattr(model, "vision_model", model)  # of CLIP and its like
    given = _preprocessing(folder)
    side = side or given.get("side") or _first_side(getattr(model.config, "image_size", None))
    mean, std = mean or given.get("mean"), std or given.get("std")
    if side is None or mean is None or std is None:
        raise ConfigError(
            f"{folder}: expected preprocessor_config.json with image_mean, image_std and size, "
            "or side, mean and std"
        )
    settings = fingerprint(folder_fingerprint(folder), side, tuple(layers), tuple(mean), tuple(std))
    return TransformersBackbone(
        model.to(memory_format=torch.channels_last),
        side=side,
        mean=mean,
        std=std,
        layers=layers,
        name=f"transformers {model.config.model_type}",
        version=f"transformers {transformers.__version__}, {settings}",
    )


def _preprocessing(folder: Path) -> dict[str, Any]:
    """`side`, and `mean` and `std` on the scale of 0 to 255, as far as the folder tells them."""
    paths = [folder / name for name in ("processor_config.json", "preprocessor_config.json")]
    for path in filter(Path.is_file, paths):
        options = read_json(path, "an image processor's options")
        try:
            return _read_preprocessing(options.get("image_processor", options))
        except (ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
            raise FormatError(f"{path}: expected an image processor's options ({error})") from error
    return {}


def _read_preprocessing(options: dict[str, Any]) -> dict[str, Any]:
    scale = options.get("rescale_factor", 1 / 255) if options.get("do_rescale", True) else 1
    found: dict[str, Any] = {
        "side": _first_side(options.get("crop_size")) or _first_side(options.get("size"))
    }
    if not options.get("do_normalize", True):
        found |= {"mean": (0.0, 0.0, 0.0), "std": (1 / scale,) * 3}
    elif "image_mean" in options and "image_std" in options:
        for name in ("mean", "std"):
            found[name] = tuple(float(value) / scale for value in options[f"image_{name}"])
    return found


def _first_side(size: Any) -> int | None:
    """Side from 224, [224, 224], {"height": 224, ...} or {"shortest_edge": 224}."""
    if isinstance(size, dict):
        size = size.get("height", size.get("shortest_edge"))
    if isinstance(size, list | tuple) and size:
        size = size[0]
    return size if isinstance(size, int) else None
