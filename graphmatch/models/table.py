"""`MODELS`: every model by name. A literal table: nothing registers itself."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from graphmatch.errors import ConfigError, check_choice

Task = Literal["match", "ground", "click"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a model is, and what it does.

    Args:
        module: its Python module.
        model: name of its class there, whose only argument is the configuration.
        config: name of its configuration's class there.
        task: score captions with images or videos, as every `Matcher` does, find the moment of a
            video that a query describes, or predict clicks.
        keys: the module of `official_keys`, if it is another one.
    """

    module: str
    model: str
    config: str
    task: Task = "match"
    keys: str | None = None

    def model_class(self) -> Any:
        """The model's class; imports its module."""
        return getattr(import_module(self.module), self.model)

    def config_class(self) -> Any:
        """The configuration's class; imports its module."""
        return getattr(import_module(self.module), self.config)

    def official_keys(self) -> Any:
        """The function that names the official tensors of a configuration; imports its module."""
        return import_module(self.keys or self.module).official_keys


MODELS = {
    "scan": Entry("graphmatch.models.scan", "SCAN", "SCANConfig"),
    "gsmn": Entry("graphmatch.models.gsmn", "GSMN", "GSMNConfig"),
    "imram": Entry("graphmatch.models.imram", "IMRAM", "IMRAMConfig"),
    "hgr": Entry("graphmatch.models.hgr", "HGR", "HGRConfig"),
    "global-match": Entry("graphmatch.models.global_match", "GlobalMatch", "GlobalMatchConfig"),
    "drn": Entry(
        "graphmatch.models.drn", "DRN", "DRNConfig", "ground", "graphmatch.models.drn_keys"
    ),
    "marn": Entry("graphmatch.models.marn", "MARN", "MARNConfig", "click"),
}
"""Models by the name that checkpoints and commands use."""
MATCHERS = {name: entry for name, entry in MODELS.items() if entry.task == "match"}
"""Those that score captions with images or videos."""
_SERVED: dict[Task, str] = {
    "match": "graphmatch search, index, corpus, explain, and evaluate with --captions",
    "ground": "graphmatch ground, and evaluate with --queries",
    "click": "graphmatch export-items, and evaluate with --clicks",
}


def find_model(name: str) -> Entry:
    """The entry of a model.

    Args:
        name: as in `MODELS`.

    Returns:
        Its entry.

    Raises:
        ConfigError: no such model; the message names the nearest.

    Example:
        >>> find_model("scan").model
        'SCAN'
    """
    check_choice("model", name, MODELS)
    return MODELS[name]


def check_task(name: str, task: Task, *, where: str = "") -> None:
    """Raise `ConfigError` unless a model does what is wanted of it.

    Args:
        name: as in `MODELS`.
        task: what is wanted.
        where: begins the message.

    Raises:
        ConfigError: it does something else; the message says which commands serve it.

    Example:
        >>> check_task("drn", "match")
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: expected one of scan, gsmn, imram, hgr, global-match (got drn, which is for graphmatch ground, and evaluate with --queries)
    """  # noqa: E501
    if find_model(name).task != task:
        able = ", ".join(other for other, entry in MODELS.items() if entry.task == task)
        served = _SERVED[find_model(name).task]
        raise ConfigError(f"{where}expected one of {able} (got {name}, which is for {served})")


def model_name(model: object) -> str:
    """The name of a model's class in `MODELS`.

    Args:
        model: a model.

    Returns:
        Its name.

    Raises:
        ConfigError: a class that is not in the table.
    """
    kind = type(model)
    for name, entry in MODELS.items():
        if (entry.module, entry.model) == (kind.__module__, kind.__qualname__):
            return name
    known = ", ".join(entry.model for entry in MODELS.values())
    raise ConfigError(f"expected a model of the library: {known} (got {kind.__qualname__})")
