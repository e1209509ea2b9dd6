"""SugarCrepe: captions of COCO's images, each beside a wrong one that differs in a detail.

Source: Hsieh et al., "SugarCrepe: Fixing Hackable Benchmarks for Vision-Language
Compositionality", NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphmatch.datasets.text_files import file_list, plain_text, read_json, safe_text
from graphmatch.errors import FormatError

CATEGORIES = (
    "add_att",
    "add_obj",
    "replace_att",
    "replace_obj",
    "replace_rel",
    "swap_att",
    "swap_obj",
)
"""What is changed, in the order of the paper's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardNegative:
    """An image with its caption and a caption that is wrong.

    Args:
        id: category and key in its file, such as `"add_att:12"`.
        image: id of the image: the name of its file without the suffix.
        category: what was changed.
        caption: the true caption.
        negative: the wrong one.
        error: why it cannot be used.
    """

    id: str
    image: str
    category: str
    caption: str
    negative: str
    error: str | None = None


def read_sugarcrepe(files: str | Path | Sequence[str | Path]) -> list[HardNegative]:
    """SugarCrepe's items.

    Args:
        files: the official files, one a category (`add_att.json`, ...), or one JSON object of all
            seven by category; any of them may be gzipped.

    Returns:
        The items, those that cannot be used with their error.

    Raises:
        FormatError: a file is missing or holds something else.

    Example:
        >>> import json, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "swap_obj.json"
        >>> item = {"filename": "000000000139.jpg", "caption": "A dog chases a cat.",
        ...         "negative_caption": "A cat chases a dog."}
        >>> _ = path.write_text(json.dumps({"0": item}))
        >>> found = read_sugarcrepe(path)[0]
        >>> found.id, found.image, found.negative
        ('swap_obj:0', '000000000139', 'A cat chases a dog.')
    """
    found: list[HardNegative] = []
    for path in file_list(files):
        content = read_json(path, "items of SugarCrepe by number, or such objects by category")
        name = Path(path).name.partition(".")[0]
        together = all(
            isinstance(v, (dict, list)) and "filename" not in v for v in content.values()
        )
        groups = content if together else {name: content}
        items = [item for key, group in groups.items() for item in _items(safe_text(key), group)]
        if not any(item.error is None for item in items):
            raise FormatError(
                f"{path}: expected items with filename, caption and negative_caption (got none)"
            )
        found += items
    return found


def _items(category: str, group: Any) -> Iterator[HardNegative]:
    for key, record in group.items() if isinstance(group, dict) else enumerate(group):
        fields = record if isinstance(record, dict) else {}
        file = plain_text(fields.get("filename"))
        texts = [fields.get(name) for name in ("caption", "negative_caption")]
        clean = [safe_text(text) if isinstance(text, str) else "" for text in texts]
        error = None
        if file is None:
            error = "expected the `filename` of an image"
        elif not all(text.strip() for text in clean):
            error = "expected a `caption` and a `negative_caption`"
        yield HardNegative(
            id=f"{category}:{safe_text(str(key))}",
            image=(file or "").rpartition(".")[0] or (file or ""),
            category=category,
            caption=clean[0],
            negative=clean[1],
            error=error,
        )
