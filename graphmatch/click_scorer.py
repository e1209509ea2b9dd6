"""`ClickScorer`: clicks of a user on candidates, from item vectors that are computed already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import torch
from numpy.typing import NDArray

from graphmatch.checkpoint import checkpoint_digest, load_checkpoint
from graphmatch.click_columns import ValueCodes
from graphmatch.click_request import RequestEncoder, as_column
from graphmatch.device import check_device
from graphmatch.errors import ConfigError, FormatError
from graphmatch.item_export import FORMAT, KEYS, VECTORS
from graphmatch.npy import map_array


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScores:
    """What a user will do, by candidate.

    Args:
        probability: [K] float64 of a click.
        known: [K] whether the catalogue has the candidate; all others count as one unknown item.
        behaviours: how many were read.
        unknown: how many of these are of items that the catalogue does not have.
        left_out: behaviours that are later than the request or without an item.
    """

    probability: NDArray[np.float64]
    known: NDArray[np.bool_]
    behaviours: int
    unknown: int
    left_out: int


class ClickScorer:
    """A trained MARN and the vectors of its catalogue.

    A request costs the user's side of the model alone: attention, recurrent network and the layers
    before the logit, all candidates at once.

    Args:
        vectors: folder of `graphmatch export-items`.
        checkpoint: checkpoint or run that made them.
        device: where to compute.

    Raises:
        FormatError: no such folder, an unfinished or damaged one.
        CheckpointError: no checkpoint, or a damaged one.
        ConfigError: vectors of another checkpoint, a device that is not there.
    """

    def __init__(self, vectors: str | Path, checkpoint: str | Path, *, device: str = "cpu") -> None:
        check_device(device)
        folder = Path(vectors)
        manifest = FORMAT.read_manifest(folder)
        if not manifest["complete"]:
            raise FormatError(
                f"{folder}: expected finished vectors (their run was interrupted); run the same "
                "command again"
            )
        if manifest["job"].get("checkpoint") != checkpoint_digest(checkpoint):
            raise ConfigError(
                f"{folder}: expected vectors that {checkpoint} made (got those of another "
                "checkpoint); graphmatch export-items makes them"
            )
        self.vectors = map_array(folder / VECTORS)
        shape = (manifest["items"] + 1, manifest["dim"])
        if self.vectors.dtype != np.float32 or self.vectors.shape != shape:
            got = f"{self.vectors.dtype} {list(self.vectors.shape)}"
            raise FormatError(f"{folder / VECTORS}: expected float32 {list(shape)} (got {got})")
        model, self.encoder = load_checkpoint(checkpoint, task="click")
        self.model, self.device = model.to(device), device
        try:
            keys = pyarrow.parquet.read_table(folder / KEYS)["key"].to_pylist()
        except (OSError, KeyError, ValueError) as error:
            raise FormatError(
                f"{folder / KEYS}: damaged ({error}); export the items again"
            ) from error
        if len(keys) != manifest["items"]:
            raise FormatError(
                f"{folder / KEYS}: expected {manifest['items']} keys (got {len(keys)})"
            )
        self._places = {key: place for place, key in reversed(list(enumerate(keys)))}
        self._places.pop(None, None)
        self._requests = RequestEncoder(self.encoder, self.model.config)

    def __len__(self) -> int:
        """Items of the catalogue."""
        return len(self.vectors) - 1

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def places(self, keys: Sequence[Any], what: str = "item") -> NDArray[np.int64]:
        """Rows of items in `vectors`.

        Args:
            keys: as the log has them, text or whole numbers.
            what: for errors.

        Returns:
            [n] the first row with each key; the last row of all for unknown or missing keys.

        Raises:
            FormatError: keys that are no ids.
        """
        codes = ValueCodes(what)
        found = codes.add(as_column(keys, what))
        rows = [self._places.get(key, len(self)) for key in codes.values.to_pylist()]
        table = np.array([*rows, len(self)], np.int64)  # -1 takes the last one
        return table[found]

    @torch.no_grad()
    def score(
        self,
        candidates: Sequence[Any],
        history: Mapping[str, Sequence[Any]] | None = None,
        *,
        time: Any = None,
        request: Mapping[str, Any] | None = None,
    ) -> CandidateScores:
        """Probabilities of clicks on candidates.

        Args:
            candidates: K keys of items.
            history: what the user did before, in any number: keys as `item`, times as `time`, and
                the values of each property by its name, as the log has them. Without times they
                are oldest first. Only the last ones are read, as in training.
            time: of the request, as the log has times; what is later is left out.
            request: values of the features of user and request by name; those that are not there
                are missing.

        Returns:
            Scores in the order of the candidates.

        Raises:
            ConfigError: a name that the schema does not have, or one that is missing.
            FormatError: values of another type.
            GraphError: columns of different lengths.
        """
        config = self.model.config
        behaviours = self._requests.behaviours(history or {}, time)
        context, context_ids = self._requests.request(request or {})
        place, row = self.places(behaviours.item), self.places(candidates)
        probability = np.zeros(0)
        if len(row):
            rows, inverse = np.unique(np.concatenate([place, row]), return_inverse=True)
            vectors = torch.from_numpy(self.vectors[rows])  # the rest of the file is not read
            local = torch.from_numpy(inverse).to(self.device)
            parts = {name: ids.to(self.device) for name, ids in behaviours.properties.items()}
            logits = self.model.score(
                vectors.to(self.device, next(self.model.parameters()).dtype),
                local[None, : len(place)],
                local[None, len(place) :],
                properties={table.name: parts[table.name] for table in config.properties},
                context=None if context is None else context.to(self.device),
                context_ids=None if context_ids is None else context_ids.to(self.device),
            )
            probability = logits[0].double().sigmoid().cpu().numpy()
        return CandidateScores(
            probability=probability,
            known=row < len(self),
            behaviours=len(behaviours),
            unknown=int((place == len(self)).sum()),
            left_out=behaviours.left_out,
        )
