"""A tiny world in which moments can be found: clips show what the queries name."""

from __future__ import annotations

import numpy as np
import torch

from graphmatch.datasets.captions import Caption
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.moment_set import MomentSet
from graphmatch.query_vocabulary import query_vocabulary

THINGS = ("door", "cup", "book", "bed")
CLIPS, VIDEOS = 16, 24
SENTENCES = tuple(f"person uses a {thing}." for thing in THINGS)
VOCABULARY = query_vocabulary(SENTENCES)


def moments(number):
    """Start and end in seconds of a video's two things; a clip is a second."""
    random = np.random.default_rng(number)
    first, second = random.permutation(len(THINGS))[:2].tolist()
    start = int(random.integers(0, 4))
    other = int(random.integers(8, 11))
    return {first: (start, start + 3.0), second: (other, other + 5.0)}


def make_videos(folder):
    """Clips of every video, with a feature for each thing and some noise."""
    with FeatureWriter(folder, kind="clips", job={}) as writer:
        for number in range(VIDEOS):
            feature = np.random.default_rng((number, 1)).normal(0, 0.1, (CLIPS, 6))
            for thing, (start, end) in moments(number).items():
                feature[int(start) : int(end), thing] += 1
            bounds = np.arange(CLIPS + 1.0)
            columns = {
                "feature": feature.astype(np.float32),
                "time": np.stack((bounds[:-1], bounds[1:]), axis=1),
                "duration": np.array(float(CLIPS)),
            }
            writer.add(FeatureRecord(id=f"v{number}", columns=columns))
    return FeatureStore(folder)


def sta_lines(numbers):
    """Lines as Charades-STA has them."""
    return [
        f"v{number} {start} {end}##{SENTENCES[thing]}"
        for number in numbers
        for thing, (start, end) in moments(number).items()
    ]


def data_set(numbers):
    captions = [
        Caption(id=f"{number}-{thing}", owner=f"v{number}", text=SENTENCES[thing], moment=moment)
        for number in numbers
        for thing, moment in moments(number).items()
    ]
    videos = [Visual(id=f"v{number}", kind="video", duration=CLIPS) for number in numbers]
    return DataSet(name="tiny", visuals=tuple(videos), captions=tuple(captions))


def make_queries(store, numbers):
    return MomentSet(data_set(numbers), store, VOCABULARY)


def make_drn(seed=0, **options):
    sizes = {"feature_size": 6, "clips": CLIPS, "word_size": 8, "hidden": 8, "position_size": 4,
             "channels": (16, 16, 16), "pyramid_size": 16}  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DRN(DRNConfig(**{"vocabulary": len(VOCABULARY), **sizes, **options}))
