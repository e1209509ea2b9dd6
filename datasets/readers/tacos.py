"""TACoS: sentences with start and end in videos of cooking.

Source: Regneri et al., "Grounding Action Descriptions in Videos", TACL 2013; the files of 2D-TAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphmatch.datasets.dataset import DataSet
from graphmatch.datasets.text_files import Files, finite_number
from graphmatch.datasets.timestamp_files import Clock, read_timestamp_files


def read_tacos(captions: Files, *, clip_moments: bool = True) -> DataSet:
    """TACoS's sentences with their moments in seconds: the frames of the files / fps.

    Args:
        captions: `train.json`, `val.json`, `test.json`, by split.
        clip_moments: let a moment that ends after its video end with it; if not set, that is an
            error.

    Returns:
        Videos, whose ids are names of files, with duration, frames and fps; and sentences named by
        split, video and place.

    Raises:
        FormatError: a file is missing or holds something else.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "train.json"
        >>> video = {"fps": 20, "num_frames": 400, "timestamps": [[30, 90]], "sentences": ["Cut."]}
        >>> _ = path.write_text(json.dumps({"s1-d1.avi": video}))
        >>> data = read_tacos({"train": path})
        >>> data.visuals[0].duration, data.captions[0].moment
        (20.0, (1.5, 4.5))
    """
    return read_timestamp_files(captions, name="tacos", clock=_clock, clip_moments=clip_moments)


def _clock(record: Mapping[str, Any]) -> Clock:
    fps, frames = finite_number(record.get("fps")), finite_number(record.get("num_frames"))
    if fps is None or frames is None or fps <= 0:
        return Clock(duration=None, rate=None)
    return Clock(duration=frames / fps, rate=fps, frames=int(frames), fps=fps)
