"""`summarise_features`: counts and histograms of a feature store."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from graphmatch.feature_store import FeatureStore


def summarise_features(store: FeatureStore) -> dict[str, Any]:
    """Counts of what a store holds; reads everything but the features.

    Args:
        store: the store.

    Returns:
        `kind`, `items`, `failed`, `rows`, `columns` (dtype and shape of a row or item),
        `rows_per_item` (smallest, mean and largest number of rows of an item that did not fail);
        the histograms `labels` (regions by class name, a number where the store has no names,
        `none` for -1) and `failure_reasons`, most frequent first; `hours` of the videos of clips.

    Raises:
        FormatError: a damaged list of items.

    Example:
        >>> import tempfile
        >>> from graphmatch.feature_record import FeatureRecord
        >>> from graphmatch.feature_writer import FeatureWriter
        >>> folder = tempfile.mkdtemp()
        >>> columns = {"feature": np.zeros((3, 2)), "label": np.array([0, 1, 1])}
        >>> with FeatureWriter(folder, kind="regions", job={"labels": ["dog", "cat"]}) as writer:
        ...     _ = writer.add(FeatureRecord(id="a", columns=columns))
        >>> summarise_features(FeatureStore(folder))["labels"]
        {'cat': 2, 'dog': 1}
    """
    counts = store.manifest["counts"]
    failed = {key for key, _ in store.failures}
    rows = [n for key, n in zip(store.ids, store.row_counts.tolist(), strict=True)
            if key not in failed]  # fmt: skip
    summary: dict[str, Any] = {
        "kind": store.kind,
        **{name: counts[name] for name in ("items", "failed", "rows")},
        "columns": {
            name: f"{column.dtype.name} {list(column.shape[1:])}"
            for name, column in store.arrays.items()
        },
        "rows_per_item": [min(rows), float(np.mean(rows)), max(rows)] if rows else [0, 0.0, 0],
    }
    if "label" in store.arrays:
        summary["labels"] = _label_counts(store)
    if "duration" in store.arrays:
        summary["hours"] = float(np.sum(store.arrays["duration"])) / 3600
    reasons = Counter(error.partition(":")[0].partition(" (")[0] for _, error in store.failures)
    return {**summary, "failure_reasons": dict(reasons.most_common())}


def _label_counts(store: FeatureStore) -> dict[str, int]:
    numbers, counts = np.unique(store.arrays["label"], return_counts=True)
    names = store.labels
    found: Counter[str] = Counter()
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if number < 0:
            found["none"] += count
        else:
            found[names[number] if number < len(names) else str(number)] += count
    return dict(found.most_common())
