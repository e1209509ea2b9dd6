"""What the benchmark `charades.py` trains on: tracks of videos, and queries of three splits.

OUT/oracle, OUT/degraded    feature stores of clips, 157 labels a clip, of all videos with queries
OUT/queries/SPLIT.txt       lines of Charades-STA; `val` are the queries of a tenth of the training
                            videos, `train` those of the others, `test` all test queries
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from charades_tracks import Detector, describe, read_actions, track_records

from graphmatch.datasets.charades_sta import read_charades_sta
from graphmatch.datasets.dataset import DataSet
from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.output import open_output
from graphmatch.store_folder import MANIFEST

Tracks = Literal["oracle", "degraded"]
TRACKS: dict[Tracks, Detector | None] = {"oracle": None, "degraded": Detector()}
"""Kinds of tracks and what makes them."""
SPLITS = ("train", "val", "test")
HELD = 10  # of how many training videos one is held out


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Files of the benchmark.

    Args:
        data: the folder charades_sta.
        out: where stores and queries are.
    """

    data: Path
    out: Path

    def visual(self, tracks: Tracks) -> Path:
        """Feature store of all videos."""
        return self.out / tracks

    def queries(self, split: str) -> Path:
        """File of the queries of a split."""
        return self.out / "queries" / f"{split}.txt"

    @property
    def durations(self) -> Path:
        """File of the videos' seconds."""
        return self.data / "Charades_duration.json"

    @property
    def words(self) -> Path:
        """File of the official word ids, words of the test part included."""
        return self.data / "Charades_word2id.json"

    @property
    def word_vectors(self) -> Path:
        """File of GloVe's vectors in the order of these ids."""
        return self.data / "glove_300d.safetensors"

    def data_set(self, split: str) -> DataSet:
        """Queries of a split."""
        return read_charades_sta({split: self.queries(split)}, durations=self.durations)


def held_out(video: str) -> bool:
    """Whether a training video belongs to the validation part: by its name, in every run the same.

    Args:
        video: id.

    Returns:
        True for one of ten.
    """
    return zlib.crc32(video.encode()) % HELD == 0


def make_stores(
    data: Path, out: Path, tracks: Iterable[Tracks], *, tell: Callable[[str], None], limit: int = 0
) -> Stores:
    """Make what is not there yet.

    Args:
        data: the folder charades_sta.
        out: folder for stores and queries.
        tracks: which of them are needed.
        tell: gets a line for everything that is made.
        limit: queries of each split, to try the benchmark; 0 for all.

    Returns:
        Where everything is.

    Raises:
        ConfigError: other queries or tracks are there already.
    """
    stores = Stores(data=data, out=out)
    lines = {
        split: (data / f"Charades_sta_{split}.txt").read_text(encoding="utf-8").splitlines()
        for split in ("train", "test")
    }
    parts = {
        "train": [line for line in lines["train"] if not held_out(line.split()[0])],
        "val": [line for line in lines["train"] if held_out(line.split()[0])],
        "test": lines["test"],
    }
    parts = {split: some[: limit or None] for split, some in parts.items()}
    stores.queries("train").parent.mkdir(parents=True, exist_ok=True)
    for split, some in parts.items():
        path, text = stores.queries(split), "\n".join(some) + "\n"
        if not path.exists():
            with open_output(path) as stream:
                stream.write(text)
        elif path.read_text(encoding="utf-8") != text:
            raise ConfigError(
                f"{path}: made of other data or with another --limit; expected a new --out"
            )
    videos = [*dict.fromkeys(line.split()[0] for some in parts.values() for line in some)]
    for name in tracks:
        detector = TRACKS[name]
        folder = stores.visual(name)
        if _complete(folder, describe(detector)):
            continue
        with FeatureWriter(folder, kind="clips", job=describe(detector)) as writer:
            for record in track_records(videos, read_actions(data), data, detector=detector):
                if record.id not in writer:
                    writer.add(record)
        tell(f"{folder}: {len(videos):,} videos")
    return stores


def _complete(folder: Path, job: dict[str, object]) -> bool:
    """Whether a finished store of the same job is there."""
    if not (folder / MANIFEST).exists():
        return False
    manifest = FeatureStore(folder, partial=True).manifest
    same = json.loads(json.dumps(job)).items() <= manifest["job"].items()
    return bool(manifest["complete"]) and same
