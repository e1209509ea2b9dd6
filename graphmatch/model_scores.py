"""`ModelScores`: score matrices of trained matchers, one or an ensemble, block by block."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphmatch.checkpoint import checkpoint_digest, find_checkpoint, load_checkpoint
from graphmatch.chosen import Chosen
from graphmatch.device import check_device
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, check_choice
from graphmatch.feature_store import FeatureStore
from graphmatch.models.matcher import Matcher
from graphmatch.models.table import model_name
from graphmatch.pair_set import PairSet
from graphmatch.scoring import score_tiles
from graphmatch.vocab import Vocabulary

MATRIX_BYTES = 2 << 30
"""Larger score matrices are mapped to a temporary file."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}
"""Numbers of the large matrix products by their names on the command line."""
VISUAL_ITEMS, TEXT_ITEMS = 8192, 32768
"""Items that are held encoded at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computing:
    """How scores are computed.

    Args:
        dtype: numbers of the large matrix products, a key of `DTYPES`.
        device: where to encode and score; `"auto"` is a CUDA device if there is one.
        threads: tiles that are scored side by side on a CPU, see `score_tiles`.
        progress: show bars, if the output is a terminal.

    Raises:
        ConfigError: unknown numbers, a device that is not there.
    """

    dtype: str = "fp32"
    device: str = "auto"
    threads: int | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        check_choice("dtype", self.dtype, DTYPES)
        if self.device == "auto":
            object.__setattr__(self, "device", "cuda" if torch.cuda.is_available() else "cpu")
        check_device(self.device)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedMatcher:
    """A matcher of a checkpoint.

    Args:
        folder: the checkpoint.
        name: of the model, as in `graphmatch.models.table`.
        digest: SHA-256 of the checkpoint.
        matcher: in evaluation mode.
        vocabulary: its words.
    """

    folder: str
    name: str
    digest: str
    matcher: Matcher
    vocabulary: Vocabulary


def load_matchers(
    folders: Sequence[str | Path], visuals: FeatureStore, *, device: str = "cpu"
) -> list[LoadedMatcher]:
    """Load checkpoints, and see whether they can read a store.

    Args:
        folders: checkpoints, or runs of training.
        visuals: what they are going to encode.
        device: where to.

    Returns:
        The matchers.

    Raises:
        CheckpointError: no checkpoint, or a damaged one.
        ConfigError: features of another length, or things that the matcher cannot read.
    """
    found = []
    for folder in folders:
        path = find_checkpoint(folder)
        matcher, vocabulary = load_checkpoint(path, task="match")
        _check_readable(matcher, visuals, path)
        loaded = LoadedMatcher(
            folder=str(path),
            name=model_name(matcher),
            digest=checkpoint_digest(path),
            matcher=matcher.to(device),
            vocabulary=vocabulary,
        )
        found.append(loaded)
    return found


def _check_readable(matcher: Matcher, visuals: FeatureStore, path: Path) -> None:
    if "feature" not in visuals.arrays:
        raise ConfigError(f"{visuals.path}: expected a store with features")
    config: Any = matcher.config
    width = visuals.arrays["feature"].shape[1]
    if width != config.feature_size:
        raise ConfigError(
            f"{path}: expected features of {config.feature_size} numbers (got {width} in "
            f"{visuals.path}); use the store, or the kind of features, it was trained on"
        )
    usable = np.flatnonzero(visuals.row_counts)
    if len(usable):
        try:
            encode_visuals(matcher, [visuals.graph(int(usable[0]))])
        except AttributeError as error:
            name = model_name(matcher)
            raise ConfigError(
                f"{visuals.path}: expected items that {name} can read (got {visuals.kind}: {error})"
            ) from error


class ModelScores:
    """The mean of some matchers' scores, computed for any part of the pairs.

    Encoded items are held for at most `VISUAL_ITEMS` images and `TEXT_ITEMS` captions at a time;
    captions are encoded again for each block of images.

    Args:
        models: each matcher with the captions and images as it reads them, in the same order.
        computing: numbers and threads; the matchers are on their device.
    """

    def __init__(self, models: Sequence[tuple[Matcher, PairSet]], computing: Computing) -> None:
        self.models, self.computing = models, computing
        self.encoding = self.scoring = 0.0
        """Seconds that were spent so far."""

    @property
    def array_dtype(self) -> np.dtype[Any]:
        """Of the matrices: float32, or float64 for products of float64."""
        return np.dtype(np.float64 if self.computing.dtype == "fp64" else np.float32)

    def fill(self, out: NDArray[Any], items: Tensor, captions: Tensor) -> None:
        """Scores of some items and captions.

        Args:
            out: [f, c] array or memory map to fill.
            items: [f] positions of items.
            captions: [c] positions of captions.

        Raises:
            GraphError: a score that is not finite.
        """
        scores = torch.from_numpy(out)
        for number, (matcher, pairs) in enumerate(self.models):
            self._add(scores, matcher, pairs, (items, captions), first=number == 0)
        if len(self.models) > 1:
            scores /= len(self.models)

    def _add(
        self,
        scores: Tensor,
        matcher: Matcher,
        pairs: PairSet,
        chosen: tuple[Tensor, Tensor],
        *,
        first: bool,
    ) -> None:
        """Add one matcher's scores, or begin with them."""
        items, captions = chosen
        texts: list[Encoded] | None = None
        for top in range(0, len(items), VISUAL_ITEMS):
            rows = items[top : top + VISUAL_ITEMS]
            visuals = self._encode(matcher, pairs.gallery_graphs(), rows, visual=True)
            for left in range(0, len(captions), TEXT_ITEMS):
                columns = captions[left : left + TEXT_ITEMS]
                if texts is None or len(captions) > TEXT_ITEMS:
                    texts = self._encode(matcher, pairs.texts(), columns, visual=False)
                started = time.perf_counter()
                for row, column, tile in score_tiles(
                    matcher,
                    visuals,
                    texts,
                    dtype=DTYPES[self.computing.dtype],
                    threads=self.computing.threads,
                    progress=self.computing.progress,
                ):
                    place = (row + top)[:, None], column + left
                    tile = tile.to("cpu", scores.dtype)
                    scores[place] = tile if first else scores[place] + tile
                self.scoring += time.perf_counter() - started

    def _encode(
        self, matcher: Matcher, graphs: Sequence[Any], places: Tensor, *, visual: bool
    ) -> list[Encoded]:
        started = time.perf_counter()
        encode = encode_visuals if visual else encode_texts
        chosen = Chosen(graphs.__getitem__, places.tolist())
        encoded = encode(matcher, chosen, progress=self.computing.progress)
        self.encoding += time.perf_counter() - started
        return encoded


@contextmanager
def score_array(shape: tuple[int, int], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """An array for a score matrix: in memory, or above `MATRIX_BYTES` in a temporary file.

    Args:
        shape: n_v and n_t.
        dtype: of the scores.

    Yields:
        The array, gone after the block.

    Raises:
        OSError: no room for the file.
    """
    if shape[0] * shape[1] * dtype.itemsize <= MATRIX_BYTES:
        yield np.empty(shape, dtype)
        return
    with tempfile.TemporaryDirectory(prefix="graphmatch-scores-") as folder:
        yield np.asarray(np.memmap(Path(folder) / "scores", dtype, "w+", shape=shape))
