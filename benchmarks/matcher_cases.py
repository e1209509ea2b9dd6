"""The four matchers at published sizes with random weights, their inputs and arithmetic floors.

A floor is the number of floating-point operations (2 a multiply-add) of the cheapest exact
formulation known here, for one pair of an image or video and a caption. Symbols: R regions or
frames, n words, a actions, e entities, d = 1024 numbers a node. Element-wise work is not counted,
nor is what depends on one item alone.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from graphmatch.encoded import Encoded
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.models.gsmn import GSMN, GSMNConfig
from graphmatch.models.hgr import HGR, HGRConfig
from graphmatch.models.imram import IMRAM, IMRAMConfig
from graphmatch.models.matcher import Matcher
from graphmatch.models.scan import SCAN, SCANConfig

WORDS = 8481  # Flickr30K's vocabulary
REGIONS, FRAMES, FEATURES, D = 36, 20, 2048, 1024
TOKEN = re.compile(r"\w+(?:[-']\w+)*|[^\w\s]")
BLOCKS, HIDDEN, KERNELS = 16, 32, 8  # of GSMN
# share of Flickr30K test captions by number of words, marks included, where the file is not given
LENGTHS = {8: 5, 9: 7, 10: 9, 11: 10, 12: 10, 13: 10, 14: 9, 15: 8, 16: 7, 17: 6, 18: 5, 19: 4,
           20: 3, 22: 4, 25: 4, 28: 2, 32: 2, 40: 1}  # fmt: skip
# share of captions by number of actions and of entities: HGR's means, 1.68 and 3.35
ACTIONS = {0: 0.005, 1: 0.5, 2: 0.33, 3: 0.14, 4: 0.025}
ENTITIES = {1: 0.08, 2: 0.23, 3: 0.27, 4: 0.2, 5: 0.12, 6: 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Nodes of some captions, [N] each: words n, actions a, entities e."""

    words: np.ndarray
    actions: np.ndarray
    entities: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, items: slice | np.ndarray) -> Counts:
        return Counts(
            words=self.words[items], actions=self.actions[items], entities=self.entities[items]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A matcher to measure.

    Args:
        make: the matcher.
        text: its captions: dependency or role graphs.
        floor: operations of a pair for some captions; the mean is taken.
        limit: how many times the floor's time is aimed at.
        batch: published batch size.
    """

    make: Callable[[], Matcher]
    text: Literal["words", "roles"]
    floor: Callable[[Counts], np.ndarray]
    limit: float
    batch: int


def scan_floor(counts: Counts, *, direction: str) -> np.ndarray:
    """Products 2 R n d; lengths of attended contexts by Gram matrices, 2 n R^2 or 2 R n^2."""
    n = counts.words
    gram = 2 * n * REGIONS**2 if direction == "t2i" else 2 * REGIONS * n**2
    return 2 * REGIONS * n * D + gram


def gsmn_floor(counts: Counts, *, propagation: str) -> np.ndarray:
    """Node matching by blocks, then the graphs.

    Products of all blocks 2 R n d, shared by both directions; their averages 2 x 2 R n t; block
    Gram matrices 2 t n R^2 (words attend) and 2 t R n^2 (regions attend). Official: one merged
    t -> H map a node, 2 t H. Published: neighbours' averages 2 K t R^2 (regions) and 2 t n^2
    (words, equal for all kernels), convolution 2 t H and output 2 H^2 a region, 2 t H a word.
    """
    r, n, t, h = REGIONS, counts.words, BLOCKS, HIDDEN
    matching = 2 * r * n * D + 4 * r * n * t + 2 * t * n * r**2 + 2 * t * r * n**2
    if propagation == "official":
        return matching + (r + n) * 2 * t * h
    around = 2 * KERNELS * t * r**2 + 2 * t * n**2
    return matching + around + r * (2 * t * h + 2 * h**2) + n * 2 * t * h


def imram_floor(counts: Counts, *, steps: int) -> np.ndarray:
    """Both directions.

    Products 2 R n d, shared in the first step; in later ones they are 2 R n d a direction, as the
    memory belongs to the pair. Lengths by Gram matrices 2 n R^2 + 2 R n^2 a step. An update
    averages projected contexts, 2 directions x 4 R n d; from the second one on it maps the memory,
    (R + n) x 4 d^2. The last step updates nothing.
    """
    r, n = REGIONS, counts.words
    work = steps * (2 * n * r**2 + 2 * r * n**2) + 2 * r * n * D * (1 + 2 * (steps - 1))
    work = work + (steps - 1) * 8 * r * n * D
    return work + max(steps - 2, 0) * (r + n) * 4 * D**2


def hgr_floor(counts: Counts) -> np.ndarray:
    """Event 2 d; actions and entities 2 R d and a Gram matrix 2 R^2 a node."""
    nodes = counts.actions + counts.entities
    return 2 * D + nodes * (2 * FRAMES * D + 2 * FRAMES**2)


def _scan(direction: Literal["t2i", "i2t"]) -> Case:
    scale, after = (9.0, 6.0) if direction == "t2i" else (4.0, 5.0)
    config = SCANConfig(vocabulary=WORDS, direction=direction, scale=scale, lambda_lse=after)
    return Case(
        make=lambda: SCAN(config),
        text="words",
        floor=lambda counts: scan_floor(counts, direction=direction),
        limit=1.8,
        batch=128,
    )


def _gsmn(propagation: Literal["paper", "official"]) -> Case:
    return Case(
        make=lambda: GSMN(GSMNConfig(vocabulary=WORDS, propagation=propagation)),
        text="words",
        floor=lambda counts: gsmn_floor(counts, propagation=propagation),
        limit=3.0,
        batch=64,
    )


def _imram(steps: int, limit: float) -> Case:
    return Case(
        make=lambda: IMRAM(IMRAMConfig(vocabulary=WORDS, steps=steps)),
        text="words",
        floor=lambda counts: imram_floor(counts, steps=steps),
        limit=limit,
        batch=128,
    )


CASES = {
    "scan-t2i": _scan("t2i"),
    "scan-i2t": _scan("i2t"),
    "hgr": Case(
        make=lambda: HGR(HGRConfig(vocabulary=WORDS)),
        text="roles",
        floor=hgr_floor,
        limit=1.8,
        batch=64,
    ),
    "gsmn-paper": _gsmn("paper"),
    "gsmn-official": _gsmn("official"),
    "imram-1": _imram(1, 1.8),
    "imram-3": _imram(3, 1.6),
}


def draw_counts(number: int, captions: Path | None, *, seed: int = 0) -> Counts:
    """Numbers of nodes of some captions.

    Args:
        number: how many captions.
        captions: folder `flickr30k_captions`, whose test captions give the lengths (words and
            punctuation, two marks more); a short table if None.
        seed: of the choice.

    Returns:
        The counts, in random order.
    """
    random = np.random.default_rng(seed)
    if captions is None:
        share = np.array(list(LENGTHS.values()), dtype=np.float64)
        words = random.choice(list(LENGTHS), number, p=share / share.sum())
    else:
        found = []
        with gzip.open(captions / "flickr30k_captions.jsonl.gz", "rt") as stream:
            for line in stream:
                row = json.loads(line)
                if row["split"] == "test":
                    found += [len(TOKEN.findall(text)) + 2 for text in row["captions"]]
        words = random.permutation(np.resize(found, max(number, len(found))))[:number]
    actions = random.choice(list(ACTIONS), number, p=list(ACTIONS.values()))
    entities = random.choice(list(ENTITIES), number, p=list(ENTITIES.values()))
    return Counts(words=words, actions=actions, entities=entities)


def encode_all(
    case: Case, matcher: Matcher, visuals: int, counts: Counts, *, chunk: int = 64
) -> tuple[list[Encoded], list[Encoded]]:
    """Encoded random images or videos, and captions sorted by length, in chunks.

    Args:
        case: what `matcher` was made from.
        matcher: encodes them.
        visuals: how many images or videos.
        counts: nodes of each caption.
        chunk: items of a chunk.

    Returns:
        Visual and text chunks.
    """
    size = counts.words if case.text == "words" else counts.actions + counts.entities
    order = np.argsort(size, kind="stable")
    with torch.no_grad():
        left = [
            matcher.encode_visual(batch_graphs(draw_visuals(case, len(part))))
            for part in _parts(np.arange(visuals), chunk)
        ]
        right = [
            matcher.encode_text(batch_graphs(draw_texts(case, counts[part]), follow=("word",)))
            for part in _parts(order, chunk)
        ]
    return left, right


def draw_batch(case: Case, size: int, captions: Path | None) -> MatchBatch:
    """A training batch: each image or video with one caption.

    Args:
        case: for which matcher.
        size: pairs.
        captions: as `draw_counts`.

    Returns:
        The batch.
    """
    names = [str(number) for number in range(size)]
    return MatchBatch.collate(
        draw_texts(case, draw_counts(size, captions)),
        draw_visuals(case, size),
        owner=list(range(size)),
        text_ids=names,
        visual_ids=names,
    )


def draw_visuals(case: Case, number: int) -> list[RegionGraph] | list[ClipGraph]:
    """Random images or videos."""
    if case.text == "roles":
        time = torch.arange(FRAMES, dtype=torch.float32)
        span = torch.stack((time, time + 1), dim=1)
        end = torch.tensor([float(FRAMES)])
        frames = [torch.rand(FRAMES, FEATURES) for _ in range(number)]
        return [ClipGraph(x=x, time=span, duration=end) for x in frames]
    graphs = []
    for _ in range(number):
        box = torch.rand(REGIONS, 2, 2).sort(dim=1).values.flatten(1)  # x1 y1 x2 y2
        size = torch.tensor([[640.0, 480.0]])
        graphs.append(RegionGraph(x=torch.rand(REGIONS, FEATURES), box=box, size=size))
    return graphs


def draw_texts(case: Case, counts: Counts) -> list[TextGraph]:
    """Random captions: dependency trees, or role graphs of an event, actions and entities."""
    random = np.random.default_rng(len(counts))
    graphs = []
    for n, actions, entities in zip(counts.words, counts.actions, counts.entities, strict=True):
        if case.text == "words":
            heads = [int(random.integers(0, child)) for child in range(1, n)]
            graphs.append(_words(int(n), heads))
        else:
            graphs.append(_roles(int(actions), int(entities)))
    return graphs


def _words(n: int, heads: list[int]) -> TextGraph:
    places = torch.arange(n)
    return TextGraph(
        word=torch.randint(WORDS, (n,)),
        kind=torch.full((n,), 3),
        role=torch.full((n,), -1),
        span=torch.stack((places, places)),
        edge_index=torch.tensor([heads, list(range(1, n))], dtype=torch.int64).view(2, -1),
        relation=torch.zeros(n - 1, dtype=torch.int64),
    )


def _roles(actions: int, entities: int) -> TextGraph:
    words = actions + 2 * entities + 1
    nodes = [[*range(words)]]
    nodes += [[number] for number in range(actions)]
    nodes += [[actions + 2 * number, actions + 2 * number + 1] for number in range(entities)]
    edges = [(0, 1 + number, 0) for number in range(actions)]
    if actions:
        edges += [(1 + k % actions, 1 + actions + k, 1 + k % 2) for k in range(entities)]
    span = [(node, word) for node, inside in enumerate(nodes) for word in inside]
    ends = torch.tensor(edges, dtype=torch.int64).view(-1, 3)
    return TextGraph(
        word=torch.randint(WORDS, (words,)),
        kind=torch.tensor([0] + [1] * actions + [2] * entities),
        role=torch.tensor([-1] + [0] * actions + [1 + k % 2 for k in range(entities)]),
        span=torch.tensor(span).T.contiguous(),
        edge_index=ends[:, :2].T.contiguous(),
        relation=ends[:, 2].contiguous(),
    )


def _parts(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
