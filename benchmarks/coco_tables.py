"""Tables of the benchmark `coco.py` in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from coco_recipes import STRUCTURE

from graphmatch.bootstrap import NUMBERS
from graphmatch.hard_negatives import MATCHER

REFERENCE = {
    "regions": {"val": 264.2, "test": 336.5},
    "boxes": {"val": 229.5, "test": 309.3},
}
"""rsum of the linear references that came with the data, by set and split."""
_BASELINES = ("shorter caption", "unigram")

Result = dict[str, Any]


def retrieval_table(result: Result, split: str) -> list[str]:
    """Recalls of all models on a split, and how far they are above the linear references."""
    theirs = REFERENCE[result["set"]][split]
    linear = {name: found[split] for name, found in result["linear"].items()}
    ours = max((one["rsum"] for one in linear.values()), default=None)
    ways = [f"{way} R@{k}" for way in ("i→t", "t→i") for k in (1, 5, 10)]
    head = ["model", "seeds", *ways, "rsum", "over given", "over ours"]
    rows = [["linear, given with the data", "", *[""] * 6, f"{theirs:.1f}", "", ""]]
    every = {f"linear, {name}": [one] for name, one in linear.items()}
    every |= {name: [_numbers(run, split) for run in runs] for name, runs in _by_recipe(result)}
    every |= {
        f"{name} (ensemble of two)": found[split] for name, found in result["ensembles"].items()
    }
    for name, runs in every.items():
        numbers = [_spread([one[number] for one in runs]) for number in NUMBERS]
        rsum = fmean(one["rsum"] for one in runs)
        over = ["" if other is None else f"{rsum - other:+.1f}" for other in (theirs, ours)]
        rows.append([name, "" if name.startswith("linear") else str(len(runs)), *numbers, *over])
    return [f"### {result['set']}, {split}: {result['sizes'][split]}", "", *_table(head, rows)]


def best_line(result: Result) -> str:
    """The recipe with the best rsum on val, and what it reaches on test."""
    found = {
        name: [fmean(_numbers(run, split)["rsum"] for run in runs) for split in ("val", "test")]
        for name, runs in _by_recipe(result)
    }
    if not found:
        return "No run was finished."
    name = max(found, key=lambda one: found[one][0])
    theirs = REFERENCE[result["set"]]["test"]
    ours = max((one["test"]["rsum"] for one in result["linear"].values()), default=theirs)
    test = found[name][1]
    return (
        f"Best single matcher on val: {name}; test rsum {test:.1f}, {test - theirs:+.1f} over the "
        f"linear reference given with the data, {test - ours:+.1f} over our best one."
    )


def structure_table(result: Result) -> list[str]:
    """What structure is worth: differences of rsum."""
    head = ["first", "second", "what differs", "split", "rsum difference [95 %]", "by seed"]
    meaning = {(first, second): what for first, second, what in STRUCTURE}
    rows = []
    for one in result["structure"]:
        seeds = ", ".join(f"{value:+.1f}" for value in one["seeds"])
        interval = f"{one['value']:+.1f} [{one['low']:+.1f}, {one['high']:+.1f}]"
        pair = one["first"], one["second"]
        rows.append([*pair, meaning[pair], one["split"], interval, seeds])
    return ["### What structure is worth", "", *_table(head, rows, left=4)] if rows else []


def sugarcrepe_table(result: Result) -> list[str]:
    """Accuracy by category of every model, beside two scores that see no image."""
    found = _composed(result, "sugarcrepe")
    if not found:
        return []
    any_run = next(iter(found.values()))[0]
    categories = list(any_run["categories"])
    counts = [str(any_run["categories"][name][MATCHER]["count"]) for name in categories]
    total = any_run["overall"][MATCHER]["count"]
    rows = [["items", *counts, f"{total:,}", ""]]
    for name in _BASELINES:
        rows.append([f"{name}, no image", *_accuracies([any_run], name, categories)])
    for name, runs in found.items():
        rows.append([name, *_accuracies(runs, MATCHER, categories)])
    head = ["model", *categories, "all", "mean of categories"]
    return ["### SugarCrepe, images of val and test: accuracy", "", *_table(head, rows)]


def similarity_table(result: Result) -> list[str]:
    """Spatial statements and human similarity."""
    statements, ratings = _composed(result, "vsr"), _composed(result, "cxc")
    names = [name for name, _ in _by_recipe(result) if name in statements or name in ratings]
    if not names:
        return []
    rows = []
    for name in names:
        some, rated = statements.get(name, []), ratings.get(name, [])
        row = [name]
        row.append(_mean(some, lambda one: one["auc"][MATCHER]["value"]))
        row.append(_mean(some, lambda one: one["accuracy"][MATCHER]["percent"]))
        for kind in ("sits", "sts", "sis"):
            having = [one["rows"][kind] for one in rated if kind in one["rows"]]
            row.append(_mean(having, lambda one: one["spearman"], digits=3))
        rows.append(row)
    for name in _BASELINES if statements else ():
        first = next(iter(statements.values()))[0]
        auc, accuracy = first["auc"][name]["value"], first["accuracy"][name]["percent"]
        rows.append([f"{name}, no image", f"{auc:.1f}", f"{accuracy:.1f}", "", "", ""])
    counts = [f"{one[0]['count']:,}" for one in statements.values()]
    title = f"VSR ({counts[0] if counts else 0} statements) and CxC, images of val and test"
    head = ["model", "VSR AUC", "VSR accuracy", "CxC caption-image", "two captions", "two images"]
    return [f"### {title}", "", *_table(head, rows)]


def _by_recipe(result: Result) -> list[tuple[str, list[Result]]]:
    return [(name, runs) for name, runs in result["models"].items() if runs]


def _composed(result: Result, name: str) -> dict[str, list[Result]]:
    found = {
        recipe: [run["compositional"][name] for run in runs if run["compositional"].get(name)]
        for recipe, runs in _by_recipe(result)
    }
    return {recipe: runs for recipe, runs in found.items() if runs}


def _numbers(run: Result, split: str) -> Mapping[str, float]:
    intervals = run[split]["intervals"]
    return {name: intervals[name]["value"] for name in NUMBERS}


def _accuracies(runs: Sequence[Result], name: str, categories: Iterable[str]) -> list[str]:
    shown = [
        _mean(runs, lambda one, c=c: one["categories"][c][name]["percent"]) for c in categories
    ]
    every = [one["overall"][name]["percent"] for one in runs]
    return [*shown, _spread(every), _mean(runs, lambda one: one["mean"][name])]


def _mean(runs: Sequence[Result], value: Callable[..., float], *, digits: int = 1) -> str:
    return f"{fmean(map(value, runs)):.{digits}f}" if runs else ""


def _spread(values: Sequence[float]) -> str:
    """Mean, and standard deviation where there are several."""
    more = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{fmean(values):.1f}{more}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> list[str]:
    lines = [head, [*["---"] * left, *["--:"] * (len(head) - left)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
