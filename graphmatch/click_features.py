"""`Feature`, `Sequence`, `Statistic`, `Splitting`: what a `ClickSchema` is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphmatch.errors import ConfigError

Kind = Literal["ids", "buckets", "words", "vector", "labels", "number"]
"""How a column becomes numbers, see `Feature`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A column that a model reads, and how it becomes numbers.

    In all ids 0 is padding or a missing value and 1 a value that is not in the vocabulary.

    Args:
        name: of the feature.
        kind: `ids`: text or whole numbers with a vocabulary; `buckets`: numbers in buckets of about
            as many training rows each; `words`: words of a text, or several ids; `labels`: the
            same as a vector of zeros and ones; `vector`: a list of numbers; `number`: one number,
            standardised.
        column: its column in the file; None if named as the feature.
        modality: of items: features of one modality are put side by side; None if it is alone.
        min_count: ids, words: how many training rows must have a value for it to get an id.
        vocabulary: ids: name of the feature whose vocabulary it shares.
        size: ids: the column has ids already, from 0 (padding) to below this.
        buckets: how many.
        edges: inner edges of the buckets, if they are not to be fitted.
        length: words: how many are kept, the first ones.
        separator: words, labels: what is between values; None splits a text into its words.

    Raises:
        ConfigError: an impossible value.
    """

    name: str
    kind: Kind
    column: str | None = None
    modality: str | None = None
    min_count: int = 1
    vocabulary: str | None = None
    size: int | None = None
    buckets: int = 10
    edges: tuple[float, ...] | None = None
    length: int = 10
    separator: str | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.modality is not None:
            _check_name(self.modality)
        for name, least in (("min_count", 1), ("buckets", 1), ("length", 1), ("size", 2)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{self.name}: {name}: expected at least {least} (got {value})")
        if self.kind != "ids" and (self.size is not None or self.vocabulary is not None):
            raise ConfigError(
                f"{self.name}: size and vocabulary are options of ids, not {self.kind}"
            )
        if self.edges is not None and list(self.edges) != sorted({*self.edges}):
            raise ConfigError(f"{self.name}: edges: expected ascending numbers (got {self.edges})")
        if self.separator == "":
            raise ConfigError(f"{self.name}: separator: expected a character or null")

    @property
    def source(self) -> str:
        """The column."""
        return self.column or self.name

    @property
    def group(self) -> str:
        """The modality."""
        return self.modality or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A column with a value for each behaviour of a row's history, oldest first.

    Args:
        column: a list, or text with values between separators.
        of: name of the item feature or property that the values are of, whose vocabulary they
            share; `time` for their times.
        separator: between values of a text.
    """

    column: str
    of: str
    separator: str = "^"

    def __post_init__(self) -> None:
        if not self.separator:
            raise ConfigError(f"{self.column}: separator: expected a character (got none)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """What is known of an item from other events, as buckets.

    A mean of labels over the training split is no choice: it contains the label of each training
    sample, which gives it away.

    Args:
        name: of the statistic.
        of: `count` of events; `behaviours`, the number of those that are behaviours; `positives`,
            of those with label 1; `mean` of labels, or of a column.
        column: with `mean`: a column of numbers instead of the label.
        over: `before`, the events before the event, strictly; `train`, all training events, which
            is possible for `count` only.
        buckets: how many.
        modality: of the item that it belongs to.

    Raises:
        ConfigError: labels over the training split.
    """

    name: str
    of: Literal["count", "behaviours", "positives", "mean"]
    column: str | None = None
    over: Literal["before", "train"] = "before"
    buckets: int = 10
    modality: str = "stat"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_name(self.modality)
        if self.buckets < 1:
            raise ConfigError(f"{self.name}: buckets: expected at least 1 (got {self.buckets})")
        if self.column is not None and self.of != "mean":
            raise ConfigError(f"{self.name}: a column is an option of mean, not of {self.of}")
        if self.over == "train" and self.of != "count":
            raise ConfigError(
                f"{self.name}: labels over the training split contain the sample's own label, "
                "which gives it away (so does leaving it out: what is missing tells it); choose "
                'over "before"'
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Splitting:
    """Which rows are for training, validation and test.

    Args:
        by: `file`: a file a split; `column`: names of splits, or 0, 1 and 2; `user`: the first of
            each user's samples in the order of time are for training, the last for testing;
            `time`: the first and last of all samples.
        column: with `column`.
        train: with `user` and `time`: the part before which samples are for training.
        test: with `user` and `time`: the part from which on they are for testing.

    Raises:
        ConfigError: impossible parts.
    """

    by: Literal["file", "column", "user", "time"] = "user"
    column: str | None = None
    train: float = 0.8
    test: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.train <= self.test <= 1:
            got = f"train {self.train}, test {self.test}"
            raise ConfigError(f"splitting: expected 0 <= train <= test <= 1 (got {got})")
        if (self.by == "column") != (self.column is not None):
            raise ConfigError('splitting: a column and by "column" need each other')


def _check_name(name: str) -> None:
    if not (name.isidentifier() and name.isascii()):  # it becomes the name of a file
        raise ConfigError(
            f"expected a name of letters, digits and underscores (got {name!r}); give a `name` "
            "beside the `column`"
        )
