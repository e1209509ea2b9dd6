"""What each matcher's score is a sum of: attention, similarity and contribution of every node.

All of it is exact: contributions add up to the score. With r_i the similarity of node i of n,

| matcher | contribution of node i | parts |
|---|---|---|
| SCAN, "mean" | r_i / n | |
| SCAN, "sum" | r_i | |
| SCAN, "max" | r_i of the first largest one, 0 of others | |
| SCAN, "lse" | p_i S, p = softmax(lambda_2 r) | |
| GSMN, either graph | s_i / n, s_i = W2 tanh(W1 h_i + b1) + b2 | constant, node, structure |
| IMRAM, either direction | sum over the steps k of r_ki / n | one a step |
| HGR | r_i / (3 times the number of nodes of its level) | event, action, entity |
| GlobalMatch | S, of the only node | |

The softmax share of "lse" is exact, too: S = sum_i p_i r_i + H(p) / lambda_2 with the entropy H,
and the i-th addend of both sums is p_i (r_i - log(p_i) / lambda_2) = p_i S. It is also the
derivative: dS / dr_i = p_i.

GSMN's s_i is a function f of what a node's own vector x_i gives to its hidden vector and of what
its neighbours give, h_i = own_i + neighbours_i + b (before the tanh this is a sum). Then

    constant = f(0, 0) / n                                      what every node has in every pair
    node = (f(own_i, 0) - f(0, 0)) / n                          what its own match gives
    structure = (f(own_i, neighbours_i) - f(own_i, 0)) / n      what is lost with neighbours masked

With `propagation="official"` a neighbour's slot holds the node's own vector, so structure is what
the edges to neighbours give, not what the neighbours match.

Source: SCAN (ECCV 2018), GSMN, IMRAM and HGR (CVPR 2020); see the modules of the matchers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphmatch.columns import KINDS
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError
from graphmatch.explanation import NodeMatch
from graphmatch.models.global_match import GlobalMatch
from graphmatch.models.gsmn import GSMN
from graphmatch.models.hgr import HGR
from graphmatch.models.imram import IMRAM
from graphmatch.models.matcher import Matcher
from graphmatch.models.scan import SCAN
from graphmatch.nn.block_cosine import at_least_float32
from graphmatch.nn.ram_steps import RAMStep


class Matches(NamedTuple):
    """Both directions of a pair; None where a matcher has no such direction."""

    text: NodeMatch | None
    visual: NodeMatch | None


def pair_matches(matcher: Matcher, visual: Encoded, text: Encoded, *, visual_graph: Any) -> Matches:
    """What the score of one pair is made of.

    Args:
        matcher: that encoded both.
        visual: one encoded image or video.
        text: one encoded caption.
        visual_graph: the image or video before it was encoded, on the matcher's device: HGR's own
            attention over frames is not part of what is encoded.

    Returns:
        Matches of the caption's nodes and of the regions, without padding.

    Raises:
        ConfigError: a matcher that cannot be explained.
    """
    visual, text = visual.trim(), text.trim()
    if isinstance(matcher, SCAN):
        return _scan(matcher, visual, text)
    if isinstance(matcher, GSMN):
        return _gsmn(matcher, visual, text)
    if isinstance(matcher, IMRAM):
        found = matcher.align(visual, text)
        return Matches(_steps(found.text), _steps(found.image))
    if isinstance(matcher, HGR):
        return _hgr(matcher, visual, text, visual_graph)
    if isinstance(matcher, GlobalMatch):
        frames = len(visual_graph.x)
        score = matcher.score(visual, text)[0]  # [1]
        return Matches(_match(score.new_full((1, frames), 1 / frames), score, score), None)
    raise ConfigError(
        "expected SCAN, GSMN, IMRAM, HGR or GlobalMatch to explain "
        f"(got {type(matcher).__qualname__}); explain the matchers of an ensemble one by one"
    )


def _scan(matcher: SCAN, visual: Encoded, text: Encoded) -> Matches:
    found, config = matcher.align(visual, text), matcher.config
    attention, cosine = found.attention[0, 0].T, found.cosine[0, 0]  # [n, m], [n]
    if config.aggregation == "mean":
        given = cosine / len(cosine)
    elif config.aggregation == "sum":
        given = cosine
    elif config.aggregation == "max":
        given = torch.zeros_like(cosine)
        given[cosine.argmax()] = cosine.max()
    else:
        logits = cosine * config.lambda_lse
        given = logits.softmax(dim=0) * logits.logsumexp(dim=0) / config.lambda_lse
    match = _match(attention, cosine, given)
    return Matches(match, None) if config.direction == "t2i" else Matches(None, match)


def _gsmn(matcher: GSMN, visual: Encoded, text: Encoded) -> Matches:
    found, kernels = matcher.align(visual, text), matcher.config.kernels
    textual = matcher._textual_edges(text)[0].unsqueeze(-1).expand(-1, -1, kernels)  # [n, n, K]
    sides = []
    for graph, x, weight, attention, nodes in (
        (matcher.textual, found.word_x, textual, found.word_attention, (text, visual)),
        (
            matcher.visual,
            found.region_x,
            matcher._visual_edges(visual)[0],
            found.region_attention,
            (visual, text),
        ),
    ):
        x, attention = x[0, 0], attention[0, 0]  # [n, t], [n, m]
        loops = torch.eye(len(x), dtype=x.dtype, device=x.device).unsqueeze(-1)  # [n, n, 1]
        whole, own, none = (
            graph.node_score(graph.hidden(x, slots)) / len(x)
            for slots in (weight, weight * loops, weight * 0)
        )  # [n] each
        parts = {"constant": none, "node": own - none, "structure": whole - own}
        sides.append(_match(attention, _cosine(attention, *nodes), whole, parts))
    return Matches(*sides)


def _cosine(attention: Tensor, queries: Encoded, contexts: Encoded) -> Tensor:
    """[n] cosines of all numbers of each query with the context that it attends to."""
    query, context = at_least_float32(queries.nodes[0]), at_least_float32(contexts.nodes[0])
    return torch.cosine_similarity(query, attention @ context, dim=-1, eps=1e-8)


def _steps(steps: tuple[RAMStep, ...]) -> NodeMatch | None:
    if not steps:
        return None
    attention = torch.stack([step.attention[0, 0].T for step in steps])  # [K, n, m]
    cosine = torch.stack([step.cosine[0, 0] for step in steps])  # [K, n]
    given = cosine / cosine.size(1)
    pairs = (attention * given.unsqueeze(-1)).sum(dim=0)  # [n, m]
    parts = {f"step {number}": part for number, part in enumerate(given, 1)}
    mean, total = attention.mean(dim=0), given.sum(dim=0)
    return _match(mean, cosine.mean(dim=0), total, parts, pairs=pairs, steps=attention)


def _hgr(matcher: HGR, visual: Encoded, text: Encoded, graph: Any) -> Matches:
    found = matcher.align(visual, text)
    attention, similarity = found.attention[0, 0].T.clone(), found.similarity[0, 0]  # [M, F], [M]
    frames = matcher.frames[0](graph.x.to(matcher.frames[0].weight.dtype)).unsqueeze(0)  # [1, F, D]
    kind = text.extra["kind"][0]  # [M]
    attention[kind == 0] = matcher.event.weights(frames, visual.mask)  # the video's own weights
    level = (kind.unsqueeze(0) == kind.unsqueeze(1)).sum(dim=1)  # [M] nodes of a node's level
    given = similarity / (3 * level)
    parts = {name: given * (kind == number) for number, name in enumerate(KINDS[:3])}
    return Matches(_match(attention, similarity, given, parts), None)


def _match(
    attention: Tensor,
    similarity: Tensor,
    contribution: Tensor,
    parts: Mapping[str, Tensor] | None = None,
    *,
    pairs: Tensor | None = None,
    steps: Tensor | None = None,
) -> NodeMatch:
    if pairs is None:
        pairs = attention * contribution.unsqueeze(-1)
    if steps is None:
        steps = attention.unsqueeze(0)
    return NodeMatch(
        attention=attention.cpu().numpy(),
        similarity=similarity.cpu().numpy(),
        contribution=contribution.cpu().numpy(),
        pairs=pairs.cpu().numpy(),
        parts={name: value.cpu().numpy() for name, value in (parts or {}).items()},
        steps=steps.cpu().numpy(),
    )
