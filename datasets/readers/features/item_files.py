"""`write_item_files`: a folder with a file for each item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from graphmatch.datasets.features.records import Add, file_of, wanted
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.output import open_output


@contextmanager
def write_item_files(
    path: str | Path,
    suffix: str,
    save: Callable[[IO[bytes], Mapping[str, Any]], object],
    *,
    force: bool = False,
) -> Iterator[Add]:
    """A folder with a file for each item that has features.

    Args:
        path: the folder. A `/` in an id makes a folder in it.
        suffix: of the files.
        save: writes the columns of an item, `feature` among them, to a stream.
        force: write into a folder that has files, and overwrite them.

    Yields:
        A function that adds a record; the file is there when it returns.

    Raises:
        ConfigError: the folder has files, or is one.
        FormatError: by the function, for an id that cannot be a file name.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with write_item_files(folder, ".txt", lambda s, c: s.write(c["feature"])) as add:
        ...     add(FeatureRecord(id="7", columns={"feature": b"0.5"}))
        >>> (folder / "7.txt").read_bytes()
        b'0.5'
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder to write into (got a file)")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise ConfigError(f"{folder}: the folder has files in it; --force to write into it")
    folder.mkdir(parents=True, exist_ok=True)

    def add(record: FeatureRecord) -> None:
        wanted(record, "feature")
        file = folder / file_of(record.id, suffix)
        # a file cannot be named like a folder: ids `a` and `a.npz/b`
        if file.is_dir() or any((folder / part).is_file() for part in _folders(record.id)):
            raise FormatError(f"{record.id!r}: expected an id that leads to no folder or file")
        with open_output(file, force=force, binary=True) as stream:
            save(stream, record.columns)

    yield add


def _folders(key: str) -> list[PurePosixPath]:
    """The folders that the file of an item lies in."""
    return list(PurePosixPath(key).parents)[:-1]
