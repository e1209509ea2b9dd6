"""`FORMATS`: the feature files that can be read and written, and how a name tells which."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from graphmatch.datasets.features.records import Add
from graphmatch.errors import ConfigError, check_choice
from graphmatch.feature_record import Kind
from graphmatch.store_folder import MANIFEST


class Format(NamedTuple):
    """A format of feature files.

    Args:
        kind: what the rows of its items are.
        reader: module and function that reads it.
        writer: module and function that writes it.
    """

    kind: Kind
    reader: str
    writer: str


_HERE = "graphmatch.datasets.features"
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "scan": Format("regions", f"{_HERE}.scan:read_scan", f"{_HERE}.scan:write_scan"),
        "bottom-up": Format(
            "regions", f"{_HERE}.bottom_up:read_bottom_up", f"{_HERE}.bottom_up:write_bottom_up"
        ),
        "vilbert": Format(
            "regions", f"{_HERE}.vilbert:read_vilbert", f"{_HERE}.vilbert:write_vilbert"
        ),
        "vilbert-pretraining": Format(
            "regions",
            f"{_HERE}.vilbert:read_vilbert",
            f"{_HERE}.vilbert_pretraining:write_vilbert_pretraining",
        ),
        "npz": Format("regions", f"{_HERE}.folder:read_folder", f"{_HERE}.folder:write_npz"),
        "npy": Format("regions", f"{_HERE}.folder:read_folder", f"{_HERE}.folder:write_npy"),
        "coco": Format(
            "regions",
            f"{_HERE}.coco_results:read_coco_results",
            f"{_HERE}.coco_results:write_coco_results",
        ),
        "hgr-mean": Format("clips", f"{_HERE}.hgr:read_hgr_mean", f"{_HERE}.hgr:write_hgr_mean"),
        "hgr-frames": Format(
            "clips", f"{_HERE}.hgr:read_hgr_frames", f"{_HERE}.hgr:write_hgr_frames"
        ),
        "drn": Format("clips", f"{_HERE}.drn:read_drn", f"{_HERE}.drn:write_drn"),
    }
)
"""Formats by name. Beside them there is `store`, our own."""
_ENDINGS = {
    "_ims.npy": "scan",
    "_feat.npy": "scan",
    "_ft.npy": "hgr-mean",
    ".hdf5": "hgr-frames",
    ".h5": "hgr-frames",
    ".tsv": "bottom-up",
    ".tsv.gz": "bottom-up",
    ".lmdb": "vilbert",
    ".mdb": "vilbert",
    ".json": "coco",
    ".json.gz": "coco",
}


def guess_format(path: str | Path) -> str | None:
    """The format of a file or folder by its name, or by the names in the folder.

    Args:
        path: the file or folder; it may not be there yet.

    Returns:
        A key of `FORMATS`, `store`, or None if the name does not tell.

    Example:
        >>> guess_format("f30k_precomp/dev_ims.npy"), guess_format("a.tsv"), guess_format("a")
        ('scan', 'bottom-up', None)
    """
    path = Path(path)
    for ending, name in _ENDINGS.items():
        if path.name.lower().endswith(ending):
            return name
    if not path.is_dir():
        return None
    if (path / MANIFEST).exists():
        return "store"
    if (path / "data.mdb").exists():
        return "vilbert"
    suffixes = (file.suffix for file in path.rglob("*"))
    found = next((suffix for suffix in suffixes if suffix in (".npz", ".npy", ".pt")), None)
    return {".npz": "npz", ".npy": "npy", ".pt": "drn"}.get(found or "")


def load_reader(name: str) -> Callable[..., Any]:
    """The reader of a format.

    Args:
        name: a key of `FORMATS`.

    Returns:
        A function of a path, and options by name, that yields records.

    Raises:
        ConfigError: an unknown format.

    Example:
        >>> load_reader("scan").__name__
        'read_scan'
    """
    return _load(name, "reader")


def load_writer(name: str) -> Callable[..., AbstractContextManager[Add]]:
    """The writer of a format.

    Args:
        name: a key of `FORMATS`.

    Returns:
        A function of a path, and options by name, for a `with` block.

    Raises:
        ConfigError: an unknown format.

    Example:
        >>> load_writer("hgr-frames").__name__
        'write_hgr_frames'
    """
    return _load(name, "writer")


def _load(name: str, part: str) -> Callable[..., Any]:
    check_choice("format", name, FORMATS)
    module, _, function = getattr(FORMATS[name], part).partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def option_names(function: Callable[..., Any]) -> list[str]:
    """The options of a reader or writer.

    Args:
        function: the reader or writer.

    Returns:
        Their names.

    Example:
        >>> option_names(load_writer("scan"))
        ['repeat', 'force']
    """
    return [p.name for p in inspect.signature(function).parameters.values() if _is_option(p)]


def check_options(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that a reader or writer does not have, and the lack of one that it needs.

    Args:
        name: its format.
        function: the reader or writer.
        options: values by name.

    Raises:
        ConfigError: an option that it does not have, or one that it cannot do without.

    Example:
        >>> check_options("hgr-mean", load_reader("hgr-mean"), {})
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: hgr-mean: expected the option seconds_per_step
    """
    names = option_names(function)
    for option in options:
        if not names:
            raise ConfigError(f"{name}: expected no options (got {option})")
        check_choice(f"option of {name}", option, names)
    for parameter in inspect.signature(function).parameters.values():
        needed = _is_option(parameter) and parameter.default is parameter.empty
        if needed and parameter.name not in options:
            raise ConfigError(f"{name}: expected the option {parameter.name}")


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.KEYWORD_ONLY
