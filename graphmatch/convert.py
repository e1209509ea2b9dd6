"""`convert_features`: feature files of one format become another, or a feature store, or back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from graphmatch.datasets.features.formats import (
    FORMATS,
    check_options,
    guess_format,
    load_reader,
    load_writer,
    option_names,
)
from graphmatch.datasets.features.records import Add
from graphmatch.errors import ConfigError, FormatError, check_choice
from graphmatch.feature_record import FeatureRecord, Kind
from graphmatch.feature_report import FeatureReport
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter

STORE = "store"
"""The format of feature stores."""


def convert_features(
    source: str | Path | Sequence[str | Path],
    target: str | Path,
    *,
    from_format: str | None = None,
    to_format: str | None = None,
    options: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    force: bool = False,
    progress: Callable[[int], object] | None = None,
) -> FeatureReport:
    """Read feature files of one format and write them in another.

    Items are read and written one by one. An item that cannot be read, or that the target cannot
    hold, is counted with its reason and does not stop the others; in a store it becomes a failed
    item. A store that was interrupted is gone on with; other files appear when all is done.

    Args:
        source: the file or folder; several files for HGR's formats.
        target: the file or folder to write.
        from_format: a key of `graphmatch.datasets.features.formats.FORMATS`, or `store`; by the
            name of the source if None.
        to_format: the same of the target; `store` if its name does not tell.
        options: options of the reader and the writer by name, such as `seconds_per_step`. What the
            writer has goes to the writer, the rest to the reader.
        dtype: `float16` or `float32`, to which a store rounds features and probabilities; None
            keeps theirs.
        force: overwrite files, or throw away a store of another job.
        progress: called with 1 when an item is done.

    Returns:
        Counts and failures; `items`, `failed` and `rows` are those of the target.

    Raises:
        ConfigError: an unknown format or option, one that is missing, regions for a format of
            clips, a file is there, a package is missing.
        FormatError: the source cannot be read at all, or not to its end.
        OSError: the target cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.save(folder / "dev_ims.npy", np.zeros((2, 36, 8), np.float32))
        >>> convert_features(folder / "dev_ims.npy", folder / "dev")
        FeatureReport(items=2, failed=0, kept=0, added=2, rows=72)
        >>> FeatureStore(folder / "dev").ids
        ['0', '1']
    """
    sources = [Path(one) for one in ([source] if isinstance(source, str | Path) else source)]
    if not sources:
        raise ConfigError("expected a file or folder to convert (got none)")
    name = _format(sources[0], from_format, None)
    new = _format(Path(target), to_format, STORE)
    given = dict(options or {})
    for_writer: dict[str, Any] = {}
    if new != STORE:
        has = option_names(load_writer(new))
        for_writer = {option: given.pop(option) for option in [*given] if option in has}
    kind, records = _source(name, sources, given)
    if new not in (STORE, "npy") and FORMATS[new].kind != kind:
        raise ConfigError(f"format {new} holds {FORMATS[new].kind} (the source has {kind})")
    if new != STORE and dtype is not None:
        raise ConfigError(f"format {new} keeps its own types (got dtype {dtype!r})")
    # a source that cannot be read at all leaves no empty target behind
    records = chain(list(islice(records, 1)), records)
    failures: list[tuple[str, str]] = []
    items = kept = rows = 0
    with ExitStack() as stack:
        if new == STORE:
            job = _job(name, sources, given)
            store = FeatureWriter(target, kind=kind, job=job, dtype=dtype, force=force)
            writer = stack.enter_context(store)
            put: Callable[[FeatureRecord], str | None] = writer.add
        else:
            options_of_writer = {**for_writer, "force": force}
            check_options(new, load_writer(new), options_of_writer)
            add = stack.enter_context(load_writer(new)(target, **options_of_writer))
            put = partial(_put, add, set())
            writer = None
        for record in records:
            if writer is not None and record.id in writer:
                kept += 1
                continue
            error = put(record)
            items += 1
            if error is None:
                rows += len(record)
            else:
                failures.append((record.id, error))
            if progress is not None:
                progress(1)
        if writer is not None:
            return FeatureReport(**writer.counts, kept=kept, added=items, failures=failures)
    return FeatureReport(
        items=items, failed=len(failures), kept=0, added=items, rows=rows, failures=failures
    )


def _format(path: Path, given: str | None, otherwise: str | None) -> str:
    if given is not None:
        check_choice("format", given, [*FORMATS, STORE])
        return given
    found = guess_format(path) or otherwise
    if found is None:
        raise ConfigError(
            f"{path}: the name does not tell the format; say which: {', '.join([*FORMATS, STORE])}"
        )
    return found


def _source(
    name: str, sources: Sequence[Path], options: Mapping[str, Any]
) -> tuple[Kind, Iterator[FeatureRecord]]:
    """What the rows of the source are, and its records."""
    several = name.startswith("hgr")
    if len(sources) > 1 and not several:
        raise ConfigError(f"format {name} is read from one file or folder (got {len(sources)})")
    if name == STORE:
        if options:
            raise ConfigError(f"a store has no option {next(iter(options))!r}")
        store = FeatureStore(sources[0])
        return store.kind, iter(store)
    reader = load_reader(name)
    check_options(name, reader, options)
    return FORMATS[name].kind, reader(list(sources) if several else sources[0], **options)


def _job(name: str, sources: Sequence[Path], options: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the store: not where the files lie, but which they are."""
    return {
        "command": "convert",
        "format": name,
        "sources": [
            [source.name, source.stat().st_size if source.is_file() else None] for source in sources
        ],
        "options": {
            option: value.name if isinstance(value, Path) else value
            for option, value in options.items()
        },
    }


def _put(add: Add, seen: set[str], record: FeatureRecord) -> str | None:
    """Write a record to a file of another format, as `FeatureWriter.add` does to a store."""
    if record.error is not None:
        return record.error
    if record.id in seen:
        return f"duplicate id {record.id!r}: an earlier item has it"
    try:
        add(record)
    except FormatError as error:
        return str(error)
    seen.add(record.id)
    return None
