"""`ClickSchema`: what the columns of a click log are, kept as JSON.

A log is one of two things. Either each row is an event, and a user's history is made of the events
before it; or each row brings its history along in `sequences`, or has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from graphmatch.click_features import Feature, Sequence, Splitting, Statistic
from graphmatch.config import config_from_values, config_values
from graphmatch.errors import ConfigError, check_choice

Behaviours = Literal["all", "clicked", "sequences", "none"]
"""What histories are made of: all rows; those with label 1 or without one; nothing, because rows
bring theirs along; nothing at all."""
_SUITS: dict[str, tuple[str, ...]] = {
    "items": ("ids", "buckets", "words", "vector", "labels"),
    "properties": ("ids", "buckets"),
    "context": ("ids", "buckets", "vector", "number"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickSchema:
    """The columns of a click log.

    Args:
        item: column of the candidate item.
        label: column of the label, 0 or 1; empty in rows that are behaviours only.
        user: column of the user; None if rows bring their history along and GAUC is not wanted.
        time: column of the time, a number or date; None if rows bring their history along.
        items: features of items, columns of the table of items, or of the log if there is none.
        properties: features of behaviours, such as their type.
        context: features of the sample, such as user and scenario.
        sequences: histories that rows bring along.
        statistics: of items.
        label_from: the label is 1 from this value of its column on; None if it is 0 or 1.
        time_unit: of times that are numbers.
        order: column of numbers by which events of the same user and time follow each other; those
            that are equal in it, or all without it, do not see each other.
        behaviours: what histories are made of.
        splitting: which rows are for training, validation and test.

    Raises:
        ConfigError: columns that do not go together.

    Example:
        >>> schema = ClickSchema(
        ...     user="userId", item="movieId", time="timestamp", label="rating", label_from=4.0,
        ...     items=(Feature(name="movieId", kind="ids", modality="ids"),),
        ...     properties=(Feature(name="type", kind="buckets", column="rating", edges=(3, 4)),),
        ... )
        >>> ClickSchema.from_json(schema.to_json()) == schema
        True
        >>> ClickSchema.from_json('{"item": "a", "label": "b", "usr": "c"}')
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: unknown field of ClickSchema 'usr': ...; did you mean 'user'?
    """

    item: str
    label: str
    user: str | None = None
    time: str | None = None
    items: tuple[Feature, ...] = ()
    properties: tuple[Feature, ...] = ()
    context: tuple[Feature, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    statistics: tuple[Statistic, ...] = ()
    label_from: float | None = None
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    order: str | None = None
    behaviours: Behaviours = "all"
    splitting: Splitting = field(default_factory=Splitting)

    def __post_init__(self) -> None:
        for place, kinds in _SUITS.items():
            for feature in getattr(self, place):
                check_choice(f"kind of {feature.name} among {place}", feature.kind, kinds)
                if feature.modality is not None and place != "items":
                    raise ConfigError(f"{feature.name}: only features of items have a modality")
        names = [f.name for f in self.features] + [s.name for s in self.statistics]
        _check_twice(names, "features")
        _check_modalities(self)
        if not self.items:
            raise ConfigError("items: expected a feature or more (got none)")
        if any(feature.name == "time" for feature in self.properties):
            raise ConfigError("properties: time is the gap to the candidate, which is always there")
        if (self.behaviours == "sequences") != bool(self.sequences):
            raise ConfigError('sequences and behaviours "sequences" need each other')
        if not self.of_events:
            self._check_sequences()
        elif self.user is None or self.time is None:
            raise ConfigError("histories made of events need the columns of user and time")
        if self.splitting.by == "user" and self.user is None:
            raise ConfigError('splitting by "user" needs the column of the user')
        if self.splitting.by in ("user", "time") and self.time is None:
            raise ConfigError('splitting by "user" and "time" needs the column of the time')
        self._check_vocabularies()

    def _check_sequences(self) -> None:
        targets = [f.name for f in self.items if f.kind in ("ids", "buckets")]
        targets += [f.name for f in self.properties] + ["time"] * (self.time is not None)
        for sequence in self.sequences:
            check_choice(f"feature that {sequence.column} has values of", sequence.of, targets)
        _check_twice([s.of for s in self.sequences], "sequences")
        others = ("time", *self.property_names)
        if self.sequences and all(s.of in others for s in self.sequences):
            raise ConfigError("sequences: expected one of an item feature")
        if missing := {*self.property_names} - {s.of for s in self.sequences}:
            raise ConfigError(f"properties {sorted(missing)}: expected a sequence of each")
        if any(s.over == "before" for s in self.statistics):
            raise ConfigError('statistics over "before" need histories that are made of events')
        if any(f.kind not in ("ids", "buckets") for f in self.items):
            raise ConfigError("with sequences, features of items are ids or buckets")

    def _check_vocabularies(self) -> None:
        ids = {f.name: f for f in self.features if f.kind == "ids"}
        for feature in ids.values():
            if feature.vocabulary is None:
                continue
            check_choice(f"vocabulary of {feature.name}", feature.vocabulary, ids)
            owner = ids[feature.vocabulary]
            if owner.vocabulary is not None or owner.size is not None or feature.size is not None:
                raise ConfigError(
                    f"{feature.name}: expected the vocabulary of a feature that has one of its own "
                    f"(got {owner.name})"
                )

    @property
    def of_events(self) -> bool:
        """Whether histories are made of the rows themselves."""
        return self.behaviours in ("all", "clicked")

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features."""
        return (*self.items, *self.properties, *self.context)

    @property
    def property_names(self) -> tuple[str, ...]:
        """Names of the properties of behaviours, the time not among them."""
        return tuple(feature.name for feature in self.properties)

    def log_columns(self, *, with_items: bool) -> list[str]:
        """Columns that the log must have.

        Args:
            with_items: whether there is a table of items, which has the features of items.

        Returns:
            Different names.
        """
        roles = [self.item, self.label, self.user, self.time, self.order, self.splitting.column]
        features = [*self.properties, *self.context] if self.of_events else [*self.context]
        names = [f.source for f in (features if with_items else [*self.items, *features])]
        names += [sequence.column for sequence in self.sequences]
        names += [s.column for s in self.statistics if s.column is not None]
        return list(dict.fromkeys(name for name in [*roles, *names] if name is not None))

    def to_json(self) -> str:
        """The schema as JSON.

        Returns:
            Text that `from_json` reads.
        """
        return json.dumps(config_values(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ClickSchema:
        """A schema from JSON; what is left out has its default.

        Args:
            text: an object with the arguments of the class.

        Returns:
            The schema.

        Raises:
            ConfigError: no JSON object, an unknown name, an impossible value.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"schema: expected JSON (got {error})") from error
        if not isinstance(values, dict):
            raise ConfigError(f"schema: expected a JSON object (got a {type(values).__name__})")
        return config_from_values(cls, values)

    @classmethod
    def load(cls, path: str | Path) -> ClickSchema:
        """A schema from a file, see `from_json`.

        Args:
            path: the file.

        Returns:
            The schema.

        Raises:
            ConfigError: as `from_json`, or no such file.
        """
        file = Path(path)
        if not file.is_file():
            raise ConfigError(f"{path}: expected a schema (no such file)")
        try:
            return cls.from_json(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from error


def _check_modalities(schema: ClickSchema) -> None:
    kinds: dict[str, set[str]] = {}
    for feature in schema.items:
        kinds.setdefault(feature.group, set()).add(_TENSOR[feature.kind])
    for statistic in schema.statistics:
        kinds.setdefault(statistic.modality, set()).add("ids")
    for name, found in kinds.items():
        words = [f for f in schema.items if f.group == name and f.kind == "words"]
        if len(found) > 1 or len(words) > 1:
            raise ConfigError(
                f"modality {name}: expected ids and buckets, or vectors and labels, or one feature "
                f"of words (got {', '.join(sorted(found))})"
            )


_TENSOR = {"ids": "ids", "buckets": "ids", "words": "words", "vector": "vector", "labels": "vector"}


def _check_twice(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{where}: expected different names (got {name} twice)")
        seen.add(name)
