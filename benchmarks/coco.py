"""Matchers trained on little real data, beside a linear map: retrieval, structure, composition.

python benchmarks/coco.py DATA --out OUT [--set regions] [--text-encoder FOLDER] [--only NAME ...]
    [--seeds 3] [--jobs 1] [--extra field=value ...]

DATA holds `coco_regions` and `coco_val2017`, see `coco_stores.py`. Every recipe of
`coco_recipes.py` is trained with several seeds; val chooses the epoch; val and test are evaluated
whole, six recalls and their sum, mean and standard deviation over seeds. Beside them stand a linear
map (`coco_linear.py`), what the edges of GSMN's graphs are worth (`coco_compare.py`), and how often
the true caption wins in SugarCrepe about images of val and test.

What is finished is kept under OUT and not computed again: a run that was killed goes on. OUT/SET.json
has every number. With --text-encoder (a folder of MiniLM, say) the recipes that can read its word
states do so, and the linear map has its sentence vectors.
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from coco_compare import compare_runs
from coco_linear import linear_references, recalls
from coco_recipes import ENSEMBLES, RECIPES, STRUCTURE
from coco_runs import Record, Run, do_runs
from coco_stores import SETS, Stores, make_stores
from coco_tables import (
    best_line,
    retrieval_table,
    similarity_table,
    structure_table,
    sugarcrepe_table,
)
from machine import processor

from graphmatch.errors import ConfigError, FormatError
from graphmatch.evaluate import average_scores, evaluate_scores
from graphmatch.output import open_output
from graphmatch.score_file import open_scores


def main() -> int:
    """Print Markdown tables."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path)
    options.add_argument("--out", type=Path, required=True, help="folder for everything")
    options.add_argument("--set", choices=SETS, nargs="+", default=list(SETS))
    options.add_argument("--text-encoder", type=Path, help="folder of a BERT-like text encoder")
    names = [recipe.name for recipe in RECIPES["regions"]]
    options.add_argument("--only", choices=[*names, "linear"], nargs="+", metavar="NAME")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=1, help="runs at a time, a thread each if > 1")
    options.add_argument("--threads", type=int, help="of a single job")
    options.add_argument(
        "--extra", nargs="+", default=[], metavar="field=value", help="settings for all recipes"
    )
    options.add_argument("--limit", type=int, help="images of each split, to try the benchmark")
    options.add_argument("--force", action="store_true", help="throw away runs of other settings")
    chosen = options.parse_args()
    failed = False
    try:
        for name in chosen.set:
            failed |= measure(name, chosen)
    except (ConfigError, FormatError) as error:
        _tell(f"error: {error}")
        return 2
    return 1 if failed else 0


def measure(name: Any, chosen: argparse.Namespace) -> bool:
    """Everything about one set; whether a run failed."""
    stores = make_stores(chosen.data, chosen.out / "stores", name, limit=chosen.limit, tell=_tell)
    folder = chosen.out / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set(chosen.only or [one.name for one in RECIPES[name]])
    wanted |= {one.begin for one in RECIPES[name] if one.begin and one.name in wanted}
    recipes = [one for one in RECIPES[name] if one.name in wanted]
    runs = [
        Run(
            recipe=recipe,
            seed=seed,
            stores=stores,
            out=folder,
            text_encoder=chosen.text_encoder,
            extra=tuple(chosen.extra),
            threads=1 if chosen.jobs > 1 else chosen.threads,
            force=chosen.force,
        )
        for seed in range(chosen.seeds)  # all recipes with one seed first
        for recipe in recipes
    ]
    linear = {}
    if chosen.only is None or "linear" in chosen.only:
        linear = linear_maps(stores, folder, chosen.text_encoder)
    records, errors = do_runs(runs, jobs=chosen.jobs, tell=_tell)
    done = [run for run in runs if run.key in records]
    result = {
        "format": "graphmatch-coco-benchmark",
        "version": 1,
        "set": name,
        "machine": {
            "processor": processor(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "torch": torch.__version__,
        },
        "sizes": {split: _size(stores, split) for split in ("val", "test")},
        "linear": linear,
        "models": {
            recipe.name: [records[run.key] for run in done if run.recipe == recipe]
            for recipe in recipes
        },
        "ensembles": ensembles(done, stores),
        "structure": structure(done, stores),
        "errors": errors,
    }
    with open_output(chosen.out / f"{name}.json", force=True) as stream:
        stream.write(json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    gpu = result["machine"]["gpu"]  # type: ignore[index]
    print(f"## {name}\n\n{processor()}{f', {gpu}' if gpu else ''}, torch {torch.__version__}\n")
    for split in ("test", "val"):
        _print(retrieval_table(result, split))
    _print([best_line(result)])
    for table in (structure_table, sugarcrepe_table, similarity_table):
        _print(table(result))
    for key, error in errors.items():
        print(f"failed: {key}: {error}")
    return bool(errors)


def linear_maps(stores: Stores, folder: Path, text_encoder: Path | None) -> dict[str, Record]:
    """Linear references by the kind of their text vectors."""
    path = folder / f"linear{'' if text_encoder is None else f'-{text_encoder.name}'}.json"
    if not path.exists():
        with open_output(path) as stream:
            stream.write(json.dumps(linear_references(stores, text_encoder), indent=1) + "\n")
    found: dict[str, Record] = json.loads(path.read_text(encoding="utf-8"))
    for kind, one in found.items():
        _tell(f"linear, {kind}: rsum val {one['val']['rsum']:.1f}, test {one['test']['rsum']:.1f}")
    return found


def ensembles(runs: Sequence[Run], stores: Stores) -> dict[str, Record]:
    """Recalls of the mean of two models' scores, for each seed that both have."""
    found: dict[str, Record] = {}
    for name, members in ENSEMBLES:
        groups = _seeds(runs, members)
        for split in ("val", "test") if groups else ():
            pairs = stores.pairs(split)
            rows = []
            for group in groups:
                matrices = [open_scores(run.scores(split), pairs)[0] for run in group]
                rows.append(recalls(evaluate_scores(average_scores(matrices), pairs.owner)))
            found.setdefault(name, {})[split] = rows
    return found


def structure(runs: Sequence[Run], stores: Stores) -> list[Record]:
    """Differences of pairs of recipes that differ in their edges alone."""
    found = []
    for first, second, _ in STRUCTURE:
        groups = _seeds(runs, (first, second))
        for split in ("val", "test") if groups else ():
            one, other = ([run.scores(split) for run in some] for some in zip(*groups, strict=True))
            compared = compare_runs(one, other, stores.pairs(split))
            found.append({"first": first, "second": second, "split": split, **compared})
    return found


def _seeds(runs: Sequence[Run], names: Sequence[str]) -> list[list[Run]]:
    """The runs of some recipes, together for each seed that all of them have."""
    by_name = [{run.seed: run for run in runs if run.recipe.name == name} for name in names]
    common = sorted(set.intersection(*(set(some) for some in by_name)))
    return [[some[seed] for some in by_name] for seed in common]


def _size(stores: Stores, split: str) -> str:
    pairs = stores.pairs(split)
    return f"{len(pairs.gallery):,} images, {len(pairs):,} captions"


def _print(lines: Sequence[str]) -> None:
    if lines:
        print("\n".join(lines) + "\n", flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
