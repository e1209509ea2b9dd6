"""`ClickEncoder`: vocabularies, edges and widths, fitted on training rows, kept as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graphmatch.buckets import bucket_edges, bucket_ids
from graphmatch.click_features import Feature, Statistic
from graphmatch.click_schema import ClickSchema
from graphmatch.config import config_from_values, config_values
from graphmatch.errors import ConfigError, FormatError
from graphmatch.output import open_output
from graphmatch.store_folder import check_kinds

UNKNOWN = 1
"""Id of values that are in no vocabulary; 0 is missing."""
_FORMAT = "graphmatch-click-encoder"
_VERSION = 1
_KINDS = (
    ("schema", dict),
    ("values", dict),
    ("edges", dict),
    ("scales", dict),
    ("widths", dict),
)


@dataclass(slots=True, kw_only=True)
class ClickEncoder:
    """How columns of a click log become ids and numbers.

    Args:
        schema: of the log.
        values: Arrow array of the text of each value of a vocabulary, by the feature that has it;
            the first one has id 2 (in a feature of labels, place 0).
        edges: inner edges of buckets, by feature or statistic.
        scales: mean and standard deviation of numbers, by feature.
        widths: lengths of vectors, by feature.

    Example:
        >>> feature = Feature(name="brand", kind="ids", min_count=2)
        >>> encoder = ClickEncoder(schema=ClickSchema(
        ...     item="item", label="click", user="user", time="time", items=(feature,)))
        >>> encoder.fit_values(feature, pa.array(["b", "a", "c"]), np.array([2, 5, 1]))
        >>> encoder.ids(feature, np.array([0, 1, 2, -1]), pa.array(["a", "b", "d"]))
        array([2, 3, 1, 0])
        >>> encoder.size(feature)
        4
    """

    schema: ClickSchema
    values: dict[str, Any] = field(default_factory=dict)
    edges: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)

    def fit_values(self, feature: Feature, values: Any, counts: NDArray[Any]) -> None:
        """Make a vocabulary: values that are frequent enough, in ascending order of their text.

        Args:
            feature: that has the vocabulary.
            values: Arrow array of different values.
            counts: [n] how many training rows have each.
        """
        frequent = values.filter(pa.array(np.asarray(counts) >= feature.min_count))
        self.values[feature.name] = frequent.take(pc.sort_indices(frequent))

    def fit_edges(self, feature: Feature | Statistic, numbers: NDArray[Any]) -> None:
        """Make buckets, or take those that the schema gives.

        Args:
            feature: of kind buckets, or a statistic.
            numbers: values of training rows.
        """
        given = feature.edges if isinstance(feature, Feature) else None
        self.edges[feature.name] = (
            bucket_edges(numbers, feature.buckets) if given is None else np.array(given, np.float64)
        )

    def fit_scale(self, feature: Feature, numbers: NDArray[Any]) -> None:
        """Remember mean and deviation.

        Args:
            feature: of kind number.
            numbers: values of training rows.
        """
        known = np.asarray(numbers)[~np.isnan(numbers)]
        mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (0.0, 1.0)
        self.scales[feature.name] = (mean, deviation or 1.0)

    def size(self, feature: Feature | Statistic) -> int:
        """Ids that a feature can have, 0 included: the rows of its table of embeddings.

        Args:
            feature: of kind ids, buckets or words, or a statistic.

        Returns:
            How many.
        """
        if isinstance(feature, Statistic) or feature.kind == "buckets":
            return len(self.edges[feature.name]) + 2
        if feature.size is not None:
            return feature.size
        return len(self.values[feature.vocabulary or feature.name]) + 2

    def places(self, feature: Feature, known: Any) -> NDArray[np.int64]:
        """Places of values in a vocabulary.

        Args:
            feature: that has one.
            known: [n] Arrow array of values.

        Returns:
            [n] places from 0, -1 for values that are not in it.
        """
        vocabulary = self.values[feature.vocabulary or feature.name]
        found = pc.fill_null(pc.index_in(known, value_set=vocabulary), -1)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)

    def ids(self, feature: Feature, codes: NDArray[Any], known: Any) -> NDArray[np.int64]:
        """Ids of values.

        Args:
            feature: of kind ids or words.
            codes: [n] places in `known`, -1 for missing values; with a `size`, ids as they are.
            known: Arrow array of different values; not read with a `size`.

        Returns:
            [n] ids: 0 missing, 1 not in the vocabulary.
        """
        if feature.size is not None:
            return codes.astype(np.int64)
        ids: NDArray[np.int64] = self.id_table(feature, known)[codes]
        return ids

    def id_table(self, feature: Feature, known: Any) -> NDArray[np.int64]:
        """Ids of the values that codes stand for.

        Args:
            feature: with a vocabulary.
            known: [n] Arrow array of different values.

        Returns:
            [n + 1] ids; the last one, which code -1 takes, is 0.
        """
        table = np.append(self.places(feature, known) + 2, 0)
        table[:-1][table[:-1] == 1] = UNKNOWN  # place -1: in no vocabulary
        return table

    def buckets(self, feature: Feature | Statistic, numbers: NDArray[Any]) -> NDArray[np.int64]:
        """Ids of numbers, 0 for missing ones.

        Args:
            feature: of kind buckets, or a statistic.
            numbers: [n].
        """
        return bucket_ids(numbers, self.edges[feature.name])

    def scaled(self, feature: Feature, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """Numbers with mean 0 and deviation 1 in training; missing ones are 0.

        Args:
            feature: of kind number.
            numbers: [n].
        """
        mean, deviation = self.scales[feature.name]
        return np.nan_to_num((numbers - mean) / deviation, nan=0.0).astype(np.float32)

    def check_width(self, feature: Feature, width: int) -> None:
        """Raise `FormatError` if vectors have another length than those it was fitted on.

        Args:
            feature: of kind vector.
            width: their length.

        Raises:
            FormatError: another length.
        """
        if self.widths.setdefault(feature.name, width) != width:
            raise FormatError(
                f"{feature.name}: expected vectors of {self.widths[feature.name]} numbers, as the "
                f"encoder was fitted on (got {width})"
            )

    def check_schema(self, schema: ClickSchema) -> None:
        """Raise `ConfigError` unless a log has the schema that this was fitted on.

        Args:
            schema: of the log.

        Raises:
            ConfigError: with the fields that differ.
        """
        ours, theirs = config_values(self.schema), config_values(schema)
        different = [name for name in ours if ours[name] != theirs[name]]
        if different:
            raise ConfigError(
                f"expected the schema that the encoder was fitted on (other: "
                f"{', '.join(different)}); fit a new one, or use the encoder's schema"
            )

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the encoder as JSON.

        Args:
            path: the file.
            force: overwrite one that is there.

        Raises:
            ConfigError: it is there and `force` is not set.
            OSError: it cannot be written.
        """
        with open_output(path, force=force) as stream:
            stream.write(self.to_json())

    def to_json(self) -> str:
        """The encoder as JSON, one value a line."""
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "schema": config_values(self.schema),
            "edges": {name: edges.tolist() for name, edges in self.edges.items()},
            "scales": self.scales,
            "widths": self.widths,
            "values": {name: values.to_pylist() for name, values in self.values.items()},
        }
        return json.dumps(content, ensure_ascii=False, indent=0) + "\n"

    def digest(self) -> str:
        """SHA-256 of the encoder as JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> ClickEncoder:
        """Read an encoder.

        Args:
            path: a file that `save` wrote, or a store that has one.

        Returns:
            The encoder.

        Raises:
            FormatError: no such file, another one, a damaged one, one of a newer version.
        """
        file = Path(path)
        file = file / "encoder.json" if file.is_dir() else file
        if not file.is_file():
            raise FormatError(f"{path}: expected an encoder of clicks (no such file)")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise FormatError(f"{path}: expected format {_FORMAT} (got {content['format']!r})")
            if content["version"] != _VERSION:
                raise FormatError(
                    f"{path}: expected version {_VERSION} (got {content['version']!r})"
                )
            check_kinds(content, _KINDS)
            return cls(
                schema=config_from_values(ClickSchema, content["schema"]),
                values={n: pa.array(v, pa.string()) for n, v in content["values"].items()},
                edges={n: np.array(v, np.float64) for n, v in content["edges"].items()},
                scales={n: (float(m), float(d)) for n, (m, d) in content["scales"].items()},
                widths={n: int(v) for n, v in content["widths"].items()},
            )
        except FormatError:
            raise
        except (KeyError, TypeError, ValueError, RecursionError, pa.ArrowException) as error:
            raise FormatError(f"{path}: the encoder is damaged ({error})") from error
