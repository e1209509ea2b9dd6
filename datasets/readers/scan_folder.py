"""SCAN's folders, which GSMN and IMRAM use too: captions, ids of images, word ids, parses.

Sources: SCAN official code, `data.py`; GSMN official code, `data.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphmatch.datasets.captions import Caption
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.text_files import decode_json, open_source, read_json, read_lines
from graphmatch.errors import FormatError


def read_scan_folder(
    folder: str | Path,
    *,
    splits: Sequence[str] = ("train", "dev", "test"),
    dev_captions: int | None = None,
    file_names: str | Path | None = None,
    name: str = "scan",
) -> DataSet:
    r"""A folder in SCAN's layout: `f30k_precomp`, `coco_precomp`, IMRAM's `f8k_precomp`.

    Read are `<split>_caps.txt`, one caption a line, and `<split>_ids.txt`, one number a row of the
    features `<split>_ims.npy`. There is a row for every image, five captions each, or a row for
    every caption; the counts of lines tell which, as in the official code.

    Args:
        folder: folder of one data set.
        splits: splits that are read. `testall` of COCO holds the images of `test` again, so the
            second of them would have an error on each: read one at a time.
        dev_captions: how many captions of the split `dev` are used. The official code uses 5000,
            which cuts 14 images of Flickr30k; None is all.
        file_names: `id_mapping.json`, names of image files by id.
        name: of the data set.

    Returns:
        Images by their id, captions named by split and line (`dev:1`).

    Raises:
        FormatError: a file is missing, or the counts of lines fit neither layout.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test_caps.txt").write_text("A dog .\n" * 5 + "A cat .\n" * 5)
        >>> _ = (folder / "test_ids.txt").write_text("139\n285\n")
        >>> data = read_scan_folder(folder, splits=["test"])
        >>> data.captions[5].owner, data.splits
        ('285', {'test': Counts(visuals=2, captions=10, errors=0)})
    """
    files = {} if file_names is None else read_json(file_names, "names of files by id")
    visuals: list[Visual] = []
    captions: list[Caption] = []
    for split in splits:
        owners, lines = _rows(Path(folder), split)
        if split == "dev" and dev_captions is not None:
            owners, lines = owners[:dev_captions], lines[:dev_captions]
        captions += (
            Caption(id=f"{split}:{n}", owner=id, text=line, error=error, split=split)
            for id, (n, line, error) in zip(owners, lines, strict=True)
        )
        for id in dict.fromkeys(owners):
            error = None if id.isdigit() else f"expected a number as id of an image (row {id})"
            file = files.get(id)
            file = file if isinstance(file, str) else None
            visuals.append(Visual(id=id, kind="image", split=split, file=file, error=error))
    return DataSet(name=name, visuals=tuple(visuals), captions=tuple(captions)).check()


def _rows(folder: Path, split: str) -> tuple[list[str], list[tuple[int, str, str | None]]]:
    """Owner of each caption, and the captions."""
    path = folder / f"{split}_caps.txt"
    lines = read_lines(path)
    ids = [_id(split, n, line) for n, line, _ in read_lines(folder / f"{split}_ids.txt")]
    if len(lines) == 5 * len(ids):
        ids = [id for id in ids for _ in range(5)]
    if len(lines) != len(ids) or not ids:
        raise FormatError(
            f"{path}: expected as many captions as ids in {split}_ids.txt, or five times as many "
            f"(got {len(lines)} captions, {len(ids)} ids)"
        )
    return ids, lines


def _id(split: str, number: int, line: str) -> str:
    """The id of a row in the spelling of all; where it is none, a name for the row."""
    text = line.strip()
    return str(int(text)) if re.fullmatch(r"[0-9]{1,18}", text) else f"{split}-row-{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedCaption:
    """A caption of GSMN's files: numbers of words, and which word governs which.

    Args:
        id: id of the caption in the `DataSet` of the folder.
        words: ids of T words in the vocabulary of the folder.
        pairs: [governor, dependent] numbers of words from 1, 0 is the root;
            `graphmatch.parsers.dependencies.adjacency` makes a matrix of them.
        error: why it cannot be used.
    """

    id: str
    words: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    error: str | None = None


def read_scan_parses(folder: str | Path, split: str) -> Iterator[IndexedCaption]:
    r"""GSMN's `<split>_precaps_stan.txt` and `<split>_caps.json`, in the order of the captions.

    Args:
        folder: folder of one data set.
        split: the split.

    Yields:
        One record a caption; one with an error for a damaged line or list.

    Raises:
        FormatError: a file is missing, no JSON list, or not as long as the other.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test_precaps_stan.txt").write_text("4,7\n")
        >>> _ = (folder / "test_caps.json").write_text("[[[0, 2], [2, 1]]]")
        >>> next(read_scan_parses(folder, "test"))
        IndexedCaption(id='test:1', words=(4, 7), pairs=((0, 2), (2, 1)), error=None)
    """
    words = read_lines(Path(folder) / f"{split}_precaps_stan.txt")
    path = Path(folder) / f"{split}_caps.json"
    with open_source(path) as stream:
        parses = decode_json(stream, str(path))
    if not isinstance(parses, list) or len(parses) != len(words):
        got = f"{len(parses)}" if isinstance(parses, list) else f"a {type(parses).__name__}"
        raise FormatError(f"{path}: expected a list of {len(words)} captions (got {got})")
    for (number, line, _), parse in zip(words, parses, strict=True):
        id = f"{split}:{number}"
        text = line.strip()
        if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", text):
            yield IndexedCaption(id=id, error="expected word ids with commas between them")
        elif not isinstance(parse, list) or not all(map(_is_pair, parse)):
            yield IndexedCaption(id=id, error="expected [governor, dependent] pairs")
        else:
            numbers = tuple(int(word) for word in text.split(","))
            pairs = tuple((governor, dependent) for governor, dependent in parse)
            yield IndexedCaption(id=id, words=numbers, pairs=pairs)


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(type(number) is int and number >= 0 for number in pair)
    )
