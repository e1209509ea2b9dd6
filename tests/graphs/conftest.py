"""Hypothesis strategies for graphs of every type, handed out as fixtures."""

from __future__ import annotations

import pytest
import torch
from hypothesis import strategies as st

from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.history import HistoryGraph
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.text import RELATIONS, TextGraph
from graphmatch.parse import ROLES, Argument, Frame, Parse
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import role_graph

FLOAT = st.floats(-10, 10, width=32)


def tensor(draw, *shape, element=FLOAT, dtype=torch.float32):
    count = 1
    for size in shape:
        count *= size
    values = draw(st.lists(element, min_size=count, max_size=count))
    return torch.tensor(values, dtype=dtype).view(shape)


@st.composite
def parses(draw, most=6):
    count = draw(st.integers(0, most))
    words = [f"w{number}" for number in range(count)]
    heads = [draw(st.integers(-1, number - 1)) for number in range(count)]
    deprels = draw(st.lists(st.sampled_from(RELATIONS), min_size=count, max_size=count))
    frames = []
    for verb in range(count):
        if draw(st.booleans()):
            start = draw(st.integers(0, count - 1))
            span = tuple(range(start, draw(st.integers(start + 1, count))))
            frames.append(Frame((verb,), (Argument(draw(st.sampled_from(ROLES[1:15])), span),)))
    return Parse.from_tree(words, heads=heads, deprels=deprels, frames=frames)


@st.composite
def texts(draw, kind=None):
    parse = draw(parses())
    make = {"roles": role_graph, "dependencies": dependency_graph}
    chosen = kind or draw(st.sampled_from(sorted(make)))
    return TextGraph.from_columns(make[chosen](parse), [100 + n for n in range(len(parse))])


@st.composite
def regions(draw, features=3):
    count = draw(st.integers(0, 4))
    corners = tensor(draw, count, 2, 2, element=st.floats(0, 1, width=32)).sort(dim=1).values
    return RegionGraph(
        x=tensor(draw, count, features),
        box=corners.reshape(count, 4),
        size=tensor(draw, 1, 2, element=st.integers(1, 4000)),
        label=tensor(draw, count, element=st.integers(0, 90), dtype=torch.int64),
    )


@st.composite
def clips(draw, features=2):
    count = draw(st.integers(0, 5))
    time = tensor(draw, count, 2, element=st.floats(0, 50, width=32)).sort(dim=1).values
    order = sorted(range(count), key=lambda clip: time[clip].tolist())
    return ClipGraph(
        x=tensor(draw, count, features), time=time[order], duration=torch.tensor([50.0])
    )


@st.composite
def histories(draw):
    count = draw(st.integers(1, 5))
    seconds = st.floats(0, 1e9)
    return HistoryGraph(
        modality={
            "ids": tensor(draw, count, element=st.integers(0, 9), dtype=torch.int64),
            "image": tensor(draw, count, 3),
            "title": tensor(draw, count, 2, 2),
        },
        present=tensor(draw, count, 3, element=st.booleans(), dtype=torch.bool),
        behavior=tensor(draw, count, element=st.integers(0, 3), dtype=torch.int64),
        time=tensor(draw, count, element=seconds, dtype=torch.float64).sort().values,
    )


STRATEGIES = {"text": texts(), "region": regions(), "clip": clips(), "history": histories()}


@pytest.fixture(scope="session")
def strategies():
    return STRATEGIES


@pytest.fixture(scope="session")
def role_texts():
    return texts("roles")


@pytest.fixture
def caption():
    """A role graph of five words: two actions that share an entity."""
    shared = Argument("ARG0", (0,))
    frames = [Frame((1,), (shared, Argument("ARG1", (2,)))), Frame((4,), (shared,))]
    parse = Parse.from_tree(
        ["dogs", "chase", "cats", "and", "bark"],
        heads=[1, -1, 1, 4, 1],
        deprels=["nsubj", "root", "obj", "cc", "conj"],
        frames=frames,
    )
    return TextGraph.from_columns(role_graph(parse), [5, 6, 7, 8, 9])


@pytest.fixture
def image():
    return RegionGraph(
        x=torch.arange(6.0).view(2, 3),
        box=torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.5, 0.75]]),
        size=torch.tensor([[640.0, 480.0]]),
        score=torch.tensor([0.5, 1.0]),
    )
