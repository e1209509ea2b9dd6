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
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from graphmatch.errors import FormatError, check_choice

_TEXT_FIELDS = ("caption", "text", "sentence", "raw", "captions", "sentences")
_ID_FIELDS = ("id", "caption_id", "sentid", "sen_id", "sentence_id")
_OWNER_FIELDS = (
    "owner", "image", "image_id", "video", "video_id", "filename", "file_name", "imgid"
)  # fmt: skip

_Found = tuple[str, str | None, str | None, str, str | None]
"""Place in the file, id, owner, text, error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A caption as it was read.

    Args:
        id: its own id, or the number of its line.
        owner: id of the image or video that it describes, if the file says so.
        text: the caption; what could be decoded of it where there is an error.
        error: why it cannot be used.
    """

    id: str
    owner: str | None = None
    text: str
    error: str | None = None


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
    file = Path(path)
    if file.is_dir():
        raise FormatError(f"{path}: expected a file of captions (got a folder)")
    if not file.exists():
        raise FormatError(f"{path}: no such file")
    with file.open("rb") as stream:
        zipped = stream.peek(2)[:2] == b"\x1f\x8b"
        with gzip.open(stream) if zipped else stream as content:
            try:
                reader = FORMATS[format or guess_format(name)]
                yield from _complete(reader(cast(IO[bytes], content), name), prefix)
            except (EOFError, OSError, zlib.error) as error:
                if not zipped:
                    raise
                raise FormatError(f"{path}: the gzip file is truncated or damaged") from error


def _complete(found: Iterable[_Found], prefix: str) -> Iterator[Caption]:
    """Captions of what a reader found; one without an id is named by its place."""
    for place, key, owner, text, error in found:
        name = f"{prefix}{place}" if key is None else key
        yield Caption(
            id=_safe(name), owner=None if owner is None else _safe(owner), text=text, error=error
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
    for number, text, error in _lines(stream, name):
        yield str(number), None, None, text, error


def _read_flickr(stream: IO[bytes], name: str) -> Iterator[_Found]:
    for number, line, error in _lines(stream, name):
        key, tab, text = line.partition("\t")
        if error is None and not tab:
            error = "expected image.jpg#number, a tab, and the caption"
        if error is not None:
            yield f"line-{number}", None, None, line, error
        else:
            yield str(number), key, key.partition("#")[0], text, None


def _read_jsonl(stream: IO[bytes], name: str) -> Iterator[_Found]:
    for number, line, error in _lines(stream, name):
        if error is None and not line.strip():
            continue
        record = None
        if error is None:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as problem:
                error = f"expected a JSON object on each line (got {problem})"
        if error is not None:
            yield f"line-{number}", None, None, line, error
        else:
            yield from _from_record(record, number)


def _read_csv(stream: IO[bytes], name: str, delimiter: str = ",") -> Iterator[_Found]:
    csv.field_size_limit(1 << 30)
    taken: list[str] = []  # lines of the row that is being read, for the error if it has one

    def lines() -> Iterator[str]:
        for _, line, _ in _lines(stream, name, keep_ends=True):
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
            text = _safe("".join(taken))
            yield f"row-{number}", None, None, text, f"expected a row of CSV ({problem})"
            continue
        if None in record or None in record.values():
            error = f"expected {len(header)} columns as in the header"
            yield f"row-{number}", None, None, _safe("".join(taken)), error
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
    try:
        content = json.loads(stream.read())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name}: expected JSON (got {error})") from error
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


def _lines(
    stream: IO[bytes], name: str, keep_ends: bool = False
) -> Iterator[tuple[int, str, str | None]]:
    """Lines from 1 with their text and what is wrong with them."""
    for number, raw in enumerate(stream, 1):
        if number == 1:
            if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise FormatError(f"{name}: expected UTF-8 (got UTF-16); convert the file first")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        error = None
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as problem:
            line = raw.decode("utf-8", "surrogateescape" if keep_ends else "replace")
            error = f"invalid UTF-8: byte {problem.start} of the line"
        yield number, line if keep_ends else line.rstrip("\r\n"), error


def _from_record(record: Any, number: int) -> Iterator[_Found]:
    """Captions of one record: one, or several if the field is a list."""
    if isinstance(record, str):
        record = {"caption": record}
    if not isinstance(record, dict):
        yield f"record-{number}", None, None, _shown(record), "expected an object with a caption"
        return
    text = next((record[name] for name in _TEXT_FIELDS if name in record), None)
    key = _first(record, _ID_FIELDS)
    owner = _first(record, _OWNER_FIELDS)
    if not isinstance(text, list):
        yield _one(record, text, place=str(number), key=key, owner=owner)
        return
    if not text:
        yield (
            f"record-{number}",
            key,
            owner,
            _shown(record),
            "expected a caption (the list is empty)",
        )
    base = owner if key is None else key
    for place, one in enumerate(text):
        own = None
        if isinstance(one, dict):  # Karpathy's files: {"sentences": [{"raw": ..., "sentid": ...}]}
            own = _first(one, _ID_FIELDS)
            one = one.get("raw")
        if own is None and base is not None:
            own = f"{base}#{place}"
        yield _one(record, one, place=f"{number}#{place}", key=own, owner=owner)


def _one(record: object, text: object, *, place: str, key: str | None, owner: str | None) -> _Found:
    if not isinstance(text, str):
        fields = ", ".join(_TEXT_FIELDS[:4])
        error = f"expected text in one of the fields {fields}"
        return f"record-{place}", key, owner, _shown(record), error
    clean = _safe(text)
    if clean != text:
        return place, key, owner, clean, "invalid UTF-8"
    return place, key, owner, text, None


def _first(record: dict[Any, Any], names: tuple[str, ...]) -> str | None:
    return next((str(record[n]) for n in names if record.get(n) not in (None, "")), None)


def _shown(record: object) -> str:
    return _safe(str(record)[:1000])


def _safe(text: str) -> str:
    """Text with U+FFFD for lone surrogates: bytes that were no UTF-8, JSON's half characters."""
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


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
