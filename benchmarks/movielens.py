"""MARN on MovieLens (ml-latest-small): rules, plain models, the adversary, every part left out.

python benchmarks/movielens.py DATA --out OUT [--seeds 3] [--jobs 2] [--only NAME ...]

DATA is the folder with `ratings.csv`, `movies.csv` and `tags.csv`. Ratings of 4 and more are
clicks; of each user the first 80 % of ratings are for training, the last 10 % for testing, and
checkpoints are chosen by AUC on what is between. The table has means and standard deviations over
seeds on test, beside rules that know means of labels and nothing else, and the state of the
adversary over the last steps: mean weight w, accuracy of the first discriminator, norms of the
fused invariant and specific features. Every training takes a minute or two on one core. OUT/runs
keeps all of them: started again after a kill, the benchmark goes on. OUT/movielens.json has all
numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from machine import processor
from movielens_runs import ROWS, Run, do_runs, rule_numbers
from movielens_tables import adversary_lines, goal_line, result_table

from graphmatch.click_job import encode_clicks
from graphmatch.datasets.movielens import read_movielens
from graphmatch.errors import ConfigError, FormatError
from graphmatch.output import open_output


def main() -> int:
    """Run what is not done and print Markdown; 1 if a training failed, 2 for impossible options."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--only", choices=list(ROWS), nargs="+", default=list(ROWS))
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=1, help="runs at a time, a thread each")
    options.add_argument(
        "--extra", nargs="+", default=[], metavar="field=value", help="settings for all runs"
    )
    options.add_argument("--force", action="store_true", help="throw away runs of other settings")
    chosen = options.parse_args()
    try:
        return measure(chosen)
    except (ConfigError, FormatError) as error:
        _tell(f"error: {error}")
        return 2


def measure(chosen: argparse.Namespace) -> int:
    """Everything; 1 if a run failed."""
    clicks, folder = chosen.out / "clicks", chosen.out / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    report = encode_clicks(read_movielens(chosen.data), clicks)
    runs = [
        Run(
            name=name,
            seed=seed,
            clicks=clicks,
            out=folder,
            extra=tuple(chosen.extra),
            force=chosen.force,
        )
        for seed in range(chosen.seeds)  # everything with one seed first
        for name in chosen.only
    ]
    records, errors = do_runs(runs, jobs=chosen.jobs, tell=_tell)
    result = {
        "format": "graphmatch-movielens-benchmark",
        "version": 1,
        "machine": {"processor": processor(), "torch": torch.__version__},
        "counts": dict(report.counts),
        "rules": {split: rule_numbers(clicks, split) for split in ("valid", "test")},
        "runs": {
            name: [records[run.key] for run in runs if run.name == name and run.key in records]
            for name in chosen.only
        },
        "errors": errors,
    }
    with open_output(chosen.out / "movielens.json", force=True) as stream:
        stream.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(f"{processor()}, torch {torch.__version__}\n")
    for lines in (result_table(result), adversary_lines(result), goal_line(result)):
        print("\n".join(lines) + "\n", flush=True)
    for key, error in errors.items():
        print(f"failed: {key}: {error}")
    return 1 if errors else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
