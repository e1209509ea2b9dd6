"""`graphmatch index`: a gallery into an index, and what is done with it afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graphmatch.index import MatchIndex

index = typer.Typer(
    help="Encode a gallery once into an index, to search it; delete, compact, measure.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
Index = Annotated[str, typer.Argument(help="Folder of the index, or an address of storage.")]
Milvus = Annotated[
    str | None,
    typer.Option(help="Where Milvus is, if it prefilters: http://host:19530, or a .db file."),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(help="Checkpoint of the index; where it was at first if left out."),
]


@index.callback()
def build(
    context: typer.Context,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Folder of the index, or an address.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint of the matcher, or the folder of a run.")
    ] = None,
    visual: Annotated[
        Path | None, typer.Option(help="The gallery: a store of regions or clips.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Or the gallery: a store of captions.")
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(help="Columns for conditions, by id: .parquet, .csv or .jsonl."),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(help="Own vectors for the prefilter: .npy, with ids in a .txt beside it."),
    ] = None,
    milvus: Milvus = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Numbers of nodes on disk; float16 if left out.", metavar="float16|float32"
        ),
    ] = None,
    replace: Annotated[bool, typer.Option(help="Replace items whose id is there.")] = False,
    vector_index: Annotated[
        bool | None,
        typer.Option(help="Index the vectors; from 50,000 items on if left out."),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="0 for as many as there are cores.")] = 0,
) -> None:
    """Encode a gallery into an index; without a subcommand.

    Interrupted, the same command goes on where it stopped; with another store, it adds to the
    index. Items whose id is there are kept. An item that cannot be used is counted with its reason;
    the exit code is then 3.
    """
    if context.invoked_subcommand is not None:
        return
    from typing import get_args

    import torch
    from tqdm import tqdm

    from graphmatch.errors import ConfigError, check_choice
    from graphmatch.index_job import LARGE, index_blocks
    from graphmatch.index_open import make_index
    from graphmatch.index_schema import NodeType
    from graphmatch.index_sources import CAPTION_COLUMNS, VectorFile, caption_blocks, visual_blocks
    from graphmatch.metadata_file import MetadataFile

    started = time.perf_counter()
    if out is None or checkpoint is None or (visual is None) == (captions is None):
        raise ConfigError("expected --out, --checkpoint, and one of --visual and --captions")
    if dtype is not None:
        check_choice("dtype", dtype, get_args(NodeType))
    if threads:
        torch.set_num_threads(threads)
    table = None if metadata is None else MetadataFile(metadata)
    own = None if vectors is None else VectorFile(vectors)
    columns = [] if table is None else list(table.schema)
    if captions is not None:
        columns += list(CAPTION_COLUMNS)
    made = make_index(
        out,
        checkpoint,
        side="visual" if captions is None else "text",
        dtype=dtype,  # type: ignore[arg-type]  # checked above
        own_vectors=own is not None,
        metadata=_schema(columns),
        milvus=milvus,
    )
    if visual is not None:
        from graphmatch.feature_store import FeatureStore

        store = FeatureStore(visual)
        count, blocks = len(store), visual_blocks(store)
    else:
        from graphmatch.store import GraphStore

        texts = GraphStore(captions)  # type: ignore[arg-type]  # one of the two is there
        count = len(texts)
        blocks = caption_blocks(texts, made.vocabulary, made.require_matcher())  # type: ignore[arg-type]
    with tqdm(total=count, unit=" items", unit_scale=True, disable=None) as bar:
        report = index_blocks(
            made, blocks, metadata=table, vectors=own, replace=replace, progress=bar.update
        )
    large = len(made) >= LARGE if vector_index is None else vector_index
    if large and made.prefilter is None and (report.added or made.table.indexed() is None):
        made.build_vector_index()
    for line in report.lines(out):
        typer.echo(line)
    typer.echo(f"  {_content(made)}; {time.perf_counter() - started:.1f} s")
    if report.failures:
        raise typer.Exit(3)


@index.command()
def delete(
    path: Index,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of items.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Or a condition on the metadata, in SQL.")
    ] = None,
    milvus: Milvus = None,
) -> None:
    """Delete items; ids that are not there are no error."""
    from graphmatch.errors import ConfigError
    from graphmatch.index_open import open_index

    if bool(ids) == (where is not None):
        raise ConfigError("expected ids or --where")
    opened = open_index(path, milvus=milvus, encodes=False)
    count = opened.delete(ids or (), where=where)
    typer.echo(f"{path}: {count:,} items deleted; {_content(opened)}")


@index.command()
def compact(
    path: Index,
    keep_hours: Annotated[
        float,
        typer.Option(min=0, help="Keep older versions of the table that are younger than this."),
    ] = 1,
    vector_index: Annotated[bool, typer.Option(help="Build the index of vectors anew.")] = False,
) -> None:
    """Merge small files, drop what was deleted, bring the index of vectors up to date."""
    from datetime import timedelta

    from graphmatch.index_open import open_index

    opened = open_index(path, encodes=False)
    if vector_index:
        opened.build_vector_index()
    opened.compact(keep=timedelta(hours=keep_hours))
    typer.echo(f"{path}: {_content(opened)}")


@index.command()
def info(path: Index) -> None:
    """Show what an index holds, and the measured recall of its prefilter."""
    from graphmatch.index_open import open_index
    from graphmatch.index_recall import stored_recall

    opened = open_index(path, encodes=False)
    header, measured = opened.header, stored_recall(opened)
    vectors = "own" if header.own_vectors else "the matcher's"
    size = opened.table.schema.field("vector").type.list_size
    columns = ", ".join(f"{entry.name} {entry.type}" for entry in opened.metadata) or "none"
    typer.echo(f"{path}: {_content(opened)}")
    typer.echo(
        f"  gallery: {header.side}; nodes {header.dtype}; vectors: {vectors}, {size} numbers"
    )
    typer.echo(f"  prefilter: {header.prefilter or 'the index itself'}")
    typer.echo(f"  metadata: {columns}")
    typer.echo(f"  checkpoint: {header.digest} at {header.checkpoint}")
    typer.echo(f"  {'recall not measured' if measured is None else measured.line()}")


@index.command()
def recall(
    path: Index,
    visual: Annotated[
        Path | None, typer.Option(help="Queries of a gallery of captions: regions or clips.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Queries of a gallery of images or videos: captions.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many of them, drawn at random.")] = 200,
    prefilter: Annotated[int, typer.Option(min=1, help="Items that the matcher scores.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    vectors: Annotated[
        Path | None, typer.Option(help="Own vectors of the queries: .npy, ids in a .txt beside it.")
    ] = None,
    checkpoint: Checkpoint = None,
    milvus: Milvus = None,
) -> None:
    """Measure what the prefilter loses against scoring every item; searches show it afterwards."""
    from tqdm import tqdm

    from graphmatch.index_open import open_index
    from graphmatch.index_queries import sample_queries
    from graphmatch.index_recall import measure_recall, store_recall
    from graphmatch.index_sources import VectorFile

    opened = open_index(path, checkpoint, milvus=milvus)
    own = None if vectors is None else VectorFile(vectors)
    queries = sample_queries(
        opened, visual=visual, captions=captions, count=sample, seed=seed, vectors=own
    )
    with tqdm(total=len(opened), unit=" items", unit_scale=True, disable=None) as bar:
        measured = measure_recall(
            opened,
            queries.graphs,
            prefilter=prefilter,
            vectors=queries.vectors,
            progress=bar.update,
        )
    store_recall(opened, measured)
    typer.echo(f"{path}: {measured.line()}")
    if queries.left_out:
        typer.echo(f"  {queries.left_out:,} queries left out: no graph, or no vector")


def _schema(columns: list[object]) -> object:
    import pyarrow as pa

    return pa.schema(columns)


def _content(opened: MatchIndex) -> str:
    """Number of items, and how their vectors are searched."""
    if opened.header.prefilter is not None:
        return f"{len(opened):,} items, prefiltered by {opened.header.prefilter}"
    indexed = opened.table.indexed()
    how = "vectors are scanned" if indexed is None else f"vectors of {indexed:,} are indexed"
    return f"{len(opened):,} items, {how}"
