"""`open_clicks`: the click log that files, a folder and options mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_log import SPLITS, ClickLog, LogFiles, file_log
from graphmatch.click_schema import ClickSchema
from graphmatch.errors import ConfigError, check_choice

DATASETS = ("movielens", "amazon", "fuxictr", "alimama")
"""Data sets that have a reader."""


def open_clicks(
    source: Sequence[str | Path],
    *,
    schema: str | Path | None = None,
    items: str | Path | None = None,
    dataset: str | None = None,
    encoder: str | Path | None = None,
    seed: int = 0,
) -> tuple[ClickLog, ClickEncoder | None]:
    """A click log and, if it is to be encoded as another one was, the encoder.

    Args:
        source: files, `SPLIT=FILE`, or the folder of a data set.
        schema: JSON file; without, the schema of the encoder or the data set.
        items: file with a table of items; of `amazon`, its metadata.
        dataset: which data set it is.
        encoder: a store, or its encoder.
        seed: of negative samples, for `amazon`.

    Returns:
        Both.

    Raises:
        ConfigError: no schema at all, options that do not go together, a column that is missing.
        FormatError: a file is missing or damaged.
    """
    fitted = None if encoder is None else ClickEncoder.load(encoder)
    chosen = ClickSchema.load(schema) if schema is not None else None
    if chosen is None and fitted is not None:
        chosen = fitted.schema
    if dataset is None:
        if chosen is None:
            raise ConfigError(
                f"expected --schema FILE, or --dataset with one of {', '.join(DATASETS)} (got none)"
            )
        return file_log(chosen, split_paths(source), items=items), fitted
    check_choice("dataset", dataset, DATASETS)
    return _read_dataset(dataset, source, chosen, items, seed), fitted


def _read_dataset(
    dataset: str,
    source: Sequence[str | Path],
    schema: ClickSchema | None,
    items: str | Path | None,
    seed: int,
) -> ClickLog:
    if dataset == "fuxictr":
        from graphmatch.datasets.fuxictr import read_fuxictr

        if schema is None and len(source) != 1:
            raise ConfigError("fuxictr: expected one folder with feature_map.json")
        return read_fuxictr(source[0], schema=schema)
    if len(source) != 1:
        raise ConfigError(f"{dataset}: expected one file or folder (got {len(source)})")
    path = source[0]
    if dataset == "movielens":
        from graphmatch.datasets.movielens import read_movielens

        return read_movielens(path, schema=schema)
    if dataset == "amazon":
        from graphmatch.datasets.amazon_reviews import read_amazon_reviews

        return read_amazon_reviews(path, metadata=items, schema=schema, seed=seed)
    from graphmatch.datasets.alimama import read_alimama

    return read_alimama(path, schema=schema)


def split_paths(source: Sequence[str | Path]) -> LogFiles:
    """Files of a log, by split if they say so.

    Args:
        source: files, or `SPLIT=FILE`.

    Returns:
        Files for `graphmatch.click_log.file_log`.

    Raises:
        ConfigError: some with a split and some without.

    Example:
        >>> split_paths(["train=a.csv", "test=b.csv"])
        {'train': ['a.csv'], 'test': ['b.csv']}
    """
    pairs = [str(path).partition("=") for path in source]
    named = [bool(mark) and name in SPLITS for name, mark, _ in pairs]
    if not any(named):
        return [Path(path) for path in source]
    if not all(named):
        raise ConfigError("expected SPLIT=FILE for all files or for none (got some)")
    files: dict[str, str | Path | Sequence[str | Path]] = {}
    for split in dict.fromkeys(name for name, _, _ in pairs):
        files[split] = [path for name, _, path in pairs if name == split]
    return files


def parse_pairs(pairs: Sequence[str], option: str) -> dict[str, str | Path]:
    """Names and files of an option that is given several times.

    Args:
        pairs: `NAME=FILE`.
        option: its name, for the error.

    Returns:
        Files by name.

    Raises:
        ConfigError: no `=`.
    """
    found: dict[str, str | Path] = {}
    for pair in pairs:
        name, mark, path = pair.partition("=")
        if not (mark and name and path):
            raise ConfigError(f"{option}: expected FEATURE=FILE (got {pair!r})")
        found[name] = path
    return found
