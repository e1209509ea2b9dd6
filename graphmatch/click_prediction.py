"""`predict_clicks`, `write_predictions`: probabilities of a split's samples, and their file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from graphmatch.click_samples import ClickSamples
from graphmatch.click_store import ClickStore
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.models.marn import MARN
from graphmatch.output import check_output, open_output

_ROWS = 1 << 18  # of a file that are written at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickPredictions:
    """What a model says of n samples.

    Args:
        sample: [n] their numbers in the store.
        probability: [n] float64 of a click.
        label: [n] whether there was one.
        user: [n] number of the user in the store; None if it has no users.
    """

    sample: NDArray[np.int64]
    probability: NDArray[np.float64]
    label: NDArray[np.uint8]
    user: NDArray[np.int32] | None

    def __len__(self) -> int:
        return len(self.sample)


@torch.no_grad()
def predict_clicks(
    model: MARN,
    samples: ClickSamples,
    *,
    batch_size: int = 1024,
    dtype: str = "fp32",
    progress: bool = False,
) -> ClickPredictions:
    """Probabilities of clicks.

    Args:
        model: in any mode, which it keeps; it predicts in evaluation mode, on its own device.
        samples: what to predict.
        batch_size: samples at once; each distinct item of them is encoded once.
        dtype: of large products, `"fp32"` or `"bf16"`.
        progress: show a bar, if the output is a terminal.

    Returns:
        Predictions of all samples, in the order of the store. 21 bytes a sample.

    Raises:
        ConfigError: another dtype, no sample at a time.
        GraphError: a prediction that is not finite.
    """
    check_choice("dtype", dtype, ("fp32", "bf16"))
    if batch_size < 1:
        raise ConfigError(f"batch_size: expected at least 1 sample (got {batch_size})")
    store, places = samples.store, samples.loader.samples
    device, mode = next(model.parameters()).device, model.training
    fast = torch.autocast(device.type, torch.bfloat16) if dtype == "bf16" else nullcontext()
    probability = np.empty(len(places))
    model.eval()
    try:
        with tqdm(total=len(places), unit=" samples", disable=None if progress else True) as bar:
            for start in range(0, len(places), batch_size):
                part = places[start : start + batch_size]
                with fast:
                    logits = model(samples.collate(part).to(device))
                found = logits.double().sigmoid().cpu().numpy()
                if not np.isfinite(found).all():
                    bad = part[~np.isfinite(found)]
                    raise GraphError(
                        f"expected finite predictions (got others of sample {bad[0]} and "
                        f"{len(bad) - 1} more); look at the vectors of their items"
                    )
                probability[start : start + batch_size] = found
                bar.update(len(part))
    finally:
        model.train(mode)
    return ClickPredictions(
        sample=places,
        probability=probability,
        label=np.asarray(store.sample("label")[places]),
        user=store.sample("user")[places] if "sample_user" in store.arrays else None,
    )


def check_predictions_file(path: str | Path, *, force: bool = False) -> None:
    """Raise `ConfigError` if predictions cannot be written to a file.

    Args:
        path: the file.
        force: overwrite one that is there.

    Raises:
        ConfigError: another format than `.parquet` and `.csv`; a file that is there.
    """
    if Path(path).suffix not in (".parquet", ".csv"):
        raise ConfigError(f"{path}: expected a name that ends with .parquet or .csv")
    check_output(Path(path), force=force)


def write_predictions(
    predictions: ClickPredictions, store: ClickStore, path: str | Path, *, force: bool = False
) -> None:
    """Write predictions as Parquet or CSV, a row a sample, in the order of the store.

    Columns are `row` (number of the sample's row in the log, from 0, over all its files), `user`
    and `item` as the log names them (empty where it names none), `label` and `probability`.

    Args:
        predictions: what to write.
        store: whose samples they are.
        path: a file whose name ends with `.parquet` or `.csv`.
        force: overwrite one that is there.

    Raises:
        ConfigError: another name; a file that is there.
        OSError: it cannot be written; nothing is left behind.
    """
    check_predictions_file(path, force=force)
    items = pa.array(store.item_keys(), pa.string())
    users = None if predictions.user is None else pa.array(store.user_keys(), pa.string())

    def tables() -> Iterator[Any]:
        for start in range(0, len(predictions), _ROWS):
            part = slice(start, start + _ROWS)
            sample = predictions.sample[part]
            user = pa.nulls(len(sample), pa.string())
            if users is not None and predictions.user is not None:
                user = _named(users, predictions.user[part])
            yield pa.table(
                {
                    "row": store.sample("row")[sample],
                    "user": user,
                    "item": _named(items, store.sample("item")[sample]),
                    "label": predictions.label[part],
                    "probability": predictions.probability[part],
                }
            )

    with open_output(path, force=force, binary=True) as stream:
        parts = tables()
        first = next(parts)
        kind: Any = pyarrow.csv.CSVWriter
        if Path(path).suffix == ".parquet":
            kind = pyarrow.parquet.ParquetWriter
        with kind(stream, first.schema) as writer:
            writer.write_table(first)
            for part in parts:
                writer.write_table(part)


def _named(keys: Any, numbers: NDArray[Any]) -> Any:
    return keys.take(pa.array(numbers, mask=numbers < 0))
