"""Recipes of the benchmark `coco.py`: how each matcher is trained on little data.

The sets have 8,405 and 15,000 training captions, where the papers had 145,000 and more. So the
models are smaller, and negatives of a batch are all used before the hardest alone: from scratch the
hardest ones would pull everything to one point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

COMMON: dict[str, str] = {
    "embed_size": "256",
    "word_size": "256",
    "cell": "linear",  # the text encoder's states know the order of words
    "dropout": "[0.2, 0.2]",  # of words and regions
    "ignore_same": "true",  # captions of one image are no negatives of each other
    "epochs": "8",
    "batch_size": "64",
    "optimizer": "adamw",
    "weight_decay": "0.01",
    "lr": "1e-3",
    "schedule": "cosine",
    "warmup_steps": "50",
    "hardest_after": "132",  # steps: an epoch, or half of one
}
"""What all recipes set, unless they say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one matcher is trained.

    Args:
        name: of the recipe.
        model: as in `graphmatch.models.table`.
        settings: values by field, on top of `COMMON`, as `graphmatch train --set`
            takes them.
        captions: with their dependency trees, or with shuffled ones.
        text_encoder: whether it reads word states of a text encoder, where one is given.
        min_count: how often a word must occur.
        begin: recipe whose encoders, trained with the same seed, it begins with. GSMN and IMRAM
            learn so little in a few epochs from scratch that they would be compared untrained.
    """

    name: str
    model: str
    settings: Mapping[str, str] = field(default_factory=dict)
    captions: Literal["dependencies", "shuffled"] = "dependencies"
    text_encoder: bool = True
    min_count: int | None = None
    begin: str | None = None

    def fields(self) -> dict[str, str]:
        """All settings of the recipe."""
        return {**COMMON, **self.settings}


_LATER = {"epochs": "3", "batch_size": "16", "hardest_after": "0"}
"""Settings of a model that begins with trained encoders."""


def _gsmn(name: str, captions: Literal["dependencies", "shuffled"] = "dependencies") -> Recipe:
    propagation, graph = name.split("-")[1:3]
    graph = "sparse" if graph == "shuffled" else graph
    settings = {"propagation": propagation, "graph": graph, **_LATER}
    return Recipe(name=name, model="gsmn", settings=settings, captions=captions, begin="scan-t2i")


_ALL = (
    Recipe(name="bag-of-regions", model="global-match"),
    Recipe(name="scan-t2i", model="scan", settings={"scale": "20.0"}),
    Recipe(
        name="scan-i2t",
        model="scan",
        settings={"direction": "i2t", "scale": "10.0", "lambda_lse": "10.0"},
    ),
    _gsmn("gsmn-paper-sparse"),
    _gsmn("gsmn-paper-dense"),
    _gsmn("gsmn-paper-shuffled", "shuffled"),
    _gsmn("gsmn-official-sparse"),
    _gsmn("gsmn-official-dense"),
    Recipe(
        name="imram",
        model="imram",
        settings={"mode": "text", "steps": "2", "scale": "20.0", **_LATER},
        begin="scan-t2i",
    ),
)
RECIPES: dict[str, tuple[Recipe, ...]] = {"regions": _ALL, "boxes": _ALL}
"""The recipes of each set, in the order of the tables."""
STRUCTURE = (
    ("gsmn-paper-sparse", "gsmn-paper-dense", "the parse's edges or all pairs of words"),
    ("gsmn-paper-sparse", "gsmn-paper-shuffled", "the parse's words or others in the same tree"),
    ("gsmn-official-sparse", "gsmn-official-dense", "the edges, which cancel out there"),
    ("gsmn-paper-sparse", "gsmn-official-sparse", "neighbours or the node itself"),
)
"""Pairs of recipes whose difference says what structure is worth, and what differs."""
ENSEMBLES = (
    ("gsmn-paper sparse + dense", ("gsmn-paper-sparse", "gsmn-paper-dense")),
    ("gsmn-official sparse + dense", ("gsmn-official-sparse", "gsmn-official-dense")),
)
"""Means of the scores of two models, as the GSMN paper reports them."""
