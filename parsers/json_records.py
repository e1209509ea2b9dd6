"""Records of a file of JSON, one a caption, as foreign tools write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphmatch.errors import FormatError, ParseError


def json_records(path: str | Path, field: str) -> Iterator[tuple[str, Any]]:
    """Records of a file: one record, a list of them, an object of them by name, or one a line.

    Args:
        path: the file, UTF-8.
        field: a field that holds a list in every record; tells a record from an object of records.

    Yields:
        Name (its place from 1 where it has none) and decoded record; a `ParseError` in place of a
        record that is no JSON.

    Raises:
        FormatError: no such file, not UTF-8.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> _ = path.write_text('{"words": ["dogs"]}')
        >>> list(json_records(path, "words"))
        [('1', {'words': ['dogs']})]
    """
    file = Path(path)
    if not file.is_file():
        raise FormatError(f"{path}: expected a file of JSON (no such file)")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: expected UTF-8 ({error}); convert the file first") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        for place, line in enumerate(filter(str.strip, text.split("\n")), 1):
            try:
                yield str(place), json.loads(line)
            except (ValueError, RecursionError) as error:
                yield str(place), ParseError(f"expected a JSON record on each line ({error})")
        return
    if isinstance(content, dict) and not isinstance(content.get(field), list):
        yield from content.items()
    else:
        records = content if isinstance(content, list) else [content]
        yield from ((str(place), record) for place, record in enumerate(records, 1))
