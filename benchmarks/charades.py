"""DRN on Charades-STA with label tracks in place of visual features: stages, heads, blind rules.

python benchmarks/charades.py DATA --out OUT [--tracks oracle degraded] [--seeds 3] [--jobs 1]
    [--only full location] [--extra field=value ...]

DATA is the folder charades_sta. Features are 157 action labels a clip, 32 clips a video: the
annotation itself, always called ORACLE, or what a simulated detector makes of it, see
`charades_tracks.py`. The queries of a tenth of the training videos choose the checkpoints; test is
looked at once, whole. Mean and standard deviation over seeds, of a reduced model: hidden 128,
channels 64 / 128 / 256; after each of the three stages; with the location's loss alone, with
matching, with the predicted IoU; beside rules that see no video.

What is finished is kept under OUT and not computed again: a run that was killed goes on.
OUT/charades.json has every number and the `graphmatch train drn` command of each run.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from charades_runs import RECIPES, Run, do_runs
from charades_stores import SPLITS, TRACKS, make_stores
from charades_tables import goal_line, recall_table
from machine import processor

from graphmatch.errors import ConfigError, FormatError
from graphmatch.moment_blind import blind_recalls, timed_queries
from graphmatch.output import open_output


def main() -> int:
    """Print Markdown tables."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path, help="the folder charades_sta")
    options.add_argument("--out", type=Path, required=True, help="folder for everything")
    options.add_argument("--tracks", choices=list(TRACKS), nargs="+", default=list(TRACKS))
    options.add_argument("--only", choices=list(RECIPES), nargs="+", default=list(RECIPES))
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=1, help="runs at a time, a thread each if > 1")
    options.add_argument("--threads", type=int, help="of a single job")
    options.add_argument(
        "--extra", nargs="+", default=[], metavar="field=value", help="settings for all runs"
    )
    options.add_argument("--limit", type=int, default=0, help="queries of each split, to try it")
    options.add_argument("--force", action="store_true", help="throw away runs of other settings")
    chosen = options.parse_args()
    try:
        return measure(chosen)
    except (ConfigError, FormatError) as error:
        _tell(f"error: {error}")
        return 2


def measure(chosen: argparse.Namespace) -> int:
    """Everything; 1 if a run failed."""
    stores = make_stores(
        chosen.data, chosen.out / "stores", chosen.tracks, tell=_tell, limit=chosen.limit
    )
    folder = chosen.out / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    runs = [
        Run(
            tracks=tracks,
            recipe=recipe,
            seed=seed,
            stores=stores,
            out=folder,
            extra=tuple(chosen.extra),
            threads=1 if chosen.jobs > 1 else chosen.threads,
            force=chosen.force,
        )
        for seed in range(chosen.seeds)  # everything with one seed first
        for recipe in chosen.only
        for tracks in chosen.tracks
    ]
    records, errors = do_runs(runs, jobs=chosen.jobs, tell=_tell)
    parts = {split: timed_queries(stores.data_set(split)) for split in SPLITS}
    result = {
        "format": "graphmatch-charades-benchmark",
        "version": 1,
        "machine": {"processor": processor(), "torch": torch.__version__},
        "detector": {name: detector and asdict(detector) for name, detector in TRACKS.items()},
        "queries": {split: len(texts) for split, (texts, _) in parts.items()},
        "blind": {split: blind_recalls(parts["train"], parts[split]) for split in ("val", "test")},
        "runs": {
            tracks: {
                recipe: [
                    records[run.key]
                    for run in runs
                    if (run.tracks, run.recipe) == (tracks, recipe) and run.key in records
                ]
                for recipe in chosen.only
            }
            for tracks in chosen.tracks
        },
        "errors": errors,
    }
    with open_output(chosen.out / "charades.json", force=True) as stream:
        stream.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(f"{processor()}, torch {torch.__version__}\n")
    for tracks in chosen.tracks:
        for split in ("test", "val"):
            print("\n".join(recall_table(result, tracks, split)) + "\n")
        print(goal_line(result, tracks) + "\n", flush=True)
    for key, error in errors.items():
        print(f"failed: {key}: {error}")
    return 1 if errors else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
