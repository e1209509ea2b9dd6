"""Score matrices as files: `.npy`, and beside it what its rows and columns are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import ConfigError, FormatError
from graphmatch.npy import map_array
from graphmatch.output import check_output, open_output
from graphmatch.pair_set import PairSet

_FORMAT = "graphmatch-scores"
_VERSION = 1


def pairs_digest(pairs: PairSet) -> str:
    """SHA-256 of the ids of captions and gallery in their order: what a score matrix belongs to.

    Args:
        pairs: captions and gallery.

    Returns:
        64 hexadecimal digits.
    """
    content = json.dumps([pairs.visual_ids, pairs.text_ids, pairs.owner.tolist()])
    return hashlib.sha256(content.encode()).hexdigest()


@contextmanager
def new_scores(
    path: str | Path,
    pairs: PairSet,
    *,
    dtype: np.dtype[Any],
    checkpoints: Sequence[str] = (),
    force: bool = False,
) -> Iterator[NDArray[Any]]:
    """A score matrix to fill on the disk; it appears when the block ends well.

    `path.json` beside it says which captions and gallery it belongs to.

    Args:
        path: the `.npy` file.
        pairs: its captions and gallery.
        dtype: of the scores.
        checkpoints: digests of the checkpoints that made it.
        force: overwrite a file that is there.

    Yields:
        [n_v, n_t] memory map.

    Raises:
        ConfigError: a file is there and `force` is not set, or a folder is.
        OSError: no room for it; nothing is left behind.
    """
    path, about = Path(path), _about(path)
    check_output(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    shape = len(pairs.gallery), len(pairs)
    try:
        array = np.lib.format.open_memmap(temporary, "w+", dtype, shape)
        yield np.asarray(array)
        array.flush()
        about.unlink(missing_ok=True)  # never beside scores of something else
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    content = {"pairs": pairs_digest(pairs), "checkpoints": list(checkpoints)}
    with open_output(about, force=True) as stream:
        whole = {"format": _FORMAT, "version": _VERSION, **content}
        stream.write(json.dumps(whole, indent=1) + "\n")


def open_scores(path: str | Path, pairs: PairSet) -> tuple[NDArray[Any], list[str]]:
    """A stored score matrix, mapped into memory.

    Args:
        path: the `.npy` file; one of other origin needs no file beside it.
        pairs: the captions and gallery that it should have.

    Returns:
        [n_v, n_t] read-only scores, and the digests of the checkpoints that made them.

    Raises:
        FormatError: no such file, no float32 or float64.
        ConfigError: scores of other captions or another gallery.
    """
    scores = map_array(path)
    shape = len(pairs.gallery), len(pairs)
    if scores.shape != shape:
        raise ConfigError(
            f"{path}: expected scores {list(shape)} of the gallery and captions of these stores "
            f"(got {list(scores.shape)})"
        )
    if scores.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise FormatError(f"{path}: expected scores of float32 or float64 (got {scores.dtype})")
    about = _about(Path(path))
    if not about.is_file():
        return scores, []
    try:
        content = json.loads(about.read_text(encoding="utf-8"))
        found, made_by = content["pairs"], [str(digest) for digest in content["checkpoints"]]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{about}: damaged ({error}); delete it, or make both again") from error
    if found != pairs_digest(pairs):
        raise ConfigError(
            f"{path}: expected scores of the captions and gallery of these stores (the ids that it "
            "was made with are others, or in another order)"
        )
    return scores, made_by


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
