"""Label tracks of Charades' videos: 157 numbers a clip, from the annotated action intervals.

There are no visual features of Charades-STA here. Every moment of Charades-STA is the interval of
an annotated action of its video to the last digit, so that clean tracks hold the answer among about
seven intervals: they are an ORACLE, good for checking that a model learns, never to be set beside
published numbers. Degraded tracks are what a poor detector might say, by `Detector`.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graphmatch.clips.proposals import clip_positions
from graphmatch.datasets.text_files import read_json
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

CLASSES = 157
CLIPS = 32
FILES = ("Charades_v1_train.csv", "Charades_v1_test.csv")
Action = tuple[int, float, float]
"""Number of the class, start and end in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A simulated detector of actions.

    A class's score at the middle t of a clip is the largest over its instances [s, e] of
    h sigmoid(k (t - s)) sigmoid(k (e - t)), plus noise, cut to [0, 1].

    Args:
        missed: probability that an instance is not seen at all.
        shift: standard deviation of the error of both ends, seconds.
        slope: k, steepness of the ends, 1 / seconds.
        false_alarms: instances of a random class and start in every video.
        false_length: shortest and longest false alarm, seconds.
        false_height: h of false alarms; 1 for true instances.
        noise: standard deviation of the noise of every score.
        seed: of everything random, with the video's id: other videos change nothing.
    """

    missed: float = 0.3
    shift: float = 2.0
    slope: float = 1.0
    false_alarms: int = 4
    false_length: tuple[float, float] = (3.0, 12.0)
    false_height: float = 0.8
    noise: float = 0.15
    seed: int = 0

    def track(
        self, id: str, actions: Sequence[Action], time: NDArray[np.float64], duration: float
    ) -> NDArray[np.float32]:
        """What the detector says about a video.

        Args:
            id: of the video.
            actions: what is annotated.
            time: [T, 2] start and end of its clips, seconds.
            duration: of the video, seconds.

        Returns:
            [T, 157] in [0, 1].
        """
        rng = np.random.default_rng([self.seed, zlib.crc32(id.encode())])
        seen = rng.random(len(actions)) >= self.missed
        ends = np.array([action[1:] for action in actions], np.float64).reshape(-1, 2)
        ends = np.sort(ends + rng.normal(0, self.shift, ends.shape), axis=1)
        found = [(*one, 1.0) for one in zip([a[0] for a in actions], *ends.T, strict=True)]
        found = [one for one, there in zip(found, seen, strict=True) if there]
        for label, share, length in zip(
            rng.integers(CLASSES, size=self.false_alarms),
            rng.random(self.false_alarms),
            rng.uniform(*self.false_length, self.false_alarms),
            strict=True,
        ):
            start = share * duration
            found.append((int(label), start, start + length, self.false_height))
        middle = time.mean(axis=1)  # [T]
        scores = np.zeros((len(time), CLASSES))
        for label, start, end, height in found:
            edges = _sigmoid(self.slope * (middle - start)) * _sigmoid(self.slope * (end - middle))
            scores[:, label] = np.maximum(scores[:, label], height * edges)
        scores += rng.normal(0, self.noise, scores.shape)
        return scores.clip(0, 1).astype(np.float32)


def oracle_track(actions: Sequence[Action], time: NDArray[np.float64]) -> NDArray[np.float32]:
    """Annotated labels: which share of a clip the longest instance of each class covers.

    Args:
        actions: what is annotated.
        time: [T, 2] start and end of the clips, seconds.

    Returns:
        [T, 157] in [0, 1].
    """
    start, end = time.T
    shares = np.zeros((len(time), CLASSES), np.float32)
    for label, first, last in actions:
        common = np.minimum(end, last) - np.maximum(start, first)
        share = (common / np.maximum(end - start, 1e-9)).clip(0, 1)  # a clip of no length: 0
        shares[:, label] = np.maximum(shares[:, label], share)
    return shares


def read_actions(folder: Path) -> dict[str, list[Action]]:
    """Annotated actions by video; an interval of another form is left out.

    Args:
        folder: with the files `FILES`.

    Returns:
        Actions of all videos of the files, maybe none.

    Raises:
        FormatError: a file is missing or has no column `actions`.
    """
    found: dict[str, list[Action]] = {}
    for name in FILES:
        try:
            with (folder / name).open(encoding="utf-8", newline="") as stream:
                for row in csv.DictReader(stream):
                    found[row["id"]] = list(parse_actions(row["actions"]))
        except (OSError, KeyError) as error:
            raise FormatError(f"{folder / name}: expected Charades' csv file ({error})") from error
    return found


def parse_actions(text: str) -> Iterator[Action]:
    """Actions of a cell `c092 11.90 21.20;c147 0.00 12.60`; broken ones are passed over.

    Args:
        text: the cell.

    Yields:
        Actions with start before end.
    """
    for part in text.split(";"):
        fields = part.split()
        try:
            label, start, end = int(fields[0].removeprefix("c")), float(fields[1]), float(fields[2])
        except (IndexError, ValueError):
            continue
        if 0 <= label < CLASSES and start < end:
            yield label, start, end


def track_records(
    videos: Sequence[str],
    actions: Mapping[str, Sequence[Action]],
    folder: Path,
    *,
    detector: Detector | None,
) -> Iterator[FeatureRecord]:
    """Clips of videos for a `FeatureWriter`.

    Clips are DRN's: cut by the number of frames, as shares of the annotation's duration.

    Args:
        videos: ids.
        actions: see `read_actions`; a video without actions has a track of zeros.
        folder: with `Charades_duration.json` and `Charades_frames_info.json`.
        detector: what makes the track; None is the oracle.

    Yields:
        A record of each video, in order.

    Raises:
        ConfigError: a video that the files do not know.
    """
    seconds = read_json(folder / "Charades_duration.json", "seconds by video")
    frames = read_json(folder / "Charades_frames_info.json", "number of frames by video")
    for id in videos:
        if not {id} <= seconds.keys() & frames.keys() & actions.keys():
            raise ConfigError(f"{id}: expected its seconds, frames and actions (got not all)")
        duration = float(seconds[id])
        time = clip_positions(int(frames[id]), CLIPS).numpy() * duration  # [T, 2]
        if detector is None:
            track = oracle_track(actions[id], time)
        else:
            track = detector.track(id, actions[id], time, duration)
        columns = {"feature": track, "time": time, "duration": np.array(duration)}
        yield FeatureRecord(id=id, columns=columns)


def describe(detector: Detector | None) -> dict[str, object]:
    """What a store of tracks says about how it was made: plain values of JSON."""
    return {"tracks": "ORACLE"} if detector is None else {"tracks": "degraded", **asdict(detector)}


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * x))  # does not overflow
