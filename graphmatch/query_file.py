"""`read_queries`: the annotation of a grounding data set, told by its form; `hold_out`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from graphmatch.datasets.activitynet import read_activitynet
from graphmatch.datasets.charades_sta import read_charades_sta
from graphmatch.datasets.dataset import DataSet
from graphmatch.datasets.tacos import read_tacos
from graphmatch.datasets.text_files import read_json
from graphmatch.errors import ConfigError


def read_queries(path: str | Path, *, durations: str | Path | None = None) -> DataSet:
    """Queries with their moments.

    | file | what it is |
    |---|---|
    | `.json`, its records with `num_frames` | TACoS, as 2D-TAN has it |
    | `.json`, others | ActivityNet Captions |
    | any other | lines of Charades-STA |

    Args:
        path: the file, perhaps gzipped.
        durations: seconds by video for lines of Charades-STA; without, videos have no duration
            here, and `MomentSet` takes that of the clips.

    Returns:
        The data set; moments that end after their video end with it.

    Raises:
        FormatError: no such file, or another one.
        ConfigError: durations for a file that has its own.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "train.txt"
        >>> _ = path.write_text("AO8RW 0.0 6.9##a person is reading.")
        >>> read_queries(path).captions[0].moment
        (0.0, 6.9)
    """
    name = str(path).lower().removesuffix(".gz")
    if not name.endswith(".json"):
        return read_charades_sta(path, durations=durations)
    if durations is not None:
        raise ConfigError(f"{path}: expected no durations beside it, it has its own")
    records = read_json(path, "an object of `timestamps` and `sentences` by video")
    tacos = any(isinstance(record, dict) and "num_frames" in record for record in records.values())
    return read_tacos(path) if tacos else read_activitynet(path)


def hold_out(data: DataSet, share: float, *, seed: int = 0) -> tuple[DataSet, DataSet]:
    """A data set without some of its videos, and these with their queries.

    Args:
        data: the data set.
        share: of the videos that are held out, above 0 and below 1; at least one is.
        seed: of the draw.

    Returns:
        The rest, and what is held out.

    Raises:
        ConfigError: another share, or too few videos.
    """
    if not 0 < share < 1:
        raise ConfigError(f"expected a share of videos between 0 and 1 (got {share})")
    owners = sorted({c.owner for c in data.captions if c.owner is not None})
    count = max(1, round(share * len(owners)))
    if count >= len(owners):
        raise ConfigError(f"expected more videos to hold {count} out (got {len(owners)})")
    drawn = np.random.default_rng(seed).permutation(len(owners))[:count].tolist()
    held = {owners[number] for number in drawn}
    parts = [
        replace(
            data,
            visuals=tuple(v for v in data.visuals if (v.id in held) == out),
            captions=tuple(c for c in data.captions if (c.owner in held) == out),
        )
        for out in (False, True)
    ]
    return parts[0], parts[1]
