"""Crisscrossed Captions: how similar people find captions and images of COCO.

Source: Parekh et al., "Crisscrossed Captions: Extended Intramodal and Intermodal Semantic
Similarity Judgments for MS-COCO", EACL 2021.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graphmatch.datasets.text_files import file_list, finite_number, read_lines, safe_text
from graphmatch.errors import FormatError

RatingKind = Literal["sits", "sts", "sis"]
"""Caption and image, two captions, two images."""

_KINDS: dict[tuple[str, str], RatingKind] = {
    ("caption", "image"): "sits",
    ("caption1", "caption2"): "sts",
    ("image1", "image2"): "sis",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """How similar two things are.

    Args:
        id: number of its line.
        kind: `"sits"` (a caption and an image), `"sts"` (two captions), `"sis"` (two images).
        a: id of the first: COCO's id of a caption; of an image for `"sis"`.
        b: id of the second: of an image, for `"sts"` of a caption.
        score: mean rating of the annotators, 0 to 5.
        sampling: how the pair was chosen, such as `"c2i_original"`.
        error: why it cannot be used.
    """

    id: str
    kind: RatingKind
    a: str
    b: str
    score: float
    sampling: str
    error: str | None = None


def read_cxc(files: str | Path | Sequence[str | Path]) -> list[Rating]:
    r"""Ratings of Crisscrossed Captions.

    Args:
        files: the official files (`sits_val.csv`, ..., not `*_raw.csv`), or one CSV with the
            columns kind, a, b, score and sampling; any of them may be gzipped.

    Returns:
        The ratings in order, those that cannot be used with their error. Official names become
        COCO's ids: `COCO_val2014:sentid:771337` is 771337, `COCO_val2014_000000391895.jpg` 391895.

    Raises:
        FormatError: a file is missing or has another header.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "sits_val.csv"
        >>> _ = path.write_text("caption,image,agg_score,sampling_method\n"
        ...     "COCO_val2014:sentid:7,COCO_val2014_000000000139.jpg,4.5,c2i_original\n")
        >>> found = read_cxc(path)[0]
        >>> found.kind, found.a, found.b, found.score
        ('sits', '7', '139', 4.5)
    """
    found: list[Rating] = []
    paths = file_list(files)
    for path in paths:
        prefix = f"{Path(path).name}:" if len(paths) > 1 else ""
        found += _ratings(path, prefix)
    return found


def _ratings(path: str | Path, prefix: str) -> list[Rating]:
    lines = read_lines(path)
    header = next(csv.reader([lines[0][1]])) if lines else []
    official = _KINDS.get((header[0], header[1])) if len(header) == 4 else None
    if official is None and not {"kind", "a", "b", "score"} <= set(header):
        raise FormatError(
            f"{path}: expected a header kind,a,b,score,sampling or that of an official file, such "
            f"as caption,image,agg_score,sampling_method (got {','.join(header)!r:.200})"
        )
    names = header if official is None else ["a", "b", "score", "sampling"]
    found = []
    for number, line, error in lines[1:]:
        values = next(csv.reader([line]), [])
        fields = dict(zip(names, values, strict=False))
        kind = official or next((k for k in _KINDS.values() if k == fields.get("kind")), None)
        score = finite_number(fields.get("score"))
        a, b = (_coco_id(fields.get(name, "")) for name in ("a", "b"))
        if error is None and len(values) != len(header):
            error = f"expected {len(header)} columns (got {len(values)})"
        elif error is None and (kind is None or not a or not b or score is None):
            error = f"expected sits, sts or sis, two ids and a score (got {line!r:.80})"
        found.append(
            Rating(
                id=f"{prefix}{number}",
                kind=kind or "sits",
                a=a,
                b=b,
                score=0.0 if score is None else score,
                sampling=safe_text(fields.get("sampling", "")),
                error=error,
            )
        )
    return found


def _coco_id(name: str) -> str:
    last = name.rpartition(":")[2].removesuffix(".jpg").rpartition("_")[2]
    return str(int(last)) if last.isascii() and last.isdigit() else safe_text(name)
