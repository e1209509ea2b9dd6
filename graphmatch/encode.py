"""`encode_texts`, `encode_visuals`: graphs to `Encoded`, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from graphmatch.encoded import Encoded
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.text import TextGraph
from graphmatch.models.matcher import Matcher

CHUNK = 128
"""Items that are encoded together."""


def encode_texts(
    matcher: Matcher, texts: Sequence[TextGraph], *, chunk: int = CHUNK, progress: bool = False
) -> list[Encoded]:
    """Encode captions with the matcher in evaluation mode, without gradients.

    Args:
        matcher: on the device where to encode; its mode is as before afterwards.
        texts: n captions, of the kind that the matcher reads.
        chunk: captions of a chunk.
        progress: show a bar, if the output is a terminal.

    Returns:
        Chunks in order, on the matcher's device, for `score_matrix` and `score_tiles`. They hold n
        items: several kB a word.

    Raises:
        GraphError: captions that the matcher cannot read.
    """

    def work(graphs: list[Any]) -> Encoded:
        return matcher.encode_text(batch_graphs(graphs, follow=("word",)).to(_device(matcher)))

    return list(_chunks(matcher, texts, work, chunk=chunk, label="captions", progress=progress))


def encode_visuals(
    matcher: Matcher, visuals: Sequence[Any], *, chunk: int = CHUNK, progress: bool = False
) -> list[Encoded]:
    """Encode images or videos with the matcher in evaluation mode, without gradients.

    Args:
        matcher: on the device where to encode; its mode is as before afterwards.
        visuals: n `RegionGraph` or `ClipGraph`, may be read lazily.
        chunk: items of a chunk.
        progress: show a bar, if the output is a terminal.

    Returns:
        Chunks in order, as `encode_texts`.

    Raises:
        GraphError: items that the matcher cannot read.
    """

    def work(graphs: list[Any]) -> Encoded:
        return matcher.encode_visual(batch_graphs(graphs).to(_device(matcher)))

    return list(_chunks(matcher, visuals, work, chunk=chunk, label="items", progress=progress))


def _chunks(
    matcher: Matcher,
    graphs: Sequence[Any],
    work: Callable[[list[Any]], Encoded],
    *,
    chunk: int,
    label: str,
    progress: bool,
) -> Iterator[Encoded]:
    from tqdm import tqdm

    training = matcher.training
    matcher.eval()
    off = None if progress else True  # None: off unless the output is a terminal
    try:
        with (
            torch.no_grad(),
            tqdm(total=len(graphs), unit=f" {label}", unit_scale=True, disable=off) as bar,
        ):
            for start in range(0, len(graphs), chunk):
                end = min(start + chunk, len(graphs))
                yield work([graphs[number] for number in range(start, end)])
                bar.update(end - start)
    finally:
        matcher.train(training)


def _device(matcher: Matcher) -> torch.device:
    return next((value.device for value in matcher.parameters()), torch.device("cpu"))
