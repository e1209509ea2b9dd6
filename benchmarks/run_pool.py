"""`do_runs`: trainings of a benchmark side by side; what was measured before is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

from graphmatch.output import open_output

Record = dict[str, Any]


class Run(Protocol):
    """A training and what is measured about it."""

    @property
    def key(self) -> str:
        """Its name."""

    @property
    def record(self) -> Path:
        """File of its numbers."""

    @property
    def force(self) -> bool:
        """Whether to throw away a run with other settings."""

    def asked(self) -> Record:
        """What its numbers depend on, values of JSON."""


Some = TypeVar("Some", bound=Run)


def do_runs(
    waves: Sequence[Sequence[Some]],
    work: Callable[[Some], Record],
    *,
    stages: Collection[str],
    jobs: int,
    tell: Callable[[str], None],
    in_short: Callable[[Record], str],
) -> tuple[dict[str, Record], dict[str, str]]:
    """Do runs, each in a process of its own.

    Args:
        waves: what to do; runs of a wave begin when the wave before is done.
        work: does a run and keeps its record, as far as that is not done yet.
        stages: what a complete record has.
        jobs: runs at a time.
        tell: gets a line for each run that is done.
        in_short: a record in a few words.

    Returns:
        Records by the name of the run, and errors of those that failed.
    """
    records: dict[str, Record] = {}
    errors: dict[str, str] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        for wave in waves:
            waiting = {}
            for run in wave:
                record = read_record(run)
                if record is None and run.record.exists() and not run.force:
                    errors[run.key] = (
                        f"{run.record}: the run was made with other settings; choose another "
                        "--out, or --force to throw it away"
                    )
                elif record is not None and record.keys() >= set(stages):
                    records[run.key] = record
                else:
                    waiting[pool.submit(work, run)] = run
            for done in as_completed(waiting):
                run = waiting[done]
                try:
                    records[run.key] = done.result()
                    tell(f"{run.key}: {in_short(records[run.key])}")
                except Exception as error:  # the other runs go on; it is told at the end
                    errors[run.key] = f"{type(error).__name__}: {error}"
                    tell(f"{run.key} failed: {errors[run.key]}")
    return records, errors


def read_record(run: Run) -> Record | None:
    """What is known of a run; None if nothing, or if it was made with other settings."""
    if not run.record.exists():
        return None
    record: Record = json.loads(run.record.read_text(encoding="utf-8"))
    return record if record["asked"] == run.asked() else None


def write_record(run: Run, record: Record) -> None:
    """Keep what is known of a run."""
    with open_output(run.record, force=True) as stream:
        stream.write(json.dumps(record, indent=1) + "\n")
