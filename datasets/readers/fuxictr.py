"""Data in FuxiCTR's layout: encoded rows and a `feature_map.json` that says what they are.

Source: the FuxiCTR project, version 2. Raw CSV files of it need a schema instead, see
`graphmatch.click_log.file_log`: their sequences are joined by `^`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphmatch.click_features import Feature, Sequence, Splitting
from graphmatch.click_log import SPLITS, ClickLog, file_log
from graphmatch.click_schema import ClickSchema
from graphmatch.datasets.text_files import read_json
from graphmatch.errors import ConfigError, FormatError, check_choice

_ENDINGS = (".parquet", ".npz", ".csv")
_USERS = ("userid", "user_id", "user")


def read_fuxictr(
    folder: str | Path, *, item: str | None = None, schema: ClickSchema | None = None
) -> ClickLog:
    """Encoded rows of the splits, with the histories that they bring along.

    Args:
        folder: has `train`, `valid` and `test` in files that end with `.parquet`, `.npz` or `.csv`
            (one is enough), and `feature_map.json` unless there is a schema.
        item: feature that is the item; see `fuxictr_schema`.
        schema: what the columns are.

    Returns:
        The log.

    Raises:
        FormatError: a file is missing or damaged.
        ConfigError: no feature is the item.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError(f"{folder}: expected a folder with feature_map.json")
    files: dict[str, str | Path] = {}
    for split in SPLITS:
        for ending in _ENDINGS:
            path = folder / f"{split}{ending}"
            if split not in files and path.is_file():
                files[split] = path
    if not files:
        raise FormatError(f"{folder}: expected a file such as train.parquet or train.npz")
    if schema is None:
        features = read_json(folder / "feature_map.json", "a feature map")
        schema = fuxictr_schema(features, item=item)
    return file_log(schema, files)


def fuxictr_schema(features: Mapping[str, Any], *, item: str | None = None) -> ClickSchema:
    """The schema that a feature map means.

    Ids stay as they are, 0 is padding. Features with the source `item`, or whose vocabulary a
    sequence shares, or else the item alone, are features of items; the others are context.

    Args:
        features: content of `feature_map.json`.
        item: feature that is the item; None for the one that a sequence shares its vocabulary with,
            or else the first one with the source `item`.

    Returns:
        The schema; rows without a sequence have no history.

    Raises:
        FormatError: no feature map.
        ConfigError: no feature is the item.

    Example:
        >>> schema = fuxictr_schema({"labels": ["clk"], "features": [
        ...     {"ad": {"type": "categorical", "vocab_size": 9, "source": ""}},
        ...     {"age": {"type": "categorical", "vocab_size": 4, "source": ""}},
        ...     {"clicks": {"type": "sequence", "share_embedding": "ad", "vocab_size": 9}}]})
        >>> schema.item, [f.name for f in schema.items], schema.sequences[0].of
        ('ad', ['ad'], 'ad')
    """
    try:
        table = {name: spec for entry in features["features"] for name, spec in entry.items()}
        label = features["labels"][0]
        kinds = {name: spec["type"] for name, spec in table.items()}
        shared = {n: s["share_embedding"] for n, s in table.items() if s["type"] == "sequence"}
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise FormatError(f"feature map: expected features and labels ({error!r})") from error
    ids = [name for name, kind in kinds.items() if kind == "categorical"]
    sources = {name: table[name].get("source") for name in table}
    described = [n for n in ids if sources[n] == "item" or n in shared.values()]
    if item is None:
        found = [n for n in ids if n in shared.values()] + described
        if not found:
            raise ConfigError(
                "feature map: no feature has the source item and no sequence shares a vocabulary; "
                "say which feature is the item"
            )
        item = found[0]
    check_choice("feature that is the item", item, ids)
    of_items = [name for name in ids if name in described or name == item]
    context = [_feature(n, table[n]) for n in table if n not in of_items and kinds[n] in _CONTEXT]
    user = next((n for n in ids if n.lower() in _USERS and n not in of_items), None)
    return ClickSchema(
        user=user,
        item=item,
        label=label,
        items=tuple(replace(_feature(n, table[n]), modality="ids") for n in of_items),
        context=tuple(context),
        sequences=tuple(Sequence(column=name, of=of) for name, of in shared.items()),
        behaviours="sequences" if shared else "none",
        splitting=Splitting(by="file"),
    )


_CONTEXT = {"categorical": "ids", "numeric": "number", "embedding": "vector"}


def _feature(name: str, spec: Mapping[str, Any]) -> Feature:
    kind = _CONTEXT[spec["type"]]
    if kind != "ids":
        return Feature(name=name, kind=kind)  # type: ignore[arg-type]  # one of the kinds
    size = spec.get("vocab_size")
    if not isinstance(size, int) or size < 2:
        raise FormatError(f"feature map: {name}: expected a vocab_size from 2 (got {size!r})")
    return Feature(name=name, kind="ids", size=size)
