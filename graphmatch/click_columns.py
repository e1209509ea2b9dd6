"""Columns of a click log, as Arrow reads them, to numbers: codes, numbers, times, lists.

Whole columns at once; nothing here makes a Python object of a row unless a batch has damaged ones.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graphmatch.errors import FormatError

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class ValueCodes:
    """Different values of a column, numbered in the order in which they come.

    Args:
        name: of the column, for errors.

    Example:
        >>> codes = ValueCodes("brand")
        >>> codes.add(pa.array(["b", "a", None, "b"])), codes.add(pa.array([7])), len(codes)
        (array([ 0,  1, -1,  0], dtype=int32), array([2], dtype=int32), 3)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = pa.array([], pa.string())

    def __len__(self) -> int:
        return len(self.values)

    def add(self, column: Any) -> NDArray[np.int32]:
        """Codes of values, new ones included.

        Args:
            column: Arrow array of text, whole numbers or truth values.

        Returns:
            [n] int32, -1 for missing values and empty text.

        Raises:
            FormatError: a column of another type.
        """
        column = as_array(column)
        check_ids(column.type, self.name)
        encoded = column.dictionary_encode()
        texts = as_text(encoded.dictionary, self.name)
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        places = pc.index_in(texts, value_set=self.values)
        new = texts.filter(pc.and_(pc.is_null(places), pc.is_valid(texts)))
        if len(new):
            self.values = pa.concat_arrays([self.values, pc.unique(new)])
            places = pc.index_in(texts, value_set=self.values)
        # a place more for null indices: -1 takes the last one
        table = np.append(_integers(pc.fill_null(places, -1), np.int32), np.int32(-1))
        codes: NDArray[np.int32] = table[_integers(pc.fill_null(encoded.indices, -1), np.int64)]
        return codes


def as_array(column: Any) -> Any:
    """One Arrow array of what may be chunks.

    Args:
        column: an array or chunked array.

    Returns:
        An array.
    """
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def as_text(values: Any, name: str) -> Any:
    """Values of a column of ids as text, so that 7, 7.0 and "7" are one value.

    Args:
        values: Arrow array.
        name: of the column, for errors.

    Returns:
        Arrow array of strings.

    Raises:
        FormatError: values that are neither text nor whole numbers.

    Example:
        >>> as_text(pa.array([7.0, None]), "item").to_pylist()
        ['7', None]
    """
    kind = values.type
    if pa.types.is_floating(kind):  # whole numbers with missing values, as pandas writes them
        try:
            values = values.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise FormatError(
                f"column {name}: expected ids, text or whole numbers (got {error})"
            ) from error
    return values.cast(pa.string())


