"""Tables of the benchmark `charades.py` in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

GOAL = {"oracle": (93.4, 80.2), "degraded": (61.4, 31.6)}
"""R@1 at IoU 0.5 and 0.7 of a reduced model whose checkpoints were chosen on test."""
NUMBERS = ("R@1 IoU 0.3", "R@1 IoU 0.5", "R@1 IoU 0.7", "R@5 IoU 0.5", "R@5 IoU 0.7", "mIoU")
ROWS = (
    ("full", "best iou", "best on validation"),
    ("location", "location", "location alone, trained without the others"),
    ("full", "stage-1 match", "stage 1: location + matching"),
    ("full", "stage-2 match", "stage 2, scored by matching"),
    ("full", "stage-2 iou", "stage 2: + IoU"),
    ("full", "stage-3 match", "stage 3, scored by matching"),
    ("full", "stage-3 iou", "stage 3: + IoU, all trained"),
    ("full", "best bf16", "best on validation, in bfloat16"),
)
"""Recipe, checkpoint with its score, and what the table calls them."""

Result = dict[str, Any]


def recall_table(result: Result, tracks: str, split: str) -> list[str]:
    """Recalls on one kind of tracks, beside what sees no video.

    Args:
        result: of the benchmark.
        tracks: kind of the tracks.
        split: of the queries.

    Returns:
        Lines.
    """
    runs: Mapping[str, Sequence[Result]] = result["runs"][tracks]
    rows = [
        [f"no video: {name}", "", *(_number([one], number) for number in NUMBERS)]
        for name, one in result["blind"][split].items()
    ]
    for recipe, key, name in ROWS:
        found = [run[split][key] for run in runs.get(recipe, ()) if key in run[split]]
        if found:
            rows.append([name, str(len(found)), *(_number(found, number) for number in NUMBERS)])
    kind = "ORACLE tracks" if tracks == "oracle" else f"{tracks} tracks"
    title = f"### {kind}, {split}: {result['queries'][split]:,} queries"
    return [title, "", *_table(["", "seeds", *NUMBERS], rows)]


def goal_line(result: Result, tracks: str) -> str:
    """What was to be reached on test, and what bfloat16 changes."""
    runs = result["runs"][tracks].get("full", ())
    if not runs:
        return f"{tracks}: no run was finished."
    found = [
        fmean(run["test"]["best iou"][f"R@1 IoU {level}"] for run in runs) for level in (0.5, 0.7)
    ]
    gaps = [f"{one:.1f} ({one - goal:+.1f})" for one, goal in zip(found, GOAL[tracks], strict=True)]
    half = max(
        abs(run["test"]["best bf16"][number] - run["test"]["best iou"][number])
        for run in runs
        for number in NUMBERS[:3]
    )
    return (
        f"{tracks}: R@1 {' / '.join(gaps)} at IoU 0.5 / 0.7 on test (difference to "
        f"{' / '.join(map(str, GOAL[tracks]))}, chosen on test). bfloat16 changes R@1 of a seed by "
        f"{half:.2f} at most."
    )


def _number(found: Sequence[Mapping[str, float]], name: str) -> str:
    """Mean, and standard deviation where there are several; empty if it was not measured."""
    values = [one[name] for one in found if name in one]
    if not values:
        return ""
    more = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{fmean(values):.1f}{more}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
