"""HGR's features of videos: mean-pooled arrays and frame-level HDF5 files.

| file | content |
|---|---|
| `MP/<feature>/<split>_ft.npy` | [videos, F], a row a name of `<split>_names.npy` |
| `SA/<feature>/<split>_ft.hdf5` | a data set [frames, F] a video; its key is the name, `/` as `_` |

Several files are joined on the last axis, in the given order. None of them holds times.

Source: HGR (CVPR 2020), official code, `readers/mpdata.py` and `readers/rolegraphs.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.datasets.features.npy_rows import write_rows
from graphmatch.datasets.features.records import LARGEST, Add, make_record, step_times, wanted
from graphmatch.datasets.names_file import read_names
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.npy import map_array
from graphmatch.output import check_output, open_output

Paths = str | Path | Sequence[str | Path]
"""One file or several whose features are joined."""


def read_hgr_mean(
    paths: Paths, *, seconds_per_step: float, names: str | Path | None = None
) -> Iterator[FeatureRecord]:
    """Videos of mean-pooled files, one clip each; the arrays are mapped, not read whole.

    Args:
        paths: `<split>_ft.npy`, [videos, F], or several of them.
        seconds_per_step: length of a video in seconds; 1 if times do not matter.
        names: `<split>_names.npy`; None looks beside the first file, then in HGR's `public_split`.

    Yields:
        A record of kind `clips` a video: feature [1, F1 + F2 + ...], time (0, seconds_per_step).

    Raises:
        FormatError: no such file, no array of rows, another number of rows than names.
        ConfigError: seconds_per_step is not above 0.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "val_ft.npy"
        >>> np.save(path, np.eye(2, dtype="f4"))
        >>> np.save(path.with_name("val_names.npy"), np.array(["video0", "video7"]))
        >>> record = next(read_hgr_mean(path, seconds_per_step=1))
        >>> record.id, record.columns["feature"].tolist(), record.columns["time"].tolist()
        ('video0', [[1.0, 0.0]], [[0.0, 1.0]])
    """
    files = _paths(paths)
    seconds = _seconds(seconds_per_step)
    keys = read_names(_names_of(files[0]) if names is None else names)
    arrays = [map_array(path) for path in files]
    for path, array in zip(files, arrays, strict=True):
        if array.ndim != 2 or len(array) != len(keys):
            raise FormatError(
                f"{path}: expected [{len(keys)} videos, numbers] (got shape {list(array.shape)})"
            )
    for row, key in enumerate(keys):
        yield make_record(
            "clips", key, partial(_clips, [a[row : row + 1] for a in arrays], seconds)
        )


def read_hgr_frames(
    paths: Paths, *, seconds_per_step: float, names: str | Path | None = None
) -> Iterator[FeatureRecord]:
    """Videos of frame-level files, one clip a row; a video is read when its turn comes.

    Args:
        paths: `<split>_ft.hdf5`, or several of them.
        seconds_per_step: seconds between two rows: 0.64 for every 16th frame at 25 a second; 1 if
            times do not matter.
        names: `<split>_names.npy`, which videos and in which order; None takes one that lies beside
            the first file or in HGR's `public_split`, else the keys of the first file.

    Yields:
        A record of kind `clips` a video: feature [L, F1 + F2 + ...], time of row k
        (k seconds_per_step, (k + 1) seconds_per_step). A video without a data set, or with more
        rows in one file than in another, is a failed record.

    Raises:
        FormatError: no such file, no HDF5, a damaged one.
        ConfigError: the h5py package is missing, or seconds_per_step is not above 0.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "val_ft.hdf5"
        >>> with write_hgr_frames(path) as add:
        ...     add(FeatureRecord(id="a/b", columns={"feature": np.zeros((3, 4), "f4")}))
        >>> record = next(read_hgr_frames(path, seconds_per_step=0.64))
        >>> record.id, record.columns["duration"].item()
        ('a/b', 1.92)
    """
    h5py = _import_h5py()
    files = _paths(paths)
    seconds = _seconds(seconds_per_step)
    with ExitStack() as stack:
        opened = []
        for path in files:
            if not path.is_file():
                raise FormatError(f"{path}: no such file")
            with _damage(f"{path}: expected an HDF5 file"):
                opened.append(stack.enter_context(h5py.File(path, "r", locking=False)))
        beside = _names_of(files[0]) if names is None else Path(names)
        if names is not None or beside.exists():
            keys = read_names(beside)
        else:
            with _damage(f"{files[0]}: expected data sets"):
                keys = [str(key) for key in opened[0]]
        for key in keys:
            yield make_record("clips", key, partial(_frames, opened, key, seconds))


def _paths(paths: Paths) -> list[Path]:
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not files:
        raise ConfigError("expected a file of features (got none)")
    return files


def _seconds(seconds_per_step: float) -> float:
    if not 0 < seconds_per_step < float("inf"):
        raise ConfigError(f"expected seconds_per_step above 0 (got {seconds_per_step})")
    return seconds_per_step


def _names_of(path: Path) -> Path:
    """The names of a split: beside its features, or where HGR has them."""
    name = f"{path.stem.removesuffix('_ft')}_names.npy"
    beside = path.with_name(name)
    official = path.absolute().parent.parent.parent.parent / "public_split" / name
    return official if official.exists() and not beside.exists() else beside


def _clips(parts: Sequence[NDArray[Any]], seconds: float) -> Mapping[str, Any]:
    if len({len(part) for part in parts}) != 1:
        raise FormatError(
            f"expected as many rows in every file (got {[len(part) for part in parts]})"
        )
    feature = np.concatenate(parts, axis=-1)  # [L, F1 + F2 + ...]
    time = step_times(len(feature), seconds)
    return {"feature": feature, "time": time, "duration": np.float64(len(feature) * seconds)}


def _frames(files: Sequence[Any], key: str, seconds: float) -> Mapping[str, Any]:
    return _clips([_data_set(file, key.replace("/", "_")) for file in files], seconds)


def _data_set(file: Any, key: str) -> NDArray[Any]:
    """Rows of a video. Nothing outside the file is followed, nothing that was not written read."""
    h5py = _import_h5py()
    with _damage(f"{file.filename}: data set {key!r}"):
        if not isinstance(file.get(key, getlink=True), h5py.HardLink):
            raise FormatError(f"{file.filename}: expected a data set {key!r} (there is none)")
        found = file[key]
        if not isinstance(found, h5py.Dataset) or found.ndim != 2 or found.dtype.kind not in "fiu":
            raise FormatError(f"{file.filename}: {key!r}: expected [frames, numbers]")
        if found.is_virtual or found.external or found.nbytes > LARGEST:
            raise FormatError(f"{file.filename}: {key!r}: expected at most {LARGEST:,} bytes in it")
        if found.nbytes and not found.id.get_storage_size():
            raise FormatError(f"{file.filename}: {key!r}: expected numbers (none were written)")
        return np.asarray(found[()])


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """What h5py raises for a damaged file, as ours."""
    try:
        yield
    except FormatError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise FormatError(f"{what} ({error})") from error


def _import_h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError("HDF5 files need h5py: pip install 'graphmatch[hdf5]'") from error
    return h5py


@contextmanager
def write_hgr_mean(
    path: str | Path, *, names: str | Path | None = None, force: bool = False
) -> Iterator[Add]:
    """A mean-pooled file and its names: of each video the mean of its rows. Times are lost.

    Args:
        path: `<split>_ft.npy`.
        names: the file of names; `<split>_names.npy` beside it if None.
        force: overwrite files that are there.

    Yields:
        A function that adds a record.

    Raises:
        ConfigError: a file is there.
        FormatError: by the function, for a record without rows or of another width.
    """
    keys: list[str] = []
    with _names_at_end(Path(path), names, keys, force), write_rows(path, force=force) as write:

        def add(record: FeatureRecord) -> None:
            (feature,) = wanted(record, "feature")
            if not len(feature):
                raise FormatError(f"{record.id!r}: expected rows to take the mean of (got none)")
            if "\0" in record.id:  # numpy cuts text at it
                raise FormatError(f"{record.id!r}: expected an id without zero characters")
            write(feature.mean(axis=0, dtype=np.float32))  # [F]
            keys.append(record.id)

        yield add


@contextmanager
def write_hgr_frames(
    path: str | Path, *, names: str | Path | None = None, force: bool = False
) -> Iterator[Add]:
    """A frame-level file and its names. Times are lost.

    Args:
        path: `<split>_ft.hdf5`.
        names: the file of names; `<split>_names.npy` beside it if None.
        force: overwrite files that are there.

    Yields:
        A function that adds a record.

    Raises:
        ConfigError: the h5py package is missing, or a file is there.
        FormatError: by the function, for an id that differs from another only in `/` and `_`.
    """
    h5py = _import_h5py()
    path = Path(path)
    check_output(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    keys: list[str] = []
    try:
        with (
            _names_at_end(path, names, keys, force),
            h5py.File(temporary, "w", locking=False) as file,
        ):

            def add(record: FeatureRecord) -> None:
                (feature,) = wanted(record, "feature")
                key = record.id.replace("/", "_")
                if key in ("", ".") or "\0" in key or key in file:
                    raise FormatError(f"{record.id!r}: expected an id that can be a new key")
                file.create_dataset(key, data=feature)
                keys.append(record.id)

            yield add
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _names_at_end(
    path: Path, names: str | Path | None, keys: list[str], force: bool
) -> Iterator[None]:
    target = path.with_name(f"{path.stem.removesuffix('_ft')}_names.npy")
    with open_output(target if names is None else names, force=force, binary=True) as stream:
        yield
        np.save(stream, np.array(keys, dtype=str))
