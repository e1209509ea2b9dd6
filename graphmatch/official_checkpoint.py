"""`import_official`: checkpoints of the official code of the models become ours.

Each tensor of the file must be one of the model's, of its shape and type and finite, and each of
the model's must be in the file. The configuration comes from the shapes and from the options that
the file holds (SCAN, GSMN, IMRAM) or that stand in HGR's `model.json`; where two of them disagree,
nothing is imported. The file is read without running anything in it: `graphmatch.torch_file`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from graphmatch.checkpoint import check_words
from graphmatch.config import config_from_values, config_values
from graphmatch.errors import CheckpointError, ConfigError, check_choice
from graphmatch.import_report import ImportReport
from graphmatch.models.table import find_model
from graphmatch.official_drn import drn_options
from graphmatch.official_file import OfficialFile, read_official
from graphmatch.official_hgr import global_match_options, hgr_options
from graphmatch.official_options import Found, Shapes, gsmn_options, imram_options, scan_options
from graphmatch.vocab import Vocabulary
from graphmatch.weights import listed, new_model

_OPTIONS: dict[str, Callable[[Shapes, Mapping[str, Any]], Found]] = {
    "scan": scan_options,
    "gsmn": gsmn_options,
    "imram": imram_options,
    "hgr": hgr_options,
    "global-match": global_match_options,
    "drn": drn_options,
}


def import_official(
    name: str,
    path: str | Path,
    vocabulary: Vocabulary,
    *,
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, ImportReport]:
    """A model from a checkpoint of its official code.

    Args:
        name: "scan", "gsmn", "imram", "hgr", "global-match" or "drn".
        path: the file: `.pth`, `.pth.tar`, `.th`.
        vocabulary: the words that the model was trained with, in their order.
        settings: fields of the configuration that the file does not tell, or that are to differ
            from its options. What the shapes of tensors tell cannot differ.
        options: content of HGR's `model.json`; other files hold their options.

    Returns:
        The model, on the CPU and in evaluation mode, and what was found.

    Raises:
        CheckpointError: a file that cannot be read, or that does not fit the model, the vocabulary
            or itself. The message lists the names.
        ConfigError: an unknown model or field.
    """
    check_choice("official checkpoint", name, _OPTIONS)
    try:
        file = read_official(name, path)
        found = _OPTIONS[name](
            {key: tuple(value.shape) for key, value in file.tensors.items()},
            file.options if options is None else options,
        )
        config, notes = _config(find_model(name).config_class(), found, settings or {})
        check_words(config, vocabulary)
        model = new_model(name, config, file.tensors, names=_names(name, config, file))
    except CheckpointError as error:
        known = str(error).startswith(str(path))
        raise CheckpointError(f"{error}" if known else f"{path}: {error}") from error
    report = ImportReport(
        model=name,
        tensors=len(file.tensors),
        parameters=sum(value.numel() for value in file.tensors.values()),
        config=config,
        epoch=file.epoch,
        best_rsum=file.best_rsum,
        notes=(*file.notes, *notes),
    )
    return model, report


def _config(kind: Any, found: Found, settings: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """The configuration, and notes on where it is from."""
    names = [field.name for field in dataclasses.fields(kind)]
    for name in settings:
        check_choice(f"field of {kind.__name__}", name, names)
    for told, who in ((found.options, "the options say"), (settings, "the settings say")):
        for name, value in told.items():
            if name in found.shapes and value != found.shapes[name]:
                raise CheckpointError(
                    f"{name}: {who} {value!r}, the tensors of the file {found.shapes[name]!r}"
                )
    try:
        config = config_from_values(kind, {**found.options, **settings, **found.shapes})
    except ConfigError as error:
        raise CheckpointError(f"the configuration is impossible: {error}") from error
    values = config_values(config)
    notes = [
        f"{name} is {settings[name]!r} as set; the options of the file say {found.options[name]!r}"
        for name in settings
        if name in found.options and settings[name] != found.options[name]
    ]
    untold = [name for name in names if not {name} & {*found.shapes, *found.options, *settings}]
    if untold:
        defaults = listed(f"{name}={values[name]!r}" for name in untold)
        notes.append(f"nothing in the file tells these, they have their defaults: {defaults}")
    if found.rest:
        notes.append(f"options that do not concern the model: {', '.join(found.rest)}")
    return config, notes


def _names(name: str, config: Any, file: OfficialFile) -> dict[str, str]:
    """Official names of a model's parameters, with our names."""
    official_keys = find_model(name).official_keys()
    old = name == "gsmn" and any(".vGNN." in key or ".tGNN." in key for key in file.tensors)
    found = official_keys(config, june_2020=True) if old else official_keys(config)
    return dict(found)
