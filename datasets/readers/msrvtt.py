"""MSR-VTT: ten thousand clips of web videos in 20 categories, 20 captions each.

Source: Xu et al., "MSR-VTT", CVPR 2016; its `*_videodatainfo.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphmatch.datasets.captions import Caption, record_captions
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.text_files import (
    file_list,
    finite_number,
    plain_text,
    read_json,
    read_lines,
)
from graphmatch.errors import FormatError

_EXPECTED = "MSR-VTT's lists `videos` and `sentences`"


def read_msrvtt(
    captions: str | Path | Sequence[str | Path], *, categories: str | Path | None = None
) -> DataSet:
    """MSR-VTT's clips and captions; the splits are `train`, `validate` and `test`.

    Args:
        captions: `train_val_videodatainfo.json` and `test_videodatainfo.json`, or one of them.
        categories: `category.txt`, a name, a tab and its number a line.

    Returns:
        Clips with their category (`label`) and duration, the end less the start in the video they
        were cut from; captions by their `sen_id`.

    Raises:
        FormatError: a file is missing or holds something else.

    Example:
        >>> import json, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "test.json"
        >>> video = {"video_id": "video0", "split": "test", "category": 9, "start time": 5.0,
        ...          "end time": 15.5}
        >>> sentence = {"sen_id": 3, "video_id": "video0", "caption": "a car drives"}
        >>> _ = path.write_text(json.dumps({"videos": [video], "sentences": [sentence]}))
        >>> read_msrvtt(path).visuals[0].duration
        10.5
    """
    visuals: list[Visual] = []
    found: list[Caption] = []
    for path in file_list(captions):
        content = read_json(path, _EXPECTED)
        videos, sentences = content.get("videos"), content.get("sentences")
        if not isinstance(videos, list) or not isinstance(sentences, list):
            raise FormatError(f"{path}: expected {_EXPECTED} (got {', '.join(content)[:200]!r})")
        prefix = f"{Path(path).name}:"
        visuals += [_visual(record, f"{prefix}{n}") for n, record in enumerate(videos, 1)]
        found += record_captions(sentences, prefix=prefix)
    labels = () if categories is None else _labels(categories)
    data = DataSet(name="msrvtt", visuals=tuple(visuals), captions=tuple(found), labels=labels)
    return data.check()


def _visual(record: Any, place: str) -> Visual:
    fields = record if isinstance(record, dict) else {}
    id, category = plain_text(fields.get("video_id")), fields.get("category")
    start, end = finite_number(fields.get("start time")), finite_number(fields.get("end time"))
    return Visual(
        id=id or place,
        kind="video",
        split=plain_text(fields.get("split")),
        duration=None if start is None or end is None else end - start,
        label=category if type(category) is int and category >= 0 else None,
        error=None if id else "expected an object with a `video_id`",
    )


def _labels(path: str | Path) -> tuple[str, ...]:
    lines = [line.rpartition("\t") for _, line, _ in read_lines(path)]
    if [number.strip() for *_, number in lines] != [str(n) for n in range(len(lines))]:
        raise FormatError(f"{path}: expected a name, a tab and its number from 0 on each line")
    return tuple(name.strip() for name, *_ in lines)
