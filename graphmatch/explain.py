"""`explain`: why a matcher gave a caption and an image or video their score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from graphmatch.columns import KINDS
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.errors import GraphError
from graphmatch.explain_matches import pair_matches
from graphmatch.explanation import Explanation
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.models.global_match import GlobalMatch
from graphmatch.models.hgr import HGR
from graphmatch.models.matcher import Matcher
from graphmatch.scoring import score_matrix


def explain(
    matcher: Matcher,
    visual_graph: Any,
    text_graph: TextGraph,
    *,
    words: Sequence[str],
    labels: Sequence[str] | None = None,
) -> Explanation:
    """Explain the score of one pair: what each node of the caption matched and gave.

    `graphmatch.explain_matches` has the definitions and equations. Contributions add up to the
    score for every matcher.

    Args:
        matcher: SCAN, GSMN, IMRAM, HGR or GlobalMatch, which has one node and one level; on the
            device where to compute. Its mode is as before afterwards.
        visual_graph: a `RegionGraph` or `ClipGraph`, no batch, with at least one region or clip.
        text_graph: the caption as the matcher reads it, see `CaptionSet.for_matcher`.
        words: the caption's words; marks may be left out.
        labels: names of the classes that `visual_graph.label` counts.

    Returns:
        The explanation, arrays on the CPU. Allocates d numbers for every node of the pair.

    Raises:
        GraphError: another number of words, no regions, or items that the matcher cannot read.
        ConfigError: a matcher that cannot be explained, such as an ensemble.

    Example:
        >>> from graphmatch.graphs.region import RegionGraph
        >>> from graphmatch.graphs.words import word_graph
        >>> from graphmatch.models.scan import SCAN, SCANConfig
        >>> config = SCANConfig(vocabulary=5, feature_size=3, word_size=4, embed_size=4)
        >>> image = RegionGraph(x=torch.eye(3)[:2], size=torch.tensor([[80.0, 60.0]]),
        ...                     box=torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.0, 0.5, 1.0, 1.0]]))
        >>> found = explain(SCAN(config), image, word_graph([0, 2, 3, 1]), words=["a", "dog"])
        >>> found.nodes, found.regions, found.attention.shape
        (('<start>', 'a', 'dog', '<end>'), ('region 0', 'region 1'), (4, 2))
        >>> abs(float(found.contribution.sum()) - found.score) < 1e-5
        True
    """
    names = _words(text_graph, words)
    if not len(visual_graph.x):
        raise GraphError("expected an image or video with regions or clips to explain (got none)")
    (text,), (visual,) = (
        encode_texts(matcher, [text_graph]),
        encode_visuals(matcher, [visual_graph]),
    )
    score = float(score_matrix(matcher, visual, text)[0, 0])
    with torch.no_grad():
        moved = visual_graph.clone().to(visual.nodes.device)
        matches = pair_matches(matcher, visual, text, visual_graph=moved)
    if isinstance(matcher, HGR):
        spans: list[tuple[int, ...]] = [
            tuple(text_graph.span[1, text_graph.span[0] == node].tolist())
            for node in range(len(text_graph.kind))
        ]
        kinds = tuple(KINDS[kind] for kind in text_graph.kind.tolist())
    elif isinstance(matcher, GlobalMatch):
        spans, kinds = [tuple(range(len(names)))], ("event",)
    else:
        spans, kinds = [(place,) for place in range(len(names))], ("word",) * len(names)
    common: dict[str, Any] = {
        "model": type(matcher).__name__,
        "score": score,
        "words": names,
        "nodes": tuple(" ".join(names[place] for place in span) for span in spans),
        "kinds": kinds,
        "spans": tuple(spans),
        "text": matches.text,
        "visual": matches.visual,
    }
    if isinstance(visual_graph, ClipGraph):
        times = visual_graph.time.cpu().numpy()
        return Explanation(
            **common,
            regions=tuple(f"{start:.1f} to {end:.1f} s" for start, end in times.tolist()),
            time=times,
            duration=float(visual_graph.duration),
        )
    size = visual_graph.size[0]  # [2]
    return Explanation(
        **common,
        regions=_region_names(visual_graph, labels or ()),
        box=(visual_graph.box * size.repeat(2)).cpu().numpy(),
        size=(round(float(size[0])), round(float(size[1]))),
    )


def _words(text_graph: TextGraph, words: Sequence[str]) -> tuple[str, ...]:
    """The words with the marks that the graph has."""
    count, given = len(text_graph.word), len(words)
    if given == count:
        return tuple(words)
    if given == count - 2:
        return ("<start>", *words, "<end>")
    raise GraphError(f"words: expected the caption's {count} words, or without marks (got {given})")


def _region_names(graph: Any, labels: Sequence[str]) -> tuple[str, ...]:
    label = graph.get("label")
    numbers = [-1] * len(graph.x) if label is None else label.tolist()
    whole = (graph.box == graph.box.new_tensor([0, 0, 1, 1])).all(dim=1).tolist()
    names = []
    for region, number in enumerate(numbers):
        if 0 <= number < len(labels):
            names.append(labels[number])
        elif number < 0 and whole[region]:
            names.append("whole image")
        else:
            names.append(f"region {region}")
    return tuple(names)
