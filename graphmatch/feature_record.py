"""`FeatureRecord`: the features of one image or video, as stores and feature files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphmatch.errors import FormatError, check_choice

if TYPE_CHECKING:
    from torch import Tensor

    from graphmatch.graphs.clip import ClipGraph
    from graphmatch.regions.base import Regions

Kind = Literal["regions", "clips"]
"""What the rows of an item are: regions of an image, or clips of a video."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a record looks.

    Args:
        shape: sizes; `R` counts the item's rows, `*` is any size that all items share.
        dtype: numpy's name; empty keeps the floating type of the values.
    """

    shape: tuple[str | int, ...]
    dtype: str = "float32"

    @property
    def per_row(self) -> bool:
        """Whether each region or clip has a value, rather than the item as a whole."""
        return self.shape[:1] == ("R",)


COLUMNS: Mapping[Kind, Mapping[str, Column]] = MappingProxyType(
    {
        "regions": {
            "feature": Column(("R", "*"), dtype=""),
            "box": Column(("R", 4)),  # x1 y1 x2 y2 in pixels
            "score": Column(("R",)),
            "label": Column(("R",), "int32"),
            "probability": Column(("R", "*"), dtype=""),  # distribution over classes
            "size": Column((2,), "int32"),  # width, height in pixels
        },
        "clips": {
            "feature": Column(("R", "*"), dtype=""),
            "time": Column(("R", 2), "float64"),  # start, end in seconds
            "duration": Column((), "float64"),  # seconds
        },
    }
)
"""The columns that an item of each kind may have; `feature` is always there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureRecord:
    """The features of one image or video.

    Args:
        id: the item's own id.
        columns: arrays by name, see `COLUMNS`; empty if the item failed.
        error: why there is nothing; None if there is.

    Example:
        >>> record = FeatureRecord(id="7", columns={"feature": np.zeros((2, 5), np.float32)})
        >>> check_record("regions", record).columns["feature"].shape
        (2, 5)
    """

    id: str
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    error: str | None = None

    def regions(self) -> Regions:
        """A record of kind `regions` as tensors, ready for `to_graph`.

        Returns:
            Regions; label -1 and score 1 where the record has none.

        Raises:
            FormatError: the item failed, or the record has no boxes or size.
        """
        import torch

        from graphmatch.regions.base import Regions

        feature, box, size = self._tensors("feature", "box", "size")
        label, score, probability = (
            self._tensors(name)[0] if name in self.columns else None
            for name in ("label", "score", "probability")
        )
        return Regions(
            size=(int(size[0]), int(size[1])),
            box=box.to(torch.float32),
            label=torch.full((len(self),), -1) if label is None else label.to(torch.int64),
            score=torch.ones(len(self)) if score is None else score.to(torch.float32),
            feature=feature.to(torch.float32),
            probability=None if probability is None else probability.to(torch.float32),
        )

    def clips(self) -> ClipGraph:
        """A record of kind `clips` as a graph, float32.

        Returns:
            The graph.

        Raises:
            FormatError: the item failed, or the record has no times.
        """
        import torch

        from graphmatch.graphs.clip import ClipGraph

        feature, time, duration = self._tensors("feature", "time", "duration")
        return ClipGraph(
            x=feature.to(torch.float32),
            time=time.to(torch.float32),
            duration=duration.reshape(1).to(torch.float32),
        )

    def _tensors(self, *names: str) -> list[Tensor]:
        """Copies of columns that must be there."""
        import torch

        missing = [name for name in names if name not in self.columns]
        if missing:
            why = self.error or f"there is no {' and no '.join(missing)}"
            raise FormatError(f"{self.id!r}: expected {', '.join(names)} ({why})")
        return [torch.from_numpy(np.array(self.columns[name])) for name in names]

    def __len__(self) -> int:
        return len(self.columns["feature"]) if self.columns else 0


def check_record(kind: Kind, record: FeatureRecord) -> FeatureRecord:
    """A record with every column in its dtype, checked.

    Args:
        kind: what the rows are.
        record: the record.

    Returns:
        The record with contiguous arrays of the table's dtypes; a failed record as it is.

    Raises:
        FormatError: an unknown or missing column, another shape, numbers that are not finite.
    """
    if record.error is not None:
        return record
    table = COLUMNS[kind]
    for name in record.columns:
        try:
            check_choice(f"column of {kind}", name, table)
        except ValueError as error:
            raise FormatError(f"{record.id!r}: {error}") from error
    if "feature" not in record.columns:
        raise FormatError(f"{record.id!r}: expected a column 'feature' (got {[*record.columns]})")
    rows = len(np.atleast_1d(record.columns["feature"]))
    checked = {}
    for name, value in record.columns.items():
        column = table[name]
        array = np.asarray(value)
        sizes = tuple(rows if size == "R" else size for size in column.shape)
        fits = array.ndim == len(sizes) and all(
            size in ("*", got) for size, got in zip(sizes, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in "fiu":
            raise FormatError(
                f"{record.id!r}: column {name!r}: expected numbers of shape {list(sizes)} "
                f"(got {array.dtype} {list(array.shape)})"
            )
        if not np.isfinite(array).all():
            raise FormatError(f"{record.id!r}: column {name!r}: expected finite numbers")
        kept = np.float32 if array.dtype.kind != "f" else array.dtype
        with np.errstate(over="ignore", invalid="ignore"):  # found by the check below
            cast = np.ascontiguousarray(array, column.dtype or kept).reshape(array.shape)
        if not np.isfinite(cast).all() or (cast.dtype.kind == "i" and (cast != array).any()):
            raise FormatError(
                f"{record.id!r}: column {name!r}: expected numbers that {cast.dtype} can hold"
            )
        checked[name] = cast
    return FeatureRecord(id=record.id, columns=checked)
