"""Sentences with times by video: the JSON that ActivityNet Captions and TACoS share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain, repeat
from typing import Any, NamedTuple

from graphmatch.datasets.captions import Caption, record_captions
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.text_files import Files, finite_number, read_json, safe_text, split_files
from graphmatch.errors import FormatError

_EXPECTED = "an object of `timestamps` and `sentences` by video"


class Clock(NamedTuple):
    """What the record of a video says of its time; None where it says nothing usable."""

    duration: float | None  # seconds
    rate: float | None  # of its timestamps: how many make a second
    frames: int | None = None
    fps: float | None = None


def read_timestamp_files(
    files: Files,
    *,
    name: str,
    clock: Callable[[Mapping[str, Any]], Clock],
    clip_moments: bool = True,
) -> DataSet:
    """Videos and sentences of `{video: {"timestamps": [[start, end], ...], "sentences": [...]}}`.

    Args:
        files: JSON files by split.
        name: of the data set.
        clock: reads the fields of a record that tell the time.
        clip_moments: let a moment that ends after its video end with it; else that is an error.

    Returns:
        The videos, one that is in several files once and without a split of its own; and the
        sentences, named by split, video and place (`train:v_a#0`).

    Raises:
        FormatError: a file is missing or holds something else.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> video = {"timestamps": [[1, 3]], "sentences": ["A dog."]}
        >>> _ = path.write_text(json.dumps({"v": video}))
        >>> data = read_timestamp_files(path, name="a", clock=lambda record: Clock(9.0, 2.0))
        >>> data.captions[0].moment
        (0.5, 1.5)
    """
    visuals: dict[str, Visual] = {}
    captions: list[Caption] = []
    for split, path in split_files(files):
        content = read_json(path, _EXPECTED)
        if not any(isinstance(r, dict) and "timestamps" in r for r in content.values()):
            raise FormatError(f"{path}: expected {_EXPECTED} (got none)")
        for key, record in content.items():
            visual, found = _read_video(safe_text(key), record, split, clock)
            captions += found
            known = visuals.setdefault(visual.id, visual)
            if known.split != split:
                visuals[visual.id] = replace(known, split=None)
    data = DataSet(name=name, visuals=tuple(visuals.values()), captions=tuple(captions))
    return data.check(clip_moments=clip_moments)


def _read_video(
    id: str, record: object, split: str | None, clock: Callable[[Mapping[str, Any]], Clock]
) -> tuple[Visual, list[Caption]]:
    visual = Visual(id=id, kind="video", split=split)
    fields = record if isinstance(record, dict) else {}
    times, sentences = fields.get("timestamps"), fields.get("sentences")
    if not isinstance(times, list) or not isinstance(sentences, list):
        return replace(visual, error="expected the lists `timestamps` and `sentences`"), []
    duration, rate, frames, fps = clock(fields)
    error = None
    if duration is None or rate is None:
        error = "expected numbers that tell its duration"
    elif len(times) != len(sentences):
        error = f"expected a time for each sentence (got {len(times)} for {len(sentences)})"
    prefix = id if split is None else f"{split}:{id}"
    captions = record_captions(
        {"id": f"{prefix}#{place}", "owner": id, "caption": sentence, "split": split}
        for place, sentence in enumerate(sentences)
    )
    moments = chain((_moment(time, rate or 1.0) for time in times), repeat(None))
    visual = replace(visual, duration=duration, frames=frames, fps=fps, error=error)
    return visual, [_timed(c, m, error) for c, m in zip(captions, moments, strict=False)]


def _moment(time: object, rate: float) -> tuple[float, float] | None:
    match time:
        case [start, end]:
            first, last = finite_number(start), finite_number(end)
            return None if first is None or last is None else (first / rate, last / rate)
    return None


def _timed(caption: Caption, moment: tuple[float, float] | None, error: str | None) -> Caption:
    if moment is None:
        error = error or "expected a moment [start, end] in numbers"
    return replace(caption, moment=moment, error=caption.error or error)
