"""`graphmatch evaluate`: recalls or AUC of trained models, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphmatch.cli.options import Force, Mode, ModelName, ParserName

if TYPE_CHECKING:
    from graphmatch.evaluation_report import Resampling
    from graphmatch.feature_store import FeatureStore
    from graphmatch.store import GraphStore


def evaluate(
    visual: Annotated[
        Path | None, typer.Option(help="Store of regions or clips; not with --clicks.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Store of captions; without it only --compositional.")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="In place of --captions, for drn: queries with moments, as Charades-STA, "
            "ActivityNet Captions or TACoS have them."
        ),
    ] = None,
    durations: Annotated[
        Path | None, typer.Option(help="Of --queries: seconds by video, Charades_duration.json.")
    ] = None,
    train_queries: Annotated[
        Path | None,
        typer.Option(
            help="Of --queries: those of the training; adds rules that see no video, such as the "
            "segment that is right most often."
        ),
    ] = None,
    graphs: Annotated[
        Path | None,
        typer.Option(help="Of --queries: store of the parsed queries, for a model with layers."),
    ] = None,
    clicks: Annotated[
        Path | None,
        typer.Option(
            help="In place of --captions, for marn: store of clicks, of graphmatch clicks."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Of --clicks: which samples.", metavar="train|valid|test")
    ] = "test",
    predictions: Annotated[
        Path | None,
        typer.Option(help="Of --clicks: write each sample's probability, .parquet or .csv."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of a checkpoint or of a run of training; repeat it for an ensemble, the "
            "mean of the scores."
        ),
    ] = None,
    from_scores: Annotated[
        list[Path] | None,
        typer.Option(help="Score matrix (.npy) that --scores wrote, in place of a checkpoint."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Checkpoint, run or score matrix of another model, or several of an ensemble: "
            "adds the difference to it with its interval."
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="Everything at once; folds and their mean (COCO 1K); each caption text once "
            "(HGR); the first images; none leaves retrieval out.",
            metavar="all|folds|unique|first|none",
        ),
    ] = "all",
    folds: Annotated[int, typer.Option(min=1, help="Of --protocol folds.")] = 5,
    first: Annotated[int, typer.Option(min=1, help="Images of --protocol first.")] = 1000,
    ties: Annotated[
        str,
        typer.Option(
            help="Who of equal scores comes first: the smaller position, or as the code of SCAN "
            "or HGR sorts.",
            metavar="first|scan|hgr",
        ),
    ] = "first",
    compositional: Annotated[
        list[str] | None,
        typer.Option(
            help="Also a benchmark from a file: hard negatives, spatial statements, human "
            "similarity (needs --captions with COCO's ids); repeatable.",
            metavar="sugarcrepe=FILE|vsr=FILE|cxc=FILE",
        ),
    ] = None,
    train_captions: Annotated[
        Path | None,
        typer.Option(help="Store that the language baseline of --compositional is fitted on."),
    ] = None,
    parser: ParserName = "spacy",
    model: ModelName = None,
    mode: Mode = "augmented",
    dtype: Annotated[
        str, typer.Option(help="Of the large matrix products.", metavar="fp32|bf16|fp64")
    ] = "fp32",
    device: Annotated[
        str, typer.Option(help="Where to compute; auto is a CUDA device if there is one.")
    ] = "auto",
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples of images for the intervals; 0 for none.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    scores: Annotated[
        Path | None, typer.Option(help="Write the score matrix to this .npy file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the report as JSON; - is standard output."),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="0 for as many as there are cores.")] = 0,
    force: Force = False,
) -> None:
    """Evaluate trained matchers on captions and images or videos, DRN on queries, MARN on clicks.

    Score matrices of more than 2 GB are mapped to a temporary file. --parser, --model and --mode
    are for the captions of --compositional and should be those of the training captions. The exit
    code is 3 if captions or their images failed; captions whose image is not in the store are
    counted only.
    """
    import json

    import torch

    from graphmatch.compositional import BENCHMARKS, compositional_report
    from graphmatch.errors import ConfigError, FormatError, check_choice
    from graphmatch.evaluate_run import evaluate_run
    from graphmatch.evaluation_report import Resampling
    from graphmatch.feature_store import FeatureStore
    from graphmatch.model_scores import Computing
    from graphmatch.output import check_output, open_output
    from graphmatch.protocol import Protocol
    from graphmatch.store import GraphStore

    if clicks is not None:
        others = {"--visual": visual, "--captions": captions, "--queries": queries,
                  "--from-scores": from_scores, "--against": against, "--graphs": graphs,
                  "--compositional": compositional, "--scores": scores,
                  "--train-queries": train_queries, "--durations": durations}  # fmt: skip
        if given := [name for name, value in others.items() if value]:
            raise ConfigError(f"--clicks: expected no {', '.join(given)} with it")
        _evaluate_clicks(
            _only(checkpoint, "--clicks"),
            clicks,
            split=split,
            predictions=predictions,
            resampling=Resampling(resamples=bootstrap, seed=seed),
            dtype=dtype,
            device=device,
            threads=threads,
            out=out,
            force=force,
        )
        return
    if predictions or split != "test":
        raise ConfigError("--predictions, --split: expected --clicks with them")
    if visual is None:
        raise ConfigError("expected --visual, or --clicks for marn (got neither)")
    if queries is not None:
        if captions or from_scores or against or compositional or scores:
            raise ConfigError(
                "--queries: expected no --captions, --from-scores, --against, --compositional or "
                "--scores with it"
            )
        chosen = _only(checkpoint, "--queries")
        if out is not None and str(out) != "-":
            check_output(out, force=force)
        if threads:
            torch.set_num_threads(threads)
        _evaluate_moments(
            chosen,
            FeatureStore(visual),
            queries,
            durations=durations,
            train_queries=train_queries,
            graphs=None if graphs is None else GraphStore(graphs),
            resampling=Resampling(resamples=bootstrap, seed=seed),
            dtype=dtype,
            device=device,
            out=out,
        )
        return
    if durations or train_queries or graphs:
        raise ConfigError("--durations, --train-queries, --graphs: expected --queries with them")
    files = _files(compositional or [])
    retrieval = captions is not None and protocol != "none"
    if captions is not None and protocol == "none" and not files:
        raise ConfigError("--protocol none: expected --compositional (got none)")
    if not retrieval and not files:
        raise ConfigError("expected --captions for retrieval, or --compositional (got neither)")
    for name, paths in files.items():  # before anything is scored
        check_choice("benchmark", name, BENCHMARKS)
        for path in paths:
            if not Path(path).exists():
                raise FormatError(f"{path}: no such file")
    if out is not None and str(out) != "-":
        check_output(out, force=force)
    if threads:
        torch.set_num_threads(threads)
    computing = Computing(dtype=dtype, device=device, threads=threads or None, progress=True)
    visuals = FeatureStore(visual)
    texts = None if captions is None else GraphStore(captions)
    content: dict[str, object] = {"format": "graphmatch-evaluation", "version": 1}
    shown = []
    failed = False
    if retrieval and texts is not None:
        report = evaluate_run(
            [*(checkpoint or []), *(from_scores or [])],
            texts,
            visuals,
            protocol=Protocol(name=protocol, folds=folds, first=first, ties=ties),  # type: ignore[arg-type]
            resampling=Resampling(resamples=bootstrap, seed=seed),
            against=against or [],
            scores=scores,
            force=force,
            computing=computing,
        )
        content |= report.content()
        shown.append(str(report))
        failed = report.failed > 0
    if files:
        from graphmatch.model_scores import load_matchers
        from graphmatch.parsers import load_parser

        composed = compositional_report(
            load_matchers(checkpoint or [], visuals, device=computing.device),
            visuals,
            files,
            parser=load_parser(parser, model),
            mode=mode,  # type: ignore[arg-type]
            captions=texts,
            language=None if train_captions is None else GraphStore(train_captions).words(),
            computing=computing,
            seed=seed,
        )
        content["compositional"] = composed.content()
        shown.append(str(composed))
    # shown first: what was computed for hours does not depend on a file that cannot be written
    typer.echo("\n\n".join(shown), err=str(out) == "-")
    if out is not None:
        with open_output(out, force=force) as stream:
            stream.write(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    if failed:
        raise typer.Exit(3)


def _evaluate_moments(
    checkpoint: Path,
    visuals: FeatureStore,
    queries: Path,
    *,
    durations: Path | None,
    train_queries: Path | None,
    graphs: GraphStore | None,
    resampling: Resampling,
    dtype: str,
    device: str,
    out: Path | None,
) -> None:
    import json

    import torch

    from graphmatch.moment_evaluation import evaluate_moment_files
    from graphmatch.output import open_output
    from graphmatch.query_file import read_queries

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    report = evaluate_moment_files(
        checkpoint,
        read_queries(queries, durations=durations),
        visuals,
        train=None if train_queries is None else read_queries(train_queries, durations=durations),
        graphs=graphs,
        resampling=resampling,
        dtype=dtype,
        device=device,
    )
    typer.echo(str(report), err=str(out) == "-")
    if out is not None:
        content = {"format": "graphmatch-evaluation", "version": 1, **report.content()}
        with open_output(out, force=True) as stream:
            stream.write(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    if report.failed:
        raise typer.Exit(3)


def _evaluate_clicks(
    checkpoint: Path,
    clicks: Path,
    *,
    split: str,
    predictions: Path | None,
    resampling: Resampling,
    dtype: str,
    device: str,
    threads: int,
    out: Path | None,
    force: bool,
) -> None:
    import json

    import torch

    from graphmatch.click_evaluation import evaluate_clicks
    from graphmatch.click_prediction import check_predictions_file, write_predictions
    from graphmatch.click_store import ClickStore
    from graphmatch.output import check_output, open_output

    if predictions is not None:  # before what takes long
        check_predictions_file(predictions, force=force)
    if out is not None and str(out) != "-":
        check_output(out, force=force)
    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    store = ClickStore(clicks)
    report, found = evaluate_clicks(
        checkpoint,
        store,
        split=split,
        resampling=resampling,
        dtype=dtype,
        device=device,
        progress=True,
    )
    typer.echo(str(report), err=str(out) == "-")
    if predictions is not None:
        write_predictions(found, store, predictions, force=True)
    if out is not None:
        content = {"format": "graphmatch-evaluation", "version": 1, **report.content()}
        with open_output(out, force=True) as stream:
            stream.write(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def _only(checkpoint: list[Path] | None, option: str) -> Path:
    """The one checkpoint that an option needs."""
    from graphmatch.errors import ConfigError

    if len(checkpoint or []) != 1:
        raise ConfigError(f"{option}: expected one --checkpoint (got {len(checkpoint or [])})")
    return (checkpoint or [])[0]


def _files(given: list[str]) -> dict[str, list[str]]:
    """Files by the name of their benchmark."""
    from graphmatch.errors import ConfigError

    files: dict[str, list[str]] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not equals or not path:
            raise ConfigError(f"expected --compositional NAME=FILE (got {one!r})")
        files.setdefault(name, []).append(path)
    return files
