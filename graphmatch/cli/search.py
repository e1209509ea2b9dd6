"""`graphmatch search`: the best items of an index for a caption, an image or a video."""

from __future__ import annotations

import sys
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from graphmatch.cli.index import Checkpoint, Index, Milvus
from graphmatch.cli.options import UNKNOWN, Mode, ModelName, ParserName


def search(
    path: Index,
    text: Annotated[
        str | None, typer.Argument(help="A caption; - reads it from standard input.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", "--video", help="Or the id of an image or video in --visual."),
    ] = None,
    visual: Annotated[Path | None, typer.Option(help="Store of regions or clips.")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Hits at most.")] = 10,
    prefilter: Annotated[
        int, typer.Option(min=1, help="Items that the prefilter finds and the matcher scores.")
    ] = 200,
    where: Annotated[
        str | None,
        typer.Option(help="Condition on the metadata, in SQL: \"year > 2019 AND place = 'sea'\"."),
    ] = None,
    vector: Annotated[
        Path | None,
        typer.Option(help="The query's own vector (.npy), for an index of own vectors."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    checkpoint: Checkpoint = None,
    milvus: Milvus = None,
    parser: ParserName = "spacy",
    model: ModelName = None,
    mode: Mode = "augmented",
) -> None:
    """Search an index: images or videos for a caption, captions for an image or video.

    The prefilter finds items by their vectors, the matcher scores these exactly. What the prefilter
    loses is shown, if `graphmatch index recall` has measured it.
    """
    import json

    from graphmatch.errors import ConfigError
    from graphmatch.feature_store import FeatureStore
    from graphmatch.index_open import open_index
    from graphmatch.index_queries import hit_values, text_query
    from graphmatch.index_recall import stored_recall
    from graphmatch.npy import map_array

    index = open_index(path, checkpoint, milvus=milvus)
    if index.header.side == "visual":
        if text is None or image is not None:
            raise ConfigError(f"{path}: expected a caption alone: the gallery is images or videos")
        text = sys.stdin.read().strip() if text == "-" else text
        query = text_query(index, text, parser=parser, model=model, mode=mode)
        if index.vocabulary is not None and not index.vocabulary.count_known(query.word.tolist()):
            typer.echo(UNKNOWN, err=True)
    else:
        if image is None or visual is None or text is not None:
            raise ConfigError(
                f"{path}: expected --image and --visual alone: the gallery is captions"
            )
        store = FeatureStore(visual)
        if image not in store:
            raise ConfigError(f"{visual}: expected an id of the store (got {image!r})")
        query = store.graph(image)
    hits = index.search(
        query,
        top_k=top_k,
        prefilter=max(prefilter, top_k),
        where=where,
        vector=None if vector is None else map_array(vector),
    )
    values = hit_values(index, hits)
    measured = stored_recall(index)
    if as_json:
        for row in values:
            row["metadata"] = {name: _for_json(one) for name, one in row["metadata"].items()}
        found = {"hits": values, "recall": None if measured is None else measured.values()}
        typer.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return
    width = min(40, max([4, *(len(hit.id) for hit in hits)]))
    typer.echo(f"{'rank':>4}  {'score':>8}  {'prefilter':>9}  {'item':<{width}}")
    for hit, row in zip(hits, values, strict=True):
        more = "  ".join(f"{name}={value}" for name, value in row["metadata"].items())
        line = f"{hit.rank:>4}  {hit.score:>8.4f}  {hit.prefilter_score:>9.4f}  {hit.id:<{width}}"
        # an item is one line, whatever its texts hold
        typer.echo("".join(c if c.isprintable() else " " for c in f"{line}  {more}").rstrip())
    if not hits:
        typer.echo("nothing found" if where is None else "nothing found that meets the condition")
    if measured is None:
        typer.echo("recall of the prefilter not measured; graphmatch index recall does it")
    else:
        changed = "" if measured.version == index.table.version else "; the index changed since"
        typer.echo(f"{measured.line()}{changed}")


def _for_json(value: Any) -> Any:
    """A value of metadata; JSON has no word for numbers that are infinite or NaN, nor for dates."""
    if isinstance(value, list):
        return [_for_json(one) for one in value]
    if (
        value is None
        or isinstance(value, str | int)
        or (isinstance(value, float) and isfinite(value))
    ):
        return value
    return str(value)
