"""`FeatureReport`: what a run that fills a feature store did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_SHOWN = 10  # failures that a summary lists


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureReport:
    """Counts of a run.

    Args:
        items: images or videos in the store, failed ones included.
        failed: those without rows; the store says why.
        kept: items that an earlier run had stored.
        added: items that this run stored.
        rows: regions or clips in the store.
        failures: (id, error) of the items that failed in this run.
    """

    items: int
    failed: int
    kept: int
    added: int
    rows: int
    failures: Sequence[tuple[str, str]] = field(repr=False)


def report_lines(
    report: FeatureReport, *, item: str, row: str, out: object, seconds: float
) -> Iterator[str]:
    """The summary that a command prints at its end.

    Args:
        report: what the run did.
        item: what an item is, such as `image`.
        row: what a row is, such as `region`.
        out: the store or file.
        seconds: how long the run took.

    Yields:
        Lines.

    Example:
        >>> report = FeatureReport(items=9, failed=1, kept=4, added=5, rows=160,
        ...                        failures=[("cat", "truncated JPEG")])
        >>> for line in report_lines(report, item="image", row="region", out="r", seconds=2):
        ...     print(line)
        9 images: 8 done, with 160 regions; 1 failed
        4 images were kept from an earlier run
        r: 2.0 s, 2.5 images/s
        failed:
          cat: truncated JPEG
    """
    yield (
        f"{_count(report.items, item)}: {report.items - report.failed:,} done, with "
        f"{_count(report.rows, row)}; {report.failed:,} failed"
    )
    if report.kept:
        were = "was" if report.kept == 1 else "were"
        yield f"{_count(report.kept, item)} {were} kept from an earlier run"
    rate = f", {report.added / seconds:,.1f} {item}s/s" if report.added and seconds else ""
    yield f"{out}: {seconds:.1f} s{rate}"
    if report.failed:
        yield "failed:"
        shown = report.failures[:_SHOWN]
        for key, error in shown:
            yield f"  {key}: {error}"
        if report.failed > len(shown):
            yield f"  ... {report.failed - len(shown):,} more; graphmatch info --failures lists all"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
