"""`RetrievalReport`: the numbers of a retrieval table, both directions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from graphmatch.errors import GraphError, check_choice
from graphmatch.metrics import mean_rank, median_rank, recall
from graphmatch.ranks import Ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One direction of retrieval.

    Args:
        r1: recall at 1, percent.
        r5: recall at 5, percent.
        r10: recall at 10, percent.
        median_rank: MedR, from 1.
        mean_rank: MnR, from 1.
        queries: number of queries that count.
        skipped: number of queries without a right answer, left out.
    """

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float
    queries: int
    skipped: int

    @classmethod
    def from_rank(cls, rank: Tensor, *, floor: bool = False) -> Direction:
        """The numbers of some ranks.

        Args:
            rank: [n] ranks from 1, 0 for a query without a right answer.
            floor: round the median down.

        Returns:
            The numbers.

        Raises:
            GraphError: no query has a right answer.
        """
        queries = int((rank > 0).sum())
        return cls(
            r1=recall(rank, 1),
            r5=recall(rank, 5),
            r10=recall(rank, 10),
            median_rank=median_rank(rank, floor=floor),
            mean_rank=mean_rank(rank),
            queries=queries,
            skipped=len(rank) - queries,
        )

    @property
    def total(self) -> float:
        """Sum of the three recalls."""
        return self.r1 + self.r5 + self.r10


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalReport:
    """Recalls and ranks of image-text or video-text retrieval.

    Args:
        i2t: captions found for images or videos ("image annotation", HGR: video to text).
        t2i: images or videos found for captions ("image search", HGR: text to video).
        visual: number of images or videos; over all folds.
        text: number of captions; over all folds.
        ties: how equal scores were placed, see `graphmatch.ranks.ranks`.
        median: `"exact"`, or `"floor"` where it was rounded down as SCAN's code does.
        folds: over how many folds the numbers are averaged.

    Example:
        >>> import torch
        >>> print(RetrievalReport.from_ranks(Ranks(torch.tensor([1, 2]), torch.tensor([1, 1]))))
                            R@1    R@5   R@10   MedR   MnR
        visual -> text     50.0  100.0  100.0    1.5   1.5
        text -> visual    100.0  100.0  100.0    1.0   1.0
        rsum 550.0; 2 visual, 2 text; ties: first
    """

    i2t: Direction
    t2i: Direction
    visual: int
    text: int
    ties: str = "first"
    median: str = "exact"
    folds: int = 1

    @classmethod
    def from_ranks(
        cls, ranks: Ranks, *, ties: str = "first", median: str = "exact"
    ) -> RetrievalReport:
        """The report of some ranks.

        Args:
            ranks: of `graphmatch.ranks`.
            ties: the rule that they were made with.
            median: `"exact"` or `"floor"`.

        Returns:
            The report.

        Raises:
            GraphError: no query of a direction has a right answer.
            ConfigError: an unknown choice.
        """
        check_choice("median", median, ("exact", "floor"))
        floor = median == "floor"
        return cls(
            i2t=Direction.from_rank(ranks.visual, floor=floor),
            t2i=Direction.from_rank(ranks.text, floor=floor),
            visual=len(ranks.visual),
            text=len(ranks.text),
            ties=ties,
            median=median,
        )

    @classmethod
    def mean(cls, reports: Sequence[RetrievalReport]) -> RetrievalReport:
        """The average over folds: of recalls, median and mean ranks; counts are added.

        Args:
            reports: at least one, all made with the same rules.

        Returns:
            The report; its `rsum` is the sum of the averaged recalls.

        Raises:
            GraphError: no report, or different rules.
        """
        if len({(report.ties, report.median) for report in reports}) != 1:
            raise GraphError("expected reports of one rule for ties and one for the median")
        return cls(
            i2t=_mean([report.i2t for report in reports]),
            t2i=_mean([report.t2i for report in reports]),
            visual=sum(report.visual for report in reports),
            text=sum(report.text for report in reports),
            ties=reports[0].ties,
            median=reports[0].median,
            folds=sum(report.folds for report in reports),
        )

    @property
    def rsum(self) -> float:
        """Sum of the six recalls, at most 600."""
        return self.i2t.total + self.t2i.total

    def to_json(self) -> str:
        """The report as a JSON object with the names of the fields, and `rsum`.

        Returns:
            Text.
        """
        return json.dumps({**asdict(self), "rsum": self.rsum}, indent=1) + "\n"

    def __str__(self) -> str:
        lines = [f"{'':16}{'R@1':>7}{'R@5':>7}{'R@10':>7}{'MedR':>7}{'MnR':>6}"]
        for name, way in (("visual -> text", self.i2t), ("text -> visual", self.t2i)):
            recalls = f"{way.r1:7.1f}{way.r5:7.1f}{way.r10:7.1f}"
            lines.append(f"{name:16}{recalls}{way.median_rank:7.1f}{way.mean_rank:6.1f}")
        rest = [
            f"rsum {self.rsum:.1f}",
            f"{self.visual:,} visual, {self.text:,} text",
            f"ties: {self.ties}",
        ]
        if self.median != "exact":
            rest.append("median rounded down")
        if self.folds > 1:
            rest.append(f"mean of {self.folds} folds")
        if self.i2t.skipped or self.t2i.skipped:
            skipped = f"{self.i2t.skipped:,} visual, {self.t2i.skipped:,} text"
            rest.append(f"left out without a right answer: {skipped}")
        return "\n".join([*lines, "; ".join(rest)])


def _mean(ways: Sequence[Direction]) -> Direction:
    averages = {
        name: sum(getattr(way, name) for way in ways) / len(ways)
        for name in ("r1", "r5", "r10", "median_rank", "mean_rank")
    }
    counts = {name: sum(getattr(way, name) for way in ways) for name in ("queries", "skipped")}
    return Direction(**averages, **counts)
