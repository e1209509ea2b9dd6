"""`graphmatch corpus`: parse, regions and encode over shards, on local processes or on Ray."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphmatch.cli import parse as parsing
from graphmatch.cli import regions as finding
from graphmatch.cli.options import Graph, Mode, ModelName, ParserName, finish_features

if TYPE_CHECKING:
    from graphmatch.corpus import Engine
    from graphmatch.encode_job import EncodeReport
    from graphmatch.regions.base import Describer, Detector

corpus = typer.Typer(
    help="Graphs, regions and encodings of a large corpus, shard by shard, on local processes or "
    "on Ray. Interrupted, the same command goes on where it stopped; a worker that is killed costs "
    "its shard alone.",
    no_args_is_help=True,
)
_SHOWN = 10
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the result.")]
EngineName = Annotated[
    str, typer.Option("--engine", help="What runs the workers.", metavar="local|ray")
]
Workers = Annotated[
    int, typer.Option(min=0, help="Worker processes, of one thread each; 0 for one a core.")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of a cluster of Ray, such as auto or HOST:6379, which sees all files under the same "
        "paths; without it, a Ray is started here and stopped at the end."
    ),
]
Force = Annotated[bool, typer.Option(help="Throw away another result that is there.")]


@corpus.command()
def parse(
    captions: parsing.Captions,
    out: Out,
    format: parsing.FormatName = None,
    graph: Graph = "both",
    parser: ParserName = "spacy",
    model: ModelName = None,
    mode: Mode = "augmented",
    shard_size: Annotated[int, typer.Option(min=1, help="Captions a shard.")] = 2000,
    engine: EngineName = "local",
    workers: Workers = 0,
    address: Address = None,
    force: Force = False,
) -> None:
    """Turn captions into the store of graphs that `graphmatch parse` writes.

    A caption that cannot be used becomes a row with its error; the exit code is then 3.
    """
    from tqdm import tqdm

    from graphmatch.parse_job import parse_captions
    from graphmatch.parsers import load_parser

    started = time.perf_counter()
    chosen = _engine(engine, workers, address)
    with tqdm(unit=" captions", disable=None, smoothing=0.1) as bar:
        report = parse_captions(
            parsing.read_all(captions, format),
            out,
            parser=load_parser(parser, model),
            graph=graph,  # type: ignore[arg-type]
            mode=mode,  # type: ignore[arg-type]
            part_rows=shard_size,
            force=force,
            engine=chosen,
            progress=bar.update,
        )
    parsing.finish_parse(report, out, started)


@corpus.command()
def regions(
    images: finding.Images,
    out: Out,
    detector: finding.DetectorName,
    images_folder: finding.ImagesFolder = None,
    phrase: finding.Phrases = None,
    features: finding.Features = "efficientnet-lite0",
    projection: finding.ProjectionFile = None,
    least_score: finding.LeastScore = 0.05,
    top: finding.Top = 20,
    overlap: finding.Overlap = 0.7,
    whole_image: finding.WholeImage = True,
    dtype: finding.Dtype = "float32",
    batch_size: finding.BatchSize = 8,
    shard_size: Annotated[
        int, typer.Option(min=1, help="Images a shard; a multiple of the batch size.")
    ] = 256,
    engine: EngineName = "local",
    workers: Workers = 0,
    address: Address = None,
    force: Force = False,
) -> None:
    """Find the regions of images and write the store that `graphmatch regions` writes.

    An image that cannot be used becomes an item with its error; the exit code is then 3.
    """
    from tqdm import tqdm

    from graphmatch.region_job import RegionChoice
    from graphmatch.region_shards import extract_region_shards
    from graphmatch.regions.photo_sources import read_sources

    started = time.perf_counter()
    chosen = _engine(engine, workers, address)
    sources = read_sources(images, images=images_folder)
    with tqdm(total=sources.count, unit=" images", disable=None) as bar:
        report = extract_region_shards(
            sources,
            out,
            models=partial(
                _load_models,
                detector,
                phrases=tuple(phrase or ()),
                least_score=least_score,
                features=features,
                projection=projection,
            ),
            choice=RegionChoice(
                top=top, overlap=overlap if overlap < 1 else None, whole_image=whole_image
            ),
            dtype=dtype,
            batch_size=batch_size,
            shard_size=shard_size,
            force=force,
            engine=chosen,
            progress=bar.update,
        )
    finish_features(report, item="image", row="region", out=out, started=started)


@corpus.command()
def encode(
    checkpoint: Annotated[Path, typer.Option(help="A checkpoint, or the folder of a training.")],
    out: Out,
    captions: Annotated[
        Path | None, typer.Option(help="Store of graphs, to encode its captions.")
    ] = None,
    visual: Annotated[
        Path | None, typer.Option(help="Store of regions or clips, to encode its items.")
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Items a shard.")] = 2000,
    device: Annotated[str, typer.Option(help="Where each worker encodes: cpu, cuda.")] = "cpu",
    engine: EngineName = "local",
    workers: Workers = 0,
    address: Address = None,
    force: Force = False,
) -> None:
    """Encode captions, or images and videos, with a trained matcher, as Parquet.

    `graphmatch.encoded_store.read_encoded` gives them back for scoring. An item that cannot be
    encoded becomes a row with its error; the exit code is then 3.
    """
    from tqdm import tqdm

    from graphmatch.encode_job import encode_corpus
    from graphmatch.errors import ConfigError

    started = time.perf_counter()
    source = captions or visual
    if source is None or (captions and visual):
        raise ConfigError("expected either --captions or --visual (one store a run)")
    gpus = 1 if device.startswith("cuda") else 0
    chosen = _engine(engine, workers, address, gpus=gpus)
    with tqdm(unit=" items", disable=None) as bar:
        report = encode_corpus(
            source,
            out,
            checkpoint=checkpoint,
            side="text" if captions else "visual",
            shard_size=shard_size,
            device=device,
            force=force,
            engine=chosen,
            progress=bar.update,
        )
    _finish_encode(report, out, started)


def _engine(name: str, workers: int, address: str | None, *, gpus: float = 0) -> Engine:
    from graphmatch.corpus import map_blocks
    from graphmatch.errors import ConfigError, check_choice
    from graphmatch.ray_engine import ray_blocks

    check_choice("engine", name, ("local", "ray"))
    workers = workers or os.cpu_count() or 1
    if name == "ray":
        return partial(ray_blocks, workers=workers, address=address, gpus=gpus)
    if address is not None:
        raise ConfigError(f"expected --engine ray with --address {address} (got local)")
    return partial(map_blocks, processes=workers)


def _load_models(
    detector: str,
    *,
    phrases: tuple[str, ...],
    least_score: float,
    features: str,
    projection: Path | None,
) -> tuple[Detector, Describer | None]:
    """Detector and describer of a worker, of one thread each."""
    from graphmatch.regions.load_detector import load_detector

    found = load_detector(detector, phrases=phrases, least_score=least_score, threads=1)
    return found, finding.load_describer(features, projection)


def _finish_encode(report: EncodeReport, out: Path, started: float) -> None:
    seconds = time.perf_counter() - started
    made = report.items - report.kept
    typer.echo(
        f"{report.items:,} items: {report.items - report.failed:,} encoded, {report.failed:,} "
        "failed"
    )
    if report.kept:
        typer.echo(f"{report.kept:,} items were kept from an earlier run")
    rate = f", {made / seconds:,.0f} items/s" if made else ""
    typer.echo(f"{out}: {report.parts} parts, {seconds:.1f} s{rate}")
    if report.failed:
        typer.echo("failed:")
        for key, error in report.failures[:_SHOWN]:
            typer.echo(f"  {key}: {error}")
        if report.failed > _SHOWN:
            typer.echo(f"  ... {report.failed - _SHOWN:,} more, in the column error of {out}")
        raise typer.Exit(3)
