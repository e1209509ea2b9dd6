"""`EvaluationReport`: what an evaluation of trained matchers found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from graphmatch.bootstrap import Interval, PairedDifference, check_resampling
from graphmatch.protocol import Protocol
from graphmatch.retrieval_report import RetrievalReport

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where scores came from.

    Args:
        folder: the checkpoint, or the file of a stored matrix.
        model: name of the model; None for a stored matrix.
        digest: SHA-256 of the checkpoint; of a stored matrix those that made it, if known.
    """

    folder: str
    model: str | None
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How intervals were made.

    Args:
        resamples: how many; 0 for no intervals.
        level: share of the resamples that an interval holds.
        seed: of the draws.

    Raises:
        ConfigError: one resample, from which no interval follows; another level than a share.
    """

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples:  # before anything is scored
            check_resampling(self.resamples, self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """Recalls with their intervals, and what they were computed from.

    Args:
        retrieval: recalls and ranks.
        intervals: of each recall and rsum, by the names of `graphmatch.bootstrap.NUMBERS`.
        protocol: which captions met which gallery.
        resampling: how the intervals were made.
        sources: checkpoints or matrices whose mean was evaluated.
        captions: captions that have their image or video.
        gallery: images or videos.
        skipped: (id, reason) of the captions that were left out.
        failed: how many of these failed, when they were parsed or their image was read; the
            others have no image or video in the store.
        dtype: of the large matrix products.
        encoding: seconds.
        scoring: seconds.
        against: what it was compared with.
        difference: this minus `against`, of the same captions and gallery.
    """

    retrieval: RetrievalReport
    intervals: Mapping[str, Interval]
    protocol: Protocol
    resampling: Resampling
    sources: tuple[Source, ...]
    captions: int
    gallery: int
    skipped: tuple[tuple[str, str], ...] = field(repr=False)
    failed: int
    dtype: str
    encoding: float
    scoring: float
    against: tuple[Source, ...] = ()
    difference: PairedDifference | None = None

    def content(self) -> dict[str, Any]:
        """The report as plain values, for JSON.

        Returns:
            Values by the names of the fields.
        """
        difference = self.difference
        return {
            "protocol": asdict(self.protocol),
            "retrieval": json.loads(self.retrieval.to_json()),
            "intervals": {name: asdict(found) for name, found in self.intervals.items()},
            "resampling": asdict(self.resampling),
            "sources": [asdict(source) for source in self.sources],
            "captions": self.captions,
            "gallery": self.gallery,
            "failed": self.failed,
            "skipped": [list(skip) for skip in self.skipped],
            "dtype": self.dtype,
            "seconds": {"encoding": self.encoding, "scoring": self.scoring},
            "against": [asdict(source) for source in self.against],
            "difference": None if difference is None else asdict(difference),
        }

    def to_json(self) -> str:
        """The report as a JSON object.

        Returns:
            Text.
        """
        return json.dumps(self.content(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def __str__(self) -> str:
        lines = [str(self.retrieval)]
        if self.intervals:
            lines += ["", *_interval_lines(self.intervals, self.resampling)]
        if self.difference is not None:
            names = ", ".join(source.folder for source in self.against)
            lines += ["", f"minus {names}:", *_interval_lines(self.difference.numbers, None)]
            share = f"{100 * self.difference.better:.1f} %"
            lines.append(f"higher rsum in {share} of the resamples")
        made = ", ".join(
            f"{source.folder} ({source.model or 'stored scores'})" for source in self.sources
        )
        lines += ["", f"protocol {self.protocol}; {made}"]
        seconds = f"encoding {self.encoding:.1f} s, scoring {self.scoring:.1f} s, {self.dtype}"
        counts = f"{self.captions:,} captions, {self.gallery:,} images or videos"
        lines.append(f"{counts}; {seconds}")
        if self.skipped:
            lines.append(f"{len(self.skipped):,} captions left out, {self.failed:,} of them failed")
            lines += [f"  {key}: {reason}" for key, reason in self.skipped[:_SHOWN]]
            if len(self.skipped) > _SHOWN:
                lines.append(f"  ... {len(self.skipped) - _SHOWN:,} more in the JSON report")
        return "\n".join(lines)


def _interval_lines(intervals: Mapping[str, Interval], how: Resampling | None) -> list[str]:
    lines = []
    for way, name in (("i2t", "visual -> text"), ("t2i", "text -> visual")):
        recalls = "  ".join(f"R@{k} {intervals[f'{way}_r{k}']}" for k in (1, 5, 10))
        lines.append(f"{name:16}{recalls}")
    rule = "" if how is None else f"; {100 * how.level:g} % of {how.resamples:,} resamples of items"
    lines.append(f"{'rsum':16}{intervals['rsum']}{rule}")
    return lines
