"""Visual Spatial Reasoning: statements about where things are in an image, true or false.

Source: Liu, Emerson and Collier, "Visual Spatial Reasoning", TACL 2023.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphmatch.datasets.text_files import file_list, plain_text, read_lines, safe_text
from graphmatch.errors import FormatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement about an image.

    Args:
        id: number of its line.
        image: id of the image; of a file's name, without the suffix.
        text: the statement.
        true: whether it holds.
        relation: the spatial relation, such as `"on top of"`.
        error: why it cannot be used.
    """

    id: str
    image: str
    text: str
    true: bool
    relation: str
    error: str | None = None


def read_vsr(files: str | Path | Sequence[str | Path]) -> list[Statement]:
    """VSR's statements.

    Args:
        files: JSON lines, one file or several, with `image` (a file's name) or `image_id`,
            `caption`, `label` 0 or 1 and `relation`; perhaps gzipped.

    Returns:
        The statements in order, those that cannot be used with their error.

    Raises:
        FormatError: no such file, or no line of the form.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "test.jsonl"
        >>> record = {"image_id": 139, "caption": "The cat is on the bed.", "label": 1,
        ...           "relation": "on"}
        >>> _ = path.write_text(json.dumps(record))
        >>> read_vsr(path)[0].true
        True
    """
    found: list[Statement] = []
    paths = file_list(files)
    for path in paths:
        prefix = f"{Path(path).name}:" if len(paths) > 1 else ""
        statements = [
            _statement(f"{prefix}{number}", line, error)
            for number, line, error in read_lines(path)
            if line.strip()
        ]
        if all(statement.error is not None for statement in statements):
            raise FormatError(
                f"{path}: expected lines of JSON with image or image_id, caption, label and "
                "relation (got none)"
            )
        found += statements
    return found


def _statement(id: str, line: str, error: str | None) -> Statement:
    fields: object = None
    if error is None:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as problem:
            error = f"expected a JSON object on each line (got {problem})"
    record = fields if isinstance(fields, dict) else {}
    file = plain_text(record.get("image"))
    image = plain_text(record.get("image_id")) or (file and file.rpartition(".")[0]) or file
    text, label = record.get("caption"), record.get("label")
    if error is None and image is None:
        error = "expected the `image` or `image_id` of a statement"
    elif error is None and not (isinstance(text, str) and text.strip()):
        error = "expected a statement as `caption`"
    elif error is None and label not in (0, 1):
        error = f"expected a label of 0 or 1 (got {label!r:.40})"
    return Statement(
        id=id,
        image=image or "",
        text=safe_text(text) if isinstance(text, str) else "",
        true=label == 1,
        relation=plain_text(record.get("relation")) or "?",
        error=error,
    )
