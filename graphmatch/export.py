"""`export_store`: graphs of a store in the formats of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any, get_args

from graphmatch.datasets.role_graph_file import role_graph_to_json
from graphmatch.errors import ConfigError, check_choice
from graphmatch.graphml import graphml_lines
from graphmatch.parsers.conllu import to_conllu
from graphmatch.parsers.dependencies import Numbering, dependency_pairs
from graphmatch.rows import CaptionRow


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote.

    Args:
        written: captions written with their graph.
        failed: captions that have none; whether they leave a trace depends on the format.
        repeated: captions of the same text as an earlier one, where the text is the key (`hgr`).
    """

    written: int
    failed: int
    repeated: int = 0


def export_store(
    rows: Iterable[CaptionRow],
    stream: IO[str],
    format: str,
    *,
    numbering: Numbering = "caption",
) -> ExportReport:
    r"""Write captions with their graphs, one by one, in the order of the store.

    | format | content | failed captions |
    |---|---|---|
    | `jsonl` | one object a caption: words, tree, frames, graphs | written with their error |
    | `graphml` | one graph of all captions, nodes `caption/graph/number` | left out |
    | `hgr` | HGR's `sent2rolegraph.json`: `{caption: [nodes, edges]}` | left out |
    | `gsmn` | GSMN's `*_caps.json`: a list of pairs a caption | an empty list keeps the place |
    | `tokens` | SCAN's `*_caps.txt`: the words, a caption a line | an empty line keeps the place |
    | `conllu` | CoNLL-U, one block a sentence | left out |

    Args:
        rows: a `GraphStore`, or some of its rows.
        stream: text stream to write to.
        format: a name of the table.
        numbering: of words in `gsmn`, see `dependency_pairs`.

    Returns:
        Counts.

    Raises:
        ConfigError: an unknown format or numbering, or a store without the graphs it needs.

    Example:
        >>> import io
        >>> stream = io.StringIO()
        >>> export_store([CaptionRow(id="1", text="", error="empty")], stream, "gsmn")
        ExportReport(written=0, failed=1, repeated=0)
        >>> stream.getvalue()
        '[\n[]\n]\n'
    """
    check_choice("export format", format, EXPORTS)
    check_choice("numbering", numbering, get_args(Numbering))
    if format == "gsmn":
        return _write_gsmn(rows, stream, numbering)
    return EXPORTS[format](rows, stream)


def row_to_dict(row: CaptionRow) -> dict[str, Any]:
    """A row as plain lists and strings; null where there is nothing.

    Args:
        row: the row.

    Returns:
        The columns of the store, offsets as pairs.
    """
    parse = {} if row.parse is None else asdict(row.parse)
    parse.pop("text", None)
    graphs = {
        name: None if graph is None else asdict(graph)
        for name, graph in (("roles", row.roles), ("dependencies", row.dependencies))
    }
    head = {"id": row.id, "owner": row.owner, "text": row.text, "error": row.error}
    return {**head, **parse, **graphs}


def _write_jsonl(rows: Iterable[CaptionRow], stream: IO[str]) -> ExportReport:
    counts = [0, 0]
    for row in rows:
        counts[row.error is not None] += 1
        stream.write(json.dumps(row_to_dict(row), ensure_ascii=False) + "\n")
    return ExportReport(*counts)


def _write_graphml(rows: Iterable[CaptionRow], stream: IO[str]) -> ExportReport:
    counts = [0, 0]

    def counted() -> Iterator[CaptionRow]:
        for row in rows:
            counts[row.error is not None] += 1
            yield row

    for line in graphml_lines(counted()):
        stream.write(line + "\n")
    return ExportReport(*counts)


def _write_hgr(rows: Iterable[CaptionRow], stream: IO[str]) -> ExportReport:
    written = failed = 0
    seen: set[str] = set()
    stream.write("{")
    repeated = 0
    for row in rows:
        if row.parse is None:
            failed += 1
        elif row.roles is None:
            raise ConfigError("expected role graphs (the store has none); parse with --graph roles")
        elif row.text in seen:
            repeated += 1
        else:
            seen.add(row.text)
            graph = role_graph_to_json(row.roles, row.parse.words)
            text = json.dumps(row.text, ensure_ascii=False)
            comma = "," if written else ""
            stream.write(f"{comma}\n{text}: {json.dumps(graph, ensure_ascii=False)}")
            written += 1
    stream.write("\n}\n")
    return ExportReport(written, failed, repeated)


def _write_gsmn(
    rows: Iterable[CaptionRow], stream: IO[str], numbering: Numbering = "caption"
) -> ExportReport:
    counts = [0, 0]
    stream.write("[")
    for row in rows:
        comma = "," if sum(counts) else ""
        counts[row.parse is None] += 1
        pairs = [] if row.parse is None else dependency_pairs(row.parse, numbering=numbering)
        stream.write(f"{comma}\n{json.dumps(pairs)}")
    stream.write("\n]\n")
    return ExportReport(*counts)


def _write_tokens(rows: Iterable[CaptionRow], stream: IO[str]) -> ExportReport:
    counts = [0, 0]
    for row in rows:
        counts[row.parse is None] += 1
        stream.write(" ".join(row.parse.words if row.parse else ()) + "\n")
    return ExportReport(*counts)


def _write_conllu(rows: Iterable[CaptionRow], stream: IO[str]) -> ExportReport:
    counts = [0, 0]
    for row in rows:
        counts[row.parse is None] += 1
        if row.parse is not None:
            stream.write(to_conllu(row.parse, row.id))
    return ExportReport(*counts)


EXPORTS: dict[str, Callable[[Iterable[CaptionRow], IO[str]], ExportReport]] = {
    "jsonl": _write_jsonl,
    "graphml": _write_graphml,
    "hgr": _write_hgr,
    "gsmn": _write_gsmn,
    "tokens": _write_tokens,
    "conllu": _write_conllu,
}
"""Writers by format."""
