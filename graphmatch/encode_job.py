"""`encode_corpus`: captions, images or videos of a store, encoded by a checkpoint, resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from graphmatch.checkpoint import checkpoint_digest, find_checkpoint, load_checkpoint
from graphmatch.corpus import Engine, map_blocks
from graphmatch.device import check_device
from graphmatch.encode import CHUNK, encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.encoded_store import FORMAT, EncodedPart, read_part, write_part
from graphmatch.errors import CheckpointError, ConfigError, check_choice
from graphmatch.parquet_part import part_name
from graphmatch.store_folder import MANIFEST

Side = Literal["text", "visual"]
"""Captions, or images and videos."""
_LISTED = 1000  # failures that the manifest lists by id


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """What a run of `encode_corpus` did.

    Args:
        items: items of the store.
        failed: those that could not be encoded; their rows say why.
        parts: parts of the folder.
        kept: items in parts that an earlier run had finished.
        failures: (id, error) of the failed items.
    """

    items: int
    failed: int
    parts: int
    kept: int
    failures: Sequence[Sequence[str]] = field(repr=False)


def encode_corpus(
    source: str | Path,
    folder: str | Path,
    *,
    checkpoint: str | Path,
    side: Side,
    shard_size: int = 2000,
    device: str = "cpu",
    force: bool = False,
    engine: Engine = map_blocks,
    progress: Callable[[int], object] | None = None,
) -> EncodeReport:
    """Encode the captions, images or videos of a store and write them to a folder.

    Run again with the same store and options, finished parts are kept and the missing ones made. An
    item that cannot be encoded becomes a row with its error. Memory holds a part for each worker:
    2000 captions of 12 words and 1024 numbers a word are 100 MB.

    Args:
        source: the store, of captions or of features.
        folder: the result, for `read_encoded`: new, empty, or of the same job.
        checkpoint: a checkpoint, or a run, which means its best one.
        side: which of the checkpoint's encoders: captions are "text".
        shard_size: items a part.
        device: where each worker encodes.
        force: throw away the result of another job.
        engine: does the parts, see `map_blocks` and `ray_blocks`.
        progress: called with the number of items of each part when it is done.

    Returns:
        Counts and failures.

    Raises:
        ConfigError: an impossible option, a folder of something else or of another job.
        CheckpointError: no checkpoint, a damaged one, or one that was replaced during the run.
        FormatError: no store of that side, or a damaged one.
        OSError: the folder cannot be written; finished parts stay.
    """
    check_choice("side", side, get_args(Side))
    if shard_size < 1:
        raise ConfigError(f"expected a shard_size from 1 (got {shard_size})")
    folder = Path(folder)
    store = _open(source, side)
    job = {
        "checkpoint": checkpoint_digest(checkpoint),
        "side": side,
        "source": _digest(store.manifest),
        "shard_size": shard_size,
    }
    work = _PartEncoder(folder, find_checkpoint(checkpoint), Path(source), device, job)
    FORMAT.prepare_folder(folder, job, force=force)
    if not (folder / MANIFEST).exists():
        _write_manifest(folder, job, [], complete=False)
    ranges = (
        (number, start, min(start + shard_size, len(store)))
        for number, start in enumerate(range(0, len(store), shard_size))
    )
    parts: list[EncodedPart] = []
    kept = 0
    for part, is_kept in engine(work, ranges):
        parts.append(part)
        kept += part.rows if is_kept else 0
        if progress is not None:
            progress(part.rows)
    _write_manifest(folder, job, parts, complete=True)
    FORMAT.clear_leftovers(folder)  # of workers that were killed
    failures = [failure for part in parts for failure in part.failures]
    return EncodeReport(
        items=sum(part.rows for part in parts),
        failed=len(failures),
        parts=len(parts),
        kept=kept,
        failures=failures,
    )


_Range = tuple[int, int, int]


@dataclass(frozen=True)
class _PartEncoder:
    """A range of a store becomes a part, unless an earlier run has made it."""

    folder: Path
    checkpoint: Path
    source: Path
    device: str
    job: dict[str, Any]

    def __call__(self, block: _Range) -> tuple[EncodedPart, bool]:
        number, start, stop = block
        path = self.folder / part_name(number)
        digest, source = self.job["checkpoint"], self.job["source"]
        found = read_part(path, verify=True) if path.exists() else None
        if found is not None and (found.checkpoint, found.source) == (digest, source):
            return found, True
        ids, graphs, failures = self._read(start, stop)
        chunks, good = self._encode(ids, graphs, failures)
        part = EncodedPart(
            checkpoint=digest, source=source, rows=stop - start, failures=[*map(list, failures)]
        )
        return write_part(path, chunks, good, part), False

    @cached_property
    def _models(self) -> tuple[Any, Any]:
        if checkpoint_digest(self.checkpoint) != self.job["checkpoint"]:
            raise CheckpointError(
                f"{self.checkpoint}: the checkpoint was replaced while it was being used; run again"
            )
        check_device(self.device)  # here: a worker may have what the machine of the run has not
        matcher, vocabulary = load_checkpoint(self.checkpoint, task="match")
        if self.job["side"] == "visual" and "feature" in self._store.arrays:
            width, wanted = self._store.arrays["feature"].shape[1], matcher.config.feature_size
            if width != wanted:
                raise ConfigError(
                    f"{self.source}: expected features of {wanted} numbers, as {self.checkpoint} "
                    f"reads (got {width})"
                )
        return matcher.to(self.device), vocabulary

    @cached_property
    def _store(self) -> Any:
        return _open(self.source, self.job["side"])

    def _read(
        self, start: int, stop: int
    ) -> tuple[Sequence[str], Sequence[Any], list[tuple[str, str]]]:
        """Ids and graphs of the good items, and (id, error) of the others."""
        from graphmatch.caption_set import CaptionSet

        if self.job["side"] == "text":
            matcher, vocabulary = self._models
            captions = CaptionSet.for_matcher(self._store.between(start, stop), vocabulary, matcher)
            return captions.ids, captions, captions.failures
        ids: list[str] = []
        graphs: list[Any] = []
        failures: list[tuple[str, str]] = []
        for position in range(start, stop):
            record = self._store[position]
            try:
                graphs.append(self._store.graph(position))
                ids.append(record.id)
            except ValueError as error:
                failures.append((record.id, record.error or str(error)))
        return ids, graphs, failures

    def _encode(
        self, ids: Sequence[str], graphs: Sequence[Any], failures: list[tuple[str, str]]
    ) -> tuple[list[Encoded], list[str]]:
        """Chunks and ids of the items that the matcher can encode; the others join the failures."""
        chunks: list[Encoded] = []
        good: list[str] = []
        for start in range(0, len(ids), CHUNK):
            for places in self._encodable(range(start, min(start + CHUNK, len(ids))), graphs):
                if isinstance(places[1], str):
                    failures.append((ids[places[0][0]], places[1]))
                    continue
                good += [ids[place] for place in places[0]]
                chunks.append(places[1])
        return chunks, good

    def _encodable(
        self, places: range, graphs: Sequence[Any]
    ) -> Iterator[tuple[range, Encoded | str]]:
        """The items encoded at once; one by one, or what went wrong, where that fails."""
        matcher = self._models[0]
        encode = encode_texts if self.job["side"] == "text" else encode_visuals
        try:
            yield places, encode(matcher, [graphs[place] for place in places])[0].to("cpu")
        except (ConfigError, MemoryError):
            raise
        except Exception as error:  # an item that the matcher cannot read is its own fault
            if len(places) == 1:
                yield places, f"{type(error).__name__}: {error}"
                return
            for place in places:
                yield from self._encodable(range(place, place + 1), graphs)


def _open(source: str | Path, side: Side) -> Any:
    from graphmatch.feature_store import FeatureStore
    from graphmatch.store import GraphStore

    return GraphStore(source) if side == "text" else FeatureStore(source)


def _digest(manifest: dict[str, Any]) -> str:
    content = json.dumps(manifest, sort_keys=True).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _write_manifest(
    folder: Path, job: dict[str, Any], parts: Sequence[EncodedPart], *, complete: bool
) -> None:
    failures = [failure for part in parts for failure in part.failures]
    content = {
        "complete": complete,
        "job": job,
        "counts": {"items": sum(part.rows for part in parts), "failed": len(failures)},
        "parts": [
            {"file": part_name(number), "rows": part.rows} for number, part in enumerate(parts)
        ],
        "failures": failures[:_LISTED],
    }
    FORMAT.write_manifest(folder, content)
