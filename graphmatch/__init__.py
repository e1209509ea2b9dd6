"""Fine-grained cross-modal matching on graphs.

Importing this package is cheap: names load what they need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphmatch.columns import GraphColumns
    from graphmatch.datasets.captions import Caption, read_captions
    from graphmatch.errors import (
        CheckpointError,
        ConfigError,
        FormatError,
        GraphError,
        ParseError,
    )
    from graphmatch.export import export_store
    from graphmatch.graphs.batch import MatchBatch
    from graphmatch.graphs.clip import ClipGraph
    from graphmatch.graphs.history import HistoryGraph
    from graphmatch.graphs.region import RegionGraph
    from graphmatch.graphs.text import TextGraph
    from graphmatch.parse import Argument, Frame, Parse
    from graphmatch.parse_job import parse_captions
    from graphmatch.parsers import load_parser
    from graphmatch.parsers.dependencies import dependency_graph
    from graphmatch.parsers.roles import role_graph
    from graphmatch.plot import graph_svg, save_pictures
    from graphmatch.rows import CaptionRow
    from graphmatch.store import GraphStore
    from graphmatch.vocab import Vocabulary

_MODULES = {
    "Argument": "graphmatch.parse",
    "Caption": "graphmatch.datasets.captions",
    "CaptionRow": "graphmatch.rows",
    "CheckpointError": "graphmatch.errors",
    "ClipGraph": "graphmatch.graphs.clip",
    "ConfigError": "graphmatch.errors",
    "FormatError": "graphmatch.errors",
    "Frame": "graphmatch.parse",
    "GraphColumns": "graphmatch.columns",
    "GraphError": "graphmatch.errors",
    "GraphStore": "graphmatch.store",
    "HistoryGraph": "graphmatch.graphs.history",
    "MatchBatch": "graphmatch.graphs.batch",
    "Parse": "graphmatch.parse",
    "ParseError": "graphmatch.errors",
    "RegionGraph": "graphmatch.graphs.region",
    "TextGraph": "graphmatch.graphs.text",
    "Vocabulary": "graphmatch.vocab",
    "dependency_graph": "graphmatch.parsers.dependencies",
    "export_store": "graphmatch.export",
    "graph_svg": "graphmatch.plot",
    "load_parser": "graphmatch.parsers",
    "parse_captions": "graphmatch.parse_job",
    "read_captions": "graphmatch.datasets.captions",
    "role_graph": "graphmatch.parsers.roles",
    "save_pictures": "graphmatch.plot",
}

__all__ = [
    "Argument",
    "Caption",
    "CaptionRow",
    "CheckpointError",
    "ClipGraph",
    "ConfigError",
    "FormatError",
    "Frame",
    "GraphColumns",
    "GraphError",
    "GraphStore",
    "HistoryGraph",
    "MatchBatch",
    "Parse",
    "ParseError",
    "RegionGraph",
    "TextGraph",
    "Vocabulary",
    "dependency_graph",
    "export_store",
    "graph_svg",
    "load_parser",
    "parse_captions",
    "read_captions",
    "role_graph",
    "save_pictures",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'graphmatch' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
