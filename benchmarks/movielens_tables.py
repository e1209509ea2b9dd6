"""Tables of the benchmark `movielens.py` in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from movielens_runs import ROWS

GOAL = 0.803
"""Test AUC for the best configuration of MARN."""
OTHERS = (
    "attention-plain", "attention", "apgru-ids", "concat", "fusion", "no-adversary", "no-losses",
)  # fmt: skip
"""Rows that are no configuration of MARN: nothing in them is adversarial."""
NUMBERS = ("auc", "gauc", "log_loss")
STATE = {"weight": "mean w", "accuracy": "D0 right", "invariant": "norm of c", "specific": "of s"}

Result = dict[str, Any]


def result_table(result: Result) -> list[str]:
    """Numbers on test, beside rules without a model.

    Args:
        result: of the benchmark.

    Returns:
        Lines.
    """
    rows = [
        [f"rule: {name}", "", *(_number([one], n) for n in NUMBERS),
         _number([result["rules"]["valid"][name]], "auc"), ""]
        for name, one in result["rules"]["test"].items()
    ]  # fmt: skip
    for name, runs in result["runs"].items():
        if runs:
            tests = [run["test"] for run in runs]
            seconds = fmean(run["train"]["seconds"] for run in runs)
            rows.append(
                [
                    ROWS[name][0],
                    str(len(runs)),
                    *(_number(tests, n) for n in NUMBERS),
                    _number([run["valid"] for run in runs], "auc"),
                    f"{seconds:.0f}",
                ]
            )
    counts = result["counts"]
    title = f"{counts['train']:,} samples for training, {counts['test']:,} for testing"
    head = ["", "seeds", "AUC", "GAUC", "log loss", "validation AUC", "seconds"]
    return [title, "", *_table(head, rows)]


def adversary_lines(result: Result) -> list[str]:
    """State of the adversaries over the last steps, and what was warned about.

    Args:
        result: of the benchmark.

    Returns:
        Lines.
    """
    rows = []
    for name, runs in result["runs"].items():
        states = [run["train"]["adversary"] for run in runs if run["train"]["adversary"]]
        if states:
            last = [state["last"] for state in states]
            signs = sorted({sign for state in states for sign in state["signs"]})
            rows.append([ROWS[name][0], *(_number(last, key, digits=3) for key in STATE),
                         ", ".join(signs)])  # fmt: skip
    return _table(["adversary at the end", *STATE.values(), "warnings"], rows)


def goal_line(result: Result) -> list[str]:
    """What was to be reached, and what the adversary is worth.

    Args:
        result: of the benchmark.

    Returns:
        Lines.
    """
    runs = {name: found for name, found in result["runs"].items() if found}
    marn = {name: fmean(run["test"]["auc"] for run in found)
            for name, found in runs.items() if name not in OTHERS}  # fmt: skip
    if not marn:
        return ["No configuration of MARN was finished."]
    # the choice is made on validation, not on the number that is reported
    best = max(marn, key=lambda name: fmean(run["valid"]["auc"] for run in runs[name]))
    lines = [
        f"Best configuration of MARN by validation AUC: {ROWS[best][0]}, test AUC "
        f"{marn[best]:.4f} (goal {GOAL}, {marn[best] - GOAL:+.4f})."
    ]
    pairs = (("marn", "no-adversary"), ("marn", "no-losses"), ("marn", "concat"))
    lines += [line for one, other in pairs for line in difference_line(runs, one, other)]
    return lines


def difference_line(runs: Mapping[str, Sequence[Result]], one: str, other: str) -> list[str]:
    """How a row differs from another on test, seed by seed.

    Args:
        runs: records by row, one a seed.
        one: a row.
        other: the row that is subtracted.

    Returns:
        A line; none if a row has no runs.
    """
    seeds = [
        {run["asked"]["settings"]["seed"]: run["test"]["auc"] for run in runs.get(name, ())}
        for name in (one, other)
    ]
    gaps = [auc - seeds[1][seed] for seed, auc in seeds[0].items() if seed in seeds[1]]
    if not gaps:
        return []
    mean = fmean(gaps)
    line = f"{ROWS[one][0]} over {ROWS[other][0]}: {mean:+.4f} test AUC"
    if len(gaps) == 1:
        return [f"{line} with one seed, of which nothing follows."]
    spread = stdev(gaps)
    clear = abs(mean) > 2 * spread / len(gaps) ** 0.5
    verdict = "more" if clear else "not more"
    return [
        f"{line} ± {spread:.4f} over {len(gaps)} seeds: {verdict} than two standard errors of the "
        "mean difference."
    ]


def _number(found: Sequence[Mapping[str, Any]], name: str, *, digits: int = 4) -> str:
    """Mean, and standard deviation where there are several; empty if it was not measured."""
    values = [one[name] for one in found if one.get(name) is not None]
    if not values:
        return ""
    more = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{more}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
