"""Galleries of random graphs for tests of indexes, at tiny sizes."""

from __future__ import annotations

import torch

from graphmatch.checkpoint import checkpoint_digest, save_checkpoint
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.index import MatchIndex
from graphmatch.scoring import score_matrix
from tests.tiny_models import WORDS, tiny_model, tiny_vocabulary


def text(words, seed, name="scan"):
    """A caption: a star of words, or for HGR an event and its entities."""
    roles = name == "hgr"
    random = torch.Generator().manual_seed(seed)
    places = torch.arange(words)
    return TextGraph(
        word=torch.randint(WORDS, (words,), generator=random),
        kind=torch.tensor([0, *[2] * (words - 1)]) if roles else torch.full((words,), 3),
        role=torch.tensor([-1, *[1] * (words - 1)]) if roles else torch.full((words,), -1),
        span=torch.stack((places, places)),
        edge_index=torch.stack((torch.zeros(words - 1, dtype=torch.int64), places[1:])),
        relation=torch.zeros(words - 1, dtype=torch.int64),
    )


def picture(nodes, seed, name="scan"):
    random = torch.Generator().manual_seed(1000 + seed)
    x = torch.rand(nodes, 5, generator=random)
    if name in ("hgr", "global-match"):
        time = torch.arange(nodes, dtype=torch.float32)
        span = torch.stack((time, time + 1), dim=1)
        return ClipGraph(x=x, time=span, duration=torch.tensor([float(nodes)]))
    box = torch.rand(nodes, 2, 2, generator=random).sort(dim=1).values.flatten(1)
    return RegionGraph(x=x, box=box, size=torch.tensor([[4.0, 3.0]]))


def gallery(count, name="scan", side="visual"):
    """(ids, graphs)."""
    ids = [f"item {number}" for number in range(count)]
    if side == "text":
        return ids, [text(1 + number % 5, number, name) for number in range(count)]
    return ids, [picture(1 + number % 4, number, name) for number in range(count)]


def make(path, name="scan", *, count=20, side="visual", model=None, add=None, **options):
    """An index of `gallery(count)`, and its matcher; `add` are further arguments of `add`."""
    model = tiny_model(name) if model is None else model
    options = {"digest": "0" * 64, "dtype": "float32", **options}
    index = MatchIndex.create(path, model, side=side, **options)
    ids, graphs = gallery(count, name, side)
    report = index.add(ids, graphs, **(add or {}))
    assert report.added == count, report
    return index, model


def exhaustive(model, graphs, query, side="visual"):
    """[n] the score of every item, by the scoring loop alone."""
    encode = {"visual": encode_visuals, "text": encode_texts}
    items = encode[side](model, graphs)
    other = encode["text" if side == "visual" else "visual"](model, [query])
    if side == "visual":
        return score_matrix(model, items, other)[:, 0]
    return score_matrix(model, other, items)[0]


def random_items(count, seed, *, nodes=3, size=8):
    """`Encoded` items such as SCAN of `embed_size=size` makes."""
    random = torch.Generator().manual_seed(seed)
    return Encoded(
        nodes=torch.randn(count, nodes, size, generator=random),
        mask=torch.ones(count, nodes, dtype=torch.bool),
        pooled=torch.randn(count, size, generator=random),
    )


def save(folder, name="scan", seed=0):
    """A checkpoint; (folder, its digest)."""
    save_checkpoint(folder, tiny_model(name, seed), tiny_vocabulary())
    return folder, checkpoint_digest(folder)
