"""`OnnxDetector`: any detector that was exported to ONNX, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.errors import ConfigError, FormatError, GraphError, check_choice
from graphmatch.regions.base import Photo, Regions, fingerprint
from graphmatch.regions.nms import best_classes
from graphmatch.regions.resize import stretch

Decode = Callable[[Sequence[NDArray[Any]], float], tuple[Tensor, Tensor]]
"""Outputs of the graph for one photograph, and the least score, to boxes and scores.

The outputs are as the graph gives them for a batch of one. Boxes are [N, 4] float32 x1 y1 x2 y2 in
pixels of the network's input, scores [N, C] float32 in [0, 1]. Boxes none of whose scores is above
the least one may be left out. Suppression, scaling and cutting at the border follow elsewhere.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxInput:
    """What an exported detector expects: [B, 3, height, width] float32, stretched photographs.

    A number of the input is `(pixel / 255 - mean) / std`.

    Args:
        width: in pixels.
        height: in pixels.
        mean: of each channel, in the order of `channels`.
        std: of each channel; 1 / 255 with mean 0 gives the pixels themselves.
        channels: order of the channels.
        name: of the graph's input; None takes the only one that is no constant.
        batch: photographs in a run at most, if the graph does not fix their number.
        constants: values of the graph's other inputs by name, the same in every run, for example
            the size of the original, with which some graphs scale their boxes.

    Raises:
        ConfigError: an impossible value.
    """

    width: int
    height: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["RGB", "BGR"] = "RGB"
    name: str | None = None
    batch: int = 1
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("order of channels", self.channels, ("RGB", "BGR"))
        if min(self.width, self.height, self.batch) < 1:
            raise ConfigError(
                "expected width, height and batch of 1 or more "
                f"(got {self.width}, {self.height}, {self.batch})"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or not all(std > 0 for std in self.std):
            raise ConfigError(
                f"expected three means and three positive stds (got {self.mean}, {self.std})"
            )

    def prepare(self, photo: Photo) -> NDArray[np.float32]:
        """Input of the network for one photograph.

        Args:
            photo: the photograph.

        Returns:
            [3, height, width].
        """
        pixels = stretch(photo.pixels, self.width, self.height).numpy()
        if self.channels == "BGR":
            pixels = pixels[::-1]
        mean, std = np.array([self.mean, self.std])[:, :, None, None]  # [3, 1, 1] each
        prepared = pixels * (1 / (255 * std)).astype(np.float32)
        prepared -= (mean / std).astype(np.float32)
        return np.asarray(prepared, np.float32)


class OnnxDetector:
    """Regions from an exported object detector; implements `Detector`.

    The graph is run, its outputs are decoded, boxes of one class that overlap too much are
    suppressed, and what stays is scaled to pixels of the original photograph and cut at its border.

    Args:
        path: the ONNX file, weights inside.
        input: what the network expects.
        decode: function that turns the graph's outputs into boxes and scores, see `Decode`. Its
            name is part of `version`, values that it captures are not.
        labels: names of the C classes.
        least_score: regions that do not score more are left out.
        overlap: IoU that regions of one class may have; 1 for detectors that need no suppression.
        top: regions of a photograph at most.
        threads: that onnxruntime uses; 0 for as many as there are cores.
        provider: onnxruntime's execution provider.

    Raises:
        ConfigError: onnxruntime is missing or lacks the provider; the graph's input is another one.
        FormatError: no such file, or none that onnxruntime can load.

    Example:
        A detector whose export gives one array [1, N, 5 + C] with centre, width and height of each
        box, whether there is an object, and which, and which takes pixels in the order BGR:

        >>> import torch
        >>> def decode(outputs, least_score):
        ...     rows = torch.from_numpy(outputs[0][0])  # [N, 5 + C]
        ...     centre, half = rows[:, :2], rows[:, 2:4] / 2
        ...     box = torch.cat([centre - half, centre + half], dim=1)
        ...     return box, rows[:, 4:5] * rows[:, 5:]
        >>> decode([np.array([[[10, 8, 4, 2, 0.5, 1, 0]]], np.float32)], 0.1)
        (tensor([[ 8.,  7., 12.,  9.]]), tensor([[0.5000, 0.0000]]))
        >>> input = OnnxInput(width=640, height=640, std=(1 / 255,) * 3, channels="BGR")
        >>> OnnxDetector("mine.onnx", input, decode, labels=("cat", "dog"))
        Traceback (most recent call last):
        graphmatch.errors.FormatError: mine.onnx: no such file
    """

    def __init__(
        self,
        path: str | Path,
        input: OnnxInput,
        decode: Decode,
        *,
        labels: Sequence[str],
        least_score: float = 0.05,
        overlap: float = 0.6,
        top: int = 100,
        threads: int = 0,
        provider: str = "CPUExecutionProvider",
    ) -> None:
        for name, value in (("least_score", least_score), ("overlap", overlap)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}: expected a number in [0, 1] (got {value})")
        if top < 1 or threads < 0:
            raise ConfigError(
                f"expected top of 1 or more and threads of 0 or more (got {top}, {threads})"
            )
        path = Path(path)
        self._session, content, version = _load(path, threads, provider)
        self._input = input
        self._path = path
        self._name, self._fixed = _check_input(self._session, input, path)
        self._decode = decode
        self._least_score, self._overlap, self._top = least_score, overlap, top
        self.labels = tuple(labels)
        self.name = f"onnx {path.stem}"
        code = getattr(decode, "__qualname__", repr(decode))
        options = (input, decode.__module__, code, self.labels, least_score, overlap, top, provider)
        self.version = f"onnxruntime {version}, {fingerprint(content, *options)}"

    def detect(self, photos: Sequence[Photo]) -> list[Regions]:
        """Regions of each photograph, best first; equal scores in the order of the decoded boxes.

        Args:
            photos: any number.

        Returns:
            Regions of each, boxes in pixels of `Photo.size`, without features.

        Raises:
            ConfigError: `decode` returns other shapes, or the graph's outputs are no batch.
            GraphError: the network gives NaN.
            FormatError: the graph fails.
        """
        step = self._fixed or self._input.batch
        found: list[Regions] = []
        for start in range(0, len(photos), step):
            some = photos[start : start + step]
            outputs = self._run([self._input.prepare(photo) for photo in some])
            found += [self._regions(*pair) for pair in zip(outputs, some, strict=True)]
        return found

    def _run(self, inputs: Sequence[NDArray[np.float32]]) -> list[list[NDArray[Any]]]:
        """What the graph gives for each photograph alone."""
        count = self._fixed or len(inputs)
        batch = np.zeros((count, *inputs[0].shape), np.float32)  # a fixed batch may be too large
        for place, one in enumerate(inputs):
            batch[place] = one
        try:
            outputs = self._session.run(None, {self._name: batch, **self._input.constants})
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise FormatError(f"{self._path}: the model fails ({error})") from error
        if count == 1:
            return [outputs]
        for output in outputs:
            if output.shape[:1] != (count,):
                raise ConfigError(
                    f"{self._path}: expected outputs of {count} photographs along the first axis "
                    f"(got {list(output.shape)}); use batch=1"
                )
        return [[output[place, None] for output in outputs] for place in range(len(inputs))]

    def _regions(self, outputs: Sequence[NDArray[Any]], photo: Photo) -> Regions:
        box, score = self._decode(outputs, self._least_score)
        if box.shape != (len(score), 4) or score.shape != (len(box), len(self.labels)):
            raise ConfigError(
                f"decode: expected boxes [N, 4] and scores [N, {len(self.labels)}] "
                f"(got {list(box.shape)} and {list(score.shape)})"
            )
        size = box.new_tensor([self._input.width, self._input.height]).repeat(2)  # [4]
        share = (box / size).clamp(0, 1)
        if share.isnan().any():
            raise GraphError("box: expected numbers (got NaN); the model or its input is broken")
        row, label = best_classes(
            share, score, least_score=self._least_score, threshold=self._overlap, top=self._top
        )
        return Regions(
            size=photo.size,
            box=share[row] * share.new_tensor(photo.size).repeat(2),  # [R, 4]
            label=label,
            score=score[row, label],
        )


def _load(path: Path, threads: int, provider: str) -> tuple[Any, bytes, str]:
    """A session, the bytes of its file, and onnxruntime's version."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            "this detector needs onnxruntime: pip install 'graphmatch[detect]'"
        ) from error
    check_choice("provider", provider, onnxruntime.get_available_providers())
    if not path.is_file():
        raise FormatError(f"{path}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; an exporter's habits are no news
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # onnxruntime's exceptions have no common class
        raise FormatError(f"{path}: expected an ONNX model ({error})") from error
    return session, path.read_bytes(), onnxruntime.__version__


def _check_input(session: Any, expected: OnnxInput, path: Path) -> tuple[str, int | None]:
    """Name of the graph's input of photographs, and their number if the graph fixes it."""
    nodes = {node.name: node for node in session.get_inputs()}
    for name in expected.constants:
        check_choice(f"input of {path.name}", name, nodes)
    left = [name for name in nodes if name not in expected.constants]
    if len(left) != 1:
        raise ConfigError(
            f"{path}: expected one input that is no constant (got {', '.join(left)}); give the "
            "others' values in OnnxInput.constants"
        )
    name = expected.name or left[0]
    check_choice(f"input of {path.name}", name, left)
    node, wanted = nodes[name], [expected.batch, 3, expected.height, expected.width]
    if node.type != "tensor(float)" or not _fits(node.shape[1:], wanted[1:]):
        raise ConfigError(
            f"{path}: expected an input of tensor(float) {wanted} as OnnxInput says "
            f"(the graph has {node.type} {node.shape})"
        )
    return name, node.shape[0] if isinstance(node.shape[0], int) else None


def _fits(declared: Sequence[int | str | None], wanted: Sequence[int]) -> bool:
    """Whether sizes are those that a graph declares; names and None are any size."""
    return len(declared) == len(wanted) and all(
        not isinstance(size, int) or size == want
        for size, want in zip(declared, wanted, strict=True)
    )
