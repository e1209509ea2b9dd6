"""A tiny world in which the history decides the click: users like items of one of two groups."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from graphmatch.click_features import Feature
from graphmatch.click_inputs import ClickInputs, marn_config
from graphmatch.click_job import encode_clicks
from graphmatch.click_log import table_log
from graphmatch.click_samples import ClickSamples
from graphmatch.click_schema import ClickSchema
from graphmatch.click_store import ClickStore
from graphmatch.models.marn import MARN

ITEMS, USERS, EVENTS = 24, 60, 15
SIZES = {"dim": 16, "hidden": 16, "units": (16,), "disc_hidden": 8, "history": 8, "product": True,
         "embedding_std": 0.3}  # fmt: skip
INPUTS = ClickInputs(item_width=8, id_width=4, bucket_width=4, word_width=4, channels=4)
SCHEMA = ClickSchema(
    user="user",
    item="item",
    time="time",
    label="label",
    items=(
        Feature(name="item", kind="ids", modality="ids"),
        Feature(name="brand", kind="ids", modality="ids"),
        Feature(name="image", kind="vector"),
        Feature(name="title", kind="words", length=3),
        Feature(name="price", kind="buckets", buckets=3),
    ),
    properties=(Feature(name="type", kind="ids", column="action"),),
    context=(Feature(name="age", kind="number"), Feature(name="phone", kind="ids")),
)


def group(item):
    return item % 2


def log_table(seed=0):
    """Events: what a user likes depends on the user alone, and is seen from earlier events."""
    random = np.random.default_rng(seed)
    user = np.repeat(np.arange(USERS), EVENTS)
    item = random.integers(ITEMS, size=len(user))
    liked = random.integers(2, size=USERS)[user] == group(item)
    return pa.table(
        {
            "user": [f"u{n}" for n in user],
            "item": [f"i{n}" for n in item],
            "time": np.tile(np.arange(EVENTS) * 100.0, USERS) + random.integers(9, size=len(user)),
            "label": liked.astype(int),
            "action": np.where(liked, "cart", "view"),
            "age": random.integers(20, 60, size=len(user)),
            "phone": [("old", "new")[n] for n in random.integers(2, size=len(user))],
        }
    )


def item_table():
    """Items; some have no image, title or price."""
    random = np.random.default_rng(1)
    images = random.normal(0, 0.2, (ITEMS, 3)) + np.eye(3)[[group(n) for n in range(ITEMS)]]
    return pa.table(
        {
            "item": [f"i{n}" for n in range(ITEMS)],
            "brand": [f"b{group(n)}" for n in range(ITEMS)],
            "image": [None if n in (3, 8) else row.tolist() for n, row in enumerate(images)],
            "title": [
                None if n == 5 else f"thing {('red', 'blue')[group(n)]}" for n in range(ITEMS)
            ],
            "price": [None if n == 6 else float(n) for n in range(ITEMS)],
        }
    )


def make_store(folder, *, schema=SCHEMA, table=None, items=None, encoder=None):
    log = table_log(
        schema,
        log_table() if table is None else table,
        items=item_table() if items is None else items,
    )
    encode_clicks(log, folder, encoder=encoder)
    return ClickStore(folder)


def make_marn(store, inputs=INPUTS, seed=0, **options):
    config = marn_config(store, inputs, {**SIZES, **options})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MARN(config)


def samples(store, model, split):
    return ClickSamples(store, split, model.config)
