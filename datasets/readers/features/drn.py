"""DRN's features of videos: a folder with a tensor `VIDEO.pt` [rows, F] each.

Row r covers the frames from r * step to r * step + window.

Source: DRN (CVPR 2020), official code, `dataset`; windows and steps of its features: C3D 16 and 8,
I3D 64 and 8, MFnet 32 and 8 frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.datasets.features.item_files import write_item_files
from graphmatch.datasets.features.records import Add, make_record, step_times
from graphmatch.datasets.text_files import finite_number, read_json
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord


def read_drn(
    path: str | Path,
    *,
    window: int,
    step: int,
    fps: float | str | Path,
    durations: str | Path | None = None,
) -> Iterator[FeatureRecord]:
    """Videos of a folder of tensors, sorted by name.

    Args:
        path: the folder.
        window: frames that a row covers.
        step: frames from the start of a row to the start of the next.
        fps: frames a second of all videos, or a JSON file of them by video
            (`Charades_fps_dict.json`).
        durations: JSON file of seconds by video (`Charades_duration.json`), at which times are cut;
            None lets a video end with its last row.

    Yields:
        A record of kind `clips` a file: feature [L, F], time [L, 2], duration. A damaged file, or a
        video that is not in a JSON file, is a failed record.

    Raises:
        FormatError: no such folder, no `.pt` file in it, no JSON object.
        ConfigError: window, step or fps is not above 0.

    Example:
        >>> import tempfile, torch
        >>> folder = Path(tempfile.mkdtemp())
        >>> torch.save(torch.zeros(3, 4), folder / "AO8RW.pt")
        >>> record = next(read_drn(folder, window=16, step=8, fps=32))
        >>> record.id, record.columns["time"].tolist()
        ('AO8RW', [[0.0, 0.5], [0.25, 0.75], [0.5, 1.0]])
    """
    folder = Path(path)
    if window < 1 or step < 1:
        raise ConfigError(f"expected window and step from 1 (got {window} and {step})")
    rates = _by_video(fps, "frames a second")
    lengths = None if durations is None else _by_video(durations, "seconds")
    found = sorted(folder.rglob("*.pt")) if folder.is_dir() else []
    if not found:
        raise FormatError(f"{path}: expected a folder of .pt files")
    for file in found:
        key = file.relative_to(folder).with_suffix("").as_posix()
        times = partial(_times, key, rates=rates, lengths=lengths, window=window, step=step)
        yield make_record("clips", key, partial(_columns, file, times))


def _by_video(value: float | str | Path, what: str) -> Mapping[str, object] | float:
    number = finite_number(value if not isinstance(value, Path) else str(value))
    if number is None:
        return read_json(str(value), f"{what} by video")
    if number <= 0:
        raise ConfigError(f"expected {what} above 0 (got {number})")
    return number


def _number(values: Mapping[str, object] | float, video: str, what: str) -> float:
    number = values if isinstance(values, float) else finite_number(values.get(video))
    if number is None or number <= 0:
        raise FormatError(f"expected {what} of {video!r} above 0")
    return number


def _columns(file: Path, times: Callable[[int], Mapping[str, Any]]) -> Mapping[str, Any]:
    feature = _tensor(file)
    return {"feature": feature, **times(len(feature))}


def _times(
    video: str,
    rows: int,
    *,
    rates: Mapping[str, object] | float,
    lengths: Mapping[str, object] | float | None,
    window: int,
    step: int,
) -> Mapping[str, Any]:
    rate = _number(rates, video, "frames a second")
    time = step_times(rows, step / rate, window=window / rate)  # [L, 2]
    if lengths is not None:
        duration = _number(lengths, video, "seconds")
        return {"time": time.clip(max=duration), "duration": np.float64(duration)}
    return {"time": time, "duration": np.float64(time[-1, 1] if rows else 0)}


def _tensor(file: Path) -> NDArray[Any]:
    import torch

    try:
        value = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # whatever torch makes of a damaged file
        reason = str(error).partition("\n")[0]
        raise FormatError(f"{file.name}: expected a saved tensor ({reason:.200})") from error
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.dim() != 2:
        raise FormatError(f"{file.name}: expected a tensor [rows, numbers]")
    if value.numel() * value.element_size() > file.stat().st_size:
        raise FormatError(f"{file.name}: expected a tensor whose numbers are all in the file")
    value = value.detach()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def write_drn(path: str | Path, *, force: bool = False) -> AbstractContextManager[Add]:
    """A folder with a `.pt` tensor a video; times are lost.

    Args:
        path: as in `write_item_files`.
        force: as in `write_item_files`.

    Returns:
        What `write_item_files` gives.
    """
    return write_item_files(path, ".pt", _save, force=force)


def _save(stream: IO[bytes], columns: Mapping[str, Any]) -> None:
    import torch

    torch.save(torch.from_numpy(np.array(columns["feature"])), stream)
