"""ActivityNet Captions: sentences with start and end in videos of human activities.

Source: Krishna et al., "Dense-Captioning Events in Videos", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphmatch.datasets.dataset import DataSet
from graphmatch.datasets.text_files import Files, finite_number
from graphmatch.datasets.timestamp_files import Clock, read_timestamp_files


def read_activitynet(captions: Files, *, clip_moments: bool = True) -> DataSet:
    """ActivityNet Captions with their moments.

    `val_1` and `val_2` are two annotations of the same videos; papers on grounding take the first
    for validation and the second for test. A video that is in both has no split of its own:
    `DataSet.split` goes by its sentences.

    Args:
        captions: `train.json`, `val_1.json`, `val_2.json`, by split.
        clip_moments: let a moment that ends after its video end with it; if not set, that is an
            error.

    Returns:
        Videos with their duration, and sentences named by split, video and place.

    Raises:
        FormatError: a file is missing or holds something else.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "train.json"
        >>> video = {"duration": 9.5, "timestamps": [[0.5, 9.52]], "sentences": ["A dog runs."]}
        >>> _ = path.write_text(json.dumps({"v_a": video}))
        >>> data = read_activitynet({"train": path})
        >>> data.captions[0].id, data.captions[0].moment
        ('train:v_a#0', (0.5, 9.5))
    """
    return read_timestamp_files(
        captions, name="activitynet_captions", clock=_clock, clip_moments=clip_moments
    )


def _clock(record: Mapping[str, Any]) -> Clock:
    return Clock(duration=finite_number(record.get("duration")), rate=1.0)
