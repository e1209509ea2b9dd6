"""Captions from the files people have, one `Caption` each, nothing lost.

| format | recognised by | id | owner |
|---|---|---|---|
| `txt` | any other name | line number | - |
| `jsonl` | .jsonl, .ndjson | `id`, else line number | `owner`, `image`, `video`, ... |
| `csv`, `tsv` | .csv, .tsv | as jsonl, columns of the header | as jsonl |
| `parquet` | .parquet | as jsonl | as jsonl |
| `json` | .json: COCO's `annotations` | id | image_id |
| | MSR-VTT's `sentences` | sen_id | video_id |
| | Karpathy's `images` | sentid, else `filename#0` | filename |
| | HGR's `{video: [captions]}` | `video#0` | video |
| | a list of captions or objects | as jsonl | as jsonl |
| `flickr` | .token, .token.txt | `image.jpg#0` | `image.jpg` |

Any of them may be gzipped (.gz). A line that cannot be read becomes a caption with an error.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from graphmatch.datasets.text_files import decode_json, decode_lines, open_source, safe_text
from graphmatch.errors import FormatError, check_choice

_TEXT_FIELDS = ("caption", "text", "sentence", "raw", "captions", "sentences")
_ID_FIELDS = ("id", "caption_id", "sentid", "sen_id", "sentence_id")
_OWNER_FIELDS = (
    "owner", "image", "image_id", "video", "video_id", "filename", "file_name", "img_path", "imgid"
)  # fmt: skip


class _Found(NamedTuple):
    place: str  # in the file
    key: str | None  # id
    owner: str | None
    text: str = ""
    error: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A caption as it was read.

    Args:
        id: its own id, or the number of its line.
        owner: id of the image or video that it describes, if the file says so.
        text: the caption; what could be decoded of it where there is an error.
        error: why it cannot be used.
        split: part of the data set, such as `"train"`, if the file says so.
        moment: start and end in seconds of the part of its video that it describes.
    """

    id: str
    owner: str | None = None
    text: str
    error: str | None = None
    split: str | None = None
    moment: tuple[float, float] | None = None


def read_captions(
    path: str | Path, format: str | None = None, *, prefix: str = ""
) -> Iterator[Caption]:
    """Captions of a file in its order, lazily (JSON files are read whole).

    Args:
        path: the file, or `-` for standard input.
        format: a key of `FORMATS`; by the name and content of the file if None, `txt` for
            standard input.
        prefix: goes before ids that are only places in the file (line numbers), so that several
            files can go into one corpus.

    Yields:
        One caption each.

    Raises:
        ConfigError: an unknown format.
        FormatError: no such file, a folder, a file that is not of the format at all.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "dogs.txt"
        >>> _ = file.write_text("A dog runs.")
        >>> next(read_captions(file)).text
        'A dog runs.'
    """
    name = str(path)
    if format is not None:
        check_choice("caption format", format, FORMATS)
    if name == "-":
        yield from _complete(FORMATS[format or "txt"](sys.stdin.buffer, name), prefix)
        return
    with open_source(path, "of captions") as stream:
        reader = FORMATS[format or guess_format(name)]
        yield from _complete(reader(stream, name), prefix)


def record_captions(records: Iterable[object], *, prefix: str = "") -> Iterator[Caption]:
    """Captions of decoded JSON records, in their order.

    Args:
        records: an object with a caption or a list of captions each, or just the caption.
        prefix: goes before ids that are only places.

    Yields:
        One caption each; one with an error for a record that has none.

    Example:
        >>> [c.id for c in record_captions([{"image_id": 9, "captions": ["A dog.", "A cat."]}])]
        ['9#0', '9#1']
    """
    for number, record in enumerate(records, 1):
        yield from _complete(_from_record(record, number), prefix)


def _complete(found: Iterable[_Found], prefix: str) -> Iterator[Caption]:
    """Captions of what a reader found; one without an id is named by its place."""
    for place, key, owner, text, error, split in found:
        name = f"{prefix}{place}" if key is None else key
        yield Caption(
            id=safe_text(name),
            owner=None if owner is None else safe_text(owner),
            text=text,
            error=error,
            split=None if split is None else safe_text(split),
        )


def guess_format(name: str) -> str:
    """Format of a caption file by its name.

    Args:
        name: file name; a final `.gz` is ignored.

    Returns:
        A key of `FORMATS`.

    Example:
        >>> guess_format("Flickr8k.token.txt.gz"), guess_format("captions_val2017.json")
        ('flickr', 'json')
    """
    name = name.lower().removesuffix(".gz")
    for suffix, format in _SUFFIXES.items():
        if name.endswith(suffix):
            return format
    return "txt"


def _read_txt(stream: IO[bytes], name: str) -> Iterator[_Found]:
    for number, text, error in decode_lines(stream, name):
        yield _Found(str(number), None, None, text, error)


def _read_flickr(stream: IO[bytes], name: str) -> Iterator[_Found]:
    for number, line, error in decode_lines(stream, name):
        key, tab, text = line.partition("\t")
        if error is None and not tab:
            error = "expected image.jpg#number, a tab, and the caption"
        if error is not None:
            yield _Found(f"line-{number}", None, None, line, error)
        else:
            yield _Found(str(number), key, key.partition("#")[0], text)


def _read_jsonl(stream: IO[bytes], name: str) -> Iterator[_Found]:
    for number, line, error in decode_lines(stream, name):
        if error is None and not line.strip():
            continue
        record = None
        if error is None:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as problem:
                error = f"expected a JSON object on each line (got {problem})"
        if error is not None:
            yield _Found(f"line-{number}", None, None, line, error)
        else:
            yield from _from_record(record, number)


