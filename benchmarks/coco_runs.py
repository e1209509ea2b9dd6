"""One training of the benchmark `coco.py` with everything that is measured about it.

A run `NAME-SEED` has its folder of `graphmatch train`, `NAME-SEED-val.npy` and `-test.npy` with its
scores, and `NAME-SEED.json` with its numbers, which are written as soon as they are known: what is
there is never computed again.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import run_pool
import torch
from coco_recipes import Recipe
from coco_stores import HELD, Stores
from run_pool import Record, read_record, write_record
from shuffled_parser import ShuffledParser

from graphmatch.compositional import compositional_report
from graphmatch.errors import FormatError, GraphError
from graphmatch.evaluate_run import evaluate_run
from graphmatch.feature_store import FeatureStore
from graphmatch.model_scores import Computing, load_matchers
from graphmatch.parsers import load_parser
from graphmatch.parsers.base import Parser
from graphmatch.store import GraphStore
from graphmatch.train_job import TrainJob, train_stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recipe with a seed.

    Args:
        recipe: how to train.
        seed: of the first weights and the order of pairs.
        stores: of the set.
        out: folder of the runs of the set.
        text_encoder: folder of a text encoder, for recipes that read one.
        extra: more settings, which count most.
        threads: of a processor; as many as there are if None.
        force: throw away a run with other settings.
    """

    recipe: Recipe
    seed: int
    stores: Stores
    out: Path
    text_encoder: Path | None = None
    extra: tuple[str, ...] = ()
    threads: int | None = None
    force: bool = False

    @property
    def key(self) -> str:
        """Name of the run."""
        return f"{self.recipe.name}-{self.seed}"

    @property
    def record(self) -> Path:
        """File of its numbers."""
        return self.out / f"{self.key}.json"

    def scores(self, split: str) -> Path:
        """File of its scores of a split."""
        return self.out / f"{self.key}-{split}.npy"

    @property
    def job(self) -> TrainJob:
        """What `graphmatch train` is asked for."""
        settings = [f"{name}={value}" for name, value in self._fields().items()]
        shuffled = self.recipe.captions == "shuffled"
        job = TrainJob(
            model=self.recipe.model,
            captions=self.stores.captions("train", shuffled=shuffled),
            visual=self.stores.visual("train"),
            out=self.out / self.key,
            min_count=self.recipe.min_count,
            settings=settings,
            init=None
            if self.recipe.begin is None
            else self.out / f"{self.recipe.begin}-{self.seed}",
        )
        return job if self._encoder is None else replace(job, text_encoder=self._encoder)

    @property
    def command(self) -> str:
        """The same as a command."""
        job = self.job
        words = ["graphmatch", "train", job.model]
        for name in ("captions", "visual", "out", "min_count", "init"):
            value = getattr(job, name)
            words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
        words += [] if self._encoder is None else ["--text-encoder", str(self._encoder)]
        words += [word for setting in job.settings for word in ("--set", setting)]
        return shlex.join(words)

    def asked(self) -> Record:
        """What the run's numbers depend on, values of JSON."""
        return {
            "model": self.recipe.model,
            "captions": self.recipe.captions,
            "settings": self._fields(),
            "min_count": self.recipe.min_count,
            **({} if self.recipe.begin is None else {"begin": self.recipe.begin}),
            "text_encoder": None if self._encoder is None else self._encoder.name,
        }

    @property
    def _encoder(self) -> Path | None:
        own = self.recipe.text_encoder and self.recipe.begin is None
        return self.text_encoder if own else None

    def _fields(self) -> dict[str, str]:
        fields = self.recipe.fields()
        for setting in self.extra:
            name, _, value = setting.partition("=")
            fields[name.strip()] = value.strip()
        return {**fields, "seed": str(self.seed)}


def do_runs(
    runs: Sequence[Run], *, jobs: int, tell: Callable[[str], None]
) -> tuple[dict[str, Record], dict[str, str]]:
    """Do runs, each in a process of its own; those that begin with another's encoders come last.

    Args:
        runs: what to do.
        jobs: runs at a time.
        tell: gets a line for each one that is done.

    Returns:
        Records by the name of the run, and errors of those that failed.
    """
    waves = [[one for one in runs if (one.recipe.begin is not None) == later] for later in (0, 1)]
    return run_pool.do_runs(waves, do_run, stages=STAGES, jobs=jobs, tell=tell, in_short=_in_short)


def do_run(run: Run) -> Record:
    """Train and measure, as far as it is not done yet.

    Args:
        run: what to do.

    Returns:
        Its record: what was asked, `train`, `val`, `test` and `compositional`.
    """
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    record = read_record(run) or {"asked": run.asked()}
    for name, stage in STAGES.items():
        if name not in record:
            record[name] = stage(run)
            write_record(run, record)
    return record


def train_run(run: Run) -> Record:
    """Train; the last epoch counts, where the learning rate has come down to 0."""
    report = train_stores(run.job, force=run.force)
    (loaded,) = load_matchers([report.out], FeatureStore(run.stores.visual("val")))
    return {
        "command": run.command,
        "seconds": report.seconds,
        "epochs": report.epochs,
        "captions": report.captions,
        "images": report.items,
        "left_out": report.left_out,
        "parameters": sum(one.numel() for one in loaded.matcher.parameters() if one.requires_grad),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }


def evaluate_split(run: Run, split: str) -> Record:
    """Recalls of a split, and the file of its scores."""
    shuffled = run.recipe.captions == "shuffled"
    report = evaluate_run(
        [run.out / run.key],
        GraphStore(run.stores.captions(split, shuffled=shuffled)),
        FeatureStore(run.stores.visual(split)),
        scores=run.scores(split),
        force=True,
        computing=Computing(threads=run.threads),
    )
    return report.content()


def compose(run: Run) -> Record:
    """SugarCrepe, VSR and CxC about images of val and test."""
    started = time.perf_counter()
    visuals = FeatureStore(run.stores.visual(HELD))
    computing = Computing(threads=run.threads)
    shuffled = run.recipe.captions == "shuffled"
    parser: Parser = load_parser("spacy")
    parser = ShuffledParser(parser) if shuffled else parser
    stores = [GraphStore(run.stores.captions(name, shuffled=shuffled)) for name in ("val", "test")]
    models = load_matchers([run.out / run.key], visuals, device=computing.device)
    found: Record = {}
    for name, file in run.stores.compositional().items():
        try:
            report = compositional_report(
                models,
                visuals,
                {name: file},
                parser=parser,
                captions=chain.from_iterable(stores),
                language=GraphStore(run.stores.captions("train")).words(),
                computing=computing,
            )
            found[name] = report.content()[name]
        except (FormatError, GraphError) as error:  # no item about these images
            found[name], found[f"{name}_error"] = None, str(error)
    return {**found, "seconds": time.perf_counter() - started}


STAGES: dict[str, Callable[[Run], Record]] = {
    "train": train_run,
    "val": lambda run: evaluate_split(run, "val"),
    "test": lambda run: evaluate_split(run, "test"),
    "compositional": compose,
}
"""What is done for a run, in order, by the name under which its record has the result."""


def _in_short(record: Record) -> str:
    val, test = (record[split]["retrieval"]["rsum"] for split in ("val", "test"))
    return f"rsum val {val:.1f}, test {test:.1f}; {record['train']['seconds']:.0f} s"
