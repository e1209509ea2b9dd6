"""`StoreFormat`: what folders of stores have in common: a manifest, a version, one job.

A store is a folder with a manifest and data files. The manifest says which job made it; a folder
with anything else in it is never touched.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphmatch.errors import ConfigError, FormatError

MANIFEST = "manifest.json"
"""The file that makes a folder a store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFormat:
    """One kind of store.

    Args:
        name: `format` of its manifests.
        version: newest version that this library reads and writes.
        what: a store of this kind in words, with its article.
        command: the command that makes one.
        files: regular expression of the names of its data files.
        kinds: keys of its manifest, with the type of each value.
    """

    name: str
    version: int
    what: str
    command: str
    files: str
    kinds: tuple[tuple[str, type], ...]

    def read_manifest(self, folder: str | Path) -> dict[str, Any]:
        """A store's manifest.

        Args:
            folder: the store.

        Returns:
            Its content, with a value of the right type at each key of `kinds`.

        Raises:
            FormatError: no store of this kind there, a damaged manifest, a newer version.
        """
        path = Path(folder) / MANIFEST
        if not path.is_file():
            raise FormatError(f"{folder}: expected {self.what} (no {MANIFEST}); see {self.command}")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != self.name:
                raise FormatError(
                    f"{path}: expected format {self.name} (got {content['format']!r})"
                )
            self.check_version(content["version"], path)
            check_kinds(content, self.kinds)
        except FormatError:
            raise
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise damaged_manifest(path, error) from error
        return dict(content)

    def check_version(self, version: object, path: str | Path) -> None:
        """Raise `FormatError` if a file was written by a newer version of the format.

        Args:
            version: the version that it states.
            path: the file, for the message.

        Raises:
            FormatError: a newer version, or none at all.
        """
        if not isinstance(version, int) or version < 1:
            raise FormatError(f"{path}: expected a format version from 1 (got {version!r})")
        if version > self.version:
            raise FormatError(
                f"{path}: expected format version {self.version} or older (got {version}); "
                "it was written by a newer graphmatch: upgrade, or make the store again"
            )

    def write_manifest(self, folder: str | Path, content: dict[str, Any]) -> None:
        """Write a store's manifest: whole or not at all.

        Args:
            folder: the store.
            content: everything but `format` and `version`.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        path = Path(folder) / MANIFEST
        temporary = path.with_name(f"{MANIFEST}.{os.getpid()}.tmp")
        whole = {"format": self.name, "version": self.version, **content}
        try:
            text = json.dumps(whole, ensure_ascii=False, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def prepare_folder(self, path: str | Path, job: dict[str, Any], *, force: bool = False) -> None:
        """Make a folder ready for a job: new, or the same job's to go on with.

        Args:
            path: the store.
            job: what is going to be stored: parser or detector, options.
            force: throw away a store of another job. Only files of a store are ever removed.

        Raises:
            ConfigError: a folder with something else in it, or a store of another job without
                `force`.
        """
        folder = Path(path)
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{path}: expected a folder for the store (got a file)")
        folder.mkdir(parents=True, exist_ok=True)
        leftovers = self._leftovers(folder)
        present = sorted({entry.name for entry in folder.iterdir()} - {e.name for e in leftovers})
        if present and not self._is_ours(folder / MANIFEST):
            raise ConfigError(
                f"{path}: expected a new or empty folder, or a store of format {self.name} "
                f"(got {present[:3]})"
            )
        for entry in leftovers:
            entry.unlink()
        if not present:
            return
        if force:
            for entry in folder.iterdir():
                if re.fullmatch(self.files, entry.name):
                    entry.unlink()
            (folder / MANIFEST).unlink()
            return
        stored = self.read_manifest(folder)["job"]
        different = sorted(name for name in {*stored, *job} if stored.get(name) != job.get(name))
        if different:
            changes = ", ".join(f"{n}: {stored.get(n)!r} -> {job.get(n)!r}" for n in different)
            raise ConfigError(
                f"{path}: the store was made by another job ({changes}); choose another folder, "
                "or --force to throw it away"
            )

    def clear_leftovers(self, folder: str | Path) -> None:
        """Remove the half-written files of processes that were killed.

        Args:
            folder: the store, which no other run is writing.
        """
        for entry in self._leftovers(Path(folder)):
            entry.unlink(missing_ok=True)

    def _leftovers(self, folder: Path) -> list[Path]:
        leftover = re.compile(rf"(?:{self.files}|{re.escape(MANIFEST)})\.\d+\.tmp")
        return [entry for entry in folder.iterdir() if leftover.fullmatch(entry.name)]

    def _is_ours(self, manifest: Path) -> bool:
        """Whether a manifest is a store's, damaged or not: web pages have a manifest.json too."""
        return manifest.is_file() and self.name.encode() in manifest.read_bytes()[:100]


def stored_format(folder: str | Path) -> str | None:
    """Which kind of store a folder is.

    Args:
        folder: any folder.

    Returns:
        `format` of its manifest; None if it has none that can be read.

    Example:
        >>> stored_format("no/such/folder") is None
        True
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():  # opening a named pipe waits for ever
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["format"])
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return None


def check_kinds(record: dict[str, Any], kinds: tuple[tuple[str, type], ...]) -> None:
    """Raise `TypeError` or `KeyError` if a value is missing or of another type.

    Args:
        record: an object of a manifest.
        kinds: keys and types.

    Raises:
        KeyError: a key is missing.
        TypeError: a value of another type.
    """
    for name, kind in kinds:
        if not isinstance(record[name], kind):
            raise TypeError(f"{name} is {record[name]!r:.100}")


def damaged_manifest(path: str | Path, error: Exception) -> FormatError:
    """The error of a manifest that cannot be used.

    Args:
        path: the manifest.
        error: what is wrong with it.

    Returns:
        The error to raise.
    """
    return FormatError(f"{path}: the manifest is damaged ({error}); make the store again")
