"""TSV files of bottom-up-attention, and those of ViLBERT and LXMERT, which have more columns.

| columns of a file without a header | |
|---|---|
| 6 | `image_id image_w image_h num_boxes boxes features` (bottom-up-attention) |
| 7 | the same and `cls_prob` (ViLBERT) |
| 10 | `img_id img_h img_w objects_id objects_conf attrs_id attrs_conf num_boxes boxes features` |

A first line with these names is a header and gives the order. Attributes are passed over.

Source: bottom-up-attention (CVPR 2018), `tools/generate_tsv.py`; LXMERT, `src/utils.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Literal, get_args

import numpy as np

from graphmatch.datasets.features.base64_fields import (
    SPELLINGS,
    decode_fields,
    encode_fields,
    encode_rows,
)
from graphmatch.datasets.features.records import LARGEST, Add, item_id, make_record, wanted
from graphmatch.datasets.text_files import open_source
from graphmatch.errors import FormatError, check_choice
from graphmatch.feature_record import FeatureRecord
from graphmatch.output import open_output

Layout = Literal["bottom-up", "vilbert", "lxmert"]
"""Which columns a file has."""
_PLAIN = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
_COLUMNS: dict[str, Sequence[str]] = {
    "bottom-up": _PLAIN,
    "vilbert": (*_PLAIN, "cls_prob"),
    "lxmert": (
        *("image_id", "image_h", "image_w", "objects_id", "objects_conf", "attrs_id"),
        *("attrs_conf", "num_boxes", "boxes", "features"),
    ),
}


def read_bottom_up(path: str | Path) -> Iterator[FeatureRecord]:
    """Images of a TSV file, line by line.

    Args:
        path: the file, perhaps gzipped.

    Yields:
        A record of kind `regions` a line: feature [R, F], box [R, 4], size; probability, or label
        and score, if the file has them. A damaged line is a failed record.

    Raises:
        FormatError: no such file, another number of columns, damaged gzip.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.tsv"
        >>> columns = {"feature": np.eye(2), "box": [[0, 0, 4, 3], [1, 1, 2, 3]], "size": [8, 6]}
        >>> with write_bottom_up(path) as add:
        ...     add(FeatureRecord(id="7", columns=columns))
        >>> next(read_bottom_up(path)).columns["box"].tolist()
        [[0.0, 0.0, 4.0, 3.0], [1.0, 1.0, 2.0, 3.0]]
    """
    with open_source(path, "of regions") as stream:
        columns: Sequence[str] | None = None
        for number, line in enumerate(_lines(stream, path), 1):
            cells = line.split("\t")
            if columns is None:
                header = [SPELLINGS.get(cell.strip(), cell.strip()) for cell in cells]
                if {"boxes", "features"} <= {*header}:
                    columns = header
                    continue
                columns = next((c for c in _COLUMNS.values() if len(c) == len(cells)), None)
                if columns is None:
                    raise FormatError(
                        f"{path}: expected 6, 7 or 10 columns, or a header with boxes and features "
                        f"(got {len(cells)} columns)"
                    )
            if line:
                yield _record(number, cells, columns)


def _record(number: int, cells: Sequence[str], columns: Sequence[str]) -> FeatureRecord:
    if len(cells) != len(columns):
        error = f"expected {len(columns)} columns (got {len(cells)})"
        return FeatureRecord(id=f"line-{number}", error=error)
    fields = dict(zip(columns, cells, strict=True))
    try:
        key = item_id(fields.get("image_id"))
    except FormatError as error:
        return FeatureRecord(id=f"line-{number}", error=f"image_id: {error}")
    return make_record("regions", key, partial(decode_fields, fields), name=f"line {number}")


def _lines(stream: IO[bytes], path: str | Path) -> Iterator[str]:
    while line := stream.readline(LARGEST):
        if len(line) == LARGEST:
            raise FormatError(f"{path}: expected lines (got one of {LARGEST:,} bytes)")
        yield line.decode("utf-8", "replace").rstrip("\r\n")


@contextmanager
def write_bottom_up(
    path: str | Path, *, layout: Layout = "bottom-up", force: bool = False
) -> Iterator[Add]:
    """A TSV file without a header, a line an image.

    Args:
        path: the file.
        layout: its columns. `vilbert` needs probabilities, `lxmert` labels and scores; attributes
            are written as 0. Features become float32.
        force: overwrite a file that is there.

    Yields:
        A function that adds a record of kind `regions`.

    Raises:
        ConfigError: an unknown layout, or a file is there.
        FormatError: by the function, for a record without what the layout needs.
    """
    check_choice("layout", layout, get_args(Layout))
    needed = {"bottom-up": (), "vilbert": ("probability",), "lxmert": ("label", "score")}[layout]
    with open_output(path, force=force) as stream:

        def add(record: FeatureRecord) -> None:
            wanted(record, *needed)
            fields = encode_fields(record)
            if any(character in record.id for character in "\t\r\n"):
                raise FormatError(f"{record.id!r}: expected an id without tabs and line ends")
            if layout == "lxmert":
                nothing = np.zeros(len(record))
                fields["attrs_id"] = encode_rows(nothing, "<i8")
                fields["attrs_conf"] = encode_rows(nothing, "<f4")
            stream.write("\t".join(str(fields[name]) for name in _COLUMNS[layout]) + "\n")

        yield add
