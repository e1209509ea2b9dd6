"""Every model of the table at a tiny size."""

from __future__ import annotations

import torch

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature
from graphmatch.click_schema import ClickSchema
from graphmatch.models.marn import Modality, Table
from graphmatch.models.table import MODELS
from graphmatch.vocab import Vocabulary

SIZES = {
    "scan": {"feature_size": 5, "word_size": 3, "embed_size": 4},
    "gsmn": {"feature_size": 5, "word_size": 3, "embed_size": 8, "blocks": 2, "hidden": 16},
    "hgr": {
        "feature_size": 5,
        "word_size": 3,
        "embed_size": 4,
        "attention": 2,
        "layers": 2,
        "level_weights": (1.0, 0.2, 0.2, 0.2),
    },
    "global-match": {"feature_size": 5, "word_size": 3, "embed_size": 4},
    "imram": {"feature_size": 5, "word_size": 3, "embed_size": 4},
    "drn": {
        "feature_size": 5,
        "clips": 8,
        "word_size": 3,
        "hidden": 4,
        "position_size": 3,
        "channels": (4, 5, 6),
        "pyramid_size": 4,
    },
    "marn": {
        "modalities": (
            Modality(name="ids", kind="ids", sizes=(6, 4), widths=(3, 2)),
            Modality(name="image", kind="vector", sizes=(5,)),
            Modality(name="title", kind="words", widths=(3,), kernels=(1, 2), channels=2),
        ),
        "properties": (Table(name="type", size=4, width=2),),
        "dim": 4,
        "disc_hidden": 3,
        "hidden": 5,
        "units": (4,),
    },
}
WORDS = 7


def tiny_vocabulary(words=WORDS):
    return Vocabulary(("<unk>", *(f"w{n}" for n in range(1, words))), "<unk>")


def tiny_encoder():
    """What encodes the clicks of the tiny MARN."""
    items = (
        Feature(name="item", kind="ids", modality="ids"),
        Feature(name="image", kind="vector"),
        Feature(name="title", kind="words"),
    )
    schema = ClickSchema(user="user", item="item", time="time", label="label", items=items)
    return ClickEncoder(schema=schema, widths={"image": 5})


def tiny_words(name):
    """What a checkpoint of a model has beside its weights."""
    return tiny_encoder() if MODELS[name].task == "click" else tiny_vocabulary()


def tiny_model(name, seed=0, **options):
    """A model with random weights."""
    entry = MODELS[name]
    config = entry.config_class()(vocabulary=WORDS, **{**SIZES[name], **options})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return entry.model_class()(config)