def check_ids(kind: Any, name: str) -> None:
    """Raise `FormatError` for a type of column that cannot hold ids.

    Args:
        kind: Arrow type.
        name: of the column.

    Raises:
        FormatError: neither text nor numbers.
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_null, pa.types.is_floating)
    if not (is_text(kind) or any(test(kind) for test in tests)):
        raise FormatError(f"column {name}: expected ids, text or whole numbers (got {kind})")


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text.

    Args:
        kind: the type.
    """
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def numbers(column: Any, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column of numbers.

    Args:
        column: Arrow array of numbers, truth values, or text of numbers.
        name: of the column, for errors.

    Returns:
        [n] numbers, NaN for missing ones, and [n] whether something else is there.

    Raises:
        FormatError: a column of another type.

    Example:
        >>> numbers(pa.array(["2", "", "x"]), "price")
        (array([ 2., nan, nan]), array([False, False,  True]))
    """
    column = as_array(column)
    kind = column.type
    bad = np.zeros(len(column), bool)
    if is_text(kind):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, kind), column)
        try:
            column = column.cast(pa.float64())
        except pa.ArrowInvalid:
            fine = pc.match_substring_regex(column, _NUMBER)
            bad = ~_truths(fine, missing=True)
            column = pc.if_else(fine, column, pa.scalar(None, kind)).cast(pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        column = column.cast(pa.int64()).cast(pa.float64(), safe=False)
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        column = column.cast(pa.float64())
    else:
        raise FormatError(f"column {name}: expected numbers (got {kind})")
    values = pc.fill_null(column, np.nan).to_numpy(zero_copy_only=False)
    bad |= np.isinf(values)
    return np.where(bad, np.nan, values), bad


def times(column: Any, name: str, unit: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column of times.

    Args:
        column: Arrow array of numbers, dates, or text of either, such as `2017-05-06 00:00:00`.
        name: of the column, for errors.
        unit: of numbers: s, ms, us or ns.

    Returns:
        [n] seconds since 1970 (UTC where nothing else is said), NaN for missing ones, and [n]
        whether something else is there.

    Raises:
        FormatError: a column of another type.

    Example:
        >>> times(pa.array(["1970-01-02 00:00:00", "soon"]), "time", "s")
        (array([86400.,    nan]), array([False,  True]))
    """
    column = as_array(column)
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        return _seconds(column.cast(pa.timestamp("us"), safe=False)), np.zeros(len(column), bool)
    if is_text(column.type):
        try:
            stamps = column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            pass
        else:
            if stamps.null_count < len(stamps):
                return _seconds(stamps), np.zeros(len(column), bool)
    values, bad = numbers(column, name)
    values *= _SECONDS[unit]
    if is_text(column.type):
        for place in np.flatnonzero(bad):  # few, unless the column is no column of times
            values[place] = _moment(column[int(place)].as_py())
            bad[place] = np.isnan(values[place])
    return values, bad


def lists(column: Any, name: str, separator: str | None) -> tuple[NDArray[np.int64], Any]:
    """A column with several values a row.

    Args:
        column: Arrow array of lists, or of text.
        name: of the column, for errors.
        separator: between values of a text; None splits it into its words: letters, digits, `_`
            and `'`, in lower case.

    Returns:
        [n] int64 number of values of each row, and Arrow array of all values. Missing values of a
        list stay; empty ones of a text do not.

    Raises:
        FormatError: a column of another type.

    Example:
        >>> lengths, values = lists(pa.array(["4^7", None, ""]), "clicks", "^")
        >>> lengths, values.to_pylist()
        (array([2, 0, 0]), ['4', '7'])
    """
    column = as_array(column)
    if is_text(column.type):
        if separator is None:
            lower = pc.utf8_lower(column.cast(pa.string()))
            column = pc.split_pattern_regex(lower, r"[^\pL\pN_']+")
        else:
            column = pc.split_pattern(column.cast(pa.string()), separator)
        lengths = _lengths(column)
        values = pc.list_flatten(column)
        kept = _truths(pc.not_equal(values, ""))
        row = np.repeat(np.arange(len(column)), lengths)[kept]
        return np.bincount(row, minlength=len(column)), values.filter(pa.array(kept))
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64), pa.array([], pa.string())
    if not (
        pa.types.is_list(column.type)
        or pa.types.is_large_list(column.type)
        or pa.types.is_fixed_size_list(column.type)
    ):
        raise FormatError(f"column {name}: expected lists, or text (got {column.type})")
    return _lengths(column), pc.list_flatten(column)


def vectors(
    column: Any, name: str, width: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A column with a vector a row.

    Args:
        column: Arrow array of lists of numbers.
        name: of the column, for errors.
        width: D; None for the length that most rows have.

    Returns:
        [n, D] float32, zeros where there is none or one of
        another length or with a number that is not finite; and [n] whether there is one.

    Raises:
        FormatError: a column of another type, or without a vector.
    """
    lengths, flat = lists(column, name, " ")
    values, _ = numbers(flat, name)
    if width is None and len(lengths):
        width = int(np.bincount(lengths[lengths > 0], minlength=1).argmax())
    if not width:
        raise FormatError(f"column {name}: expected vectors (got none)")
    present = lengths == width
    result = np.zeros((len(lengths), width), np.float32)
    result[present] = values[np.repeat(present, lengths)].reshape(-1, width)
    finite = np.isfinite(result).all(axis=1)
    result[~finite] = 0
    return result, present & finite


def _lengths(column: Any) -> NDArray[np.int64]:
    return _integers(pc.fill_null(pc.list_value_length(column), 0), np.int64)


def _integers(values: Any, dtype: type[Any]) -> NDArray[Any]:
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(dtype, copy=False)


def _truths(values: Any, *, missing: bool = False) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(values, missing).to_numpy(zero_copy_only=False), dtype=bool)


def _seconds(stamps: Any) -> NDArray[np.float64]:
    whole = stamps.cast(pa.int64())
    seconds = _integers(pc.fill_null(whole, 0), np.int64) / 1e6
    return np.where(_truths(pc.is_null(stamps)), np.nan, seconds)


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text.strip()))
    except ValueError:
        return np.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
