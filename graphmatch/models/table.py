"""`MODELS`: every model by name. A literal table: nothing registers itself."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from graphmatch.errors import ConfigError, check_choice


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a model is.

    Args:
        module: its Python module.
        model: name of its class there, whose only argument is the configuration.
        config: name of its configuration's class there.
    """

    module: str
    model: str
    config: str

    def model_class(self) -> Any:
        """The model's class; imports its module."""
        return getattr(import_module(self.module), self.model)

    def config_class(self) -> Any:
        """The configuration's class; imports its module."""
        return getattr(import_module(self.module), self.config)


MODELS = {
    "scan": Entry("graphmatch.models.scan", "SCAN", "SCANConfig"),
    "gsmn": Entry("graphmatch.models.gsmn", "GSMN", "GSMNConfig"),
    "imram": Entry("graphmatch.models.imram", "IMRAM", "IMRAMConfig"),
    "hgr": Entry("graphmatch.models.hgr", "HGR", "HGRConfig"),
    "global-match": Entry("graphmatch.models.global_match", "GlobalMatch", "GlobalMatchConfig"),
}
"""Models by the name that checkpoints and commands use."""


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
