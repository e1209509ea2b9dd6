"""Rows with everything in them, and graph stores of such rows."""

from __future__ import annotations

from dataclasses import replace

from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import role_graph
from graphmatch.rows import CaptionRow
from graphmatch.store_format import write_manifest, write_part

JOB = {"parser": "none", "mode": "augmented"}


def caption(number, text="dogs chase cats"):
    """A row with everything in it."""
    parse = Parse.from_tree(
        text.split(), heads=[1, -1, 1], deprels=["nsubj", "root", "obj"],
        frames=[Frame((1,), (Argument("ARG0", (0,)), Argument("ARG1", (2,))))],
    )  # fmt: skip
    return CaptionRow(
        id=f"c{number}",
        owner=f"v{number // 5}",
        text=text,
        parse=parse,
        roles=role_graph(parse),
        dependencies=dependency_graph(parse),
    )


def many_captions():
    """900 rows: one failed, and one has no words in its graph of roles."""
    made = [caption(number) for number in range(900)]
    made[7] = CaptionRow(id="c7", text="", error="empty caption")
    made[8] = replace(made[8], roles=role_graph(Parse.from_tree([], heads=[], deprels=[])))
    return made


def make_store(folder, content, part_rows=400, complete=True):
    folder.mkdir(exist_ok=True)
    blocks = [content[start : start + part_rows] for start in range(0, len(content), part_rows)]
    parts = [
        write_part(folder, number, rows=block, digest=str(number))
        for number, block in enumerate(blocks)
    ]
    write_manifest(folder, JOB, parts=parts, complete=complete)
    return folder