def _read_csv(stream: IO[bytes], name: str, delimiter: str = ",") -> Iterator[_Found]:
    csv.field_size_limit(1 << 30)
    taken: list[str] = []  # lines of the row that is being read, for the error if it has one

    def lines() -> Iterator[str]:
        for _, line, _ in decode_lines(stream, name, keep_ends=True):
            taken.append(line)
            yield line

    # strict: else a quote that nobody closes swallows the rest of the file without a word
    reader = csv.DictReader(lines(), delimiter=delimiter, strict=True)
    try:
        header = reader.fieldnames or ()
    except csv.Error as problem:
        raise FormatError(f"{name}: expected a header of CSV ({problem})") from problem
    if not {*_TEXT_FIELDS} & {*header}:
        raise FormatError(
            f"{name}: expected a header with one of the columns {', '.join(_TEXT_FIELDS)} "
            f"(got {list(header)})"
        )
    number = 0
    while True:
        number += 1
        taken.clear()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            text, error = safe_text("".join(taken)), f"expected a row of CSV ({problem})"
            yield _Found(f"row-{number}", None, None, text, error)
            continue
        if None in record or None in record.values():
            error = f"expected {len(header)} columns as in the header"
            yield _Found(f"row-{number}", None, None, safe_text("".join(taken)), error)
        else:
            yield from _from_record(record, number)


def _read_tsv(stream: IO[bytes], name: str) -> Iterator[_Found]:
    return _read_csv(stream, name, "\t")


def _read_parquet(stream: IO[bytes], name: str) -> Iterator[_Found]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(stream.read()) if name == "-" else stream)
        if not {*_TEXT_FIELDS} & {*file.schema_arrow.names}:
            raise FormatError(
                f"{name}: expected one of the columns {', '.join(_TEXT_FIELDS)} "
                f"(got {', '.join(file.schema_arrow.names)})"
            )
        number = 0
        for batch in file.iter_batches(1024):
            names, columns = batch.schema.names, [_values(column) for column in batch.columns]
            for values in zip(*columns, strict=True):
                number += 1
                yield from _from_record(dict(zip(names, values, strict=True)), number)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{name}: the Parquet file is truncated or damaged ({error})") from error


def _values(column: Any) -> list[Any]:
    """Values of an Arrow column; bytes that are no UTF-8 as surrogates, as in other formats."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        raw = column.cast("large_binary").to_pylist()
        return [None if v is None else v.decode("utf-8", "surrogateescape") for v in raw]


def _read_json(stream: IO[bytes], name: str) -> Iterator[_Found]:
    content = decode_json(stream, name)
    for key in ("annotations", "sentences", "images"):
        if isinstance(content, dict) and isinstance(content.get(key), list):
            content = content[key]
    if content and isinstance(content, dict) and all(isinstance(v, list) for v in content.values()):
        content = [{"video": key, "captions": value} for key, value in content.items()]
    if not isinstance(content, list):
        raise FormatError(
            f"{name}: expected COCO captions (`annotations`), MSR-VTT captions (`sentences`), "
            "Karpathy's captions (`images`), HGR's lists by video or a list of captions"
        )
    content.reverse()
    number = 0
    while content:  # a record is freed as soon as it is read
        number += 1
        yield from _from_record(content.pop(), number)


def _from_record(record: Any, number: int) -> Iterator[_Found]:
    """Captions of one record: one, or several if the field is a list."""
    if isinstance(record, str):
        record = {"caption": record}
    if not isinstance(record, dict):
        error = "expected an object with a caption"
        yield _Found(f"record-{number}", None, None, _shown(record), error)
        return
    text = next((record[name] for name in _TEXT_FIELDS if name in record), None)
    key = _first(record, _ID_FIELDS)
    owner = _first(record, _OWNER_FIELDS)
    found = _Found(str(number), key, owner, split=_first(record, ("split",)))
    if not isinstance(text, list):
        yield _with_text(found, record, text)
        return
    if not text:
        error = "expected a caption (the list is empty)"
        yield found._replace(place=f"record-{number}", text=_shown(record), error=error)
    base = owner if key is None else key
    for place, one in enumerate(text):
        own = None
        if isinstance(one, dict):  # Karpathy's files: {"sentences": [{"raw": ..., "sentid": ...}]}
            own = _first(one, _ID_FIELDS)
            one = one.get("raw")
        if own is None and base is not None:
            own = f"{base}#{place}"
        yield _with_text(found._replace(place=f"{number}#{place}", key=own), record, one)


def _with_text(found: _Found, record: object, text: object) -> _Found:
    if not isinstance(text, str):
        error = f"expected text in one of the fields {', '.join(_TEXT_FIELDS[:4])}"
        return found._replace(place=f"record-{found.place}", text=_shown(record), error=error)
    clean = safe_text(text)
    return found._replace(text=clean, error=None if clean == text else "invalid UTF-8")


def _first(record: dict[Any, Any], names: tuple[str, ...]) -> str | None:
    return next((str(record[n]) for n in names if record.get(n) not in (None, "")), None)


def _shown(record: object) -> str:
    return safe_text(str(record)[:1000])


FORMATS: dict[str, Callable[[IO[bytes], str], Iterable[_Found]]] = {
    "txt": _read_txt,
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "parquet": _read_parquet,
    "json": _read_json,
    "flickr": _read_flickr,
}
"""Readers by format."""
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".json": "json",
    ".token": "flickr",
    ".token.txt": "flickr",
}
