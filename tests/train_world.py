"""A tiny world in which captions can be matched: items show what their captions name."""

from __future__ import annotations

import numpy as np

from graphmatch.caption_set import CaptionSet
from graphmatch.columns import GraphColumns
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.models.table import MATCHERS
from graphmatch.pair_set import PairSet
from graphmatch.parse import Parse
from graphmatch.rows import CaptionRow
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

COLOURS, THINGS = ("red", "blue", "green", "white"), ("dog", "cat", "car", "boat", "hat")
WORDS = (*COLOURS, *THINGS, "a", "runs", "here")
VOCABULARY = Vocabulary((*SCAN_SPECIALS, *WORDS), "<unk>")
FEATURES = 9
TINY = {
    "scan": {"word_size": 8, "embed_size": 16},
    "gsmn": {"word_size": 8, "embed_size": 16, "blocks": 2, "hidden": 16},
    "imram": {"word_size": 8, "embed_size": 16},
    "hgr": {"word_size": 8, "embed_size": 16, "attention": 4, "dropout": (0.0, 0.0, 0.0)},
    "global-match": {"word_size": 8, "embed_size": 16, "dropout": (0.0, 0.0)},
}


def row(key, owner, words):
    count = len(words)
    places = tuple(range(count))
    parse = Parse.from_tree(
        words, heads=[-1, *([0] * (count - 1))], deprels=["root", *(["dep"] * (count - 1))]
    )
    dependencies = GraphColumns(
        kind=("word",) * count,
        role=("",) * count,
        span_node=places,
        span_word=places,
        source=(0,) * (count - 1),
        target=places[1:],
        relation=("dep",) * (count - 1),
    )
    roles = GraphColumns(
        kind=("event", "action", "entity"),
        role=("", "V", "ARG0"),
        span_node=(*([0] * count), 1, 2, 2),
        span_word=(*places, count - 1, 0, 1),
        source=(0, 1),
        target=(1, 2),
        relation=("V", "ARG0"),
    )
    return CaptionRow(
        id=key, owner=owner, text=parse.text, parse=parse, dependencies=dependencies, roles=roles
    )


def make_store(folder, things=THINGS):
    """Regions: each item has one that shows its colour and thing, and two of noise."""
    random = np.random.default_rng(0)
    with FeatureWriter(folder, kind="regions", job={}) as writer:
        for colour in COLOURS:
            for thing in things:
                feature = random.normal(0, 0.05, (3, FEATURES)).astype(np.float32)
                feature[0, COLOURS.index(colour)] += 1
                feature[0, 4 + THINGS.index(thing)] += 1
                box = np.array([[0, 0, 50, 50], [20, 10, 60, 90], [0, 0, 99, 99]], np.float32)
                columns = {"box": box, "feature": feature, "size": np.array([100, 100], np.int32)}
                writer.add(FeatureRecord(id=f"{colour}-{thing}", columns=columns))
    return FeatureStore(folder)


def make_rows(things=THINGS):
    rows = []
    for colour in COLOURS:
        for thing in things:
            owner = f"{colour}-{thing}"
            rows.append(row(f"{owner}-1", owner, (colour, thing, "runs")))
            rows.append(row(f"{owner}-2", owner, (thing, colour, "a", "here")))
    return rows


def make_pairs(folder, name, things=THINGS):
    kind = MATCHERS[name].model_class()
    store = FeatureStore(folder) if folder.exists() else make_store(folder, things)
    return PairSet(CaptionSet.for_matcher(make_rows(things), VOCABULARY, kind), store)


def make_model(name, seed=0, **options):
    import torch

    entry = MATCHERS[name]
    sizes = {"vocabulary": len(VOCABULARY), "feature_size": FEATURES, **TINY[name], **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return entry.model_class()(entry.config_class()(**sizes))
