"""`Explanation`: which word matched which region or clip, and what it gave to the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import GraphError

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeMatch:
    """How the Q nodes of one side match the C nodes of the other.

    Args:
        attention: [Q, C] weights from 0, each row sums to 1; the mean over the steps if there are
            several.
        similarity: [Q] similarity of each node with what it attends to; the mean over the steps.
        contribution: [Q] what each node gives to the score.
        pairs: [Q, C] `contribution` of each node by what it attends to: its attention times its
            contribution, step by step. Rows sum to `contribution`.
        parts: addends of `contribution` by name, [Q] each; empty if it has only one.
        steps: [K, Q, C] attention of each step.

    Raises:
        GraphError: arrays of other shapes.
    """

    attention: Array
    similarity: Array
    contribution: Array
    pairs: Array
    parts: Mapping[str, Array] = field(default_factory=dict)
    steps: Array

    def __post_init__(self) -> None:
        rows = self.attention.shape[:1]
        for name, value, shape in (
            ("similarity", self.similarity, rows),
            ("contribution", self.contribution, rows),
            ("pairs", self.pairs, self.attention.shape),
            ("steps", self.steps, (len(self.steps), *self.attention.shape)),
            *((name, value, rows) for name, value in self.parts.items()),
        ):
            if value.shape != shape:
                raise GraphError(f"{name}: expected shape {shape} (got {value.shape})")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Why a matcher gave a pair its score; N nodes of the caption, R regions or clips.

    The score is a sum over `text.pairs` and `visual.pairs`, of those that the matcher has. The
    properties below join both directions; each sums to the score.

    Args:
        model: name of the matcher's class.
        score: of the pair, as `score_matrix` gives it.
        words: T words, with <start> and <end> if the matcher reads them.
        nodes: N texts of the caption's nodes: words, or the phrases of a role graph.
        kinds: N kinds out of `graphmatch.columns.KINDS`.
        spans: N tuples of positions in `words`.
        regions: R names: class, number, or seconds.
        box: [R, 4] x1 y1 x2 y2 in pixels of the image; None for clips.
        size: width and height of the image in pixels; None for clips.
        time: [R, 2] start and end in seconds; None for regions.
        duration: of the video in seconds; None for regions.
        text: the caption's nodes match regions; None if the matcher has no such direction.
        visual: regions match the caption's nodes; None if the matcher has no such direction.

    Raises:
        GraphError: no direction, or columns of different lengths.
    """

    model: str
    score: float
    words: tuple[str, ...]
    nodes: tuple[str, ...]
    kinds: tuple[str, ...]
    spans: tuple[tuple[int, ...], ...]
    regions: tuple[str, ...]
    box: Array | None = None
    size: tuple[int, int] | None = None
    time: Array | None = None
    duration: float | None = None
    text: NodeMatch | None
    visual: NodeMatch | None

    def __post_init__(self) -> None:
        shape = len(self.nodes), len(self.regions)
        if self.text is None and self.visual is None:
            raise GraphError("expected at least one direction of matching (got none)")
        for name, side, wanted in (
            ("text", self.text, shape),
            ("visual", self.visual, shape[::-1]),
        ):
            if side is not None and side.attention.shape != wanted:
                raise GraphError(
                    f"{name}: expected attention of shape {wanted} (got {side.attention.shape})"
                )

    @property
    def pairs(self) -> Array:
        """[N, R] what each caption node with each region gives to the score; sums to it."""
        total = np.zeros((len(self.nodes), len(self.regions)), np.float64)
        if self.text is not None:
            total += self.text.pairs
        if self.visual is not None:
            total += self.visual.pairs.T
        return total

    @property
    def contribution(self) -> Array:
        """[N] what each caption node gives to the score, in both directions; sums to it."""
        total: Array = self.pairs.sum(axis=1)
        return total

    @property
    def region_contribution(self) -> Array:
        """[R] what each region gives to the score, in both directions; sums to it."""
        total: Array = self.pairs.sum(axis=0)
        return total

    @property
    def attention(self) -> Array:
        """[N, R] how much each caption node matched each region; rows sum to 1.

        The text direction's attention. Without that direction (SCAN i2t, IMRAM's image mode) the
        share of the attention that a node receives which comes from each region.
        """
        if self.text is not None:
            return self.text.attention
        return _shares(_present(self.visual).attention)

    @property
    def region_attention(self) -> Array:
        """[R, N] how much each region matched each caption node; rows sum to 1.

        The visual direction's attention, or the share of what a region receives.
        """
        if self.visual is not None:
            return self.visual.attention
        return _shares(_present(self.text).attention)

    @property
    def similarity(self) -> Array:
        """[N] similarity of each caption node with what it matched.

        That of the text direction. Without that direction the mean of the regions' similarities,
        weighted with `attention`.
        """
        if self.text is not None:
            return self.text.similarity
        mean: Array = self.attention @ _present(self.visual).similarity
        return mean

    def best(self, node: int, count: int = 1) -> list[int]:
        """The regions that a caption node matched most.

        Args:
            node: number of the node.
            count: how many regions at most.

        Returns:
            Their numbers, by attention; ties by number.
        """
        order = np.argsort(-self.attention[node], kind="stable")
        return [int(region) for region in order[:count]]


def _present(side: NodeMatch | None) -> NodeMatch:
    """The direction that is there if the other is not; `Explanation` has at least one."""
    if side is None:
        raise GraphError("expected a direction of matching (got none)")
    return side


def _shares(attention: Array) -> Array:
    """[C, Q] shares of what each column of [Q, C] receives; uniform where it receives nothing."""
    received = attention.T.astype(np.float64)
    total = received.sum(axis=1, keepdims=True)
    even = np.full_like(received, 1 / max(received.shape[1], 1))
    shares: Array = np.divide(received, total, out=even, where=total > 0)
    return shares
