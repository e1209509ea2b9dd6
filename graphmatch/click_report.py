"""`click_lines`: the summary of a run that encoded a click log."""

from __future__ import annotations

from pathlib import Path

from graphmatch.click_job import ClickReport


def click_lines(report: ClickReport, *, out: str | Path, seconds: float) -> list[str]:
    """What was done, in lines for a terminal.

    Args:
        report: what the run did.
        out: the store.
        seconds: how long it took.

    Returns:
        Lines; rows that were left out come last, with a line a reason.
    """
    counts = report.counts
    if report.kept:
        lines = [f"{out}: kept from an earlier run of the same job"]
    else:
        rate = counts["rows"] / max(seconds, 1e-9)
        lines = [f"{out}: {counts['rows']:,} rows in {seconds:.1f} s ({rate:,.0f} a second)"]
    lines.append(
        f"{counts['samples']:,} samples: {counts['train']:,} train, {counts['valid']:,} valid, "
        f"{counts['test']:,} test"
    )
    lines.append(
        f"{counts['behaviours']:,} behaviours of {counts['users']:,} users; {counts['items']:,} "
        "items"
    )
    for record in report.modalities:
        sizes = " x ".join(map(str, record["sizes"]))
        lines.append(
            f"  {record['name']}: {record['kind']} {sizes} ({', '.join(record['features'])})"
        )
    lines += report.notes
    if report.left_out:
        lines.append(f"{report.left_out:,} rows left out (counted from 0):")
        lines += [f"  {line}" for line in report.skipped]
    return lines
