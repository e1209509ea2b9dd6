"""`read_word_vectors`: published vectors of words as rows of an embedding."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from graphmatch.datasets.text_files import open_source
from graphmatch.errors import FormatError
from graphmatch.vocab import Vocabulary


def read_word_vectors(path: str | Path, vocabulary: Vocabulary) -> Tensor:
    """Vectors of the words of a vocabulary.

    | file | what it is |
    |---|---|
    | `.safetensors` | one matrix [V, D], a row for each word of the vocabulary in its order |
    | any other | lines of text, a word and its D numbers, as GloVe and fastText publish them |

    Args:
        path: the file; text may be gzipped, and is read line by line.
        vocabulary: V words; the first stands for unknown ones.

    Returns:
        [V, D] float32. Row 0 and words that are not in the file are zero; of a word that is twice
        in the file the first counts, and a word that is not there as it is may be in lower case.

    Raises:
        FormatError: no such file, another number of rows, lines of another form, numbers that are
            not finite, or no word of the vocabulary.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "glove.txt"
        >>> _ = path.write_text("dog 1 2")
        >>> read_word_vectors(path, Vocabulary(("<pad>", "dog", "yak"), "<pad>")).tolist()
        [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    """
    binary = str(path).endswith(".safetensors")
    rows = _read_matrix(path, len(vocabulary)) if binary else _read_text(path, vocabulary)
    if not bool(rows.isfinite().all()):
        raise FormatError(f"{path}: expected finite numbers (got infinite ones or NaN)")
    rows[0] = 0
    return rows


def _read_matrix(path: str | Path, count: int) -> Tensor:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise FormatError(f"{path}: expected a file of word vectors ({error})") from error
    shapes = {name: list(value.shape) for name, value in tensors.items()}
    if len(tensors) != 1 or any(len(shape) != 2 for shape in shapes.values()):
        raise FormatError(f"{path}: expected one matrix (got {shapes})")
    (rows,) = tensors.values()
    if len(rows) != count:
        raise FormatError(
            f"{path}: expected {count} rows, one for each word of the vocabulary in its order "
            f"(got {len(rows)}); give the vocabulary that the file belongs to"
        )
    return rows.to(torch.float32)


def _read_text(path: str | Path, vocabulary: Vocabulary) -> Tensor:
    wanted = {word: number for number, word in enumerate(vocabulary.words) if number}
    lower: dict[str, list[int]] = {}  # words that differ from a word of the file by case alone
    for word, number in wanted.items():
        if word.lower() != word:
            lower.setdefault(word.lower(), []).append(number)
    found: dict[int, list[float]] = {}
    second: dict[int, list[float]] = {}
    size = 0
    with open_source(path, "of word vectors") as stream:
        for place, line in enumerate(stream, 1):
            parts = line.decode("utf-8", "replace").rstrip().split(" ")
            if place == 1 and len(parts) == 2:  # fastText says how many there are
                continue
            size = size or len(parts) - 1
            word = parts[0]
            if word not in wanted and word not in lower:
                continue
            try:
                row = [float(number) for number in parts[1:]]
            except ValueError as error:
                raise FormatError(f"{path}: line {place}: expected numbers ({error})") from error
            if len(row) != size or not size:
                raise FormatError(f"{path}: line {place}: expected {size} numbers (got {len(row)})")
            if word in wanted:
                found.setdefault(wanted[word], row)
            for number in lower.get(word, ()):
                second.setdefault(number, row)
    found = {**second, **found}
    if not found:
        raise FormatError(f"{path}: expected vectors of the vocabulary's words (got none)")
    rows = torch.zeros(len(vocabulary), size)
    for number, row in found.items():
        rows[number] = torch.tensor(row)
    return rows
