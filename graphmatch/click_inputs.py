"""`ClickInputs`, `marn_config`: what of an encoded click log MARN reads, and how wide it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphmatch.click_schema import ClickSchema
from graphmatch.click_store import ClickStore
from graphmatch.config import check_counts, config_from_values
from graphmatch.errors import ConfigError, check_choice
from graphmatch.models.marn_config import MARNConfig, Table
from graphmatch.nn.modality_embedding import Modality

FROM_STORE = ("modalities", "vocabulary", "properties", "context", "context_tables")
"""Fields of `MARNConfig` that a store and `ClickInputs` decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickInputs:
    """What of an encoded click log a model reads.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> ClickInputs(modalities=("ids", "title")).item_width
        32
    """

    modalities: tuple[str, ...] | None = None  # of items, by name; None: all of them
    properties: tuple[str, ...] | None = None  # of behaviours; None: all, and `time`
    context: bool = True  # features of user and request
    time_buckets: int = 16  # ids of the time from a behaviour to its candidate, padding included
    item_width: int = 32  # numbers of an embedded item id
    id_width: int = 16  # of other ids of items
    bucket_width: int = 8  # of buckets: the paper has two statistics of 8 numbers
    word_width: int = 64  # of words
    kernels: tuple[int, ...] = (2, 3, 4)  # of the convolutions over words
    channels: int = 64  # of each convolution
    property_width: int = 8  # of a property
    context_width: int = 8  # of an id of user or request
    normalise: tuple[str, ...] = ()  # modalities whose vectors are divided by their length

    def __post_init__(self) -> None:
        check_counts(self, "item_width", "id_width", "bucket_width", "word_width", "channels",
                     "property_width", "context_width")  # fmt: skip
        check_counts(self, "time_buckets", least=2)


def marn_config(
    store: ClickStore, inputs: ClickInputs, options: Mapping[str, Any] | None = None
) -> MARNConfig:
    """The configuration of a model that reads a store.

    Args:
        store: an encoded log, with the sizes of all tables.
        inputs: what of it is read, and the widths.
        options: other fields of `MARNConfig`.

    Returns:
        The configuration.

    Raises:
        ConfigError: a modality or property that the store does not have, with the nearest name; an
            impossible value.
    """
    schema = store.encoder.schema
    records = {record["name"]: record for record in store.modalities}
    names = _chosen("modality", inputs.modalities, records)
    for name in inputs.normalise:
        check_choice("modality of vectors", name, [n for n in names if _is_vector(records[n])])
    words = [records[name]["sizes"][0] for name in names if records[name]["kind"] == "words"]
    ids = store.context["sizes"] if inputs.context else []
    values = {
        "vocabulary": max(words, default=1),
        "context": store.context["width"] if inputs.context else 0,
    }
    return config_from_values(
        MARNConfig,
        {
            **(options or {}),
            **values,
            "modalities": tuple(_modality(records[name], schema, inputs) for name in names),
            "properties": _properties(store, inputs),
            "context_tables": tuple(
                Table(name=name, size=size, width=inputs.context_width)
                for name, size in zip(store.context["id_names"], ids, strict=False)
            ),
        },
    )


def _modality(record: Mapping[str, Any], schema: ClickSchema, inputs: ClickInputs) -> Modality:
    name, kind, sizes = record["name"], record["kind"], record["sizes"]
    if kind == "words":
        width = (inputs.word_width,)
        return Modality(
            name=name, kind=kind, widths=width, kernels=inputs.kernels, channels=inputs.channels
        )
    if kind == "vector":
        return Modality(
            name=name, kind=kind, sizes=tuple(sizes), normalise=name in inputs.normalise
        )
    features = {feature.name: feature for feature in schema.items}
    widths = []
    for column in record["features"]:
        feature = features.get(column)  # None: a statistic
        if feature is None or feature.kind == "buckets":
            widths.append(inputs.bucket_width)
        else:
            own = feature.source == schema.item
            widths.append(inputs.item_width if own else inputs.id_width)
    return Modality(name=name, kind=kind, sizes=tuple(sizes), widths=tuple(widths))


def _properties(store: ClickStore, inputs: ClickInputs) -> tuple[Table, ...]:
    sizes = {record["name"]: record["sizes"][0] for record in store.properties}
    if "behaviour_time" in store.arrays and "sample_time" in store.arrays:
        sizes["time"] = inputs.time_buckets
    names = _chosen("property", inputs.properties, sizes)
    return tuple(Table(name=n, size=sizes[n], width=inputs.property_width) for n in names)


def _chosen(what: str, wanted: tuple[str, ...] | None, there: Iterable[str]) -> list[str]:
    if wanted is None:
        return list(there)
    if len({*wanted}) != len(wanted):
        raise ConfigError(f"expected each {what} once (got {list(wanted)})")
    for name in wanted:
        check_choice(what, name, there)
    return list(wanted)


def _is_vector(record: Mapping[str, Any]) -> bool:
    return bool(record["kind"] == "vector")
