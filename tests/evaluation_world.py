"""Stores and checkpoints of a tiny world for the tests of evaluation."""

from __future__ import annotations

import numpy as np
import torch

from graphmatch.checkpoint import save_checkpoint
from graphmatch.datasets.captions import Caption
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_writer import FeatureWriter
from graphmatch.models.table import MODELS
from graphmatch.parse_job import parse_captions
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary
from tests.tiny_models import SIZES

TEXTS = (
    "A man rides a horse.",
    "Two dogs chase a ball.",
    "A red kite in the sky.",
    "A woman holds an umbrella.",
    "A cat sleeps on a bed.",
    "A boat on the water.",
)
WORDS = ("a", "man", "rides", "horse", "two", "dogs", "chase", "ball", "red", "kite", "in", "cat")


def make_captions(folder, parser, *, images=6, repeats=2, extra=(), graph="both"):
    """`images` x `repeats` captions, ids "0-0", "0-1", ...; owners "0", "1", ..."""
    captions = [
        Caption(id=f"{image}-{n}", owner=str(image), text=f"{TEXTS[image % 6][:-1]} {image} {n}.")
        for image in range(images)
        for n in range(repeats)
    ]
    parse_captions([*captions, *extra], folder, parser=parser, graph=graph)
    return folder


def make_visuals(folder, *, images=6, broken=(), width=5, kind="regions", ids=None):
    """Items "0", "1", ... with two or three regions of random numbers."""
    random = np.random.default_rng(7)
    with FeatureWriter(folder, kind=kind, job={}) as writer:
        for image, key in enumerate(ids or map(str, range(images))):
            rows = 2 + image % 2
            columns = {"feature": random.standard_normal((rows, width)).astype(np.float32)}
            if kind == "regions":
                box = np.sort(random.random((rows, 2, 2)) * 90, axis=1).reshape(rows, 4)
                columns |= {"box": box.astype(np.float32), "size": np.array([100, 100], np.int32)}
            else:
                time = np.stack([np.arange(rows), np.arange(rows) + 1.0], axis=1)
                columns |= {"time": time.astype(np.float32), "duration": np.float64(rows)}
            writer.add(FeatureRecord(id=key, columns=columns))
        for key in broken:
            writer.add(FeatureRecord(id=key, error="no such file"))
    return folder


def make_checkpoint(folder, name="scan", seed=0, words=WORDS, **options):
    """A checkpoint with random weights."""
    vocabulary = Vocabulary((*SCAN_SPECIALS, *words), "<unk>")
    entry = MODELS[name]
    config = entry.config_class()(vocabulary=len(vocabulary), **{**SIZES[name], **options})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = entry.model_class()(config)
        for value in model.parameters():
            value.data.mul_(3)  # scores far apart
    save_checkpoint(folder, model, vocabulary)
    return folder
