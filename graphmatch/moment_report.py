"""`MomentReport`: the numbers of a table of video grounding."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from graphmatch.errors import ConfigError
from graphmatch.moment_protocol import MomentProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentReport:
    """Recalls of moments and their mean IoU.

    Args:
        protocol: the rules.
        recall: percent of the queries, a row for each of `protocol.ious` with a number for each of
            `protocol.at`.
        miou: mean over queries of the IoU of the best-scored moment, percent.
        queries: number of queries that count.
        skipped: number of queries that were left out, such as broken lines.

    Example:
        >>> rules = MomentProtocol(ious=(0.5, 0.7))
        >>> print(MomentReport(protocol=rules, recall=((45.4, 88.0), (26.4, 55.4)), miou=43.1,
        ...                    queries=3720))
                     R@1    R@5
        IoU 0.5     45.4   88.0
        IoU 0.7     26.4   55.4
        mIoU 43.1; 3,720 queries; IoU >= m; moments that overlap by more than m - 0.05 suppressed
    """

    protocol: MomentProtocol
    recall: tuple[tuple[float, ...], ...]
    miou: float
    queries: int
    skipped: int = 0

    def recall_at(self, n: int, iou: float) -> float:
        """One recall.

        Args:
            n: one of `protocol.at`.
            iou: one of `protocol.ious`.

        Returns:
            R@n, IoU=iou in percent.

        Raises:
            ConfigError: a number that was not evaluated.
        """
        rules = self.protocol
        if n not in rules.at or iou not in rules.ious:
            raise ConfigError(f"expected n of {rules.at}, IoU of {rules.ious} (got {n} and {iou})")
        return self.recall[rules.ious.index(iou)][rules.at.index(n)]

    def to_json(self) -> str:
        """The report as a JSON object with the names of the fields.

        Returns:
            Text.
        """
        return json.dumps(asdict(self), indent=1) + "\n"

    def __str__(self) -> str:
        lines = [" " * 9 + "".join(f"{f'R@{n}':>7}" for n in self.protocol.at)]
        for iou, row in zip(self.protocol.ious, self.recall, strict=True):
            lines.append(f"IoU {iou:<5g}" + "".join(f"{number:7.1f}" for number in row))
        rest = [f"mIoU {self.miou:.1f}", _count(self.queries), str(self.protocol)]
        if self.skipped:
            rest.append(f"left out: {_count(self.skipped)}")
        return "\n".join([*lines, "; ".join(rest)])


def _count(queries: int) -> str:
    return f"{queries:,} {'query' if queries == 1 else 'queries'}"
